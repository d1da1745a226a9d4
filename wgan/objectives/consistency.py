"""WGAN-CT: two passes of dropout over the same real sample should agree (Wei et al. 2018, eq. 4-6).

    weight  E max(0, d(f(x'), f(x'')) + 0.1 d(f_(x'), f_(x'')) - margin)

x' and x'' stand for the same real x under two draws of the critic's dropout, f_ for its penultimate features. As in the
authors' code d is the squared difference of scores and the mean squared difference of features.

Choose it together with `gp` on small data: gp looks between real and fake samples only, this one at the real samples
themselves, which regularises the critic where it would overfit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from wgan.errors import UserError
from wgan.objectives.base import Constraint, Critic, Draw, require_number, widened

_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


@runtime_checkable
class CriticWithFeatures(Protocol):
    """A critic that also shows its penultimate layer: `features(x) -> [n, d]`."""

    def features(self, x: Tensor, /) -> Tensor:
        """The critic's penultimate activations `[n, d]` for `x [n, ...]`."""
        ...


@dataclass(frozen=True)
class Consistency(Constraint):
    """The penalty above; a critic without `features` is judged by its scores alone.

    Scores and features are each drawn twice, four passes of the critic in all. Dropout draws from torch's global
    generator: seed it for each update where a run must be repeatable.
    """

    weight: float = 2.0
    margin: float = 0.0
    sets_slope: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_number("consistency", "weight", self.weight, least=0)
        require_number("consistency", "margin", self.margin, least=0)

    def prepare(self, critic: nn.Module) -> None:
        if not any(isinstance(layer, _DROPOUT) and layer.p > 0 for layer in critic.modules()):
            raise UserError(
                "consistency: the critic has no dropout, so its two passes never differ; "
                "give the critic an nn.Dropout layer or leave consistency out"
            )

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        distance = (widened(critic(real)) - widened(critic(real))).square()
        if isinstance(critic, CriticWithFeatures):
            difference = widened(critic.features(real)) - widened(critic.features(real))
            distance = distance + 0.1 * difference.flatten(1).square().mean(1)
        return self.weight * (distance - self.margin).relu().mean()
