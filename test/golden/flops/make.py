"""Writes counts.json: the operations of the matrix products of a training step, forward and backward, for small models.

PyTorch's FlopCounterMode counts them. It has the fused attention of a GPU, and here the CPU's, by the same formulas. The
models and methods are those whose kept bytes ../autograd/make.py counts.
Usage, with torch, transformers, peft and torchvision: python make.py > counts.json
"""
import contextlib
import io
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch.utils import flop_counter

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / 'autograd'))
import make as models  # noqa: E402  the script in that folder: this one runs as __main__

CPU = torch.ops.aten
# shapes of (query, key, value, ...), and of (gradient, query, key, value, ...)
ATTENTION = {
    CPU._scaled_dot_product_flash_attention_for_cpu: lambda *shapes, **_: flop_counter.sdpa_flop_count(*shapes[:3]),
    CPU._scaled_dot_product_flash_attention_for_cpu_backward:
        lambda *shapes, **_: flop_counter.sdpa_backward_flop_count(*shapes[:4]),
}


def of_columns(ctx, dy):
    """Equations 8 and 9: the gradient of x is a whole product, that of the part one with the kept columns."""
    columns, *weight = ctx.saved_tensors
    dx = torch.matmul(dy, weight[0]) if weight else None
    return dx, None, None, dy.flatten(0, -2).T @ columns.flatten(0, -2), None


models.Columns.backward = staticmethod(of_columns)


class MosLora(torch.nn.Module):
    """x W + s ((x A) M) B, which PEFT does not have."""
    def __init__(self, linear):
        super().__init__()
        self.base = linear
        self.a = torch.nn.Linear(linear.in_features, models.RANK, bias=False)
        self.m = torch.nn.Linear(models.RANK, models.RANK, bias=False)
        self.b = torch.nn.Linear(models.RANK, linear.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.b(self.m(self.a(x))) * 2


of_peft = models.tuned


def tuned(model, family, method, dropout):
    if method != 'moslora':
        return of_peft(model, family, method, dropout)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    models.replace(model, lambda name, _: name.split('.')[-1] in models.ALL[family], MosLora)
    return model


models.tuned = tuned


def counted(_, forward):
    with flop_counter.FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        loss = forward()
        ahead = counter.get_total_flops()
        loss.backward()
    return ahead, counter.get_total_flops() - ahead


models.held = counted


if __name__ == '__main__':
    counts = []
    for model in (models.llama, models.vit):
        for method in ('full', 'lora', 'dora', 'moslora', 'paca', 'lorafa'):
            with contextlib.redirect_stdout(io.StringIO()):
                forward, backward = model(method, 0.0, 'f32', False)
            counts.append(dict(model=model.__name__, method=method, forward=forward, backward=backward))
    print(json.dumps(dict(counts=counts), indent=1))
