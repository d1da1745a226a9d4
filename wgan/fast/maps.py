"""Linear maps from images to matrices and back, between which a convolution is a product of matrices.

*Columns*: each patch of an image becomes a row. *Winograd's minimal filtering* F(2x2, r x r) (Winograd 1980; Lavin &
Gray 2016): a tile of 2x2 outputs takes a x a inputs, a = r + 1, and a^2 products where 4 r^2 are asked for. In one
dimension, for r = 2, with inputs d0 d1 d2 and a filter g0 g1:

    y0 = d0 g0 + d1 g1 = (d0 - d1) g0 + d1 (g0 + g1)
    y1 = d1 g0 + d2 g1 = d1 (g0 + g1) - (d1 - d2) g1

DCGAN's 4x4 convolution of stride 2 is, with even and odd rows and columns apart, one of 2x2 and stride 1 over four
times the channels. So y = merge(split(x) kernels(w)), the three being linear with coefficients 0, 1, -1 and 1/2.

Each map knows its adjoint, which is its derivative: derivatives of any order need nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wgan.fast.native import library

LAST = torch.channels_last


Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Linear:
    """The map `name` of maps.c from tensors of shape `takes` to `gives`. Images and kernels have channels last.

    sizes: what maps.c is told. dtype: the matrices' precision for kernels, which themselves are float32; None for
    images, which are of one precision on both sides.
    """

    name: str
    name_of_adjoint: str
    takes: Sizes
    gives: Sizes
    sizes: Sizes
    dtype: torch.dtype | None = None

    def __call__(self, x: Tensor) -> Tensor:
        native = library()
        assert native is not None
        x = x.contiguous(memory_format=_order(self.takes))
        precise = self.dtype is not None and len(self.gives) == 4
        out = torch.empty(
            self.gives,
            dtype=torch.float32 if precise else self.dtype or x.dtype,
            memory_format=_order(self.gives),
        )
        kind = "bf16" if (self.dtype or x.dtype) == torch.bfloat16 else "float"
        failed = getattr(native, f"{self.name}_{kind}")(x.data_ptr(), out.data_ptr(), *self.sizes)
        if failed and self.name in ("unsplit", "uncolumns"):
            raise MemoryError("no memory left for a convolution")
        return out

    @property
    def adjoint(self) -> Linear:
        return Linear(self.name_of_adjoint, self.name, self.gives, self.takes, self.sizes, self.dtype)


def _order(shape: Sizes) -> torch.memory_format:
    return LAST if len(shape) == 4 else torch.contiguous_format


class Apply(torch.autograd.Function):
    """Apply.apply(x, linear): differentiable to any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, linear: Linear) -> Tensor:
        ctx.linear = linear
        return linear(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return apply(gradient, ctx.linear.adjoint), None


def apply(x: Tensor, linear: Linear) -> Tensor:
    """linear(x), differentiable to any order."""
    found: Tensor = Apply.apply(x, linear)  # type: ignore[no-untyped-call]
    return found


def side(stride: int) -> int:
    """a: the inputs of a tile along one axis."""
    return 3 if stride == 2 else 4


def split(shape: Sizes, stride: int) -> Linear:
    """x of `shape` [n, c, h, w] -> tiles [a^2, n h w / (2 stride)^2, stride^2 c]."""
    n, c, h, w = shape
    tiles = side(stride) ** 2, n * h * w // (4 * stride**2), stride**2 * c
    return Linear("split", "unsplit", shape, tiles, (n, h, w, c, stride))


def merge(shape: Sizes, a: int) -> Linear:
    """products [a^2, n h w / 4, o] -> y of `shape` [n, o, h, w]."""
    n, o, h, w = shape
    return Linear("merge", "unmerge", (a**2, n * h * w // 4, o), shape, (n, h, w, o, a))


def kernels(shape: Sizes, stride: int, dtype: torch.dtype) -> Linear:
    """w of `shape` [o, c, stride r, stride r], float32 -> [a^2, o, stride^2 c] in `dtype`."""
    o, c = shape[:2]
    return Linear("kernels", "unkernels", shape, (side(stride) ** 2, o, stride**2 * c), (o, c, stride), dtype)


def columns(shape: Sizes, kernel: int, stride: int, padding: int) -> Linear:
    """x of `shape` [n, c, h, w] -> each of its k x k patches as a row, [1, n h' w', k^2 c]."""
    n, c, h, w = shape
    height, width = patches(shape, kernel, stride, padding)
    rows = 1, n * height * width, kernel**2 * c
    return Linear("columns", "uncolumns", shape, rows, (n, h, w, c, kernel, stride, padding))


def patches(shape: Sizes, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """h', w': the patches of an image of `shape` one below and one beside another."""
    h, w = ((length + 2 * padding - kernel) // stride + 1 for length in shape[2:])
    return h, w
