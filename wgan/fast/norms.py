"""Batch norm that can normalise each of several parts of a batch by itself, with the leaky ReLU after it.

Real and fake samples go through a critic, and the fakes of several updates through a generator, in one pass; batch norm
then does for each part what it would do in a pass of its own (WGAN's critic sees them apart, Algorithm 1, line 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

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
    return _separable(network) and all(getattr(layer, "knows_parts", False) for layer in _norms(network))


def has_no_norm(network: object) -> bool:
    """Whether the network takes its samples one by one, of whatever batch they are."""
    return _separable(network) and not any(_norms(network))


def _separable(network: object) -> bool:
    return bool(getattr(network, "separable", False))


def _norms(network: object) -> Iterator[nn.Module]:
    layers: Iterable[nn.Module] = getattr(network, "modules", tuple)()
    return (layer for layer in layers if isinstance(layer, _BatchNorm))


def parts_of(x: Tensor) -> tuple[Tensor, ...]:
    """The parts that x is made of, see `in_parts`."""
    if len(x) % _parts:
        raise ValueError(f"{len(x)} samples are not {_parts} parts of one size")
    return x.chunk(_parts)


class Others(Protocol):
    """The other processes, where statistics are of their rows too."""

    def add(self, sums: Tensor) -> None:
        """Add theirs to `sums`, in place; all processes call it for the same layers in the same order."""
        ...

    def plainly(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """x [n, c, h, w] normalised, by operations that can be differentiated to any order."""
        ...


class FastBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d, then max(y, slope y); see `in_parts`."""

    slope = 1.0
    knows_parts = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            return leaky(super().forward(x), self.slope)
        parts = parts_of(x)
        # of a single row torch's own tells that there is no variance
        found = normed(self, x, self.slope) if parts[0].numel() > x.shape[1] else None
        if found is None:
            found = leaky(torch.cat([super(FastBatchNorm2d, self).forward(part) for part in parts]), self.slope)
        return found


def leaky(x: Tensor, slope: float) -> Tensor:
    if slope == 1:
        return x
    found: Tensor = LeakyReLU.apply(x, slope)  # type: ignore[no-untyped-call]
    return found


def normed(layer: _BatchNorm, x: Tensor, slope: float, others: Others | None = None) -> Tensor | None:
    """What a batch norm in training and the leaky ReLU after it make of x, by norms.c; None where that can't be."""
    suits = x.device.type == "cpu" and x.ndim == 4 and function("moments", x.dtype) is not None
    own = layer.weight, layer.bias, layer.running_mean, layer.running_var
    # norms.c reads them as such
    suits = suits and all(each is None or each.dtype == torch.float32 for each in own)
    if not suits or (layer.track_running_stats and layer.momentum is None):
        return None
    running: tuple[Tensor, Tensor] | None = None
    if layer.running_mean is not None and layer.running_var is not None and layer.num_batches_tracked is not None:
        running = layer.running_mean, layer.running_var
        layer.num_batches_tracked.add_(_parts)
    last = x.contiguous(memory_format=LAST)
    how = How(_parts, slope, layer.eps, layer.momentum or 0.0, running, others)
    found: Tensor = Normalise.apply(last, layer.weight, layer.bias, how)  # type: ignore[no-untyped-call]
    return found


class How(NamedTuple):
    """What a `Normalise` has besides what it is differentiated by."""

    parts: int
    slope: float
    eps: float
    momentum: float
    running: tuple[Tensor, Tensor] | None
    others: Others | None


class Normalise(torch.autograd.Function):
    """x [n, c, h, w], channels last -> y, by norms.c. Differentiated twice, it is torch's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, how: How) -> Tensor:
        y = torch.empty_like(x)
        sizes = how.parts, x.numel() // x.shape[1] // how.parts, x.shape[1]
        # and behind the sums the rows that they are of
        sums = torch.empty(2 * how.parts * x.shape[1] + 1, dtype=torch.float64)
        call("moments", x, (x, sums), *sizes)
        rows = float(sizes[1])
        if how.others is not None:
            sums[-1] = rows
            how.others.add(sums)
            rows = float(sums[-1])
        mean, inverse = torch.empty(2, how.parts, x.shape[1])
        running = how.running or (None, None)
        tensors = x, sums, weight, bias, y, mean, inverse, *running
        call("normalised", x, tensors, *sizes, rows, how.slope, how.eps, how.momentum)
        ctx.save_for_backward(x, weight, bias, mean, inverse)
        ctx.how, ctx.sizes, ctx.rows = how, sizes, rows
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, inverse = ctx.saved_tensors
        how: How = ctx.how
        if torch.is_grad_enabled():
            given = [t for t in (x, weight, bias) if t is not None and t.requires_grad]
            y = plainly(x, weight, bias, how)
            found = iter(torch.autograd.grad(y, given, gradient, create_graph=True))
            return *(next(found) if t is not None and t.requires_grad else None for t in (x, weight, bias)), None
        gradient = gradient.contiguous(memory_format=LAST)
        sums = torch.empty(2 * how.parts * x.shape[1], dtype=torch.float64)
        call("unmoments", x, (gradient, x, weight, bias, mean, inverse, sums), *ctx.sizes, how.slope)
        by_bias, by_weight = sums.view(how.parts, 2, -1).sum(0).to(mean.dtype)
        if how.others is not None:
            how.others.add(sums)
        by_x = torch.empty_like(x)
        tensors = gradient, x, sums, weight, bias, mean, inverse, by_x
        call("unnormalised", x, tensors, *ctx.sizes, ctx.rows, how.slope)
        return by_x, None if weight is None else by_weight, None if bias is None else by_bias, None


def plainly(x: Tensor, weight: Tensor | None, bias: Tensor | None, how: How) -> Tensor:
    """The same by torch's operations."""

    def one(part: Tensor) -> Tensor:
        if how.others is not None:
            return how.others.plainly(part, weight, bias, how.eps)
        return batch_norm(part, None, None, weight, bias, True, 0.0, how.eps)

    done = torch.cat([one(part) for part in x.chunk(how.parts)])
    return done if how.slope == 1 else leaky_relu(done, how.slope)


def call(name: str, x: Tensor, tensors: Iterable[Tensor | None], *rest: float) -> None:
    """`name` of norms.c for the precision of x. Errors: MemoryError."""
    native = function(name, x.dtype)
    assert native is not None
    if native(*(None if tensor is None else tensor.data_ptr() for tensor in tensors), *rest):
        raise MemoryError("no memory left for a batch norm")
