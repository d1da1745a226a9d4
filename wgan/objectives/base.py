"""The two halves of an objective: how scores become losses, and what keeps the critic Lipschitz.

Throughout, a *critic* is any callable that maps a batch `[n, ...]` to scores `[n]`, and every loss is minimised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from wgan.errors import UserError

Critic = Callable[[Tensor], Tensor]


class Draw(Protocol):
    """Random numbers of one update: the first axis of a shape counts this process's rows of the batch.

    Shapes are `draw.uniform(n, 1, 1)`; the result is float32 on the device of the run. The training loop passes
    numbers that follow from (seed, purpose, step) alone, so that a resumed run draws what it would have drawn.
    """

    def uniform(self, *shape: int) -> Tensor:
        """Independent numbers from U[0, 1)."""
        ...

    def normal(self, *shape: int) -> Tensor:
        """Independent numbers from N(0, 1)."""
        ...

    def spread(self, real: Tensor) -> Tensor:
        """The standard deviation (biased) of all numbers of the whole batch that `real` [n, ...] are rows of."""
        ...


@dataclass(frozen=True)
class Pairing:
    """How the scores of real and fake samples become the two losses.

    critic_loss(real_scores, fake_scores) and generator_loss(real_scores, fake_scores) take `[n]` and return a scalar to
    minimise; the generator's real_scores are None unless `pairs_real` says that it needs them (relativistic losses).
    """

    name: str
    critic_loss: Callable[[Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor | None, Tensor], Tensor]
    pairs_real: bool = False

    def __repr__(self) -> str:
        return self.name


class Constraint:
    """What keeps the critic Lipschitz. A variant is one small frozen dataclass that overrides one of three hooks.

    Nothing here changes the batch: `real` and `fake` are `[n, ...]`, detached, of one shape and dtype.
    """

    # True when the hook looks at the gradient of single samples, which batch norm in the critic would couple
    per_sample: ClassVar[bool] = False
    # False when the critic's slope is left to the other constraints
    sets_slope: ClassVar[bool] = True

    def corrected(self, raw: float, slope: float) -> float | None:
        """The W1 at which an optimal critic under this constraint would score `raw` = E f(real) - E f(fake).

        `slope`, the critic's mean gradient norm, is for constraints that leave it open. None where `raw` does not tell
        W1. Derived, with its limits, in docs/estimates.md.
        """
        return None

    def prepare(self, critic: nn.Module) -> None:
        """Change the critic's architecture in place, once, before training (spectral norm, orthonormal layers)."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        """The scalar (float32 or wider) that is added to the critic's loss; its weight is already in it."""
        return widened(real.new_zeros(()))

    def constrain(self, critic: nn.Module) -> None:
        """Change the critic's weights in place after (or before) each of its updates (clipping)."""


def widened(x: Tensor) -> Tensor:
    """`x` in float32 or wider: bfloat16 has 8 bits of precision, too few for a mean or a norm."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def require_number(part: str, field: str, value: float, *, least: float | None = None) -> None:
    """Raises UserError unless the field is a finite number: at least `least` where given, else greater than 0."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (value <= 0 if least is None else value < least):
        bound = "> 0" if least is None else f">= {least:g}"
        raise UserError(f"{part}: {field} must be a finite number {bound}, got {value!r}")


def require_count(part: str, field: str, value: int, *, least: int = 1) -> None:
    """Raises UserError unless the field is an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(f"{part}: {field} must be an integer >= {least}, got {value!r}")
