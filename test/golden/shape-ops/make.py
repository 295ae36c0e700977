"""Values and gradients of PyTorch and NumPy for ops on axes and matrices: writes values.json beside this file.

Run it as `python make.py`; it needs torch and numpy. Inputs are numbers in order of a fixed permutation, and a
gradient is that of the sum of the result times the cosines of 0, 1, 2, ...
"""
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F


def numbers(seed, *sizes):
    n = math.prod(sizes)
    return torch.tensor([((7 * i + seed) % 23) / 8 - 1 for i in range(n)], dtype=torch.float64).reshape(sizes)


def by_index(mode):
    def f(x, axis, before, after):
        index = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)
        return x.index_select(axis, torch.tensor(index))
    return f


def updated(x, part, at):
    y = x.clone()
    y[tuple(slice(begin, begin + n) for begin, n in zip(at, part.shape))] = part
    return y


cases = {
    'expandDims': ([(2, 3)], lambda x: x.unsqueeze(1)),
    'squeeze': ([(2, 1, 3)], lambda x: x.squeeze(1)),
    'stack': ([(2, 3), (2, 3)], lambda x, y: torch.stack([x, y], -1)),
    'split': ([(2, 6)], lambda x: torch.split(x, [1, 2, 3], 1)[1]),
    'splitEvenly': ([(2, 6)], lambda x: torch.chunk(x, 3, 1)[2]),
    'flip': ([(2, 3, 4)], lambda x: torch.flip(x, [1])),
    'roll': ([(2, 5)], lambda x: torch.roll(x, 2, 1)),
    'rollBack': ([(5, 2)], lambda x: torch.roll(x, -7, 0)),
    'tile': ([(2, 3)], lambda x: torch.tile(x, (1, 2))),
    'repeatAlong': ([(2, 3)], lambda x: torch.repeat_interleave(x, 2, 1)),
    'pad': ([(2, 3)], lambda x: F.pad(x, (1, 2), value=0.5)),
    'padZeros': ([(2, 3)], lambda x: F.pad(x, (0, 0, 2, 0))),
    'padReflect': ([(2, 4)], lambda x: F.pad(x, (3, 2), mode='reflect')),
    'padReflectFar': ([(2, 3)], lambda x: by_index('reflect')(x, 1, 5, 6)),
    'padEdge': ([(3, 2)], lambda x: by_index('edge')(x, 0, 2, 3)),
    'padWrap': ([(3, 2)], lambda x: by_index('wrap')(x, 0, 4, 5)),
    'stride': ([(2, 7)], lambda x: x[:, 1::3]),
    'tril': ([(2, 3, 4)], lambda x: torch.tril(x, 1)),
    'triu': ([(4, 3)], lambda x: torch.triu(x, -1)),
    'diagonal': ([(2, 3, 3)], lambda x: torch.diagonal(x, dim1=-2, dim2=-1)),
    'diag': ([(2, 3)], lambda x: torch.diag_embed(x)),
    'trace': ([(3, 3)], lambda x: torch.trace(x)),
    'outer': ([(3,), (4,)], torch.outer),
    'dot': ([(5,), (5,)], torch.dot),
    'dynamicSlice': ([(4, 5)], lambda x: x[1:3, 2:5]),
    'dynamicUpdate': ([(4, 5), (2, 3)], lambda x, y: updated(x, y, (1, 2))),
    'matmulOfAll': ([(2, 3, 4), (4, 5)], torch.matmul),
    'matmulOneByMany': ([(3, 4), (2, 4, 5)], torch.matmul),
    'matmulBroadcast': ([(2, 1, 3, 4), (5, 4, 2)], torch.matmul),
    'matmulBothBroadcast': ([(2, 1, 3, 4), (1, 5, 4, 2)], torch.matmul),
    'matmulOneOfMany': ([(2, 3, 4), (1, 4, 5)], torch.matmul),
    'matmulVector': ([(2, 3, 4), (4,)], torch.matmul),
    'matmulRow': ([(4,), (2, 4, 5)], torch.matmul),
    'matmulVectors': ([(4,), (4,)], torch.matmul),
}


def value(x):
    return {'sizes': list(x.shape), 'data': x.detach().reshape(-1).tolist()}


made = {}
for name, (sizes, f) in cases.items():
    inputs = [numbers(i, *size).requires_grad_() for i, size in enumerate(sizes)]
    y = f(*inputs)
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).reshape(y.shape)
    (y * weights).sum().backward()
    made[name] = {
        'inputs': [value(x) for x in inputs],
        'result': value(y),
        'gradients': [value(x.grad) for x in inputs],
    }
made['linspace'] = {'inputs': [], 'result': value(torch.tensor(np.linspace(-1, 2, 7))), 'gradients': []}
made['eye'] = {'inputs': [], 'result': value(torch.eye(2, 3, dtype=torch.float64)), 'gradients': []}

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'values.json'), 'w') as file:
    json.dump({'torch': torch.__version__, 'numpy': np.__version__, 'cases': made}, file, indent=1)
    file.write('\n')
