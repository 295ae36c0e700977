"""Writes hvp.safetensors: Hessian-vector products of the mean loss of this folder's model and batch, by PyTorch.

paca.product.M = (P H P) tangent, inside the columns of paca.safetensors, with the tangents that are written beside it;
full.product.M = H W for the weights W of the seven projections themselves, inside them.
Usage, in this folder, with torch, transformers and safetensors: python hvp.py
"""
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

torch.manual_seed(7)
torch.set_num_threads(1)
model = LlamaForCausalLM.from_pretrained('.', attn_implementation='eager', dtype=torch.float64)
reference, paca = load_file('reference.safetensors'), load_file('paca.safetensors')
ids, labels, mask = (reference[name].long() for name in ('input_ids', 'labels', 'attention_mask'))
suffixes = ('q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj')
modules = {name: module for name, module in model.named_modules() if name.split('.')[-1] in suffixes}
weights = [module.weight for module in modules.values()]

loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
gradients = torch.autograd.grad(loss, weights, create_graph=True)


def products(tangents):
    along = sum((g * v).sum() for g, v in zip(gradients, tangents))
    return torch.autograd.grad(along, weights, retain_graph=True)


columns = {name: paca['columns.' + name].long() for name in modules}
parts = {name: torch.randn(module.weight.shape[0], len(columns[name]), dtype=torch.float64).float() for name, module in modules.items()}
inside = [torch.zeros_like(module.weight).index_copy(1, columns[name], parts[name].double()) for name, module in modules.items()]
made = dict(zip(modules, products(inside)))
out = {f'paca.tangent.{name}': part for name, part in parts.items()}
out |= {f'paca.product.{name}': made[name][:, columns[name]] for name in modules}
out |= {f'full.product.{name}': product for name, product in zip(modules, products([w.detach() for w in weights]))}
save_file({name: tensor.detach().float().contiguous() for name, tensor in out.items()}, 'hvp.safetensors')
