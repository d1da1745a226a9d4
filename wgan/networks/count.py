"""What a network costs, by arithmetic."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def parameter_count(module: nn.Module) -> int:
    """How many numbers are trained (or frozen) in `module`; running statistics are not parameters."""
    return sum(p.numel() for p in module.parameters())


def multiply_adds(module: nn.Module, *inputs: Tensor) -> int:
    """Multiply-adds of the convolutions and linear layers in one forward pass of `module` on `inputs`.

    2 FLOP each; a backward pass costs about twice as much again. Norms, activations and resampling are left out. The
    pass runs in evaluation mode without gradients: weights, statistics and random numbers stay as they were.
    """
    total = 0

    def add(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.ConvTranspose2d):
            total += args[0].numel() * layer.out_channels // layer.groups * math.prod(layer.kernel_size)
        elif isinstance(layer, nn.Conv2d):
            total += output.numel() * layer.in_channels // layer.groups * math.prod(layer.kernel_size)
        elif isinstance(layer, nn.Linear):
            total += output.numel() * layer.in_features

    modes = [(layer, layer.training) for layer in module.modules()]
    hooks = [layer.register_forward_hook(add) for layer in module.modules()]
    try:
        module.eval()
        with torch.no_grad():
            module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training in modes:
            layer.training = training
    return total
