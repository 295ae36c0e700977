"""Logits, a training step and names of torchvision's and timm's EfficientNetV2: writes values.json beside this file.

Run it as `python make.py`; it needs torch, torchvision and timm. No weight is kept: each number is a function of the
name of its tensor and of its place in it, which the test computes again.
"""
import hashlib
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

try:
    import torchvision
except RuntimeError:
    # the wheel asks for two operators of a CUDA build, which the models do not use
    for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
        del sys.modules[name]
    library = torch.library.Library('torchvision', 'DEF')
    for op in ('nms', 'qnms'):
        library.define(op + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    import torchvision
import timm
from torchvision.models import efficientnet as vision


def numbers(name, sizes):
    """Numbers in [-0.5, 0.5) that follow from a name and a place: 32 bits are mixed twice."""
    seed = 0
    for letter in name:
        seed = (seed * 31 + ord(letter)) % 2**32
    mask = np.uint64(2**32 - 1)
    x = (np.arange(int(np.prod(sizes)), dtype=np.uint64) * np.uint64(0x9E3779B1) + np.uint64(seed)) & mask
    for _ in range(2):
        x ^= x >> np.uint64(16)
        x = (x * np.uint64(0x45D9F3B)) & mask
    x ^= x >> np.uint64(16)
    return torch.from_numpy(x.astype(np.float64) / 2**32 - 0.5).reshape(sizes)


def value(name, sizes):
    """The tensor of a name: weights keep numbers from growing, gains and variances are about 1."""
    made = numbers(name, sizes)
    if name.endswith('running_var') or (name.endswith('weight') and len(sizes) == 1):
        made = 1 + 0.5 * made
    elif len(sizes) > 1:
        made = made * (14 / int(np.prod(sizes[1:]))) ** 0.5
    else:
        made = 0.2 * made
    return made.float()


def filled(model):
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not name.endswith('num_batches_tracked'):
                tensor.copy_(value(name, tensor.shape))
    return model


def listing(model):
    """A hash of the names and sizes of all tensors that are no counters."""
    lines = sorted(
        f'{name} {list(tensor.shape)}\n'
        for name, tensor in model.state_dict().items()
        if not name.endswith('num_batches_tracked')
    )
    return hashlib.sha256(''.join(lines).encode()).hexdigest()


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def image(batch, size, channels=3):
    return 4 * numbers('image', (batch, channels, size, size)).float()


def row(tensor):
    return [float(f'{x:.7g}') for x in tensor.detach().flatten().tolist()]


families = {
    'efficientnet_v2_': lambda size, **options: getattr(vision, f'efficientnet_v2_{size}')(**options),
    'tf_efficientnetv2_': lambda size, **options: timm.create_model(f'tf_efficientnetv2_{size}', **options),
}
size, classes = 40, 8
networks = {}
for prefix, create in families.items():
    for scale in 'sml':
        with torch.device('meta'):
            whole = create(scale, num_classes=1000)
        model = filled(create(scale, num_classes=classes)).eval()
        with torch.no_grad():
            networks[prefix + scale] = {
                'parameters': parameters(whole),
                'names': listing(whole),
                'logits': row(model(image(2, size))),
            }
        print(prefix + scale, networks[prefix + scale]['logits'], flush=True)

# a small network of all blocks: one step in training mode, without anything dropped
settings = [
    vision.FusedMBConvConfig(1, 3, 1, 8, 8, 2),
    vision.FusedMBConvConfig(2, 3, 2, 8, 16, 2),
    vision.MBConvConfig(2, 5, 2, 16, 24, 2),
    vision.MBConvConfig(1, 3, 1, 24, 16, 2),
]
norm = lambda channels: torch.nn.BatchNorm2d(channels, eps=1e-3)
small = vision.EfficientNet(settings, dropout=0.0, stochastic_depth_prob=0.0, num_classes=5, norm_layer=norm, last_channel=24)
small = filled(small).double().train()
labels = torch.tensor([3, 0, 4])
loss = F.cross_entropy(small(image(3, 20).double()), labels)
loss.backward()
small_step = {
    'loss': loss.item(),
    'gradients': {
        name: row(torch.stack([p.grad.norm(), (p.grad * numbers('direction ' + name, p.shape)).sum()]))
        for name, p in small.named_parameters()
    },
    'buffers': {name: row(b) for name, b in small.named_buffers() if not name.endswith('num_batches_tracked')},
}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'values.json')
with open(path, 'w') as file:
    json.dump({'networks': networks, 'small': small_step}, file, indent=1)
    file.write('\n')
