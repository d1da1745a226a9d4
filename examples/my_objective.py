"""An objective of your own: the Wasserstein pairing, and a constraint that keeps the critic's scores small.

for state, metrics in wgan.steps(run): ...
"""

from dataclasses import dataclass

import wgan


@dataclass(frozen=True)
class ScoreDecay(wgan.Constraint):
    """weight * E f(real)^2 + weight * E f(fake)^2: a bound on the scores in place of one on the slopes."""

    weight: float = 0.1

    def penalty(self, critic, real, fake, draw):
        return self.weight * (critic(real).square().mean() + critic(fake).square().mean())


objective = wgan.Objective(wgan.wasserstein, ScoreDecay(0.1))
run = wgan.preset("wgan-gp", data="digits", objective=objective, steps=200)
