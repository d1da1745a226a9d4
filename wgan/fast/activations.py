"""Leaky ReLUs whose derivative isn't differentiated where that is zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wgan.fast.rows import masked


class Masked(torch.autograd.Function):
    """`masked`, differentiable in g. Its derivative by y is zero almost everywhere: there is none.

    torch's own returns zeros, which a gradient penalty then carries back through the whole network.
    """

    @staticmethod
    def forward(ctx: Any, g: Tensor, y: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(y)
        ctx.slope = slope
        return masked(g, y, slope)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        return Masked.apply(gradient, y, ctx.slope), None, None  # type: ignore[no-untyped-call]


class LeakyReLU(torch.autograd.Function):
    """max(x, slope x), 0 <= slope < 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        y = torch.relu(x) if slope == 0 else torch.nn.functional.leaky_relu(x, slope)
        ctx.save_for_backward(y)
        ctx.slope = slope
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        return Masked.apply(gradient, y, ctx.slope), None  # type: ignore[no-untyped-call]
