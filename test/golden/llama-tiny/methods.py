"""Writes what PEFT and PyTorch make of IA3, S2FT and the norms on this folder's model and batch, by the recipe of losses.json.

ia3/                 the adapter as PEFT saves it, with vectors that are not 1; reference.safetensors: grad.* before the
                     first step, after.* after ten, and merged.*, weights as PEFT merges them then
s2ft.safetensors     columns.M: the columns (input features) of whole heads of o_proj and of channels of down_proj;
                     grad.M and after.M of them; kept.M, how many numbers of a token autograd keeps for M;
                     order.heads.L, order.groups.L, order.channels.L: the permutation of layer L that puts them first
losses.json          gains the curves ia3, s2ft and norms
S2FT is trained twice: as it is, columns gathered, and as the paper has it (Yang et al. 2024, section 3.2): the matrices
on both sides of a structure permuted alike, so that what is trained is a slice. The script fails if they differ.
Usage, in this folder, with torch, transformers, peft and safetensors: python methods.py
"""
import copy
import json
import math
import os

import torch
import torch.nn.functional as F
from peft import IA3Config, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

torch.set_num_threads(1)
model = LlamaForCausalLM.from_pretrained('.', attn_implementation='eager', dtype=torch.float32)
model.name_or_path = None
reference = load_file('reference.safetensors')
batch = {name: reference[name].long() for name in ('input_ids', 'attention_mask', 'labels')}
with open('losses.json') as file:
    losses = json.load(file)
recipe = losses['recipe']
head_dim, heads, kv_heads = model.config.head_dim, model.config.num_attention_heads, model.config.num_key_value_heads
group = heads // kv_heads


def saved(path, tensors):
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path)


def gradients(of, parameters):
    of(**batch).loss.backward()
    found = {name: parameter.grad.clone() for name, parameter in parameters.items()}
    for parameter in parameters.values():
        parameter.grad = None
    return found


def train(of, parameters):
    optimizer = torch.optim.AdamW(parameters.values(), lr=1., betas=(.9, .999), eps=1e-8, weight_decay=.01)
    curve = []
    for lr in recipe['lr']:
        optimizer.param_groups[0]['lr'] = lr
        loss = of(**batch).loss
        curve.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return [*curve, of(**batch).loss.item()]


def frozen():
    copied = copy.deepcopy(model)
    copied.requires_grad_(False)
    return copied


# IA3, by PEFT
torch.manual_seed(11)
tuned = get_peft_model(copy.deepcopy(model), IA3Config(base_model_name_or_path=None, target_modules=['k_proj', 'v_proj', 'down_proj'], feedforward_modules=['down_proj']))
vectors = {name: parameter for name, parameter in tuned.named_parameters() if parameter.requires_grad}
with torch.no_grad():
    for vector in vectors.values():
        vector.add_(.1 * torch.randn_like(vector))
tuned.save_pretrained('ia3')
os.remove('ia3/README.md')
first = gradients(tuned, vectors)
losses['ia3'] = train(tuned, vectors)
after = {name: vector.detach().clone() for name, vector in vectors.items()}
merged = dict(tuned.merge_and_unload().named_parameters())
saved('ia3/reference.safetensors', {
    **{f'grad.{name}': tensor for name, tensor in first.items()},
    **{f'after.{name}': tensor for name, tensor in after.items()},
    **{f'merged.{name}': merged[f'{name}.weight'] for name in ('model.layers.0.self_attn.k_proj', 'model.layers.1.mlp.down_proj')},
})


# S2FT
class Selected(torch.autograd.Function):
    """x W, of which only the gradient of some columns of W is wanted: all that is kept of x."""

    @staticmethod
    def forward(ctx, x, weight, values, select):
        part = select(x).clone()
        ctx.save_for_backward(part, weight)
        ctx.kept = part.shape[-1]
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx, dy):
        part, weight = ctx.saved_tensors
        return dy @ weight, None, dy.flatten(0, -2).t() @ part.flatten(0, -2), None


generator = torch.Generator().manual_seed(12)
drawn = lambda n: torch.randperm(n, generator=generator)
columns, orders, widths = {}, {}, (1, 3)
for i, of_heads in enumerate(widths):
    # queries that share a key stay side by side: whole groups first, then a part of the next
    groups = drawn(kv_heads)
    order = torch.cat([g * group + drawn(group) for g in groups])
    channels = drawn(model.config.intermediate_size)
    orders[i] = order, groups, channels
    dims = lambda some: (some[:, None] * head_dim + torch.arange(head_dim)).flatten()
    columns[f'model.layers.{i}.self_attn.o_proj'] = dims(order[:of_heads])
    columns[f'model.layers.{i}.mlp.down_proj'] = channels[:recipe['rank']]
modules = lambda of: {name: module for name, module in of.named_modules() if name in columns}


def selecting(of, index):
    """The model with chosen columns to train: `index` says where they are."""
    parameters, kept = {}, {}
    for name, module in modules(of).items():
        at = index(name)
        parameters[name] = torch.nn.Parameter(module.weight.data[:, at].clone())

        def forward(x, module=module, name=name, at=at):
            module.weight.data[:, at] = parameters[name].data
            kept[name] = x[..., at].shape[-1]
            return Selected.apply(x, module.weight, parameters[name], lambda x: x[..., at])

        module.forward = forward
    return parameters, kept


plain = frozen()
chosen, kept = selecting(plain, lambda name: columns[name])
first = gradients(plain, chosen)
losses['s2ft'] = train(plain, chosen)

permuted = frozen()
for i, (order, groups, channels) in orders.items():
    layer = permuted.model.layers[i]
    rows, keys = dims(order), dims(groups)
    for projection, of in ((layer.self_attn.q_proj, rows), (layer.self_attn.k_proj, keys), (layer.self_attn.v_proj, keys), (layer.mlp.gate_proj, channels), (layer.mlp.up_proj, channels)):
        projection.weight.data = projection.weight.data[of]
    for projection, of in ((layer.self_attn.o_proj, rows), (layer.mlp.down_proj, channels)):
        projection.weight.data = projection.weight.data[:, of]
slices, kept_of_slices = selecting(permuted, lambda name: slice(0, len(columns[name])))
curve = train(permuted, slices)
assert max(abs(a - b) for a, b in zip(curve, losses['s2ft'])) < 1e-5, (curve, losses['s2ft'])
assert all((slices[name] - chosen[name]).abs().max() < 1e-5 for name in columns) and kept == kept_of_slices

saved('s2ft.safetensors', {
    **{f'columns.{name}': index.int() for name, index in columns.items()},
    **{f'grad.{name}': tensor for name, tensor in first.items()},
    **{f'after.{name}': tensor for name, tensor in chosen.items()},
    **{f'kept.{name}': torch.tensor([n], dtype=torch.int32) for name, n in kept.items()},
    **{f'order.{what}.{i}': order.int() for i, found in orders.items() for what, order in zip(('heads', 'groups', 'channels'), found)},
})

# the norms, whole
some = frozen()
norms = {name: parameter.requires_grad_(True) for name, parameter in some.named_parameters() if 'norm' in name}
losses['norms'] = train(some, norms)

with open('losses.json', 'w') as file:
    json.dump(losses, file, indent=1)
