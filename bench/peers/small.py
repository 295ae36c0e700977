"""Training steps of a small program in PyTorch on the CPU: the peer of the task `small`, with its first weights and its batch.

The last line of the output is what `measurement.ts` describes.

Example: small.py '{"program": "mlp", "file": "mlp.safetensors", "learningRate": 0.001, "span": {"warmUp": 1, "least": 3, "most": 100, "milliseconds": 1000}}'
"""
import json
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

Tensors = dict[str, Tensor]


def peak_megabytes() -> int:
    """The most memory that this process has held."""
    with open('/proc/self/status') as status:
        return round(next(int(line.split()[1]) for line in status if line.startswith('VmHWM:')) / 1024)


def fill(own: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        assert own.shape == value.shape, (own.shape, value.shape)
        own.copy_(value)


def linear(tensors: Tensors, path: str) -> nn.Linear:
    weight, bias = tensors[f'params.{path}.weight'], tensors[f'params.{path}.bias']
    made = nn.Linear(*weight.shape)
    fill(made.weight, weight.t())
    fill(made.bias, bias)
    return made


def norm(own: nn.LayerNorm, tensors: Tensors, path: str) -> nn.LayerNorm:
    fill(own.weight, tensors[f'params.{path}.weight'])
    fill(own.bias, tensors[f'params.{path}.bias'])
    return own


class Mlp(nn.Module):
    def __init__(self, tensors: Tensors):
        super().__init__()
        self.layers = nn.Sequential(linear(tensors, 'up'), nn.ReLU(), linear(tensors, 'down'))

    def forward(self, batch: Tensors) -> Tensor:
        return F.cross_entropy(self.layers(batch['x']), batch['y'])


class Gru(nn.Module):
    def __init__(self, tensors: Tensors):
        super().__init__()
        self.gru = nn.GRU(32, 64, batch_first=True)
        fill(self.gru.weight_ih_l0, tensors['params.gru.input'].t())
        fill(self.gru.weight_hh_l0, tensors['params.gru.hidden'].t())
        fill(self.gru.bias_ih_l0, tensors['params.gru.inputBias'])
        fill(self.gru.bias_hh_l0, tensors['params.gru.hiddenBias'])
        self.head = linear(tensors, 'head')

    def forward(self, batch: Tensors) -> Tensor:
        _, last = self.gru(batch['x'])
        return F.cross_entropy(self.head(last[0]), batch['y'])


class Transformer(nn.Module):
    def __init__(self, tensors: Tensors):
        super().__init__()
        self.words = nn.Embedding.from_pretrained(tensors['params.words.weight'].clone(), freeze=False)
        self.places = nn.Parameter(tensors['params.places.weight'].clone())
        self.layers = nn.ModuleList(self.layer(tensors, i) for i in range(4))
        self.norm = norm(nn.LayerNorm(128), tensors, 'norm')
        self.head = linear(tensors, 'head')
        self.register_buffer('mask', nn.Transformer.generate_square_subsequent_mask(64))

    def layer(self, tensors: Tensors, i: int) -> nn.TransformerEncoderLayer:
        made = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, activation='relu', batch_first=True, norm_first=True)
        at = f'layers.{i}'
        projections = [linear(tensors, f'{at}.attend.{name}') for name in ('query', 'key', 'value')]
        fill(made.self_attn.in_proj_weight, torch.cat([one.weight for one in projections]))
        fill(made.self_attn.in_proj_bias, torch.cat([one.bias for one in projections]))
        for own, name in ((made.self_attn.out_proj, 'attend.output'), (made.linear1, 'mlp.up'), (made.linear2, 'mlp.down')):
            value = linear(tensors, f'{at}.{name}')
            fill(own.weight, value.weight)
            fill(own.bias, value.bias)
        norm(made.norm1, tensors, f'{at}.attendNorm')
        norm(made.norm2, tensors, f'{at}.mlpNorm')
        return made

    def forward(self, batch: Tensors) -> Tensor:
        x = self.words(batch['ids']) + self.places
        for layer in self.layers:
            x = layer(x, src_mask=self.mask, is_causal=True)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), batch['next'].flatten())


PROGRAMS = {'mlp': Mlp, 'gru': Gru, 'transformer': Transformer}


def main() -> None:
    options = json.loads(sys.argv[1])
    span = options['span']
    tensors = load_file(options['file'])
    batch = {name.removeprefix('batch.'): value for name, value in tensors.items() if name.startswith('batch.')}
    batch = {name: value.long() if value.dtype == torch.int32 else value for name, value in batch.items()}
    since = time.perf_counter()
    model = PROGRAMS[options['program']](tensors)
    # the fused kernel is the fastest of those that PyTorch has
    optimizer = torch.optim.Adam(model.parameters(), lr=options['learningRate'], fused=True)

    def step() -> float:
        loss = model(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    first_loss = step()
    first_step = 1000 * (time.perf_counter() - since)
    losses = [step() for _ in range(span['warmUp'])]
    times, start = [], time.perf_counter()
    while len(times) < span['least'] or (len(times) < span['most'] and 1000 * (time.perf_counter() - start) < span['milliseconds']):
        before = time.perf_counter()
        losses.append(step())
        times.append(1000 * (time.perf_counter() - before))
    facts = {'firstLoss': first_loss, 'secondLoss': losses[0], 'torch': torch.__version__, 'threads': torch.get_num_threads()}
    print(json.dumps({'times': times, 'peakMegabytes': peak_megabytes(), 'facts': facts, 'parts': {'firstStep': first_step}}), flush=True)


if __name__ == '__main__':
    main()
