"""Writes this folder from ../llama-tiny by transformers and bitsandbytes: the model in NF4 with scales that are quantized too, one weight
with scales that are not (single.safetensors), and what the packed weights stand for (dequantized.safetensors, some of them).
Usage: make.py FOLDER, with torch, transformers, accelerate and bitsandbytes 0.50 from PyPI."""
import copy, os, sys, torch
import bitsandbytes.functional as bf
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

here = os.path.dirname(os.path.abspath(__file__))
out = sys.argv[1] if len(sys.argv) > 1 else here
config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type='nf4', bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32)
model = AutoModelForCausalLM.from_pretrained(os.path.join(here, '..', 'llama-tiny'), quantization_config=config, dtype=torch.float32, device_map='cpu')
model.save_pretrained(out)

def unpacked(w):
    # as rows of one block each: bitsandbytes 0.50.2 on a CPU takes wrong scales where rows are no whole number of blocks
    state = copy.copy(w.quant_state)
    shape, state.shape = state.shape, torch.Size([w.quant_state.shape.numel() // 64, 64])
    return bf.dequantize_4bit(w.data, state).float().reshape(shape).contiguous()

some = ['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.k_proj', 'model.layers.1.mlp.down_proj']
packed = {name: model.get_submodule(name).weight for name in some}
save_file({f'{name}.weight': unpacked(w) for name, w in packed.items()}, os.path.join(out, 'dequantized.safetensors'))

# 33 columns: the last block is not whole
w = torch.randn(7, 33, generator=torch.Generator().manual_seed(0))
q, state = bf.quantize_4bit(w, blocksize=64, quant_type='nf4', compress_statistics=False)
save_file({'w': q, **{f'w.{key}': x.contiguous() for key, x in state.as_dict(packed=True).items()}, 'dequantized': bf.dequantize_4bit(q, state).contiguous()},
          os.path.join(out, 'single.safetensors'))
