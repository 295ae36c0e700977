"""Writes losses.json: losses and metrics with PyTorch's values and gradients, in float64 on numbers that float32 holds.

Needs torch; run it as `python make_losses.py`. Each case has inputs (numbers with their sizes), the loss of each row or
element, and the gradients of the weighted sum of the losses, with the weights 1, 2, 3, … .
"""
import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(0)


def real(*sizes, scale=2.0):
    return (torch.randn(*sizes) * scale).float().double()


def nested(x):
    return {"sizes": list(x.shape), "data": x.flatten().tolist()}


def case(f, *inputs):
    leaves = [x.clone().requires_grad_() for x in inputs]
    loss = f(*leaves)
    weights = torch.arange(1, loss.numel() + 1, dtype=torch.float64).reshape(loss.shape)
    (loss * weights).sum().backward()
    return {
        "inputs": [nested(x) for x in inputs],
        "loss": loss.flatten().tolist(),
        "gradients": [nested(leaf.grad) for leaf in leaves],
    }


def focal(x, y, gamma, alpha):
    # torchvision.ops.sigmoid_focal_loss
    p = torch.sigmoid(x)
    entropy = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    p_t = p * y + (1 - p) * (1 - y)
    loss = entropy * (1 - p_t) ** gamma
    return loss if alpha is None else (alpha * y + (1 - alpha) * (1 - y)) * loss


def contrastive(x):
    own = torch.arange(len(x))
    return (F.cross_entropy(x, own, reduction="none") + F.cross_entropy(x.T, own, reduction="none")) / 2


logits, labels = real(6, 5), torch.tensor([0, 4, 2, 2, 1, 3])
wide = real(6, 5, scale=40.0)
bits = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.float64)
x, y = real(4, 3), real(4, 3)
y[0, 0] = x[0, 0] + 0.25
ones = bits * 2 - 1
ties = torch.tensor([[1, 1, 0, 1], [0, 2, 2, 2], [3, 3, 3, 3], [0, 1, 2, 2], [5, 1, 5, 0], [-1, -2, -1, -1]], dtype=torch.float64)
tied = torch.tensor([1, 1, 0, 3, 2, 0])
cases = {
    "crossEntropy": case(lambda x: F.cross_entropy(x, labels, reduction="none"), logits),
    "crossEntropy smoothed": case(lambda x: F.cross_entropy(x, labels, reduction="none", label_smoothing=0.1), logits),
    "crossEntropy smoothed, wide": case(lambda x: F.cross_entropy(x, labels, reduction="none", label_smoothing=0.3), wide),
    "sigmoidBinaryCrossEntropy": case(lambda x: F.binary_cross_entropy_with_logits(x, bits, reduction="none"), x),
    "squaredError": case(lambda a, b: F.mse_loss(a, b, reduction="none"), x, y),
    "absoluteError": case(lambda a, b: F.l1_loss(a, b, reduction="none"), x, y),
    "huber": case(lambda a, b: F.huber_loss(a, b, reduction="none"), x, y),
    "huber 0.5": case(lambda a, b: F.huber_loss(a, b, reduction="none", delta=0.5), x, y),
    "hinge": case(lambda x: torch.clamp(1 - ones * x, min=0), x),
    "focal": case(lambda x: focal(x, bits, 2, None), x),
    "focal 1.5, 0.25": case(lambda x: focal(x, bits, 1.5, 0.25), x),
    "focal, wide": case(lambda x: focal(x, bits, 2, 0.25), x * 16),
    "klDivergence": case(
        lambda q, p: F.kl_div(F.log_softmax(q, -1), F.log_softmax(p, -1), reduction="none", log_target=True).sum(-1),
        logits, wide * 0.125),
    "cosineDistance": case(lambda a, b: 1 - F.cosine_similarity(a, b, dim=-1), logits, wide),
    "contrastive": case(contrastive, real(4, 4)),
}


def top(x, y, k):
    # PyTorch's topk does not specify the order of ties; a stable sort puts the first ones first, as argmax does
    return (torch.sort(x, dim=-1, descending=True, stable=True).indices[:, :k] == y[:, None]).any(-1)


assert torch.equal(torch.argmax(ties, -1) == tied, top(ties, tied, 1))
metrics = {
    "accuracy": (torch.argmax(ties, -1) == tied).double().tolist(),
    "top 2": top(ties, tied, 2).double().tolist(),
    "top 3": top(ties, tied, 3).double().tolist(),
    "logits accuracy": (torch.argmax(logits, -1) == labels).double().tolist(),
    "logits top 2": top(logits, labels, 2).double().tolist(),
    "binary": ((x > 0) == (bits > 0.5)).double().flatten().tolist(),
    "precision": [float(((x > 0) & (bits > 0.5)).sum()), float((x > 0).sum())],
    "recall": [float(((x > 0) & (bits > 0.5)).sum()), float(bits.sum())],
}
golden = {
    "cases": cases, "labels": labels.tolist(), "bits": nested(bits), "ones": nested(ones), "ties": nested(ties), "tied": tied.tolist(),
    "metrics": metrics,
}
Path(__file__).with_name("losses.json").write_text(json.dumps(golden) + "\n")
