"""Writes torch.safetensors with PyTorch: one tensor of each type that `load` reads; and init.json: deviations and largest numbers
of the initializers of jax.nn and of torch.nn.init, for a weight with the fans 600 and 400.

Needs torch, jax and safetensors; run it as `python make_values.py`.
"""
import json
from pathlib import Path

import jax
import torch
from safetensors.torch import save_file

here = Path(__file__).parent
save_file(
    {
        "layers.0.up": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4 - 0.5,
        "layers.1.up": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 8,
        "half.bf16": torch.tensor([1.0, -2.5, 3.140625], dtype=torch.bfloat16),
        "half.f16": torch.tensor([1.0, -2.5, 0.0999755859375], dtype=torch.float16),
        "ids": torch.tensor([[1, -2], [3, 2**31 - 1]], dtype=torch.int32),
        "long": torch.tensor([5, -6], dtype=torch.int64),
        "mask": torch.tensor([True, False, True]),
        "scale": torch.tensor(0.125),
    },
    here / "torch.safetensors",
    metadata={"format": "pt"},
)
sizes, key = (600, 400), jax.random.PRNGKey(0)
of_jax = {
    "glorotUniform": jax.nn.initializers.glorot_uniform(),
    "glorotNormal": jax.nn.initializers.glorot_normal(),
    "heUniform": jax.nn.initializers.he_uniform(),
    "heNormal": jax.nn.initializers.he_normal(),
    "lecunUniform": jax.nn.initializers.lecun_uniform(),
    "lecunNormal": jax.nn.initializers.lecun_normal(),
    "truncatedNormal": jax.nn.initializers.truncated_normal(0.02),
}
of_torch = {
    "glorotUniform": torch.nn.init.xavier_uniform_,
    "glorotNormal": torch.nn.init.xavier_normal_,
    "heUniform": lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "heNormal": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "lecunUniform": lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="linear"),
    "lecunNormal": lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear"),
    "truncatedNormal": lambda w: torch.nn.init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04),
}
torch.manual_seed(0)
golden = {}
for name in of_jax:
    a = of_jax[name](key, sizes)
    b = of_torch[name](torch.empty(sizes[1], sizes[0]))  # PyTorch stores [out, in]
    golden[name] = {
        "jax": {"std": float(a.std()), "most": float(abs(a).max())},
        "torch": {"std": float(b.std()), "most": float(b.abs().max())},
    }
(here / "init.json").write_text(json.dumps(golden) + "\n")
