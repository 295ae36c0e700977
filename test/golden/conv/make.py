"""Values and gradients of PyTorch for convolutions and pooling: writes values.json beside this file.

Run it as `python make.py`; it needs torch. Images are [batch, height, width, channels] and weights [rows, columns, in,
out], which PyTorch gets permuted. Inputs are different numbers in a fixed order, and a gradient is that of the sum of the
result times the cosines of 0, 1, 2, ...
"""
import json
import math
import os

import torch
import torch.nn.functional as F


def numbers(seed, *sizes):
    n = math.prod(sizes)
    return torch.tensor([((7919 * (i + seed)) % 9973) / 4000 - 1.25 for i in range(n)], dtype=torch.float64).reshape(sizes)


def conv(x, w, stride=1, padding=((0, 0), (0, 0)), dilation=1, groups=1):
    (top, bottom), (left, right) = padding
    image = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    y = F.conv2d(image, w.permute(3, 2, 0, 1), stride=stride, dilation=dilation, groups=groups)
    return y.permute(0, 2, 3, 1)


def depthwise(x, w, **options):
    return conv(x, w.unsqueeze(2), groups=w.shape[-1], **options)


def conv1d(x, w, padding=0, **options):
    return F.conv1d(F.pad(x.transpose(1, 2), padding), w.permute(2, 1, 0), **options).transpose(1, 2)


def on_images(f):
    return lambda x: f(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def excite(x, w1, b1, w2, b2):
    return x * torch.sigmoid(F.silu(x.mean((1, 2)) @ w1 + b1) @ w2 + b2)[:, None, None]


ones = ((1, 1), (1, 1))
# the examples that the test's key and stream keep
depth = torch.tensor([1, 0, 0, 1, 1, 1, 1, 1], dtype=torch.float64).reshape(8, 1, 1, 1)
cases = {
    'conv': ([(2, 6, 5, 3), (3, 3, 3, 4)], lambda x, w: conv(x, w, padding=ones)),
    'valid': ([(2, 6, 5, 3), (3, 2, 3, 4)], conv),
    'strides': ([(2, 7, 8, 3), (3, 3, 3, 4)], lambda x, w: conv(x, w, stride=2, padding=ones)),
    'sameStrides': ([(2, 8, 7, 3), (3, 3, 3, 4)], lambda x, w: conv(x, w, stride=2, padding=((0, 1), (1, 1)))),
    'sameEven': ([(1, 5, 4, 2), (2, 4, 2, 3)], lambda x, w: conv(x, w, padding=((0, 1), (1, 2)))),
    'pairs': ([(2, 7, 6, 2), (2, 3, 2, 3)], lambda x, w: conv(x, w, stride=(2, 1), padding=((0, 2), (1, 0)))),
    'dilation': ([(2, 7, 7, 3), (3, 3, 3, 4)], lambda x, w: conv(x, w, dilation=2, padding=((2, 2), (2, 2)))),
    'dilations': ([(1, 8, 7, 2), (2, 3, 2, 3)], lambda x, w: conv(x, w, dilation=(3, 1), stride=(1, 2))),
    'groups': ([(2, 5, 5, 6), (3, 3, 2, 9)], lambda x, w: conv(x, w, groups=3, padding=ones)),
    'multiplier': ([(2, 5, 5, 3), (3, 3, 1, 6)], lambda x, w: conv(x, w, groups=3, padding=ones)),
    'pointwise': ([(2, 4, 3, 5), (1, 1, 5, 4)], conv),
    'pointwiseStrides': ([(2, 5, 4, 3), (1, 1, 3, 4)], lambda x, w: conv(x, w, stride=2)),
    'depthwise': ([(2, 6, 5, 5), (3, 3, 5)], lambda x, w: depthwise(x, w, padding=ones)),
    'depthwiseStrides': ([(2, 7, 6, 5), (3, 3, 5)], lambda x, w: depthwise(x, w, stride=2, padding=((1, 1), (0, 1)))),
    'depthwisePairs': ([(1, 7, 6, 3), (3, 2, 3)], lambda x, w: depthwise(x, w, stride=(2, 1))),
    'depthwiseDilation': ([(1, 7, 6, 3), (3, 2, 3)], lambda x, w: depthwise(x, w, dilation=2)),
    'conv1d': ([(2, 9, 3), (3, 3, 4)], lambda x, w: conv1d(x, w, (2, 2), dilation=2)),
    'conv1dStrides': ([(2, 9, 4), (4, 2, 6)], lambda x, w: conv1d(x, w, (1, 2), stride=2, groups=2)),
    'frames': ([(2, 3, 5, 4, 2), (3, 3, 2, 3)], lambda x, w: conv(x.flatten(0, 1), w, padding=ones).unflatten(0, (2, 3))),
    'unbatched': ([(5, 4, 2), (3, 3, 2, 3)], lambda x, w: conv(x.unsqueeze(0), w)[0]),
    'patches': ([(2, 6, 4, 3), (2, 2, 3, 5), (5,)], lambda x, w, b: conv(x, w, stride=2).flatten(1, 2) + b),
    'windows': ([(2, 7, 3)], lambda x: x.unfold(1, 3, 2).transpose(2, 3)),
    'maxPool': ([(2, 7, 6, 3)], on_images(lambda x: F.max_pool2d(x, 3, 2, 1))),
    'maxPoolWhole': ([(2, 6, 5, 3)], on_images(lambda x: F.max_pool2d(x, 2))),
    'averagePool': ([(2, 7, 6, 3)], on_images(lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False))),
    'averagePoolValid': ([(2, 7, 6, 3)], on_images(lambda x: F.avg_pool2d(x, 3, 1))),
    'maxPool1d': ([(2, 9, 3)], lambda x: F.max_pool1d(x.transpose(1, 2), 3, 2, 1).transpose(1, 2)),
    'averagePool1d': ([(2, 9, 3)], lambda x: F.avg_pool1d(x.transpose(1, 2), 2).transpose(1, 2)),
    'globalAverage': ([(2, 4, 3, 5)], lambda x: x.mean((1, 2))),
    'globalMax': ([(2, 4, 3, 5)], lambda x: x.amax((1, 2))),
    'stochasticDepth': ([(8, 3, 2, 2)], lambda x: x * depth / 0.75),
    'squeezeExcite': ([(2, 4, 3, 6), (6, 2), (2,), (2, 6), (6,)], excite),
}


def written(x):
    return {'sizes': list(x.shape), 'data': [round(v, 9) for v in x.flatten().tolist()]}


def of(sizes, f):
    inputs = [numbers(1000 * i + 17, *size).requires_grad_() for i, size in enumerate(sizes)]
    result = f(*inputs)
    cotangent = torch.cos(torch.arange(result.numel(), dtype=torch.float64)).reshape(result.shape)
    gradients = torch.autograd.grad((result * cotangent).sum(), inputs)
    return {
        'inputs': [written(x.detach()) for x in inputs],
        'result': written(result.detach()),
        'gradients': [written(g) for g in gradients],
    }


made = {'torch': torch.__version__, 'cases': {name: of(*case) for name, case in cases.items()}}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'values.json'), 'w') as file:
    json.dump(made, file)
