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

from wgan.fast.activations import masked
from wgan.fast.layers import FastLeakyReLU, FastReLU


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
    if not all(type(layer) is nn.Linear and layer.bias is not None for layer in linear):
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
        first, cast = matrices[0], [matrix.to(dtype) for matrix in matrices[1:]]
        values = [x]
        for index, (slope, offset) in enumerate(zip(slopes, offsets, strict=True)):
            if index == 0:
                a = torch.addmm(offset, x, first.t()).to(dtype)
            else:
                a = torch.addmm(offset.to(dtype), values[-1], cast[index - 1].t())
            values.append(torch.relu_(a) if slope == 0 else torch.nn.functional.leaky_relu_(a, slope))
        scores = values[-1][:n].to(x.dtype) @ v[0]
        if c is not None:
            scores = scores + c
        deltas = [masked(v.to(dtype).expand_as(values[-1]).contiguous(), values[-1], slopes[-1])]
        for matrix, value, slope in zip(cast[::-1], values[-2:0:-1], slopes[-2::-1], strict=True):
            deltas.append(masked(deltas[-1] @ matrix, value, slope))
        deltas.reverse()
        gradients = deltas[0][n:].to(x.dtype) @ first
        ctx.save_for_backward(*values, *deltas, first, *cast)
        ctx.n, ctx.slopes, ctx.has_offset = n, slopes, c is not None
        return scores, gradients

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_scores: Tensor, by_gradients: Tensor) -> tuple[Tensor | None, ...]:
        depth, n = len(ctx.slopes), ctx.n
        saved = ctx.saved_tensors
        values, deltas = saved[: depth + 1], saved[depth + 1 : 2 * depth + 1]
        first, *cast = saved[2 * depth + 1 :]
        weight = by_scores[:, None]
        tangent, found = by_gradients, list[Tensor | None]()
        for index, (delta, slope) in enumerate(zip(deltas, ctx.slopes, strict=True)):
            mixed = torch.cat([values[index][:n] * weight.to(values[index].dtype), tangent])
            if index == 0:
                wide = delta.to(first.dtype)
                found += [wide.t() @ mixed, by_scores @ wide[:n]]
                tangent = (tangent @ first.t()).to(delta.dtype)
            else:
                found += [(delta.t() @ mixed).to(first.dtype), by_scores @ delta[:n].to(first.dtype)]
                tangent = tangent @ cast[index - 1].t()
            tangent = masked(tangent, values[index + 1][n:], slope)
        last = (values[-1][:n].to(first.dtype).t() @ by_scores) + tangent.sum(0, dtype=first.dtype)
        # the two halves of a Wasserstein loss cancel here: what rounding left of that, Adam would make whole steps of
        offset = by_scores.double().sum().to(first.dtype)[None] if ctx.has_offset else None
        found += [last[None], offset]
        return None, None, None, None, *found
