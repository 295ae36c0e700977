"""Fine-tuning steps of an image classifier in PyTorch on the CPU, with PEFT for LoRA: the peer of the task `vision`.

The network is transformers' ViT, torchvision's EfficientNetV2-S or timm's EfficientNet-Lite0, with random weights, without dropout and stochastic
depth, and with batch norm as in training. What is trained is every parameter, or lies on the linear layers of a ViT and on the convolutions of the
others, with the classifier trained whole. The last line of the output is what `measurement.ts` describes.

Example: vision.py --network ViT-B/16 --config '{"image_size": 224, "num_labels": 1000}' --method lora --batch 4
"""
import argparse
import json
import os
import sys
import time

# nothing is downloaded
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('TRANSFORMERS_VERBOSITY', 'error')

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

LAYERS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'fc1', 'fc2']


class PartialConnection(torch.autograd.Function):
    """y = x Wᵀ + b, where only some columns of W have a gradient, so that only the same columns of x are kept (Woo et al. 2025)."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, trained: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(x[..., columns], weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, dy: Tensor):
        kept, weight = ctx.saved_tensors
        dx = dy @ weight if ctx.needs_input_grad[0] else None
        return dx, None, None, dy.flatten(0, -2).t() @ kept.flatten(0, -2), None


class PartialConvolution(torch.autograd.Function):
    """The same for a convolution: of its input only some channels are kept. A depthwise one has as many groups as channels."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, trained: Tensor, channels: Tensor, of: nn.Conv2d) -> Tensor:
        ctx.save_for_backward(x[:, channels], weight, channels)
        ctx.of, ctx.inputs, ctx.sizes = of, x.shape, trained.shape
        return F.conv2d(x, weight, bias, of.stride, of.padding, of.dilation, of.groups)

    @staticmethod
    def backward(ctx, dy: Tensor):
        kept, weight, channels = ctx.saved_tensors
        of = ctx.of
        geometry = of.stride, of.padding, of.dilation
        dx = conv2d_input(ctx.inputs, weight, dy, *geometry, of.groups) if ctx.needs_input_grad[0] else None
        own, groups = (dy[:, channels], len(channels)) if of.groups > 1 else (dy, 1)
        return dx, None, None, conv2d_weight(kept, ctx.sizes, own, *geometry, groups), None, None


class PacaLayer(nn.Module):
    """A layer of which `rank` random inputs are trained, in float32 whatever the weight is stored in; its bias is frozen."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int):
        super().__init__()
        self.layer = layer
        inputs = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
        channels = torch.randperm(inputs)[:min(rank, inputs)].sort()[0]
        depthwise = isinstance(layer, nn.Conv2d) and layer.groups > 1
        self.at = channels if depthwise else (slice(None), channels)
        self.register_buffer('channels', channels)
        self.trained = nn.Parameter(layer.weight.detach()[self.at].float())

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return PartialConnection.apply(x, layer.weight, layer.bias, self.trained, self.channels)
        # timm pads at one end only, before it convolves
        padded = layer.padded(x) if hasattr(layer, 'padded') else x
        return PartialConvolution.apply(padded, layer.weight, layer.bias, self.trained, self.channels, layer)

    @torch.no_grad()
    def commit(self) -> None:
        """Writes what was trained into the weight."""
        self.layer.weight[self.at] = self.trained.to(self.layer.weight.dtype)


def with_paca(model: nn.Module, adapted: list[str], rank: int) -> None:
    for name in adapted:
        parent, _, child = name.rpartition('.')
        setattr(model.get_submodule(parent), child, PacaLayer(model.get_submodule(name), rank))


def import_torchvision():
    """torchvision's wheel needs CUDA's libraries for its own operators; a torch for CPUs lacks them, and the networks need none."""
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
            del sys.modules[name]
        import_torchvision.library = library = torch.library.Library('torchvision', 'DEF')
        for operator in ('nms', 'qnms'):
            library.define(operator + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
        import torchvision
    return torchvision


def network(name: str, config: dict) -> tuple[nn.Module, nn.Module]:
    """A network, and its classifier."""
    torchvision = import_torchvision()
    if name == 'ViT-B/16':
        from transformers import ViTConfig, ViTForImageClassification
        model = ViTForImageClassification(ViTConfig(**config))
        return model, model.classifier
    if name == 'EfficientNetV2-S':
        model = torchvision.models.efficientnet_v2_s(num_classes=1000, dropout=0.0, stochastic_depth_prob=0.0)
        return model, model.classifier
    import timm
    from timm.layers import pad_same
    model = timm.create_model('tf_efficientnet_lite0', num_classes=1000)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and type(layer) is not nn.Conv2d:
            layer.padded = lambda x, of=layer: pad_same(x, of.kernel_size, of.stride, of.dilation)
    return model, model.classifier


def peak_megabytes() -> int:
    """The most memory that this process has held."""
    with open('/proc/self/status') as status:
        return round(next(int(line.split()[1]) for line in status if line.startswith('VmHWM:')) / 1024)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--network', choices=['ViT-B/16', 'EfficientNetV2-S', 'EfficientNet-Lite0'], required=True)
    parser.add_argument('--config', type=json.loads, required=True, help="a ViT's configuration, and the image_size of any, as JSON")
    parser.add_argument('--packages', help='a folder with torchvision and timm')
    parser.add_argument('--method', choices=['lora', 'paca', 'full'], required=True)
    parser.add_argument('--bf16', action='store_true', help='weights and activations in bfloat16')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--rank', type=int, default=16)
    parser.add_argument('--warm-up', type=int, default=1, help='steps that are not timed')
    parser.add_argument('--steps', type=int, default=3, help='steps that are timed')
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.packages is not None:
        sys.path.append(options.packages)
    torch.manual_seed(0)
    dtype = torch.bfloat16 if options.bf16 else torch.float32
    model, classifier = network(options.network, options.config)
    model.to(dtype)
    loaded = peak_megabytes()
    if options.method != 'full':
        model.requires_grad_(False)
        heads = set(classifier.modules())
        kinds = nn.Linear if options.network == 'ViT-B/16' else (nn.Linear, nn.Conv2d)
        adapted = [name for name, layer in model.named_modules() if isinstance(layer, kinds) and layer not in heads]
        if options.method == 'paca':
            with_paca(model, adapted, options.rank)
        else:
            # imported where it is used: the other methods do not pay for it
            from peft import LoraConfig, get_peft_model
            config = LoraConfig(r=options.rank, lora_alpha=2 * options.rank, lora_dropout=0.0, target_modules=LAYERS)
            # adapters as the model is, which is faster than PEFT's own choice of float32
            get_peft_model(model, config, autocast_adapter_dtype=False)
        classifier.requires_grad_(True)
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    partial = [module for module in model.modules() if isinstance(module, PacaLayer)]
    size = options.config['image_size']
    images = torch.rand(options.batch, 3, size, size).mul(2).sub(1).to(dtype)
    labels = 7 * torch.arange(options.batch)

    def step() -> float:
        made = model(images)
        loss = F.cross_entropy((made if isinstance(made, Tensor) else made.logits).float(), labels)
        del made
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        for module in partial:
            module.commit()
        return loss.item()

    times, losses = [], []
    # the first step is neither timed nor a warm-up, as on our side
    for _ in range(1 + options.warm_up + options.steps):
        start = time.perf_counter()
        losses.append(step())
        times.append(1000 * (time.perf_counter() - start))
    facts = {
        'torch': torch.__version__, 'threads': torch.get_num_threads(), 'trained': sum(parameter.numel() for parameter in trained),
        'type': str(dtype), 'firstLoss': losses[0], 'loss': losses[-1], 'loadedMegabytes': loaded,
    }
    print(json.dumps({'times': times[1 + options.warm_up:], 'peakMegabytes': peak_megabytes(), 'facts': facts, 'parts': {}}), flush=True)


if __name__ == '__main__':
    main()
