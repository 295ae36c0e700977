"""Writes counts.json: the bytes that PyTorch's autograd holds between forward and backward, for small models.

A tensor counts once, by its storage; parameters, buffers and single numbers do not count, and neither does what the
forward pass keeps for a graph that is gone when it ends. CPU; attention is PyTorch's scaled_dot_product_attention.
Usage, with torch, transformers, peft and torchvision: python make.py > counts.json
"""
import contextlib
import io
import json
import sys
import warnings
import weakref

import torch
import torch.nn.functional as F

warnings.filterwarnings('ignore')
torch.set_num_threads(1)
# a torchvision built for another torch asks for these while it is imported, and nothing here calls them
with contextlib.suppress(RuntimeError):
    vision = torch.library.Library('torchvision', 'DEF')
    for name in ('nms', 'qnms'):
        vision.define(name + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')

LLAMA = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=96, max_position_embeddings=64)
VIT = dict(hidden_size=32, intermediate_size=80, num_hidden_layers=3, num_attention_heads=2, image_size=32, patch_size=8)
ALL = {'llama': ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
       'vit': ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'fc1', 'fc2']}
RANK, BATCH, SEQ, PIXELS, CLASSES = 8, 2, 12, 32, 10


class Box:
    """A tensor that autograd has packed; it lives as long as the graph that holds it."""
    def __init__(self, tensor):
        self.tensor = tensor


def held(model, forward):
    skipped = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    boxes = []

    def pack(tensor):
        box = Box(tensor)
        boxes.append(weakref.ref(box))
        return box

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
        loss = forward()
    storages = {}
    for box in (ref() for ref in boxes):
        if box is not None and box.tensor.numel() != 1:
            storage = box.tensor.untyped_storage()
            if storage.data_ptr() not in skipped and storage.nbytes() > 0:
                storages[storage.data_ptr()] = (storage.nbytes(), tuple(box.tensor.shape), str(box.tensor.dtype))
    if '--list' in sys.argv:
        for entry in sorted(storages.values()):
            print(*entry, file=sys.stderr)
    del loss
    return sum(nbytes for nbytes, _, _ in storages.values())


class Columns(torch.autograd.Function):
    """PaCA's linear map, equations 7 to 9: the columns of x are kept, and x is not."""
    @staticmethod
    @torch.amp.custom_fwd(device_type='cpu', cast_inputs=torch.bfloat16)
    def forward(ctx, x, weight, bias, part, index):
        # without a gradient of x the weight is not read again
        ctx.save_for_backward(x[..., index], *([weight] if ctx.needs_input_grad[0] else []))
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, dy):
        raise NotImplementedError('this script counts what is kept')


class Paca(torch.nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.register_buffer('index', torch.randperm(linear.in_features)[:RANK])
        self.part = torch.nn.Parameter(linear.weight.data[:, self.index].clone())

    def forward(self, x):
        return Columns.apply(x, self.weight, self.bias, self.part, self.index)


class ColumnsOfImages(torch.autograd.Function):
    """The same for a convolution: the trained channels of x are kept."""
    @staticmethod
    def forward(ctx, x, weight, part, index, stride, padding, groups):
        ctx.save_for_backward(x[:, index].clone(), weight)
        return F.conv2d(x, weight, None, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx, dy):
        raise NotImplementedError('this script counts what is kept')


class PacaOfImages(torch.nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv
        rank = min(RANK, conv.in_channels)
        self.register_buffer('index', torch.randperm(conv.in_channels)[:rank])
        part = conv.weight.data[self.index] if conv.groups > 1 else conv.weight.data[:, self.index]
        self.part = torch.nn.Parameter(part.clone())

    def forward(self, x):
        c = self.conv
        y = ColumnsOfImages.apply(x, c.weight, self.part, self.index, c.stride, c.padding, c.groups)
        return y if c.bias is None else y + c.bias.view(-1, 1, 1)


def replace(model, wanted, by):
    for name, module in list(model.named_modules()):
        if wanted(name, module):
            parent = model.get_submodule('.'.join(name.split('.')[:-1]))
            setattr(parent, name.split('.')[-1], by(module))


def tuned(model, family, method, dropout):
    from peft import IA3Config, LoraConfig, MissConfig, get_peft_model
    if method == 'full':
        return model
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if method == 'paca':
        replace(model, lambda name, _: name.split('.')[-1] in ALL[family], Paca)
        return model
    if method == 'ia3':
        fed = ['down_proj'] if family == 'llama' else ['fc2']
        config = IA3Config(target_modules=['k_proj', 'v_proj', *fed], feedforward_modules=fed)
        return get_peft_model(model, config, autocast_adapter_dtype=False)
    if method == 'miss':
        return get_peft_model(model, MissConfig(r=RANK, target_modules=ALL[family]), autocast_adapter_dtype=False)
    config = LoraConfig(r=RANK, lora_alpha=16, lora_dropout=dropout, target_modules=ALL[family], use_dora=method == 'dora')
    made = get_peft_model(model, config, autocast_adapter_dtype=False)
    if method == 'lorafa':
        for name, parameter in made.named_parameters():
            if 'lora_A' in name:
                parameter.requires_grad_(False)
    return made


def llama(method, dropout, precision, checkpointing):
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**LLAMA, attn_implementation='sdpa', use_cache=False)).train()
    model = model.to(torch.bfloat16 if precision == 'bf16' else torch.float32)
    model = tuned(model, 'llama', method, dropout).train()
    if checkpointing:
        model.gradient_checkpointing_enable({'use_reentrant': True})
        model.enable_input_require_grads()
    ids = torch.randint(0, LLAMA['vocab_size'], (BATCH, SEQ))
    return held(model, lambda: model(input_ids=ids, labels=ids).loss)


def vit(method, dropout, precision, checkpointing):
    from transformers import ViTConfig, ViTForImageClassification
    torch.manual_seed(0)
    config = ViTConfig(**VIT, num_labels=CLASSES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation='sdpa')
    model = ViTForImageClassification(config)
    model = tuned(model.to(torch.bfloat16 if precision == 'bf16' else torch.float32), 'vit', method, dropout).train()
    images = torch.randn(BATCH, 3, PIXELS, PIXELS, dtype=torch.bfloat16 if precision == 'bf16' else torch.float32)
    labels = torch.randint(0, CLASSES, (BATCH,))
    amp = torch.autocast('cpu', torch.bfloat16) if precision == 'amp' else contextlib.nullcontext()

    def forward():
        with amp:
            return F.cross_entropy(model(pixel_values=images).logits.float(), labels)
    return held(model, forward)


def efficientnet(method, dropout, precision, checkpointing):
    from torchvision.models import efficientnet_v2_s
    torch.manual_seed(0)
    model = efficientnet_v2_s(num_classes=CLASSES, dropout=0.0, stochastic_depth_prob=0.0)
    if method == 'paca':
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        replace(model, lambda _, m: isinstance(m, torch.nn.Conv2d), PacaOfImages)
    model.train()
    images, labels = torch.randn(BATCH, 3, PIXELS, PIXELS), torch.randint(0, CLASSES, (BATCH,))
    return held(model, lambda: F.cross_entropy(model(images), labels))


def cases():
    for precision in ('f32', 'bf16'):
        for method in ('full', 'lora', 'dora', 'paca', 'ia3', 'lorafa', 'miss'):
            for dropout in (0.0, 0.1) if method in ('lora', 'dora') else (0.0,):
                for checkpointing in (False, True) if method in ('full', 'lora', 'paca') else (False,):
                    yield llama, method, dropout, precision, checkpointing
    for precision in ('f32', 'bf16', 'amp'):
        for method in ('full', 'lora', 'paca') if precision == 'amp' else ('full', 'lora', 'dora', 'paca', 'ia3'):
            for dropout in (0.0, 0.1) if method == 'lora' else (0.0,):
                yield vit, method, dropout, precision, False
    for method in ('full', 'paca'):
        yield efficientnet, method, 0.0, 'f32', False


if __name__ == '__main__':
    only = sys.argv[sys.argv.index('--list') + 1:] if '--list' in sys.argv else []
    counts = []
    for model, method, dropout, precision, checkpointing in cases():
        key = [model.__name__, method, str(dropout), precision, str(checkpointing)]
        if only and not all(word in key for word in only):
            continue
        quiet = contextlib.redirect_stdout(io.StringIO())
        with quiet:
            saved = model(method, dropout, precision, checkpointing)
        counts.append(dict(model=key[0], method=method, dropout=dropout, precision=precision, checkpointing=checkpointing, saved=saved))
    print(json.dumps(dict(llama=LLAMA, vit=VIT, rank=RANK, batch=BATCH, seq=SEQ, pixels=PIXELS, classes=CLASSES, counts=counts), indent=1))
