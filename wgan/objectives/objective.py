"""An objective: one pairing of scores and any number of constraints on the critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wgan.errors import UserError
from wgan.fast.norms import has_no_norm, in_parts, keeps_parts_apart
from wgan.objectives.base import Constraint, Critic, Draw, Pairing, widened
from wgan.objectives.gradient_penalty import SlopePenalty
from wgan.objectives.gradients import norms, scores_and_squared_norms
from wgan.objectives.zero_centred import ZeroCentred
from wgan.spans import span


class CriticLoss(NamedTuple):
    """The critic's loss on one batch of `n` real and `n` fake samples, with its parts; float32 or wider."""

    loss: Tensor  # to minimise: the pairing's loss + penalty; the only part that carries a graph
    real_scores: Tensor  # [n], detached
    fake_scores: Tensor  # [n], detached
    penalty: Tensor  # sum over the constraints, weights included, detached

    @property
    def wasserstein(self) -> Tensor:
        """E f(real) - E f(fake): > 0 when the critic is right, an estimate of W1 when its slope is 1."""
        return self.real_scores.mean() - self.fake_scores.mean()


@dataclass(frozen=True, init=False, repr=False)
class Objective:
    """`Objective(wasserstein, GradientPenalty(10.0), Drift(0.001))`; equal and hashed by value.

    The critic's loss is the pairing's plus each constraint's penalty. A constraint of one's own is an object with one
    or more of the hooks of `Constraint`.
    """

    pairing: Pairing
    constraints: tuple[Constraint, ...]

    def __init__(self, pairing: Pairing, *constraints: Constraint) -> None:
        if not isinstance(pairing, Pairing):
            raise UserError(f"an objective starts with a pairing such as wasserstein, got {pairing!r}")
        for constraint in constraints:
            if not isinstance(constraint, Constraint):
                raise UserError(f"an objective adds constraints such as gp(weight=10.0), got {constraint!r}")
        object.__setattr__(self, "pairing", pairing)
        object.__setattr__(self, "constraints", constraints)

    def __repr__(self) -> str:
        return f"Objective({', '.join(map(repr, (self.pairing, *self.constraints)))})"

    @property
    def per_sample(self) -> bool:
        """Whether a constraint looks at the gradient of single samples, which batch norm in the critic would couple."""
        return any(constraint.per_sample for constraint in self.constraints)

    def corrected(self, raw: float, slope: float) -> float | None:
        """W1 as `raw` = E f(real) - E f(fake) tells it: without what the constraint does to the critic's slope.

        slope: mean gradient norm of the critic, for constraints that leave it open. None where there is no telling:
        another pairing than wasserstein, no constraint or several on the slope, one without a formula.
        """
        deciding = [constraint for constraint in self.constraints if constraint.sets_slope]
        if self.pairing.name != "wasserstein" or len(deciding) != 1:
            return None
        return deciding[0].corrected(raw, slope)

    def prepare(self, critic: nn.Module) -> None:
        """Changes the critic's architecture in place, once, before training and before its optimiser is made."""
        for constraint in self.constraints:
            constraint.prepare(critic)

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> CriticLoss:
        """The loss of one critic update on `real` and `fake`, both `[n, ...]` of one shape; neither gets a gradient.

        Calls the critic on real, on fake, then as the constraints do. Raises UserError if it does not return `[n]`.
        """
        real, fake = real.detach(), fake.detach()
        # Cached: one set of normalised weights, hence one power iteration, for all calls of an update
        with parametrize.cached():
            with span("critic forward"):
                real_scores, fake_scores, known = self._scores(critic, real, fake, draw)
            penalty = real_scores.new_zeros(())
            for constraint in self.constraints:
                with span("penalty"):
                    found = known.get(constraint)
                    penalty = penalty + (constraint.penalty(critic, real, fake, draw) if found is None else found)
        loss = self.pairing.critic_loss(real_scores, fake_scores) + penalty
        return CriticLoss(loss, real_scores.detach(), fake_scores.detach(), penalty.detach())

    def _scores(
        self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw
    ) -> tuple[Tensor, Tensor, dict[Constraint, Tensor]]:
        """Scores of real and of fake samples, and the penalties that came out of the same pass."""
        slopes = [each for each in self.constraints if isinstance(each, SlopePenalty) and own(each, SlopePenalty)]
        in_one = getattr(critic, "scores_and_gradients", None)
        if in_one is not None and len(slopes) == 1:
            found = in_one(torch.cat([real, fake]), lambda: slopes[0].points(real, fake, draw))
            if found is not None:
                scores = widened(found[0])
                return scores[: len(real)], scores[len(real) :], {slopes[0]: slopes[0].of_norms(norms(found[1]))}
        centred = [each for each in self.constraints if isinstance(each, ZeroCentred) and own(each, ZeroCentred)]
        if centred and has_no_norm(critic):
            real_scores, fake_scores, squares = _with_squares(critic, real, fake, {each.at_real for each in centred})
            return real_scores, fake_scores, {each: each.of_squares(squares[each.at_real]) for each in centred}
        return *_both_scores(critic, real, fake), {}

    def generator_loss(self, real_scores: Tensor | None, fake_scores: Tensor) -> Tensor:
        """The scalar that the generator minimises, from scores `[n]`; the real ones are for `pairing.pairs_real`."""
        real_scores = None if real_scores is None else widened(real_scores)
        return self.pairing.generator_loss(real_scores, widened(fake_scores))

    def constrain(self, critic: nn.Module) -> None:
        """Changes the critic's weights in place after each of its updates."""
        for constraint in self.constraints:
            constraint.constrain(critic)


def own(constraint: Constraint, kind: type[Constraint]) -> bool:
    """Whether a constraint's penalty is the one of its kind, and not a user's in its place."""
    return type(constraint).penalty is kind.penalty


def _both_scores(critic: Critic, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Those of real and of fake samples: in one pass where that gives what two would."""
    if keeps_parts_apart(critic):
        with in_parts(2):
            scores = _scores(critic, torch.cat([real, fake]))
        return scores[: len(real)], scores[len(real) :]
    return _scores(critic, real), _scores(critic, fake)


def _with_squares(
    critic: Critic, real: Tensor, fake: Tensor, at_real: set[bool]
) -> tuple[Tensor, Tensor, dict[bool, Tensor]]:
    """Scores of both, and the squared gradient norms `at_real` (True), at fake samples (False) or at both."""

    def checked(x: Tensor) -> Tensor:
        return _scores(critic, x)

    if len(at_real) == 2:
        scores, squares = scores_and_squared_norms(checked, torch.cat([real, fake]))
        n = len(real)
        return scores[:n], scores[n:], {True: squares[:n], False: squares[n:]}
    (which,) = at_real
    looked_at, other = (real, fake) if which else (fake, real)
    scores, squares = scores_and_squared_norms(checked, looked_at)
    others = checked(other)
    return *((scores, others) if which else (others, scores)), {which: squares}


def _scores(critic: Critic, x: Tensor) -> Tensor:
    scores = critic(x)
    if scores.shape != x.shape[:1]:
        # [n, 1] would broadcast to [n, n] in a pairing and train something else without a word
        raise UserError(
            f"the critic must return one score a sample, shape [{len(x)}], got {list(scores.shape)}; "
            "end its forward with .flatten() or .squeeze(1)"
        )
    return widened(scores)
