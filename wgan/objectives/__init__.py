"""Objectives: a pairing of scores, and the constraints that keep the critic Lipschitz. Needs torch only.

    objective = Objective(wasserstein, GradientPenalty(weight=10.0))
    objective.prepare(critic)                                   # before its optimiser is made
    objective.critic_loss(critic, real, fake, draw).loss.backward()
    optimiser.step()
    objective.constrain(critic)

A constraint of your own overrides one hook of `Constraint`; nothing has to be registered.
"""

from __future__ import annotations

from wgan.objectives.base import Constraint, Critic, Draw, Pairing
from wgan.objectives.clip import Clip
from wgan.objectives.consistency import Consistency
from wgan.objectives.divergence import Divergence
from wgan.objectives.drift import Drift
from wgan.objectives.gradient_penalty import Dragan, GradientPenalty, LipschitzPenalty, OneSidedPenalty
from wgan.objectives.gradients import gradient_norms, interpolate, slope
from wgan.objectives.group_sort import GroupSort
from wgan.objectives.objective import CriticLoss, Objective
from wgan.objectives.orthonormal import Orthonormal
from wgan.objectives.pairings import hinge, jensen_shannon, logistic, minimax, relativistic, wasserstein
from wgan.objectives.spectral_norm import SpectralNorm, one_power_iteration
from wgan.objectives.zero_centred import R1, R2

PAIRINGS: dict[str, Pairing] = {
    "wasserstein": wasserstein,
    "hinge": hinge,
    "minimax": minimax,
    "logistic": logistic,
    "relativistic": relativistic,
}

CONSTRAINTS: dict[str, type[Constraint]] = {
    "clip": Clip,
    "gp": GradientPenalty,
    "lp": LipschitzPenalty,
    "one_sided": OneSidedPenalty,
    "dragan": Dragan,
    "r1": R1,
    "r2": R2,
    "div": Divergence,
    "consistency": Consistency,
    "drift": Drift,
    "spectral_norm": SpectralNorm,
    "orthonormal": Orthonormal,
}

__all__ = [
    "CONSTRAINTS",
    "PAIRINGS",
    "R1",
    "R2",
    "Clip",
    "Consistency",
    "Constraint",
    "Critic",
    "CriticLoss",
    "Divergence",
    "Dragan",
    "Draw",
    "Drift",
    "GradientPenalty",
    "GroupSort",
    "LipschitzPenalty",
    "Objective",
    "OneSidedPenalty",
    "Orthonormal",
    "Pairing",
    "SpectralNorm",
    "gradient_norms",
    "hinge",
    "interpolate",
    "jensen_shannon",
    "logistic",
    "minimax",
    "one_power_iteration",
    "relativistic",
    "slope",
    "wasserstein",
]
