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
from typing import Any, Protocol

import torch
from torch import Tensor

from wgan.fast.native import library

LAST = torch.channels_last


class Linear(Protocol):
    """A linear map of a tensor."""

    def __call__(self, x: Tensor, /) -> Tensor: ...

    @property
    def adjoint(self) -> Linear: ...


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


def _run(name: str, x: Tensor, out: Tensor, *rest: int, kind: torch.dtype | None = None) -> Tensor:
    """Call the compiled map `name` on contiguous tensors."""
    maps = library()
    assert maps is not None
    kind = kind or x.dtype
    failed = getattr(maps, f"{name}_{'bf16' if kind == torch.bfloat16 else 'float'}")(
        x.data_ptr(), out.data_ptr(), *rest
    )
    if failed and name in ("unsplit", "uncolumns"):
        raise MemoryError("no memory left for a convolution")
    return out


def side(stride: int) -> int:
    """a: the inputs of a tile along one axis."""
    return 3 if stride == 2 else 4


@dataclass(frozen=True)
class Split:
    """x of `shape` [n, c, h, w] -> tiles [a^2, n h w / (2 stride)^2, stride^2 c]."""

    shape: tuple[int, ...]
    stride: int

    def __call__(self, x: Tensor) -> Tensor:
        n, c, h, w = self.shape
        tiles = x.new_empty(side(self.stride) ** 2, n * h * w // (4 * self.stride**2), self.stride**2 * c)
        return _run("split", x.contiguous(memory_format=LAST), tiles, n, h, w, c, self.stride)

    @property
    def adjoint(self) -> Unsplit:
        return Unsplit(self.shape, self.stride)


@dataclass(frozen=True)
class Unsplit:
    """The adjoint of Split."""

    shape: tuple[int, ...]
    stride: int

    def __call__(self, tiles: Tensor) -> Tensor:
        n, c, h, w = self.shape
        x = torch.empty(self.shape, dtype=tiles.dtype, memory_format=LAST)
        return _run("unsplit", tiles.contiguous(), x, n, h, w, c, self.stride)

    @property
    def adjoint(self) -> Split:
        return Split(self.shape, self.stride)


@dataclass(frozen=True)
class Merge:
    """products [a^2, n h w / 4, o] -> y of `shape` [n, o, h, w]."""

    shape: tuple[int, ...]
    a: int

    def __call__(self, products: Tensor) -> Tensor:
        n, o, h, w = self.shape
        y = torch.empty(self.shape, dtype=products.dtype, memory_format=LAST)
        return _run("merge", products.contiguous(), y, n, h, w, o, self.a)

    @property
    def adjoint(self) -> Unmerge:
        return Unmerge(self.shape, self.a)


@dataclass(frozen=True)
class Unmerge:
    """The adjoint of Merge."""

    shape: tuple[int, ...]
    a: int

    def __call__(self, y: Tensor) -> Tensor:
        n, o, h, w = self.shape
        products = y.new_empty(self.a**2, n * h * w // 4, o)
        return _run("unmerge", y.contiguous(memory_format=LAST), products, n, h, w, o, self.a)

    @property
    def adjoint(self) -> Merge:
        return Merge(self.shape, self.a)


@dataclass(frozen=True)
class Kernels:
    """w of `shape` [o, c, stride r, stride r], float32 -> [a^2, o, stride^2 c] in `dtype`."""

    shape: tuple[int, ...]
    stride: int
    dtype: torch.dtype

    def __call__(self, w: Tensor) -> Tensor:
        o, c = self.shape[:2]
        u = torch.empty(side(self.stride) ** 2, o, self.stride**2 * c, dtype=self.dtype)
        return _run("kernels", w.contiguous(memory_format=LAST), u, o, c, self.stride, kind=self.dtype)

    @property
    def adjoint(self) -> Unkernels:
        return Unkernels(self.shape, self.stride, self.dtype)


@dataclass(frozen=True)
class Unkernels:
    """The adjoint of Kernels."""

    shape: tuple[int, ...]
    stride: int
    dtype: torch.dtype

    def __call__(self, u: Tensor) -> Tensor:
        w = torch.empty(self.shape, memory_format=LAST)
        return _run("unkernels", u.contiguous(), w, *self.shape[:2], self.stride)

    @property
    def adjoint(self) -> Kernels:
        return Kernels(self.shape, self.stride, self.dtype)


@dataclass(frozen=True)
class Columns:
    """x of `shape` [n, c, h, w] -> each of its k x k patches as a row, [1, n h' w', k^2 c]."""

    shape: tuple[int, ...]
    kernel: int
    stride: int
    padding: int

    @property
    def out(self) -> tuple[int, int]:
        """h', w'."""
        h, w = ((length + 2 * self.padding - self.kernel) // self.stride + 1 for length in self.shape[2:])
        return h, w

    def __call__(self, x: Tensor) -> Tensor:
        n, c, h, w = self.shape
        height, width = self.out
        rows = x.new_empty(1, n * height * width, self.kernel**2 * c)
        return _run(
            "columns",
            x.contiguous(memory_format=LAST),
            rows,
            n,
            h,
            w,
            c,
            self.kernel,
            self.stride,
            self.padding,
        )

    @property
    def adjoint(self) -> Uncolumns:
        return Uncolumns(self.shape, self.kernel, self.stride, self.padding)


@dataclass(frozen=True)
class Uncolumns:
    """The adjoint of Columns."""

    shape: tuple[int, ...]
    kernel: int
    stride: int
    padding: int

    def __call__(self, rows: Tensor) -> Tensor:
        n, c, h, w = self.shape
        x = torch.empty(self.shape, dtype=rows.dtype, memory_format=LAST)
        return _run("uncolumns", rows.contiguous(), x, n, h, w, c, self.kernel, self.stride, self.padding)

    @property
    def adjoint(self) -> Columns:
        return Columns(self.shape, self.kernel, self.stride, self.padding)
