"""Values and gradients of reductions, sorts and cumulative ops, by PyTorch in float64.

Usage: python make.py > reductions.json
Each case has its inputs, its value, a cotangent, and the gradient with respect to the first input.
"""

import json
import sys

import torch

torch.manual_seed(0)
inf, nan = float("inf"), float("nan")


def numbers(t):
    def one(v):
        return v if isinstance(v, int) or v == v and abs(v) != inf else "NaN" if v != v else "Infinity" if v > 0 else "-Infinity"

    return {"sizes": list(t.shape), "data": [one(v) for v in t.flatten().tolist()]}


def random(*sizes):
    # exactly float32
    return torch.randn(sizes).double()


cases = []


def case(name, f, *inputs, second=False):
    x = inputs[0].clone().requires_grad_(inputs[0].is_floating_point())
    y = f(x, *inputs[1:])
    made = {"name": name, "inputs": [numbers(i) for i in inputs], "value": numbers(y.detach())}
    if y.is_floating_point():
        dy = random(*y.shape)
        (dx,) = torch.autograd.grad((y * dy).sum(), x, create_graph=second)
        made |= {"cotangent": numbers(dy), "gradient": numbers(dx.detach())}
        if second:
            v = random(*x.shape)
            (dv,) = torch.autograd.grad((dx * v).sum(), x)
            made |= {"direction": numbers(v), "second": numbers(dv)}
    cases.append(made)


x = random(3, 4)
ties = torch.tensor([[1.0, 3.0, 1.0, 2.0], [0.0, -1.0, 5.0, 5.0], [2.0, 2.0, 2.0, 2.0]], dtype=torch.float64)
zeros = torch.tensor([[0.5, 2.0, -3.0, 1.5], [0.5, 0.0, -3.0, 1.5], [0.0, 2.0, 0.0, 1.5]], dtype=torch.float64)
small = torch.tensor([[1e-30, 1e-20, 2.0, 3.0]] * 3, dtype=torch.float64).float().double()
far = (10000 + random(3, 4)).float().double()
rows = torch.tensor([[-inf, 1.0, -inf, 2.0], [90.0, 91.0, 1000.0, 1000.0], [-1000.0, -1001.0, -1000.0, 0.5]], dtype=torch.float64)
nothing = torch.cat([torch.zeros(1, 4, dtype=torch.float64), x[:2]])
odd = torch.tensor([[1.0, nan, 3.0, nan], [2.0, inf, -inf, 2.0], [0.0, -0.0, -1.0, 0.0]], dtype=torch.float64)
index = torch.tensor([[3, 0, 3], [1, 1, 1], [0, 2, 0]])

case("min", lambda t: t.amin(), x)
case("min of rows", lambda t: t.amin(-1), ties)
case("max of columns", lambda t: t.amax(0), ties)
case("max of rows", lambda t: t.amax(-1), ties)
case("prod", lambda t: t.prod(), zeros[:1].expand(3, 4) * x)
case("prod of rows", lambda t: t.prod(-1), zeros, second=True)
case("prod of all", lambda t: t.prod(), zeros, second=True)
case("prod of small numbers", lambda t: t.prod(-1), small)
case("variance", lambda t: t.var(correction=0), x)
case("variance of rows", lambda t: t.var(-1, correction=1), far)
case("variance of columns", lambda t: t.var(0, correction=0, keepdim=True), far)
case("std of rows", lambda t: t.std(-1, correction=0), x)
case("std of samples", lambda t: t.std(-1, correction=1), ties)
case("median of rows", lambda t: t.quantile(0.5, -1, keepdim=True), x)
case("median", lambda t: t.quantile(0.5), x[:, :1] * ties)
case("quantile of columns", lambda t: t.quantile(0.3, 0), x)
case("quantile of odd rows", lambda t: t.quantile(1.0, -1), odd[[0, 2, 2]])
case("logSumExp of rows", lambda t: t.logsumexp(-1), rows)
case("logSumExp", lambda t: t.logsumexp((0, 1)), x)
case("norm", lambda t: torch.linalg.vector_norm(t), x)
case("norm of rows", lambda t: torch.linalg.vector_norm(t, dim=-1, keepdim=True), nothing)
case("norm 1 of rows", lambda t: torch.linalg.vector_norm(t, 1, dim=-1), nothing)
case("norm max of rows", lambda t: torch.linalg.vector_norm(t, inf, dim=-1), x)
case("cumsum of rows", lambda t: t.cumsum(-1), x)
case("cumsum of columns, exclusive", lambda t: t.cumsum(0) - t, x)
case("cumsum of rows, reverse", lambda t: t.flip(-1).cumsum(-1).flip(-1), x)
case("cumsum of rows, exclusive and reverse", lambda t: t.flip(-1).cumsum(-1).flip(-1) - t, x)
case("cumprod of rows", lambda t: t.cumprod(-1), zeros, second=True)
case("cumprod of columns, reverse", lambda t: t.flip(0).cumprod(0).flip(0), zeros)
case("sort of rows", lambda t: t.sort(stable=True, dim=-1).values, ties)
case("sort of columns, descending", lambda t: t.sort(stable=True, dim=0, descending=True).values, x)
case("argsort of rows", lambda t: t.sort(stable=True, dim=-1).indices, odd)
case("argsort of rows, descending", lambda t: t.sort(stable=True, dim=-1, descending=True).indices, odd)
case("topK", lambda t: t.topk(2).values, x)
case("topK, indices", lambda t: t.topk(2).indices, x)
case("argmax of rows", lambda t: t.argmax(-1), odd)
case("argmin of rows", lambda t: t.argmin(-1), odd)
case("argmax", lambda t: t.argmax(), x)
case("argmin of columns", lambda t: t.argmin(0), ties)
case("takeAlong", lambda t, i: t.gather(-1, i), x, index)
case("takeAlong of columns", lambda t, i: t.gather(0, i), x, index[:2].repeat(1, 2)[:, :4] % 3)

json.dump({"torch": torch.__version__, "cases": cases}, sys.stdout, indent=1)
sys.stdout.write("\n")
