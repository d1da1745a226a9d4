"""What a perceptron does to its rows between the products of large matrices: rows.c, or torch's own.

Hidden layers [m, h] are in their own precision; ends of few columns, weights of rows and sums in that of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from wgan.fast.maps import LAST
from wgan.fast.native import library

# columns of an end up to which it is no work for a matrix product
FEW = 16


def compiled(name: str, hidden: Tensor, *others: Tensor, columns: int = 0) -> Callable[..., None] | None:
    """`name` of rows.c for the precision of these hidden layers and ends of so many columns, where there is one.

    others: what else it is given, which rows.c reads as float32.
    """
    if hidden.device.type != "cpu" or columns > FEW or any(each.dtype != torch.float32 for each in others):
        return None
    return function(name, hidden.dtype)


@lru_cache(maxsize=32)
def function(name: str, dtype: torch.dtype) -> Callable[..., None] | None:
    maps, kind = library(), {torch.bfloat16: "bf16", torch.float32: "float"}.get(dtype)
    return getattr(maps, f"{name}_{kind}") if maps is not None and kind else None


def leaky(x: Tensor, slope: float) -> Tensor:
    """max(x, slope x), in place."""
    return torch.relu_(x) if slope == 0 else torch.nn.functional.leaky_relu_(x, slope)


def masked(g: Tensor, y: Tensor, slope: float, out: Tensor | None = None) -> Tensor:
    """The derivative of a leaky ReLU with values y, times g: g where y > 0, slope g elsewhere.

    out: of y's shape and layout, maybe g itself.
    """
    dense = y.is_contiguous() or (y.ndim == 4 and y.is_contiguous(memory_format=LAST))
    native = compiled("masked", y) if dense and g.dtype == y.dtype else None
    if native is None:
        found: Tensor = torch.ops.aten.leaky_relu_backward(g, y, slope, True)
        return found if out is None else out.copy_(found)
    if g.stride() != y.stride():
        g = torch.empty_like(y).copy_(g)
    out = torch.empty_like(y) if out is None else out
    native(g.data_ptr(), y.data_ptr(), out.data_ptr(), y.numel(), slope)
    return out


def opened(x: Tensor, w: Tensor, offset: Tensor, dtype: torch.dtype, slope: float) -> Tensor:
    """The first layer, leaky(x w + offset) in `dtype` [m, h]; x [m, d], w [d, h]."""
    y = x.new_empty(len(x), w.shape[1], dtype=dtype)
    native = compiled("opened", y, x, w, offset, columns=len(w))
    if native is None:
        return leaky(torch.addmm(offset, x, w).to(dtype), slope)
    x, w = x.contiguous(), w.contiguous()
    pointers = x.data_ptr(), w.data_ptr(), offset.data_ptr(), None, y.data_ptr()
    native(*pointers, *x.shape, w.shape[1], slope)
    return y


def opened_tangent(t: Tensor, w: Tensor, values: Tensor, slope: float, out: Tensor) -> Tensor:
    """What `opened`, whose values were `values` [m, h], makes of a small change t [m, d] of x, written to `out`."""
    native = compiled("opened", values, t, w, columns=len(w))
    if native is None:
        return masked((t @ w).to(values.dtype), values, slope, out)
    t, w = t.contiguous(), w.contiguous()
    pointers = t.data_ptr(), w.data_ptr(), None, values.data_ptr(), out.data_ptr()
    native(*pointers, *t.shape, w.shape[1], slope)
    return out


def topped(values: Tensor, v: Tensor, n: int, slope: float) -> tuple[Tensor, Tensor]:
    """Scores values v of the first n rows, and the last layer's derivative times v: [n] and [m, h]; v [h]."""
    native = compiled("topped", values, v)
    if native is None:
        delta = masked(v.to(values.dtype).expand_as(values).contiguous(), values, slope)
        return values[:n].to(v.dtype) @ v, delta
    scores, delta = v.new_empty(n), torch.empty_like(values)
    pointers = values.data_ptr(), v.data_ptr(), scores.data_ptr(), delta.data_ptr()
    native(*pointers, n, *values.shape, slope)
    return scores, delta


def lowered(x: Tensor, w: Tensor) -> Tensor:
    """x w^T [m, d] of hidden rows x [m, h] and w [d, h], in the precision of w."""
    native = compiled("lowered", x, w, columns=len(w))
    if native is None:
        return x.to(w.dtype) @ w.t()
    w, out = w.contiguous(), w.new_empty(len(x), len(w))
    native(x.data_ptr(), w.data_ptr(), out.data_ptr(), len(x), *w.shape)
    return out


def weighted(x: Tensor, weights: Tensor, out: Tensor) -> Tensor:
    """Each of the hidden rows x [m, h] times its weight [m], written to `out`."""
    native = compiled("weighted", x, weights)
    if native is None:
        return torch.mul(x, weights[:, None].to(x.dtype), out=out)
    native(x.data_ptr(), weights.data_ptr(), out.data_ptr(), *x.shape)
    return out


def gathered(c: Tensor, x: Tensor) -> Tensor:
    """c^T x [d, h] of c [m, d] and hidden rows x [m, h], in the precision of c."""
    native = compiled("gathered", x, c, columns=c.shape[1])
    if native is None:
        return c.t() @ x.to(c.dtype)
    c, out = c.contiguous(), c.new_empty(c.shape[1], x.shape[1])
    native(c.data_ptr(), x.data_ptr(), out.data_ptr(), *c.shape, x.shape[1])
    return out
