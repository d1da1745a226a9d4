"""Pairings: how the scores of real and fake samples become two losses, both to be minimised.

With r = f(x) the scores of real and g = f(G(z)) those of fake samples, sp(t) = log(1 + exp(t)), E the batch mean:

    name          critic minimises                   generator minimises   source
    wasserstein   E g - E r                          -E g                  Arjovsky et al. 2017, Algorithm 1
    hinge         E max(0, 1 - r) + E max(0, 1 + g)  -E g                  Lim & Ye 2017; Miyato et al. 2018, eq. 16-17
    minimax       E sp(-r) + E sp(g)                 -E sp(g)              Goodfellow et al. 2014, eq. 1
    logistic      E sp(-r) + E sp(g)                 E sp(-g)              Goodfellow et al. 2014, section 3
    relativistic  E sp(-(r - g))                     E sp(r - g)           Jolicoeur-Martineau 2019; Huang et al. 2024

Choose `wasserstein` for a curve that means something (E r - E g estimates W1 when a constraint holds the critic's slope
at 1); `hinge` with spectral norm; `relativistic` with R1 and R2 (R3GAN) against mode collapse; `logistic` and `minimax`
are the standard GAN that the Wasserstein papers compare with, whose critic is a discriminator D = sigmoid(f).
"""

from __future__ import annotations

import math
from typing import TypeVar

from torch import Tensor
from torch.nn.functional import relu, softplus

from wgan.errors import UserError
from wgan.objectives.base import Pairing

TensorOrFloat = TypeVar("TensorOrFloat", Tensor, float)


def _wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    # Algorithm 1, line 5 ascends E f(x) - E f(g(z)); minimised here, hence the sign
    return fake.mean() - real.mean()


def _raise_scores(real: Tensor | None, fake: Tensor) -> Tensor:
    # Algorithm 1, line 10: g_theta <- -grad_theta E f(g_theta(z))
    return -fake.mean()


def _hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    return relu(1 - real).mean() + relu(1 + fake).mean()


def _cross_entropy_critic(real: Tensor, fake: Tensor) -> Tensor:
    # -log sigmoid(t) = softplus(-t) and -log(1 - sigmoid(t)) = softplus(t): no logarithm of a saturated sigmoid
    return softplus(-real).mean() + softplus(fake).mean()


def _minimax_generator(real: Tensor | None, fake: Tensor) -> Tensor:
    # E log(1 - sigmoid(g)): its gradient vanishes where the discriminator is sure
    return -softplus(fake).mean()


def _logistic_generator(real: Tensor | None, fake: Tensor) -> Tensor:
    # -E log sigmoid(g), "the -log D trick"
    return softplus(-fake).mean()


def _relativistic_critic(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(fake - real).mean()


def _relativistic_generator(real: Tensor | None, fake: Tensor) -> Tensor:
    if real is None:
        raise UserError("relativistic: the generator's loss needs real scores; pass critic(real) as real_scores")
    return softplus(real - fake).mean()


wasserstein = Pairing("wasserstein", _wasserstein_critic, _raise_scores)
hinge = Pairing("hinge", _hinge_critic, _raise_scores)
minimax = Pairing("minimax", _cross_entropy_critic, _minimax_generator)
logistic = Pairing("logistic", _cross_entropy_critic, _logistic_generator)
relativistic = Pairing("relativistic", _relativistic_critic, _relativistic_generator, pairs_real=True)


def jensen_shannon(critic_loss: TensorOrFloat) -> TensorOrFloat:
    """The lower bound on the Jensen-Shannon divergence that a standard GAN's discriminator certifies, in nats.

    For L = E log D(x) + E log(1 - D(G(z))), the supremum over D is 2 JS - 2 log 2 (Goodfellow et al. 2014, theorem 1),
    so L / 2 + log 2 <= JS <= log 2: the curve of Figure 4 in Arjovsky et al. 2017. `critic_loss` = -L is the loss of
    `logistic` or `minimax` without penalties, whence log 2 - critic_loss / 2. It is negative for a bad discriminator.
    """
    return math.log(2) - critic_loss / 2
