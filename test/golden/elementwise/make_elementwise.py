"""Writes `elementwise.json` beside this file: values and gradients of elementwise functions and of log-softmax in PyTorch.

Needs torch; run it as `python make_elementwise.py`. Each case has its operands, a cotangent, the result, and the gradient of
the sum of cotangent times result with respect to each operand, all computed in float64 from operands that float32 holds.
Points include kinks, zeros, ends of domains and large numbers. Numbers that are not finite are texts.
"""
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

inf = math.inf
around = [-100, -20.5, -6, -3.5, -3, -2.5, -1.5, -1, -0.75, -0.5, -1e-3, 0, 1e-3, 0.25, 0.5, 1, 1.5, 2.5, 3, 3.5, 6, 20.5, 100]
moderate = [-10, -3, -1, -0.5, -1e-3, 0, 1e-3, 0.25, 1, 2, 10]
unit = [-1.5, -1, -0.99, -0.5, -1e-3, 0, 1e-3, 0.25, 0.75, 0.99, 1, 1.5]
angles = [-7, -3, -1.5, -1, -1e-3, 0, 1e-3, 0.5, 1.25, 2, 5]
positive = [0, 1e-3, 0.25, 0.5, 1, 1.5, 4, 1000]

unary = {
    "neg": (torch.neg, around),
    "abs": (torch.abs, around),
    "sign": (torch.sign, around),
    "square": (torch.square, around),
    "exp": (torch.exp, moderate),
    "log": (torch.log, positive),
    "sqrt": (torch.sqrt, positive),
    "rsqrt": (torch.rsqrt, positive[1:]),
    "tanh": (torch.tanh, around),
    "sigmoid": (torch.sigmoid, around),
    "erf": (torch.erf, moderate),
    "sin": (torch.sin, angles),
    "cos": (torch.cos, angles),
    "floor": (torch.floor, around),
    "ceil": (torch.ceil, around),
    "trunc": (torch.trunc, around),
    "round": (torch.round, around),
    "clip": (lambda x: torch.clamp(x, -1, 1), around),
    "clip above": (lambda x: torch.clamp(x, -inf, 3), around),
    "tan": (torch.tan, angles),
    "asin": (torch.asin, unit),
    "acos": (torch.acos, unit),
    "atan": (torch.atan, around),
    "sinh": (torch.sinh, moderate),
    "cosh": (torch.cosh, moderate),
    "asinh": (torch.asinh, around),
    "acosh": (torch.acosh, [0.5, 1, 1.001, 2, 100]),
    "atanh": (torch.atanh, unit),
    "log1p": (torch.log1p, [-2, -1, -0.5, -1e-3, 0, 1e-3, 1, 1000]),
    "expm1": (torch.expm1, moderate),
    "log2": (torch.log2, positive),
    "reciprocal": (torch.reciprocal, [-4, -1, -1e-3, 0.25, 1, 1000]),
    "relu": (F.relu, around),
    "relu6": (F.relu6, around),
    "leakyRelu": (F.leaky_relu, around),
    "leakyRelu 0.2": (lambda x: F.leaky_relu(x, 0.2), around),
    "elu": (F.elu, around),
    "elu 0.5": (lambda x: F.elu(x, 0.5), around),
    "selu": (F.selu, around),
    "celu": (F.celu, around),
    "celu 0.5": (lambda x: F.celu(x, 0.5), around),
    "silu": (F.silu, around),
    "gelu": (F.gelu, around),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), around),
    "mish": (F.mish, around),
    "softplus": (F.softplus, around),
    "softsign": (F.softsign, around),
    "hardTanh": (F.hardtanh, around),
    "hardTanh -2 3": (lambda x: F.hardtanh(x, -2, 3), around),
    "hardSigmoid": (F.hardsigmoid, around),
    "hardSwish": (F.hardswish, around),
    "logSigmoid": (F.logsigmoid, around),
}
rows = [[1, 2, 3, -4], [0, 0, 0, 0], [100, -100, 99, 0], [-inf, 1, 2, -inf], [0.5, 0.25, -0.125, 88]]
pairs = [(a, b) for a in [-7, -3.5, -1, -0.25, 0, 0.25, 1, 3.5, 7] for b in [-3, -1, -0.75, 0.75, 1, 3]]
binary = {
    "remainder": (torch.remainder, pairs),
    "atan2": (torch.atan2, pairs),
    "pow": (torch.pow, [(a, b) for a in [0, 0.25, 0.5, 1, 2.5] for b in [-2, -0.5, 0, 0.5, 1, 2, 3]] + [(-2, 2), (-1.5, 3), (-1, -1)]),
    "clip by tensors": (lambda x, high: torch.clamp(x, max=high), pairs),
}


def plain(t):
    return [v if math.isfinite(v) else "NaN" if math.isnan(v) else "Infinity" if v > 0 else "-Infinity" for v in t.flatten().tolist()]


def case(name, f, sizes, operands):
    leaves = [torch.tensor(x, dtype=torch.float32).double().requires_grad_() for x in operands]
    y = f(*leaves)
    n = y.numel()
    cotangent = torch.tensor([1 + (i % 5) / 4 for i in range(n)], dtype=torch.float64).reshape(y.shape)
    gradients = torch.autograd.grad(y, leaves, cotangent)
    return {
        "name": name, "sizes": sizes, "operands": [plain(x.detach()) for x in leaves], "cotangent": plain(cotangent),
        "y": plain(y.detach()), "gradients": [plain(g) for g in gradients],
    }


cases = [case(name, f, [len(x)], [x]) for name, (f, x) in unary.items()]
cases += [case(name, f, [len(of)], [list(x) for x in zip(*of)]) for name, (f, of) in binary.items()]
cases.append(case("logSoftmax", lambda x: F.log_softmax(x, -1), [len(rows), len(rows[0])], [rows]))
text = ",\n".join(json.dumps(c) for c in cases)
(Path(__file__).parent / "elementwise.json").write_text(f"[\n{text}\n]\n")
