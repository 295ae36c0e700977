"""Writes tiny models of Qwen2 and Qwen3 beside this file, and what PyTorch, transformers and PEFT compute of them.

Needs torch, transformers 5.24, peft 0.21 and safetensors; run it as `python make_qwen.py`, offline. Each model is a directory:
`reference.safetensors` holds a batch, its logits, loss and all gradients, and `greedy`, the prompt and its greedy continuation;
`losses.json` the losses before each of ten steps of AdamW and after the last one, of all weights (`full`), of the columns in
`paca.safetensors`, of the LoRAs that begin as `lora/` and `lora-biases/` say, and of the biases (`biases`) of a model that has some.
"""
import copy
import json
import math
import shutil
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)
here = Path(__file__).parent
names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
rank, steps, peak, warm = 4, 10, 5e-3, 2
tiny = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, bos_token_id=1, eos_token_id=2, attn_implementation="eager")
models = {
    "qwen2-tiny": (Qwen2ForCausalLM, Qwen2Config(**tiny, tie_word_embeddings=True)),
    "qwen3-tiny": (Qwen3ForCausalLM, Qwen3Config(**tiny, head_dim=16, tie_word_embeddings=False)),
}


def plain(tensors):
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def rate(step):
    return peak * step / warm if step < warm else peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def linears(model):
    return {name: module for name, module in model.named_modules() if name.split(".")[-1] in names}


def fresh(kind, config):
    model = kind(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(1 + 0.1 * torch.randn_like(parameter))
            elif name.endswith(".bias"):
                parameter.copy_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(torch.randn_like(parameter) * (0.6 / math.sqrt(parameter.shape[-1])))
    return model


def write(name, kind, config):
    torch.manual_seed(11)
    directory = here / name
    shutil.rmtree(directory, ignore_errors=True)
    model = fresh(kind, config)
    model.save_pretrained(directory)
    (directory / "generation_config.json").unlink()
    ids = torch.randint(3, config.vocab_size, (2, 20))
    labels, mask = ids.clone(), torch.ones_like(ids)
    labels[:, :6], labels[1, -4:], mask[1, -4:] = -100, -100, 0
    batch = dict(input_ids=ids, attention_mask=mask, labels=labels)

    out = model(**batch)
    out.loss.backward()
    greedy = model.generate(ids[:1, :5], max_new_tokens=12, min_new_tokens=12, do_sample=False)
    save_file(plain({
        "input_ids": ids.int(), "labels": labels.int(), "attention_mask": mask.int(), "logits": out.logits, "loss": out.loss[None],
        "greedy": greedy[0].int(), **{f"grad.{n}": p.grad for n, p in model.named_parameters()},
    }), directory / "reference.safetensors")
    model.zero_grad()

    def train(model, parameters, sync=lambda: None):
        optimizer = torch.optim.AdamW(parameters, lr=1.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
        losses = []
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate(step + 1)
            sync()
            loss = model(**batch).loss
            losses.append(loss.item())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
        sync()
        return [*losses, model(**batch).loss.item()]

    whole = copy.deepcopy(model)
    curves = {"full": train(whole, list(whole.parameters()))}

    # columns of every projection: parameters that are written into the weights before each use
    partial = copy.deepcopy(model).requires_grad_(False)
    generator = torch.Generator().manual_seed(12)
    columns, values = {}, {}
    for path, module in linears(partial).items():
        columns[path] = torch.randperm(module.in_features, generator=generator)[:rank].sort()[0]
        values[path] = torch.nn.Parameter(module.weight[:, columns[path]].clone())

        def forward(x, module=module, path=path):
            return F.linear(x, module.weight.index_copy(1, columns[path], values[path]), module.bias)

        module.forward = forward
    curves["paca"] = train(partial, list(values.values()))
    save_file(plain({f"columns.{path}": index.int() for path, index in columns.items()}), directory / "paca.safetensors")

    def lora(folder, targets, **fields):
        adapted = get_peft_model(copy.deepcopy(model), LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets, lora_dropout=0.0, **fields))
        with torch.no_grad():
            for path, parameter in adapted.named_parameters():
                if "lora_B" in path:
                    parameter.copy_(0.05 * torch.randn_like(parameter))
        adapted.save_pretrained(directory / folder)
        (directory / folder / "README.md").unlink()
        file = directory / folder / "adapter_config.json"
        fields = json.loads(file.read_text())
        file.write_text(json.dumps({**fields, "target_modules": targets, "base_model_name_or_path": name}, indent=2, sort_keys=True) + "\n")
        curves[folder] = train(adapted, [p for p in adapted.parameters() if p.requires_grad])

    lora("lora", names)
    if kind is Qwen2ForCausalLM:
        lora("lora-biases", ["q_proj", "down_proj"], bias="all")

    some = copy.deepcopy(model).requires_grad_(False)
    biases = [parameter.requires_grad_(True) for path, parameter in some.named_parameters() if path.endswith(".bias")]
    if biases:
        curves["biases"] = train(some, biases)
    recipe = dict(
        optimizer="AdamW(b1=.9, b2=.999, eps=1e-8, weight_decay=.01, decoupled, on every trained tensor)", clip_global_norm=1.0,
        lr=[rate(step + 1) for step in range(steps)], steps=steps, rank=rank, targets=names)
    (directory / "losses.json").write_text(json.dumps({"recipe": recipe, **curves}, indent=1) + "\n")


for name, (kind, config) in models.items():
    write(name, kind, config)
