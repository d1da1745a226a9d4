"""A convolution and its adjoint as products of matrices, between the maps of `wgan.fast.maps`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wgan.fast.maps import apply, columns, kernels, merge, patches, side, split

# --- the products: three bilinear maps, each the derivative of the others ---------------------------------------------


class Product(torch.autograd.Function):
    """tiles [b, t, a], u [b, o, a] -> products [b, t, o]."""

    @staticmethod
    def forward(ctx: Any, tiles: Tensor, u: Tensor) -> Tensor:
        ctx.save_for_backward(tiles, u)
        return torch.bmm(tiles, u.mT)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tiles, u = ctx.saved_tensors
        needs = ctx.needs_input_grad
        return (
            Back.apply(gradient, u) if needs[0] else None,  # type: ignore[no-untyped-call]
            Outer.apply(gradient, tiles) if needs[1] else None,  # type: ignore[no-untyped-call]
        )


class Back(torch.autograd.Function):
    """products [b, t, o], u [b, o, a] -> tiles [b, t, a]."""

    @staticmethod
    def forward(ctx: Any, products: Tensor, u: Tensor) -> Tensor:
        ctx.save_for_backward(products, u)
        return torch.bmm(products, u)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        products, u = ctx.saved_tensors
        needs = ctx.needs_input_grad
        return (
            Product.apply(gradient, u) if needs[0] else None,  # type: ignore[no-untyped-call]
            Outer.apply(products, gradient) if needs[1] else None,  # type: ignore[no-untyped-call]
        )


class Outer(torch.autograd.Function):
    """products [b, t, o], tiles [b, t, a] -> u [b, o, a]."""

    @staticmethod
    def forward(ctx: Any, products: Tensor, tiles: Tensor) -> Tensor:
        ctx.save_for_backward(products, tiles)
        return torch.bmm(products.mT, tiles)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        products, tiles = ctx.saved_tensors
        needs = ctx.needs_input_grad
        return (
            Product.apply(tiles, gradient) if needs[0] else None,  # type: ignore[no-untyped-call]
            Back.apply(products, gradient) if needs[1] else None,  # type: ignore[no-untyped-call]
        )


# --- what layers call -------------------------------------------------------------------------------------------------


def winograd_fits(kernel: int, stride: int, padding: int, height: int, width: int) -> bool:
    """Whether a convolution of x [n, c, height, width] can go by Winograd's way."""
    known = (kernel, stride, padding) in ((4, 2, 1), (3, 1, 1))
    return known and height % (2 * stride) == 0 == width % (2 * stride)


def winograd_convolve(x: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    """conv2d(x, w, None, stride, padding) for w [o, c, 4, 4], stride 2 or [o, c, 3, 3], 1; in x's precision."""
    n, _, height, width = shape = tuple(x.shape)
    u = apply(w, kernels(tuple(w.shape), stride, x.dtype))
    products: Tensor = Product.apply(apply(x, split(shape, stride)), u)  # type: ignore[no-untyped-call]
    return apply(products, merge((n, len(w), height // stride, width // stride), side(stride)))


def winograd_spread(y: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    """conv_transpose2d(y, w, None, stride, padding) for such w and y [n, o, h, w]; in y's precision."""
    n, _, height, width = shape = tuple(y.shape)
    u = apply(w, kernels(tuple(w.shape), stride, y.dtype))
    tiles: Tensor = Back.apply(apply(y, merge(shape, side(stride)).adjoint), u)  # type: ignore[no-untyped-call]
    return apply(tiles, split((n, w.shape[1], stride * height, stride * width), stride).adjoint)


def column_convolve(x: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    """conv2d(x, w, None, stride, padding) for w [o, c, k, k], in x's precision."""
    shape = tuple(x.shape)
    tiles = apply(x, columns(shape, w.shape[2], stride, padding))
    products: Tensor = Product.apply(tiles, _rows(w, x.dtype))  # type: ignore[no-untyped-call]
    return products.view(len(x), *patches(shape, w.shape[2], stride, padding), len(w)).permute(0, 3, 1, 2)


def column_spread(y: Tensor, w: Tensor, stride: int, padding: int) -> Tensor:
    """conv_transpose2d(y, w, None, stride, padding) for w [o, c, k, k] and y [n, o, h, w], in y's precision."""
    n, o, height, width = y.shape
    height, width = ((length - 1) * stride - 2 * padding + w.shape[2] for length in (height, width))
    products = y.permute(0, 2, 3, 1).reshape(1, -1, o)
    tiles: Tensor = Back.apply(products, _rows(w, y.dtype))  # type: ignore[no-untyped-call]
    return apply(tiles, columns((n, w.shape[1], height, width), w.shape[2], stride, padding).adjoint)


def _rows(w: Tensor, dtype: torch.dtype) -> Tensor:
    """[o, c, k, k] -> [1, o, k k c]."""
    return w.permute(0, 2, 3, 1).reshape(1, len(w), -1).to(dtype)
