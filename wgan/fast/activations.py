"""Leaky ReLUs whose derivative isn't differentiated where that is zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wgan.fast.maps import LAST
from wgan.fast.native import library


def masked(g: Tensor, y: Tensor, slope: float) -> Tensor:
    """The derivative of a leaky ReLU with values y, times g: g where y > 0, slope g elsewhere."""
    maps, kind = library(), "bf16" if g.dtype == torch.bfloat16 else "float"
    known = g.dtype in (torch.bfloat16, torch.float32) and g.device.type == "cpu" and g.dtype == y.dtype
    dense = y.is_contiguous() or (y.ndim == 4 and y.is_contiguous(memory_format=LAST))
    if maps is None or not (known and dense):
        return torch.ops.aten.leaky_relu_backward(g, y, slope, True)  # type: ignore[no-any-return]
    if g.stride() != y.stride():
        g = torch.empty_like(y).copy_(g)
    found = torch.empty_like(y)
    getattr(maps, f"masked_{kind}")(g.data_ptr(), y.data_ptr(), found.data_ptr(), y.numel(), slope)
    return found


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
