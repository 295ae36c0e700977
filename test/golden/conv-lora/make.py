"""PEFT's LoRA of convolutions: values and gradients; writes values.json beside this file.

Run it as `python make.py`; it needs torch and peft. Images are [batch, height, width, channels], signals [batch, time,
channels], A is [rows, columns, in, r] and B [r, out], which PyTorch gets permuted.
"""
import json
import math
import os

import peft
import torch
import torch.nn as nn
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model


def numbers(seed, *sizes):
    n = math.prod(sizes)
    return torch.tensor([((7919 * (i + seed)) % 9973) / 8000 - 0.625 for i in range(n)], dtype=torch.float64).reshape(sizes)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.point = nn.Conv2d(4, 5, 1)
        self.line = nn.Conv1d(3, 4, 3, padding=1)

    def forward(self, image, signal):
        h = F.relu(self.wide(F.relu(self.stem(image.permute(0, 3, 1, 2)))))
        return self.point(h).mean((2, 3)), self.line(signal.transpose(1, 2)).mean(2)


names = ['stem', 'wide', 'point', 'line']
net = Net().double()
model = get_peft_model(net, LoraConfig(r=2, lora_alpha=3, target_modules=names)).double()
inside = model.base_model.model
for i, name in enumerate(names):
    layer = getattr(inside, name)
    for j, of in enumerate([layer.base_layer, layer.lora_A['default'], layer.lora_B['default']]):
        of.weight.data = numbers(100 * i + 10 * j, *of.weight.shape)
        if of.bias is not None:
            of.bias.data = numbers(100 * i + 10 * j + 5, *of.bias.shape)

image, signal = numbers(1, 2, 7, 6, 3), numbers(2, 2, 9, 3)
y, z = model(image, signal)
loss = (y * torch.cos(torch.arange(y.numel()).double()).reshape(y.shape)).sum() + z.square().sum()
loss.backward()


def written(x):
    return {'sizes': list(x.shape), 'data': [round(v, 10) for v in x.detach().flatten().tolist()]}


def stored(weight):
    """[out, in, ...] as [..., in, out]."""
    return weight.permute(*range(2, weight.dim()), 1, 0).contiguous()


def factor(weight):
    return weight.flatten(1).T.contiguous()


def leaf(name):
    layer = getattr(inside, name)
    a, b = layer.lora_A['default'].weight, layer.lora_B['default'].weight
    base = layer.base_layer
    return {
        'weight': written(stored(base.weight)),
        **({} if base.bias is None else {'bias': written(base.bias)}),
        'lora_A': written(stored(a)),
        'lora_B': written(factor(b)),
        'grad_A': written(stored(a.grad)),
        'grad_B': written(factor(b.grad)),
    }


made = {
    'torch': torch.__version__,
    'peft': peft.__version__,
    'image': written(image),
    'signal': written(signal),
    'y': written(y),
    'z': written(z),
    'loss': loss.item(),
    'modules': {name: leaf(name) for name in names},
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'values.json'), 'w') as file:
    json.dump(made, file)
