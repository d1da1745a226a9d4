"""Batch norm that can normalise each of several parts of a batch by itself, with the leaky ReLU after it.

Real and fake samples go through a critic, and the fakes of several updates through a generator, in one pass; batch norm
then does for each part what it would do in a pass of its own (WGAN's critic sees them apart, Algorithm 1, line 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, leaky_relu
from torch.nn.modules.batchnorm import _BatchNorm

from wgan.fast.activations import LeakyReLU
from wgan.fast.maps import LAST
from wgan.fast.rows import function

_parts = 1


@contextmanager
def in_parts(n: int) -> Iterator[None]:
    """Inside, the batches that a network is given are n parts of one size, one after another, to be normed apart."""
    global _parts
    before, _parts = _parts, n
    try:
        yield
    finally:
        _parts = before


def keeps_parts_apart(network: object) -> bool:
    """Whether `in_parts` gives what a pass for each part would: it says so but for its batch norms, and they can."""
    if not getattr(network, "separable", False):
        return False
    layers: Iterable[nn.Module] = getattr(network, "modules", tuple)()
    return all(isinstance(layer, FastBatchNorm2d) for layer in layers if isinstance(layer, _BatchNorm))


class FastBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d, then max(y, slope y); see `in_parts`."""

    slope = 1.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return leaky(super().forward(x), self.slope)
        parts = _parts
        if len(x) % parts:
            raise ValueError(f"{len(x)} samples are not {parts} parts of one size")
        native = function("normalised", x.dtype) if x.device.type == "cpu" and x.ndim == 4 else None
        count = x.numel() // max(1, x.shape[1]) // parts
        if native is None or count < 2 or (self.track_running_stats and self.momentum is None):
            normed = torch.cat([super(FastBatchNorm2d, self).forward(part) for part in x.chunk(parts)])
            return leaky(normed, self.slope)
        running: tuple[Tensor, Tensor] | None = None
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            running = self.running_mean, self.running_var
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(parts)
        found: Tensor = Normalise.apply(  # type: ignore[no-untyped-call]
            x.contiguous(memory_format=LAST),
            self.weight,
            self.bias,
            running,
            parts,
            self.slope,
            self.eps,
            self.momentum or 0.0,
        )
        return found


def leaky(x: Tensor, slope: float) -> Tensor:
    if slope == 1:
        return x
    found: Tensor = LeakyReLU.apply(x, slope)  # type: ignore[no-untyped-call]
    return found


class Normalise(torch.autograd.Function):
    """x [n, c, h, w], channels last -> y, by norms.c. Differentiated twice, it is torch's own."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running: tuple[Tensor, Tensor] | None,
        parts: int,
        slope: float,
        eps: float,
        momentum: float,
    ) -> Tensor:
        y = torch.empty_like(x)
        mean, inverse = torch.empty(2, parts, x.shape[1])
        pointers = map(pointer, (x, weight, bias, y, mean, inverse, *(running or (None, None))))
        called("normalised", x, *pointers, *sizes(x, parts), slope, eps, momentum)
        ctx.save_for_backward(x, weight, bias, mean, inverse)
        ctx.parts, ctx.slope, ctx.eps = parts, slope, eps
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, inverse = ctx.saved_tensors
        parts, slope = ctx.parts, ctx.slope
        if torch.is_grad_enabled():
            given = [t for t in (x, weight, bias) if t is not None and t.requires_grad]
            y = plainly(x, weight, bias, parts, slope, ctx.eps)
            found = iter(torch.autograd.grad(y, given, gradient, create_graph=True))
            return *(next(found) if t is not None and t.requires_grad else None for t in (x, weight, bias)), *[None] * 5
        gradient = gradient.contiguous(memory_format=LAST)
        by_x = torch.empty_like(x)
        by_weight, by_bias = (None if t is None else torch.empty_like(t) for t in (weight, bias))
        pointers = map(pointer, (gradient, x, weight, bias, mean, inverse, by_x, by_weight, by_bias))
        called("unnormalised", x, *pointers, *sizes(x, parts), slope)
        return by_x, by_weight, by_bias, *[None] * 5


def plainly(x: Tensor, weight: Tensor | None, bias: Tensor | None, parts: int, slope: float, eps: float) -> Tensor:
    """The same by torch's operations."""
    normed = torch.cat([batch_norm(part, None, None, weight, bias, True, 0.0, eps) for part in x.chunk(parts)])
    return normed if slope == 1 else leaky_relu(normed, slope)


def sizes(x: Tensor, parts: int) -> tuple[int, int, int]:
    """Parts, the rows of each, channels."""
    return parts, x.numel() // x.shape[1] // parts, x.shape[1]


def pointer(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def called(name: str, x: Tensor, *told: Any) -> None:
    native = function(name, x.dtype)
    assert native is not None
    if native(*told):
        raise MemoryError("no memory left for a batch norm")
