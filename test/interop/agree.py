"""Answers questions about adapters and models with the real peft and transformers. Usage: agree.py TASKS; prints one JSON list of answers.

A task is one of
  logits   of a model directory, with a PEFT adapter in it where one is named, against those of another pair: the largest difference, and by how much
           the adapter moves the base (so that an adapter that does nothing cannot pass)
  images   logits of an image classifier, with a PEFT adapter where one is named, against given ones, and how far they are from the base's
  combined logits of PEFT's own add_weighted_adapter('cat') against those of an adapter
  targets  the modules that LoraConfig's fields choose, with rank and scale
  tokens   ids of a text
"""
import json
import sys
import warnings

warnings.filterwarnings("ignore")
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM, AutoTokenizer, ViTForImageClassification
from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()
torch.set_num_threads(2)


def base_of(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def adapted(path, adapter):
    """A model with an adapter, which must hold exactly the tensors that PEFT wants."""
    model = PeftModel.from_pretrained(base_of(path), adapter).eval()
    if getattr(model.peft_config["default"], "bias", "none") != "none":
        return model  # PEFT loads no second adapter beside one with biases
    result = model.load_adapter(adapter, "again")
    own = [key for key in result.missing_keys if ".again" in key]
    # of its own files too PEFT ties the head of the first adapter only
    tied = ["base_model.model.lm_head.weight"] if getattr(model.peft_config["default"], "ensure_weight_tying", False) else []
    unexpected = [key for key in result.unexpected_keys if key not in tied]
    if own or unexpected:
        raise ValueError(f"{adapter}: missing {own}, unexpected {unexpected}")
    model.set_adapter("default")
    return model


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor(ids)).logits.double()


def run(path, adapter, ids):
    return logits(adapted(path, adapter) if adapter else base_of(path), ids)


def classified(path, adapter, images):
    model = ViTForImageClassification.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).eval()
        own = [key for key in model.load_adapter(adapter, "again").missing_keys if ".again" in key]
        if own:
            raise ValueError(f"{adapter}: missing {own}")
        model.set_adapter("default")
    with torch.no_grad():
        return model(pixel_values=images).logits.double()


def difference(a, b):
    return (a - b).abs().max().item()


def answer(task):
    kind = task["kind"]
    if kind == "logits":
        a, b = (run(side["model"], side.get("adapter"), task["ids"]) for side in (task["a"], task["b"]))
        return {"difference": difference(a, b), "moved": difference(a, run(task["base"], None, task["ids"]))}
    if kind == "images":
        images, due = torch.tensor(task["images"]), torch.tensor(task["logits"], dtype=torch.float64)
        found = classified(task["model"], task.get("adapter"), images)
        base = classified(task["base"], None, images)
        moved = difference(found, base) if found.shape == base.shape else float("inf")
        return {"difference": difference(found, due), "moved": min(moved, 1e9)}
    if kind == "combined":
        model = PeftModel.from_pretrained(base_of(task["base"]), task["adapters"][0], "a0").eval()
        names = [f"a{i}" for i in range(len(task["adapters"]))]
        for name, path in list(zip(names, task["adapters"]))[1:]:
            model.load_adapter(path, name)
        model.add_weighted_adapter(names, task["weights"], "sum", combination_type="cat")
        model.set_adapter("sum")
        theirs, ours = logits(model, task["ids"]), run(task["base"], task["ours"], task["ids"])
        return {"difference": difference(theirs, ours), "moved": difference(theirs, run(task["base"], None, task["ids"]))}
    if kind == "targets":
        model = get_peft_model(base_of(task["base"]), LoraConfig(**task["fields"]))
        prefix = "base_model.model."
        layers = [(name.removeprefix(prefix), layer) for name, layer in model.named_modules() if isinstance(layer, LoraLayer)]
        saved = [name.removeprefix(prefix).split(".modules_to_save.")[0] for name, _ in model.named_parameters() if ".modules_to_save.default." in name]
        return {"modules": [[name, layer.r["default"], layer.scaling["default"]] for name, layer in layers], "saved": sorted(set(saved))}
    if kind == "tokens":
        tokenizer = AutoTokenizer.from_pretrained(task["model"])
        return {"ids": [tokenizer.encode(text) for text in task["texts"]], "chat": tokenizer.apply_chat_template(task["messages"], tokenize=False)}
    raise ValueError(kind)


with open(sys.argv[1]) as file:
    print(json.dumps([answer(task) for task in json.load(file)]))
