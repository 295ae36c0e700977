"""Writes layers.json: results and gradients of the layers of `nn`, by PyTorch in float64.

For each layer: its leaves by path, its result `out` and, with random numbers `weight` of the same sizes, the gradients
of sum(weight * out). Weights are `[in, out]`, as in Partensor. Usage, in this folder, with torch: python make.py
"""
import json
import math
import torch
import torch.nn.functional as F

torch.manual_seed(15)
torch.set_default_dtype(torch.float64)
done = {}


def rand(*sizes):
    # numbers that float32 holds exactly, so that every target begins with the same
    return torch.randn(*sizes).float().double()


def case(name, leaves, apply, data=None):
    leaves = {path: leaf.clone().requires_grad_() for path, leaf in leaves.items()}
    out = apply(leaves)
    weight = rand(*out.shape)
    gradients = torch.autograd.grad((out * weight).sum(), list(leaves.values()))

    # nine digits tell all float32 numbers apart
    def numbers(x):
        return {'sizes': list(x.shape), 'data': [float(f'{v:.9g}') for v in x.detach().flatten().tolist()]}

    done[name] = {
        'leaves': {path: numbers(leaf) for path, leaf in leaves.items()},
        'data': {path: numbers(x.long()) for path, x in (data or {}).items()},
        'weight': numbers(weight),
        'out': numbers(out),
        'gradients': {path: numbers(g) for path, g in zip(leaves, gradients)},
    }


def norm(size):
    return {'p.weight': 1 + 0.3 * rand(size), 'p.bias': rand(size)}


case('linear', {'x': rand(2, 3, 4), 'p.weight': rand(4, 5), 'p.bias': rand(5)},
     lambda p: F.linear(p['x'], p['p.weight'].T, p['p.bias']))
case('withoutBias', {'x': rand(3, 4), 'p.weight': rand(4, 5)}, lambda p: F.linear(p['x'], p['p.weight'].T))
case('mlp', {'x': rand(3, 4), 'p.up.weight': rand(4, 6), 'p.up.bias': rand(6), 'p.down.weight': rand(6, 2),
             'p.down.bias': rand(2)},
     lambda p: F.linear(F.gelu(F.linear(p['x'], p['p.up.weight'].T, p['p.up.bias'])), p['p.down.weight'].T,
                        p['p.down.bias']))
ids = torch.tensor([[0, 6, 1], [1, 2, 5]])
case('embedding', {'p.weight': rand(7, 3)}, lambda p: F.embedding(ids, p['p.weight']), {'ids': ids})
case('layerNorm', {'x': 3 + rand(2, 3, 6), **norm(6)},
     lambda p: F.layer_norm(p['x'], (6,), p['p.weight'], p['p.bias'], 1e-5))
# an offset and a spread that make the mean square of numbers as they are useless
case('layerNormFarOff', {'x': 100 + 0.5 * rand(2, 64), 'p.weight': 1 + 0.3 * rand(64)},
     lambda p: F.layer_norm(p['x'], (64,), p['p.weight'], None, 1e-5))
case('standardize', {'x': rand(3, 8)}, lambda p: F.layer_norm(p['x'], (8,), None, None, 1e-3))
case('rmsNorm', {'x': rand(2, 3, 6), 'p.weight': 1 + 0.3 * rand(6)},
     lambda p: F.rms_norm(p['x'], (6,), p['p.weight'], 1e-5))
case('groupNorm', {'x': 1 + rand(2, 3, 4, 6), **norm(6)},
     lambda p: F.group_norm(p['x'].permute(0, 3, 1, 2), 2, p['p.weight'], p['p.bias'], 1e-5).permute(0, 2, 3, 1))
case('groupNormOfVectors', {'x': rand(3, 8), **norm(8)},
     lambda p: F.group_norm(p['x'], 2, p['p.weight'], p['p.bias'], 1e-5))
case('position', {'x': rand(2, 3, 4), 'p.weight': rand(5, 4)}, lambda p: p['x'] + p['p.weight'][:3])


def sinusoidal(seq, hidden):
    table = torch.zeros(seq, hidden)
    angle = torch.arange(seq)[:, None] * torch.exp(torch.arange(0, hidden, 2) * (-math.log(10000.0) / hidden))
    table[:, 0::2] = torch.sin(angle)
    table[:, 1::2] = torch.cos(angle)[:, : hidden // 2]
    return table


case('sinusoidal', {'x': rand(2, 9, 6)}, lambda p: p['x'] + sinusoidal(9, 6))


def rotated(x, base=10000.0, offset=0):
    width = x.shape[-1]
    frequency = base ** (-torch.arange(0, width, 2) / width)
    angle = (torch.arange(x.shape[-2]) + offset)[:, None] * frequency
    angle = torch.cat([angle, angle], -1)
    half = torch.cat([-x[..., width // 2:], x[..., : width // 2]], -1)
    return x * torch.cos(angle) + half * torch.sin(angle)


case('rotary', {'x': rand(2, 2, 5, 6)}, lambda p: rotated(p['x']))
case('rotaryLater', {'x': rand(2, 5, 8)}, lambda p: rotated(p['x'], 500.0, 3))


def attention(q, k, v, visible=None, added=None, scale=None):
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = q @ k.transpose(-1, -2) * (scale or 1 / math.sqrt(q.shape[-1]))
    if added is not None:
        scores = scores + added
    if visible is None:
        return scores.softmax(-1) @ v
    scores = scores.masked_fill(~visible, -math.inf)
    # the softmax of a row of -inf, and its gradient, are NaN in PyTorch
    empty = ~visible.expand_as(scores).any(-1, keepdim=True)
    return scores.masked_fill(empty, 0).softmax(-1).masked_fill(empty, 0) @ v


def qkv(heads=2, shared=2, query=3, key=4, width=5, value=5):
    return {'q': rand(2, heads, query, width), 'k': rand(2, shared, key, width), 'v': rand(2, shared, key, value)}


def check(x, y):
    assert (x - y).abs().max() < 1e-12
    return x


key_mask = torch.tensor([[True, True, False, True], [False, False, False, True]])
mask = torch.tensor([[True, False, False, True], [False] * 4, [True] * 4])
causal = torch.ones(4, 4).tril().bool()
bias = 2 * rand(2, 3, 4)
case('attend', qkv(), lambda p: check(attention(*p.values()), F.scaled_dot_product_attention(*p.values())))
case('attendScaled', qkv(value=2), lambda p: check(attention(*p.values(), scale=0.7),
                                                   F.scaled_dot_product_attention(*p.values(), scale=0.7)))
case('attendCausal', qkv(query=4), lambda p: check(attention(*p.values(), causal),
                                                  F.scaled_dot_product_attention(*p.values(), is_causal=True)))
case('attendKeys', qkv(), lambda p: check(
    attention(*p.values(), key_mask[:, None, None]),
    F.scaled_dot_product_attention(*p.values(), attn_mask=key_mask[:, None, None])), {'keys': key_mask})
case('attendMasked', qkv(), lambda p: attention(*p.values(), mask), {'mask': mask})
case('attendInfinite', qkv(), lambda p: attention(*p.values(), mask), {'mask': mask})
case('attendAdded', {**qkv(), 'bias': bias}, lambda p: check(
    attention(p['q'], p['k'], p['v'], added=p['bias']),
    F.scaled_dot_product_attention(p['q'], p['k'], p['v'], attn_mask=p['bias'].expand(2, 2, 3, 4))))
case('attendGrouped', qkv(heads=6, query=4), lambda p: check(
    attention(*p.values(), causal),
    F.scaled_dot_product_attention(*p.values(), attn_mask=causal, enable_gqa=True)))
case('attendGroupedKeys', qkv(heads=6, query=4), lambda p: attention(*p.values(), causal & key_mask[:, None, None]),
     {'keys': key_mask})


def linears(hidden, width, context):
    sizes = {'query': (hidden, width), 'key': (context, width), 'value': (context, width), 'output': (width, hidden)}
    return {f'p.{name}.{leaf}': 0.5 * rand(*(of if leaf == 'weight' else of[1:]))
            for name, of in sizes.items() for leaf in ('weight', 'bias')}


def multi_head(p, key_mask):
    theirs = torch.nn.MultiheadAttention(6, 2, kdim=p['context'].shape[-1], vdim=p['context'].shape[-1], batch_first=True)
    own = {'q_proj_weight': p['p.query.weight'].T, 'k_proj_weight': p['p.key.weight'].T,
           'v_proj_weight': p['p.value.weight'].T,
           'in_proj_bias': torch.cat([p[f'p.{n}.bias'] for n in ('query', 'key', 'value')]),
           'out_proj.weight': p['p.output.weight'].T, 'out_proj.bias': p['p.output.bias']}
    return torch.func.functional_call(theirs, own, (p['x'], p['context'], p['context']),
                                      {'key_padding_mask': ~key_mask, 'need_weights': False})[0]


case('multiHead', {'x': rand(2, 3, 6), 'context': rand(2, 4, 5), **linears(6, 6, 5)},
     lambda p: multi_head(p, key_mask), {'keys': key_mask})

with open('layers.json', 'w') as file:
    json.dump(done, file)
    file.write('\n')
