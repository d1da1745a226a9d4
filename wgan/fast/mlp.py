"""Scores of a multilayer perceptron, and its gradients by the input, from one pass there and one back.

f(x) = v . a_L + c with a_0 = x and a_l = p(W_l a_(l-1) + b_l), p a leaky ReLU. One row of a batch has p' = D_l on the
diagonal, and with delta_L = D_L v and delta_l = D_l W_(l+1)^T delta_(l+1)

    grad_x f = W_1^T delta_1.

A loss of scores s and of gradients g has the weights' gradients, with ds and dg for its derivatives by them,

    dW_l = sum over rows of  delta_l (ds a_(l-1) + t_(l-1))^T,   t_0 = dg,  t_l = D_l W_l t_(l-1),

since D_l is constant almost everywhere: one delta serves both, each layer has one product for its weights, and nothing
is computed that autograd's double backward finds to be zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wgan.fast.layers import FastLeakyReLU, FastReLU
from wgan.fast.rows import FEW, gathered, leaky, lowered, masked, opened, opened_tangent, topped, weighted


class End(nn.Linear):
    """nn.Linear that autocast leaves alone: between numbers of 8 bits, points would lie on a grid."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def layers_of(body: nn.Module) -> tuple[list[nn.Linear], list[float]] | None:
    """The linear layers of a body and the slopes of their activations; None when it is anything else."""
    if not isinstance(body, nn.Sequential):
        return None
    found = list(body)
    if found and type(found[0]) is nn.Flatten:
        found = found[1:]
    linear, slopes = found[::2], found[1::2]
    if not linear or len(linear) != len(slopes):
        return None
    if not all(type(layer) in (nn.Linear, End) and layer.bias is not None for layer in linear):
        return None
    if not all(type(layer) in (FastReLU, FastLeakyReLU) for layer in slopes):
        return None
    return linear, [layer.negative_slope if isinstance(layer, FastLeakyReLU) else 0.0 for layer in slopes]  # type: ignore[return-value]


def scores_and_gradients(
    x: Tensor, points: Tensor, linear: list[nn.Linear], slopes: list[float], head: nn.Linear
) -> tuple[Tensor, Tensor]:
    """Scores [n] of x [n, ...] and gradients [m, ...] at `points` [m, ...], differentiable once in the weights.

    Both are float32 or wider; what lies between is in the precision that autocast asks for.
    """
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    weights = [tensor for layer in (*linear, head) for tensor in (layer.weight, layer.bias)]
    rows = torch.cat([x, points]).flatten(1)
    with torch.autocast(kind, enabled=False):
        scores, gradients = Both.apply(rows, len(x), dtype, slopes, *weights)  # type: ignore[no-untyped-call]
    return scores, gradients.view_as(points)


class Both(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, n: int, dtype: torch.dtype, slopes: list[float], *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        (*matrices, v), (*offsets, c) = weights[::2], weights[1::2]
        # pixels and points stay as precise as they are: their layer is the small one
        first, cast = matrices[0].t(), [matrix.to(dtype) for matrix in matrices[1:]]
        if len(first) <= FEW:
            first = first.contiguous()
        values = [opened(x, first, offsets[0], dtype, slopes[0])]
        for matrix, offset, slope in zip(cast, offsets[1:], slopes[1:], strict=True):
            values.append(leaky(torch.addmm(offset.to(dtype), values[-1], matrix.t()), slope))
        scores, delta = topped(values[-1], v[0], n, slopes[-1])
        if c is not None:
            scores += c
        deltas = [delta]
        for matrix, value, slope in zip(cast[::-1], values[-2::-1], slopes[-2::-1], strict=True):
            delta = deltas[-1] @ matrix
            deltas.append(masked(delta, value, slope, out=delta))
        deltas.reverse()
        gradients = lowered(deltas[0][n:], first)
        ctx.save_for_backward(x, *values, *deltas, first, *cast)
        ctx.n, ctx.slopes, ctx.has_offset = n, slopes, c is not None
        return scores, gradients

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_scores: Tensor, by_gradients: Tensor) -> tuple[Tensor | None, ...]:
        depth, n = len(ctx.slopes), ctx.n
        x, *saved = ctx.saved_tensors
        values, deltas, (first, *cast) = saved[:depth], saved[depth : 2 * depth], saved[2 * depth :]
        weight = by_scores.contiguous()
        # ds a and t of each layer, one above the other; beside those of the ends ds again, for the offset
        ends = torch.cat([x[:n] * weight[:, None], by_gradients])
        ends = torch.cat([ends, torch.cat([weight, weight.new_zeros(len(x) - n)])[:, None]], dim=1)
        *matrix, offset = gathered(ends, deltas[0])
        found: list[Tensor | None] = [torch.stack(matrix, dim=1), offset]
        mixed = torch.empty_like(values[0])
        opened_tangent(by_gradients, first, values[0][n:], ctx.slopes[0], out=mixed[n:])
        for below, above, delta, matrix, slope in zip(
            values, values[1:], deltas[1:], cast, ctx.slopes[1:], strict=False
        ):
            weighted(below[:n], weight, out=mixed[:n])
            found += [(delta.t() @ mixed).to(weight.dtype), gathered(weight[:, None], delta[:n])[0]]
            tangent = mixed[n:]
            mixed = torch.empty_like(above)
            torch.mm(tangent, matrix.t(), out=mixed[n:])
            masked(mixed[n:], above[n:], slope, out=mixed[n:])
        last = gathered(weight[:, None], values[-1][:n]) + mixed[n:].sum(0, dtype=weight.dtype)
        # the two halves of a Wasserstein loss cancel here: what rounding left of that, Adam would make whole steps of
        # (Apple's GPUs have no float64)
        wide = weight if weight.device.type == "mps" else weight.double()
        offset = wide.sum().to(weight.dtype)[None] if ctx.has_offset else None
        found += [last, offset]
        return None, None, None, None, *found
