"""Imports torchvision beside a torch without CUDA: its wheel asks for two operators of a CUDA build, which no model uses."""
import sys

import torch

try:
    import torchvision
except RuntimeError:
    for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
        del sys.modules[name]
    library = torch.library.Library('torchvision', 'DEF')
    for op in ('nms', 'qnms'):
        library.define(op + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    import torchvision
