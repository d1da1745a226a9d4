"""Runs named after the papers' rows. A preset is data: where it comes from, when to choose it, and its numbers.

Networks are for images and follow the source; where a source leaves them open they are `None`, and the data decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wgan.errors import UserError, did_you_mean
from wgan.networks import DCGAN, NETWORKS, ResNet
from wgan.objectives import (
    R1,
    R2,
    Clip,
    Divergence,
    Dragan,
    GradientPenalty,
    LipschitzPenalty,
    Objective,
    SpectralNorm,
    hinge,
    logistic,
    relativistic,
    wasserstein,
)
from wgan.optimizers import OPTIMIZERS, Adam, RMSProp
from wgan.parts import spell
from wgan.run import Run, from_fields, spell_objective


@dataclass(frozen=True)
class Preset:
    """source: the paper or code that the numbers are from. choose: when to take it. run: everything but the data."""

    source: str
    choose: str
    run: Run


PRESETS: dict[str, Preset] = {
    "wgan": Preset(
        "Arjovsky et al. 2017, Algorithm 1; 25 epochs as in their code",
        "to see the paper's own algorithm, to the letter",
        Run(
            objective=Objective(wasserstein, Clip(0.01)),
            critic_optimizer=RMSProp(5e-5),
            generator_optimizer=RMSProp(5e-5),
        ),
    ),
    "wgan-code": Preset(
        "the authors' code: 100 critic steps at first and every 500, clipping before the update, DCGAN as it stands",
        "to repeat what their repository runs",
        Run(
            objective=Objective(wasserstein, Clip(0.01)),
            constrain="before",
            warmup_n_critic=100,
            warmup_steps=25,
            warmup_every=500,
            networks=DCGAN(),
        ),
    ),
    "wgan-gp": Preset(
        "Gulrajani et al. 2017, Algorithm 1; 200,000 steps as in their Figure 3",
        "first: works on most data and networks without tuning",
        Run(
            objective=Objective(wasserstein, GradientPenalty(10.0)),
            critic_optimizer=Adam(1e-4, 0.0, 0.9),
            generator_optimizer=Adam(1e-4, 0.0, 0.9),
            z_dim=128,
            steps=200_000,
        ),
    ),
    "wgan-gp-resnet": Preset(
        "Gulrajani et al. 2017, Appendix F and its code (generator batch 128, dequantised images)",
        "for the paper's best CIFAR-10 score, with a GPU",
        Run(
            networks=ResNet(),
            objective=Objective(wasserstein, GradientPenalty(10.0)),
            critic_optimizer=Adam(2e-4, 0.0, 0.9),
            generator_optimizer=Adam(2e-4, 0.0, 0.9),
            z_dim=128,
            generator_batch_size=128,
            dequantize=True,
            lr_decay="linear",
            steps=100_000,
        ),
    ),
    "wgan-lp": Preset(
        "Petzka et al. 2018: slopes below 1 are not penalised; optimiser of WGAN-GP",
        "when the penalty must be strong without hurting",
        Run(
            objective=Objective(wasserstein, LipschitzPenalty(10.0)),
            critic_optimizer=Adam(1e-4, 0.0, 0.9),
            generator_optimizer=Adam(1e-4, 0.0, 0.9),
            z_dim=128,
            steps=200_000,
        ),
    ),
    "wgan-div": Preset(
        "Wu et al. 2018: k = 2, p = 6; optimiser of WGAN-GP",
        "when a Lipschitz bound is not wanted; its loss is no distance",
        Run(
            objective=Objective(wasserstein, Divergence(2.0, 6.0)),
            critic_optimizer=Adam(1e-4, 0.0, 0.9),
            generator_optimizer=Adam(1e-4, 0.0, 0.9),
            z_dim=128,
            steps=200_000,
        ),
    ),
    "dragan": Preset(
        "Kodali et al. 2017: logistic GAN, slope 1 near real data",
        "for a standard GAN that needs steadying, at one critic step",
        Run(
            objective=Objective(logistic, Dragan(10.0)),
            critic_optimizer=Adam(2e-4, 0.5, 0.999),
            generator_optimizer=Adam(2e-4, 0.5, 0.999),
            n_critic=1,
            steps=100_000,
        ),
    ),
    "sngan": Preset(
        "Miyato et al. 2018: hinge, spectral norm, ResNet, 5 critic steps",
        "for good samples without a penalty's cost",
        Run(
            networks=ResNet(),
            objective=Objective(hinge, SpectralNorm()),
            critic_optimizer=Adam(2e-4, 0.0, 0.9),
            generator_optimizer=Adam(2e-4, 0.0, 0.9),
            z_dim=128,
            generator_batch_size=128,
            lr_decay="linear",
            steps=100_000,
        ),
    ),
    "ttur": Preset(
        "Heusel et al. 2017: WGAN-GP with one critic step at 3e-4 against 1e-4, layer norm in the critic",
        "to train five times fewer critic steps",
        Run(
            networks=ResNet(critic_norm="layer"),
            objective=Objective(wasserstein, GradientPenalty(10.0)),
            critic_optimizer=Adam(3e-4, 0.0, 0.9),
            generator_optimizer=Adam(1e-4, 0.0, 0.9),
            z_dim=128,
            n_critic=1,
            steps=100_000,
        ),
    ),
    "r3gan": Preset(
        "Huang et al. 2024: relativistic loss, R1 and R2 at gamma 0.05; networks of 2017, no schedules",
        "for a loss with local convergence, at one critic step",
        Run(
            networks=ResNet(),
            objective=Objective(relativistic, R1(0.05), R2(0.05)),
            critic_optimizer=Adam(2e-4, 0.0, 0.99),
            generator_optimizer=Adam(2e-4, 0.0, 0.99),
            z_dim=128,
            n_critic=1,
            ema=0.999,
            steps=100_000,
        ),
    ),
    "quick": Preset(
        "docs/performance.md: the best that we found for 30 CPU minutes of CIFAR-10; WGAN-GP with one critic step",
        "to see in half an hour what a data set gives",
        Run(
            networks=DCGAN(filters=32, critic_norm="none"),
            objective=Objective(wasserstein, GradientPenalty(10.0)),
            critic_optimizer=Adam(4e-4, 0.0, 0.9),
            generator_optimizer=Adam(2e-4, 0.0, 0.9),
            z_dim=128,
            n_critic=1,
            lr_decay="linear",
            ema=0.999,
            steps=16_000,
        ),
    ),
    "gan": Preset(
        "Radford et al. 2016 (DCGAN), the baseline of both WGAN papers: -log D trick",
        "as the control, never first",
        Run(
            objective=Objective(logistic),
            critic_optimizer=Adam(2e-4, 0.5, 0.999),
            generator_optimizer=Adam(2e-4, 0.5, 0.999),
            n_critic=1,
        ),
    ),
}


def preset(name: str, **fields: Any) -> Run:
    """The run of a preset with fields of one's own: `preset("wgan-gp", data="cifar10", epochs=10)`.

    Errors: UserError for an unknown preset or field.
    """
    if name not in PRESETS:
        raise UserError(did_you_mean("preset", name, PRESETS))
    return from_fields(fields, PRESETS[name].run)


def table() -> list[str]:
    """The presets as lines of text, for `wgan presets`."""
    lines = []
    for name, each in PRESETS.items():
        run = each.run
        networks = (
            "dcgan for images, MLP for points" if run.networks is None else spell(run.networks, NETWORKS, brief=True)
        )
        length = f"{run.steps:,} steps" if run.steps else f"{run.epochs:g} epochs"
        extras = {
            "generator_batch_size": run.generator_batch_size or None,
            "lr_decay": run.lr_decay if run.lr_decay != "none" else None,
            "ema": run.ema or None,
            "dequantize": run.dequantize or None,
            "constrain": run.constrain if run.constrain != "after" else None,
            "warmup_n_critic": run.warmup_n_critic or None,
            "warmup_steps": run.warmup_steps or None,
            "warmup_every": run.warmup_every or None,
        }
        told = "".join(f", {key} {value}" for key, value in extras.items() if value is not None)
        critic, generator = (spell(o, OPTIMIZERS) for o in (run.critic_optimizer, run.generator_optimizer))
        lines += [
            f"{name}",
            f"    source      {each.source}",
            f"    choose it   {each.choose}",
            f"    objective   {spell_objective(run.objective)}",
            f"    networks    {networks}",
            f"    optimisers  {critic}"
            if critic == generator
            else f"    optimisers  critic {critic}, generator {generator}",
            f"    numbers     n_critic {run.n_critic}, batch {run.batch_size}, z {run.z_dim}, {length}{told}",
            "",
        ]
    return [*lines, "Any field can be changed by its flag: wgan train cifar10 --n-critic 10 --lr 1e-4"]
