"""Writes a tiny vision transformer beside this file, and what PyTorch, transformers and PEFT compute of it.

Needs torch, transformers 5.24, peft 0.21 and safetensors; run it as `python make.py`, offline. `reference.safetensors` holds images
[batch, channels, height, width], labels, logits, the loss and all gradients, under the names of transformers 5; `lora/` is an adapter
that PEFT saved, with the classifier trained whole, after three steps of SGD, and `lora.safetensors` holds its logits.
"""
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import torch

try:
    import torchvision  # transformers imports it where it is installed, and its wheel lacks two operators beside a CPU torch
except RuntimeError:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
except ImportError:
    pass
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import ViTConfig, ViTForImageClassification
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)
here = Path(__file__).parent


def plain(tensors):
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


torch.manual_seed(7)
config = ViTConfig(
    hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, image_size=32, patch_size=8, num_labels=10,
    attn_implementation="eager")
model = ViTForImageClassification(config).eval()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
model.save_pretrained(here)
images, labels = torch.randn(3, 3, 32, 32), torch.randint(0, 10, (3,))
out = model(pixel_values=images, labels=labels)
out.loss.backward()
gradients = {f"grad.{name}": p.grad for name, p in model.named_parameters()}
save_file(
    plain({"pixel_values": images, "labels": labels.int(), "logits": out.logits, "loss": out.loss[None], **gradients}),
    here / "reference.safetensors")

lora = get_peft_model(
    ViTForImageClassification.from_pretrained(here, attn_implementation="eager"),
    LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj", "fc1"], modules_to_save=["classifier"], init_lora_weights=False)).eval()
descent = torch.optim.SGD([p for p in lora.parameters() if p.requires_grad], lr=0.05)
for _ in range(3):
    lora(pixel_values=images, labels=labels).loss.backward()
    descent.step()
    descent.zero_grad()
lora.peft_config["default"].base_model_name_or_path = "vit-tiny"
lora.save_pretrained(here / "lora")
(here / "lora" / "README.md").unlink(missing_ok=True)
save_file(plain({"logits": lora(pixel_values=images).logits}), here / "lora.safetensors")
