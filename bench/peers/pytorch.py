"""Fine-tuning steps of a LLaMA in PyTorch on the CPU, with PEFT for LoRA and DoRA: the peer of the task `step`.

The model is a GGUF file, or random weights of the shapes that a Hugging Face configuration gives. What is trained lies on the seven
projections of every layer, or is every parameter. The last line of the output is what `measurement.ts` describes.

Example: pytorch.py --gguf model.gguf --method lora --bf16 --batch 2 --seq 256
"""
import argparse
import json
import os
import time

# every file is there already; the hub has no part in a measurement
os.environ.setdefault('HF_HUB_OFFLINE', '1')
os.environ.setdefault('TRANSFORMERS_VERBOSITY', 'error')

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']


class PartialConnection(torch.autograd.Function):
    """y = x Wᵀ, where only some columns of W have a gradient, so that only the same columns of x are kept (Woo et al. 2025, equations 7 to 9)."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, trained: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(x[..., columns], weight)
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx, dy: Tensor):
        kept, weight = ctx.saved_tensors
        dx = dy @ weight if ctx.needs_input_grad[0] else None
        return dx, None, dy.flatten(0, -2).t() @ kept.flatten(0, -2), None


class PacaLinear(nn.Module):
    """A linear layer of which `rank` random columns are trained: in float32, whatever the weight is stored in."""

    def __init__(self, weight: Tensor, rank: int):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_buffer('columns', torch.randperm(weight.shape[1])[:rank].sort()[0])
        self.trained = nn.Parameter(weight[:, self.columns].float())

    def forward(self, x: Tensor) -> Tensor:
        return PartialConnection.apply(x, self.weight, self.trained, self.columns)

    @torch.no_grad()
    def commit(self) -> None:
        """Writes what was trained into the weight."""
        self.weight[:, self.columns] = self.trained.to(self.weight.dtype)


def with_paca(model: nn.Module, rank: int) -> nn.Module:
    model.requires_grad_(False)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if name in PROJECTIONS:
                setattr(parent, name, PacaLinear(child.weight.data, rank))
    return model


def with_peft(model: nn.Module, rank: int, dora: bool, float32_adapters: bool) -> nn.Module:
    # imported where it is used: the other methods do not pay for it
    from peft import LoraConfig, get_peft_model
    config = LoraConfig(r=rank, lora_alpha=16, lora_dropout=0.0, target_modules=PROJECTIONS, use_dora=dora)
    return get_peft_model(model, config, autocast_adapter_dtype=float32_adapters)


def peak_megabytes() -> int:
    """The most memory that this process has held."""
    with open('/proc/self/status') as status:
        return round(next(int(line.split()[1]) for line in status if line.startswith('VmHWM:')) / 1024)


def forget_peak() -> int:
    """Forgets the peak so far, so that the next one is that of the steps; returns the forgotten one."""
    peak = peak_megabytes()
    try:
        with open('/proc/self/clear_refs', 'w') as refs:
            refs.write('5')
    except OSError:
        pass  # not every system lets it be forgotten: the peak of the steps is then that of all
    return peak


def loss_of_rows(model: nn.Module, ids: Tensor, rows: int) -> Tensor:
    """The loss over logits of so many rows at a time, which are computed again in the backward pass, as TRL does."""
    causal = model.get_base_model() if hasattr(model, 'get_base_model') else model
    hidden = causal.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
    labels = ids[:, 1:].flatten()

    def piece(part: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(causal.lm_head(part).float(), wanted, reduction='sum')

    pieces = zip(hidden.split(rows), labels.split(rows))
    return torch.stack([checkpoint(piece, *one, use_reentrant=False) for one in pieces]).sum() / labels.numel()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--gguf', help='a file with the weights')
    source.add_argument('--config', help='a configuration as JSON: the weights are random')
    parser.add_argument('--method', choices=['lora', 'dora', 'paca', 'full'], required=True)
    parser.add_argument('--bf16', action='store_true', help='weights and activations in bfloat16')
    parser.add_argument('--bf16-adapters', action='store_true', help='what LoRA and DoRA train too, which PEFT holds in float32')
    parser.add_argument('--checkpointing', action='store_true', help='layers are computed again in the backward pass')
    parser.add_argument('--loss-rows', type=int, help='the rows of logits that the loss takes at a time (default: all)')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--seq', type=int, default=256)
    parser.add_argument('--rank', type=int, default=8)
    parser.add_argument('--warm-up', type=int, default=1, help='steps that are not timed')
    parser.add_argument('--steps', type=int, default=3, help='steps that are timed')
    return parser.parse_args()


def load(options: argparse.Namespace) -> nn.Module:
    dtype = torch.bfloat16 if options.bf16 else torch.float32
    if options.config is not None:
        config = transformers.LlamaConfig(**json.loads(options.config))
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    folder, file = os.path.split(options.gguf)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=dtype)


def main() -> None:
    options = arguments()
    torch.manual_seed(0)
    model = load(options)
    vocabulary = model.config.vocab_size
    if options.method == 'paca':
        model = with_paca(model, options.rank)
    elif options.method != 'full':
        model = with_peft(model, options.rank, options.method == 'dora', float32_adapters=not options.bf16_adapters)
    model.train()
    if options.checkpointing:
        model.gradient_checkpointing_enable({'use_reentrant': False})
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # the fused kernel is what the Trainer of transformers takes, and the faster one
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    partial = [module for module in model.modules() if isinstance(module, PacaLinear)]
    ids = torch.randint(0, vocabulary, (options.batch, options.seq))

    def step() -> float:
        if options.loss_rows is None:
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        else:
            loss = loss_of_rows(model, ids, options.loss_rows)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        for module in partial:
            module.commit()
        return loss.item()

    times, losses, loaded = [], [], forget_peak()
    for _ in range(options.warm_up + options.steps):
        start = time.perf_counter()
        losses.append(step())
        times.append(1000 * (time.perf_counter() - start))
    in_steps = peak_megabytes()
    facts = {
        'torch': torch.__version__, 'transformers': transformers.__version__, 'threads': torch.get_num_threads(),
        'trained': sum(parameter.numel() for parameter in trained), 'trainedType': str(trained[0].dtype), 'type': str(model.dtype),
        'firstLoss': losses[0], 'loss': losses[-1], 'loadedMegabytes': loaded, 'stepMegabytes': in_steps,
    }
    if options.method in ('lora', 'dora'):
        import peft
        facts['peft'] = peft.__version__
    print(json.dumps({'times': times[options.warm_up:], 'peakMegabytes': max(loaded, in_steps), 'facts': facts, 'parts': {}}), flush=True)


if __name__ == '__main__':
    main()
