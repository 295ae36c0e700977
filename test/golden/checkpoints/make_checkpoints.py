"""Writes tiny LLaMAs and Qwens and PEFT adapters of them beside this file, and cases.json: what transformers and PEFT compute of each.

Needs torch, transformers 5.24, peft 0.21 and safetensors; run it as `python make_checkpoints.py`, offline. A checkpoint is a file of weights in
`weights/` and a config, which cases.json holds whole, so that files serve several configs; a sharded one lists its files. An adapter is a
directory in `adapters/`. `loss` is the mean over all positions of both rows of `ids`, in float32; of an adapter as PEFT runs it, unmerged.
"""
import json
import shutil
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import torch
from peft import LoraConfig, MissConfig, PeftModel, VeraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)

here = Path(__file__).parent
weights, adapters = here / "weights", here / "adapters"
for folder in (weights, adapters):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

ids = torch.randint(0, 48, (2, 24), generator=torch.Generator().manual_seed(7))
cases = {"ids": ids.tolist(), "checkpoints": [], "adapters": []}

tiny = dict(
    vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    bos_token_id=0, eos_token_id=1, initializer_range=0.3, attention_bias=False, mlp_bias=False)


def loss(model):
    with torch.no_grad():
        return model.eval()(input_ids=ids, labels=ids).loss.double().item()


def load(directory):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")


def fresh(seed, kind=LlamaForCausalLM, settings=LlamaConfig, **changes):
    """Random weights under a config; norms are moved away from one, and biases of Qwen away from zero."""
    torch.manual_seed(seed)
    model = kind(settings(**{**tiny, **changes}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or (name.endswith(".bias") and settings is not LlamaConfig):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def config_of(settings=LlamaConfig, **changes):
    config = settings(**{**tiny, **changes}).to_dict()
    return {key: config[key] for key in config if key not in ("transformers_version", "_name_or_path")}


def directory_of(files, config, index=None):
    """A directory of a config and files of weights; one file is model.safetensors, several are shards."""
    path = Path(tempfile.mkdtemp())
    (path / "config.json").write_text(json.dumps(config))
    for file in files:
        shutil.copy(weights / file, path / (file if index else "model.safetensors"))
    if index:
        (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return path


def checkpoint(name, files, config, index=None):
    """Adds a case: what transformers computes of a checkpoint, or what it says where it refuses."""
    files = [files] if isinstance(files, str) else files
    case = {"name": name, "files": files, "config": config}
    if index:
        case["index"] = index
    try:
        case["loss"] = loss(load(directory_of(files, config, index)))
    except Exception as error:
        case["loss"] = None
        print(name, "fails:", str(error).splitlines()[0][:120])
    cases["checkpoints"].append(case)


def state(model, tied, dtype=torch.float32):
    return {k: v.to(dtype).contiguous().clone() for k, v in model.state_dict().items() if not (tied and k == "lm_head.weight")}


def write(name, tensors):
    save_file(tensors, weights / name, metadata={"format": "pt"})
    return name


tied, untied = fresh(0, tie_word_embeddings=True), fresh(1, tie_word_embeddings=False)
own = config_of(tie_word_embeddings=False, architectures=["LlamaForCausalLM"])
one = config_of(tie_word_embeddings=True, architectures=["LlamaForCausalLM"])
write("tied.safetensors", state(tied, True))
write("untied.safetensors", state(untied, False))
with_head = {**state(tied, True), "lm_head.weight": 0.3 * torch.randn(48, 16, generator=torch.Generator().manual_seed(3))}
write("tied-other-head.safetensors", with_head)
write("tied-same-head.safetensors", {**state(tied, True), "lm_head.weight": state(tied, True)["model.embed_tokens.weight"].clone()})
write("head-alone.safetensors", {("lm_head.weight" if k == "model.embed_tokens.weight" else k): v for k, v in state(tied, True).items()})
half = state(tied, True)["model.embed_tokens.weight"]
write("tied-bf16-head.safetensors", {**state(tied, True), "lm_head.weight": half.to(torch.bfloat16)})

checkpoint("tied", "tied.safetensors", one)
checkpoint("untied", "untied.safetensors", own)
checkpoint("tied beside another stored head", "tied-other-head.safetensors", one)
checkpoint("tied beside the same stored head", "tied-same-head.safetensors", one)
checkpoint("tied beside its head in bf16", "tied-bf16-head.safetensors", one)
checkpoint("tied with the head alone", "head-alone.safetensors", one)
checkpoint("a file with a head that the config does not tie", "tied-other-head.safetensors", own)
checkpoint("bf16", write("untied-bf16.safetensors", state(untied, False, torch.bfloat16)), {**own, "dtype": "bfloat16"})
checkpoint("f16", write("untied-f16.safetensors", state(untied, False, torch.float16)), {**own, "dtype": "float16"})

parts = list(state(untied, False).items())
shards = {"part-1.safetensors": dict(parts[:9]), "part-2.safetensors": dict(parts[9:])}
for file, tensors in shards.items():
    write(file, tensors)
checkpoint("sharded", list(shards), own, {name: file for file, tensors in shards.items() for name in tensors})

for name, changes in {
    "one key head": dict(num_key_value_heads=1), "as many key heads as heads": dict(num_key_value_heads=4),
    "wide heads": dict(head_dim=8), "one head": dict(num_attention_heads=1, num_key_value_heads=1),
}.items():
    model, config = fresh(5, tie_word_embeddings=True, **changes), config_of(tie_word_embeddings=True, **changes)
    checkpoint(name, write(f"{name.replace(' ', '-')}.safetensors", state(model, True)), config)

# one file under other configs
linear = {"rope_type": "linear", "factor": 4.0}
llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
old = {key: value for key, value in own.items() if key != "rope_parameters"}
for name, config in {
    "linear rope": {**own, "rope_parameters": {"rope_theta": 1000.0, **linear}},
    "llama3 rope": {**own, "rope_parameters": {"rope_theta": 500.0, **llama3}},
    "llama3 rope whose positions are the model's": {
        **own, "rope_parameters": {"rope_theta": 500.0, **{key: value for key, value in llama3.items() if not key.startswith("original")}}},
    "old spelling, linear": {**old, "rope_theta": 1000.0, "rope_scaling": {"type": "linear", "factor": 4.0}},
    "old spelling, llama3": {**old, "rope_theta": 500.0, "rope_scaling": llama3},
    "both spellings, agreeing": {**own, "rope_parameters": {"rope_theta": 500.0, **llama3}, "rope_theta": 500.0, "rope_scaling": llama3},
    "both spellings, disagreeing": {**own, "rope_parameters": {"rope_theta": 500.0, **llama3}, "rope_scaling": linear},
    "two rates of rope": {**own, "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"}, "rope_theta": 10000.0},
    "original positions beside rope": {**own, "rope_parameters": {"rope_theta": 500.0, **llama3}, "original_max_position_embeddings": 32},
    "dynamic rope": {**own, "rope_parameters": {"rope_theta": 500.0, "rope_type": "dynamic", "factor": 2.0}},
    "yarn rope": {**own, "rope_parameters": {"rope_theta": 500.0, "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 16}},
    "a large epsilon": {**own, "rms_norm_eps": 0.05},
    "pretraining_tp": {**own, "pretraining_tp": 2},
    "another activation": {**own, "hidden_act": "gelu"},
}.items():
    checkpoint(name, "untied.safetensors", config)

biased = fresh(6, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)
for name, parameter in biased.named_parameters():
    if name.endswith(".bias"):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(11))
write("biased.safetensors", state(biased, True))
checkpoint("biases that the config names", "biased.safetensors", {**one, "attention_bias": True, "mlp_bias": True})
checkpoint("biases that the config does not name", "biased.safetensors", one)
checkpoint("a layer that the config does not name", "untied.safetensors", {**own, "num_hidden_layers": 1})
frequencies = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": 10000.0 ** -(torch.arange(0, 4, 2) / 4) for i in range(2)}
checkpoint("frequencies of rope in the file", write("frequencies.safetensors", {**state(tied, True), **frequencies}), one)

# Qwen2: biases of q, k and v; Qwen3: norms of heads, and heads of a size of their own
del tiny["attention_bias"], tiny["mlp_bias"]
qwen_configs = {}
for kind, settings, seed, own_size in [(Qwen2ForCausalLM, Qwen2Config, 20, {}), (Qwen3ForCausalLM, Qwen3Config, 30, dict(head_dim=8))]:
    family = settings.model_type

    def qwen(name, file, seed, **changes):
        model = fresh(seed, kind, settings, **changes)
        config = config_of(settings, architectures=[kind.__name__], **changes)
        checkpoint(f"{family} {name}", write(f"{family}-{file}.safetensors", state(model, changes["tie_word_embeddings"])), config)
        return config

    qwen("tied", "tied", seed, tie_word_embeddings=True, **own_size)
    config = qwen_configs[family] = qwen("untied", "untied", seed + 1, tie_word_embeddings=False, **own_size)
    without = {key: value for key, value in config.items() if key not in ("layer_types", "rope_parameters")}
    for name, changed in {
        "without layer_types, with a window that is off": {**without, "sliding_window": 4, "max_window_layers": 0, "rope_theta": 500.0},
        "linear rope": {**without, "rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 4.0}},
        "yarn rope": {**without, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}},
        "a sliding window": {**without, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
        "a layer that slides": {**config, "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 4, "use_sliding_window": True},
        "without num_key_value_heads": {key: value for key, value in config.items() if key != "num_key_value_heads"},
    }.items():
        checkpoint(f"{family} {name}", f"{family}-untied.safetensors", changed)
    if settings is Qwen2Config:
        checkpoint("qwen2 attention_bias of another architecture", "qwen2-untied.safetensors", {**config, "attention_bias": False})
        qwen("heads of a size of their own", "wide-heads", seed + 2, tie_word_embeddings=True, head_dim=8, num_key_value_heads=4)
    else:
        qwen("biases that the config names", "biased", seed + 2, tie_word_embeddings=True, attention_bias=True, **own_size)
        small = dict(num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1)
        config = qwen("heads of the default size", "default-heads", seed + 3, tie_word_embeddings=True, **small)
        del config["head_dim"]
        checkpoint("qwen3 without head_dim", "qwen3-default-heads.safetensors", config)
        checkpoint("qwen3 head_dim of null", "qwen3-default-heads.safetensors", {**config, "head_dim": None})
        checkpoint("qwen3 read as qwen2", "qwen3-default-heads.safetensors", {**config, "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]})

# adapters
bases = {"tied": directory_of(["tied.safetensors"], one), "untied": directory_of(["untied.safetensors"], own)}


def adapter(name, base, config):
    """Trains nothing: every trained tensor is moved at random, and the adapter saved as PEFT does by default."""
    torch.manual_seed(0)
    model, generator = get_peft_model(load(bases[base]), config), torch.Generator().manual_seed(13)
    with torch.no_grad():
        for parameter in sorted((n for n, p in model.named_parameters() if p.requires_grad)):
            tensor = model.get_parameter(parameter)
            tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator))
    path = adapters / name.replace(" ", "-")
    model.save_pretrained(path)
    (path / "README.md").unlink()
    file = path / "adapter_config.json"
    fields = json.loads(file.read_text())
    # sets have no order, and the base lay in a directory of a moment
    fields.update({key: sorted(value) for key, value in fields.items() if isinstance(value, list) and key.endswith("_modules")})
    file.write_text(json.dumps({**fields, "base_model_name_or_path": base}, indent=2, sort_keys=True) + "\n")
    moved = loss(PeftModel.from_pretrained(load(bases[base]), path))
    cases["adapters"].append({"name": path.name, "base": base, "loss": moved})


def lora(**fields):
    return LoraConfig(**{"r": 2, "lora_alpha": 3, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM", **fields})


for base in bases:
    adapter(f"lora {base}", base, lora())
    for words in (["embed_tokens"], ["lm_head"], ["embed_tokens", "lm_head"]):
        adapter(f"saved {' '.join(words)} {base}", base, lora(modules_to_save=words))
    adapter(f"lora of the head {base}", base, lora(target_modules=["q_proj", "lm_head"]))
adapter("saved embed_tokens ensured", "tied", lora(modules_to_save=["embed_tokens"], ensure_weight_tying=True))
adapter("saved lm_head ensured", "tied", lora(modules_to_save=["lm_head"], ensure_weight_tying=True))
adapter("lora of the embedding", "tied", lora(target_modules=["q_proj", "embed_tokens"]))
adapter("lora of the embedding ensured", "tied", lora(target_modules=["embed_tokens"], ensure_weight_tying=True))
adapter("rslora", "untied", lora(use_rslora=True, lora_dropout=0.1))
adapter("dora", "untied", lora(use_dora=True))
adapter("dora of the head", "tied", lora(use_dora=True, target_modules=["lm_head", "v_proj"]))
adapter("patterns", "untied", lora(target_modules="all-linear", rank_pattern={"q_proj": 3, "layers.1.mlp.up_proj": 1}, alpha_pattern={"mlp.*": 5}))
adapter("some layers", "untied", lora(layers_to_transform=[1], layers_pattern="layers", exclude_modules=["down_proj"]))
adapter("norms saved", "tied", lora(modules_to_save=["norm"], bias="all"))
adapter("vera", "untied", VeraConfig(r=4, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM"))
adapter("vera saved embed_tokens", "tied", VeraConfig(r=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"], task_type="CAUSAL_LM"))
adapter("miss", "untied", MissConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"))
adapter("pissa", "untied", lora(init_lora_weights="pissa"))
adapter("olora", "untied", lora(init_lora_weights="olora"))
adapter("tokens", "untied", lora(trainable_token_indices=[1, 2]))
adapter("biased lora", "untied", lora(lora_bias=True))
adapter("a target that is not there", "untied", lora(target_modules=["q_proj", "c_attn"], alpha_pattern={"c_attn": 2}))
adapter("a saved module that is not there", "untied", lora(modules_to_save=["classifier"]))

bases |= {f"{family} untied": directory_of([f"{family}-untied.safetensors"], config) for family, config in qwen_configs.items()}
adapter("qwen2 lora", "qwen2 untied", lora(target_modules="all-linear"))
adapter("qwen2 dora", "qwen2 untied", lora(use_dora=True, target_modules=["q_proj", "o_proj"]))
adapter("qwen2 vera", "qwen2 untied", VeraConfig(r=4, target_modules=["v_proj", "up_proj"], task_type="CAUSAL_LM"))
adapter("qwen2 saved k_proj", "qwen2 untied", lora(modules_to_save=["k_proj"]))
adapter("qwen2 all biases", "qwen2 untied", lora(bias="all"))
adapter("qwen2 biases of lora", "qwen2 untied", lora(bias="lora_only"))
adapter("qwen2 biases of miss", "qwen2 untied", MissConfig(r=2, target_modules=["q_proj", "down_proj"], bias="MiSS_only", task_type="CAUSAL_LM"))
adapter("qwen3 lora", "qwen3 untied", lora(target_modules="all-linear"))
adapter("qwen3 norms saved", "qwen3 untied", lora(modules_to_save=["q_norm", "k_norm"]))

(here / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
