"""Gradients of the critic with respect to its input: what the penalties measure, and the slope that is logged.

Norms are Euclidean over all axes after the batch axis, and computed in float32 or wider whatever the scores' dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wgan.objectives.base import Critic, Draw, widened


def squared_norms(critic: Critic, x: Tensor, *, create_graph: bool = True) -> Tensor:
    """|grad f(x_i)|^2 for each sample of `x [n, ...]`, as `[n]`; differentiable in the critic's weights.

    One call of the critic and one backward pass through it. The sum of the scores is differentiated, which equals the
    gradients of single scores only if no layer couples samples (batch norm does).
    """
    return scores_and_squared_norms(critic, x, create_graph=create_graph)[1]


def scores_and_squared_norms(critic: Critic, x: Tensor, *, create_graph: bool = True) -> tuple[Tensor, Tensor]:
    """The scores and `squared_norms` of one pass."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        scores = critic(x)
        (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=create_graph)
        return scores, widened(gradient).flatten(1).square().sum(1)


def gradient_norms(critic: Critic, x: Tensor, *, create_graph: bool = True) -> Tensor:
    """|grad f(x_i)| as `[n]`; where it is 0, its subgradient is 0 too (that of a bare square root is infinite)."""
    return _root(squared_norms(critic, x, create_graph=create_graph))


def norms(gradients: Tensor) -> Tensor:
    """The norms [n] of gradients [n, ...], with the same care at 0."""
    return _root(widened(gradients).flatten(1).square().sum(1))


def _root(squared: Tensor) -> Tensor:
    positive = squared > 0
    # The inner `where` keeps the infinite derivative out of the graph; the outer one alone would give 0 * inf = NaN
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)


def interpolate(real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
    """eps real + (1 - eps) fake, one eps ~ U[0, 1) for each sample (Gulrajani et al. 2017, Algorithm 1)."""
    eps = draw.uniform(len(real), *[1] * (real.ndim - 1))
    return (eps * real + (1 - eps) * fake).to(real.dtype)


def slope(critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
    """The mean gradient norm of the critic between `real` and `fake` (`[n, ...]`), a scalar without a graph.

    An optimal 1-Lipschitz critic has 1 here (Gulrajani et al. 2017, corollary 1); E f(real) - E f(fake) over the slope
    is an estimate of W1 that the strength of the constraint does not inflate. Call it with the critic in eval mode, or
    layers with a state (power iteration, running statistics, dropout) move and the run depends on how often it logs.
    """
    return gradient_norms(critic, interpolate(real, fake, draw), create_graph=False).detach().mean()
