"""Writes batch-norm.json: three training steps of PyTorch's batch norm in float64, and its outputs afterwards.

For each case, in order of the steps: the inputs, the outputs, and the gradients of sum(weight * outputs); then the
running statistics, and the outputs and gradients in eval mode. Parameters stay as they are, so that every step shows
the buffers alone. Numbers are laid out as `axes` says, from PyTorch's [batch, channels, …]. Usage, in this folder, with
torch: python make.py
"""
import json
import torch

torch.manual_seed(16)
torch.set_default_dtype(torch.float64)


def rand(*sizes):
    # numbers that float32 holds exactly, so that every target begins with the same
    return torch.randn(*sizes).float().double()


def case(sizes, axes, momentum=0.1, eps=1e-5, offset=0.0):
    channels = sizes[1]
    kind = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}[len(sizes)]
    layer = kind(channels, eps=eps, momentum=momentum)
    with torch.no_grad():
        layer.weight.copy_((1 + 0.3 * rand(channels)).float())
        layer.bias.copy_(rand(channels))

    def numbers(x):
        x = x.permute(*axes) if x.dim() > 1 else x
        return {'sizes': list(x.shape), 'data': [float(f'{v:.9g}') for v in x.detach().flatten().tolist()]}

    def run(x):
        x = x.requires_grad_()
        weight = rand(*sizes)
        out = layer(x)
        made = torch.autograd.grad((out * weight).sum(), [x, layer.weight, layer.bias])
        return {'x': numbers(x), 'weight': numbers(weight), 'out': numbers(out),
                'gradients': dict(zip(['x', 'norm.weight', 'norm.bias'], map(numbers, made)))}

    def statistics():
        return {'mean': numbers(layer.running_mean), 'variance': numbers(layer.running_var)}

    steps = [{**run((offset + (1 + i) * rand(*sizes)).float().double()), 'after': statistics()} for i in range(3)]
    layer.eval()
    return {'axes': axes, 'momentum': momentum, 'eps': eps,
            'params': {'weight': numbers(layer.weight), 'bias': numbers(layer.bias)},
            'steps': steps, 'evaluated': run((offset + rand(*sizes)).float().double())}


cases = {
    'rows': case((6, 4), (0, 1)),
    'channelsLast': case((3, 4, 2, 3), (0, 2, 3, 1)),
    'channelsSecond': case((3, 4, 2, 3), (0, 1, 2, 3)),
    'farOff': case((5, 3, 4), (0, 2, 1), momentum=0.3, eps=1e-3, offset=100.0),
}
with open('batch-norm.json', 'w') as file:
    json.dump(cases, file, separators=(',', ':'))
    file.write('\n')
