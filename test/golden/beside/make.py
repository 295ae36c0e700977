"""The names of JAX and Equinox, and the numbers that docs/beside-jax.md says its expressions have.

    pip install jax==0.10.2 equinox==0.13.8
    python test/golden/beside/make.py

Every row of a table with a column "JAX" is evaluated in its namespace, with the inputs below. It writes names.json (all
public names; the page lists those that it leaves out) and numbers.json (an array of results for each row, by its name).
The names of jax-js are added by names.mjs.
"""

import inspect
import json
import pathlib
import re

import equinox
import jax
import jax.lax
import jax.nn
import jax.numpy as jnp
import numpy as np

here = pathlib.Path(__file__).parent
page = here.parents[2] / "docs" / "beside-jax.md"
namespaces = {
    "jax.numpy": jnp,
    "jax.numpy.linalg": jnp.linalg,
    "jax.nn": jax.nn,
    "jax.nn.initializers": jax.nn.initializers,
    "equinox.nn": equinox.nn,
}
f32 = lambda data: jnp.asarray(data, jnp.float32)
inputs = {
    "x": f32([[0.5, -1.5, 2.25], [-0.25, 3, -2]]),
    "y": f32([[1, 0.5, -2], [0.75, -1, 2.5]]),
    "u": f32([[0.125, 0.5, 0.9], [0.25, 0.6, 0.75]]),
    "q": f32([[np.nan, 1, 2.5], [3, -1.5, np.nan]]),
    "v": f32([3, 1, 2, 1]),
    "w": f32([0.5, -1, 2, 1]),
    "s": f32([[4, 1, 0.5], [1, 3, 0.25], [0.5, 0.25, 2]]),
    "t": f32(np.arange(24).reshape(2, 3, 4) / 8 - 1),
    "i": jnp.asarray([2, 0, 3, 2], jnp.int32),
    "j": jnp.asarray([1, 1, 0, 3], jnp.int32),
    "k": jnp.asarray([[5, -7, 0], [12, -1, 3]], jnp.int32),
    "a": jnp.asarray([[True, False, True], [False, False, True]]),
    "b": jnp.asarray([[True, True, False], [False, True, True]]),
}


def is_public(module, name):
    """A function, a class that is no element type, or an object for indices."""
    value = getattr(module, name)
    if name.startswith("_") or inspect.ismodule(value) or isinstance(value, (float, type(None))):
        return False
    if module is jnp and (inspect.isclass(value) or type(value).__name__ == "_ScalarMeta" or name == "dtype"):
        # classes and element types
        return False
    return not (inspect.isclass(value) and issubclass(value, Warning))


def written(value):
    """A result as sizes, element type and numbers; NaN and infinities as text."""
    array = np.asarray(value)
    kind = {"f": "f32", "i": "i32", "u": "i32", "b": "bool"}[array.dtype.kind]
    numbers = [float(number) for number in array.astype(np.float64).ravel()]
    return [kind, list(array.shape), [number if np.isfinite(number) else str(number) for number in numbers]]


def results(value):
    return [written(part) for part in value] if isinstance(value, (tuple, list)) else [written(value)]


def cells(line):
    return [cell.strip() for cell in re.sub(r"^\||\|$", "", line.strip()).split("|")]


found, section, columns, failed = {}, None, [], []
for line in page.read_text().split("\n"):
    if line.startswith("## "):
        section = line[3:]
    if not line.startswith("|"):
        columns = []
        continue
    row = cells(line)
    if not columns:
        columns = row
        continue
    if "JAX" not in columns or section not in namespaces or set(row[0]) <= {"-"}:
        continue
    expression = row[columns.index("JAX")].strip("`")
    if expression == "":
        continue
    name = re.match(r"`(\w+)`", row[0]).group(1)
    scope = {**vars(jnp), **vars(namespaces[section]), **inputs, "jnp": jnp, "jax": jax}
    try:
        found.setdefault(section, {})[name] = results(eval(expression, scope))
    except Exception as error:
        failed.append(f"{section} {name}: {expression}: {type(error).__name__} {str(error)[:200]}")

names = json.loads((here / "names.json").read_text()) if (here / "names.json").exists() else {}
names["versions"] = {**names.get("versions", {}), "jax": jax.__version__, "equinox": equinox.__version__}
for section, module in namespaces.items():
    names[section] = sorted(name for name in dir(module) if is_public(module, name))
(here / "names.json").write_text(json.dumps(names, indent=1) + "\n")
plain = {name: written(value)[0:3] for name, value in inputs.items()}
lines = [f'  {json.dumps(section)}: {{\n' + ",\n".join(f"    {json.dumps(n)}: {json.dumps(r)}" for n, r in rows.items()) + "\n  }" for section, rows in found.items()]
(here / "numbers.json").write_text(
    "{\n  \"inputs\": " + json.dumps(plain) + ",\n" + ",\n".join(lines) + "\n}\n"
)
print("\n".join(failed))
print({section: len(rows) for section, rows in found.items()}, len(failed), "failed")
