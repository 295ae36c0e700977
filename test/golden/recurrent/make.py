"""Writes recurrent.json: values and gradients of PyTorch's recurrent layers, with and without padding.

    python test/golden/recurrent/make.py

Weights are turned to [in, out]. The loss is the sum of the outputs and of the last states, each times fixed numbers.
"""

import json
from pathlib import Path

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

BATCH, TIME, INPUT, HIDDEN = 3, 5, 4, 6
LENGTHS = [5, 2, 4]
torch.manual_seed(0)


def data(tensor):
    return {"sizes": list(tensor.shape), "data": [round(x, 9) for x in tensor.detach().contiguous().flatten().tolist()]}


def case(kind, padded):
    layer = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind](INPUT, HIDDEN, batch_first=True)
    layer = layer.double()
    xs = torch.randn(BATCH, TIME, INPUT, dtype=torch.float64, requires_grad=True)
    names = ["hidden", "cell"] if kind == "lstm" else ["hidden"]
    initial = [torch.randn(1, BATCH, HIDDEN, dtype=torch.float64, requires_grad=True) for _ in names]
    state = tuple(initial) if kind == "lstm" else initial[0]
    exists = torch.arange(TIME)[None, :] < torch.tensor(LENGTHS)[:, None] if padded else torch.ones(BATCH, TIME) > 0
    if padded:
        packed = pack_padded_sequence(xs, LENGTHS, batch_first=True, enforce_sorted=False)
        packed, last = layer(packed, state)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=TIME)
    else:
        outputs, last = layer(xs, state)
    lasts = list(last) if kind == "lstm" else [last]
    # numbers at padding are not compared: their cotangents are 0
    cotangent = torch.randn(BATCH, TIME, HIDDEN, dtype=torch.float64) * exists[:, :, None]
    ofLast = [torch.randn(BATCH, HIDDEN, dtype=torch.float64) for _ in names]
    loss = (outputs * cotangent).sum() + sum((h[0] * c).sum() for h, c in zip(lasts, ofLast))
    loss.backward()
    params = {
        "input": layer.weight_ih_l0,
        "hidden": layer.weight_hh_l0,
        "inputBias": layer.bias_ih_l0,
        "hiddenBias": layer.bias_hh_l0,
    }
    return {
        "kind": kind,
        "padded": padded,
        "params": {name: data(p.T if p.dim() == 2 else p) for name, p in params.items()},
        "batch": {
            "xs": data(xs),
            "exists": data(exists.int()),
            "cotangent": data(cotangent),
            **{f"{name}0": data(h[0]) for name, h in zip(names, initial)},
            **{f"{name}Cotangent": data(c) for name, c in zip(names, ofLast)},
        },
        "loss": loss.item(),
        "outputs": data(outputs),
        "last": {name: data(h[0]) for name, h in zip(names, lasts)},
        "gradients": {
            **{name: data(p.grad.T if p.dim() == 2 else p.grad) for name, p in params.items()},
            "xs": data(xs.grad),
            **{f"{name}0": data(h.grad[0]) for name, h in zip(names, initial)},
        },
    }


cases = [case(kind, padded) for kind in ("rnn", "gru", "lstm") for padded in (False, True)]
Path(__file__).with_name("recurrent.json").write_text(json.dumps(cases) + "\n")
