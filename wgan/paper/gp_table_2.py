"""Table 2: of random architectures, how many train with a GAN, with WGAN-GP, with both, with neither.

Claim: The gradient penalty trains many architectures that the standard GAN doesn't, and hardly the other way around.
Source: WGAN-GP, Tables 1, 2 and 5.
Expected: At each threshold far more architectures in "only WGAN-GP" than in "only GAN".
Here: Table 1 in small: fully connected networks of 2, 4 or 8 layers, 32 to 128 wide, on the ring of 8 Gaussians, six
architectures a seed. Success: each mode holds 20 % of its fair share or more, and the sliced W1 to the data is below a
threshold. As many gradient evaluations for both: 900 steps of one update of D, 300 of five updates of the critic. No
weight decay, penalty weight 1. With --full CIFAR-10 (paper: ImageNet), the paper's ranges, success by Inception Score.
Thresholds: Fixed on seed 100, before seeds 0-2 were run. GAN: step size 1e-3, where
it trained 3 of 5 architectures of seed 100, 2 at the paper's 2e-4.
Cost: 7 minutes of CPU time for three seeds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wgan import Adam, GradientPenalty, Objective, Run, logistic, wasserstein
from wgan.reproduction import Check, Job, Results, Scale, drawing
from wgan.reproduction.architectures import bars, drawn, tally
from wgan.reproduction.estimates import inception_score, ring_score

GAN = Run(data="8gaussians", z_dim=2, n_critic=1, batch_size=128, steps=900, objective=Objective(logistic))
GAN = replace(GAN, critic_optimizer=Adam(1e-3, 0.5, 0.999), generator_optimizer=Adam(1e-3, 0.5, 0.999))
GP = replace(GAN, n_critic=5, steps=300, objective=Objective(wasserstein, GradientPenalty(1.0)))
GP = replace(GP, critic_optimizer=Adam(1e-3), generator_optimizer=Adam(3e-4))
RULES = {"gan": (GAN, "batch", Adam(2e-4, 0.5, 0.999)), "gp": (GP, "layer", Adam(1e-4))}
# a success, and all thresholds that are drawn; in small and in full
MARKS = {False: (-0.3, (-1.0, -0.5, -0.3, -0.2, -0.15, -0.1)), True: (5.0, tuple(map(float, range(1, 10))))}


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    jobs: dict[str, Job] = {}
    for rule, (run, norm, adam) in RULES.items():
        if scale.full:
            run = replace(run, data="cifar10", z_dim=128, batch_size=64, steps=100_000)
            run = replace(run, critic_optimizer=adam, generator_optimizer=adam)
        for i in range(67 if scale.full else 6):
            networks = replace(drawn(seed, i, small=not scale.full), critic_norm=norm)
            jobs[f"{rule}-{i}"] = partial(measure, replace(run, networks=networks, precision="fp32", seed=seed), scale)
    return jobs


def measure(run: Run, scale: Scale, here: Path) -> dict[str, Any]:
    return {"score": inception_score(run, scale.device, scale.data_root) if scale.full else ring_score(run)}


def scores(results: Results) -> tuple[np.ndarray, np.ndarray, bool]:
    """[architectures, seeds] of the GAN and of WGAN-GP, and whether they are those of the full scale."""
    count = len(results) // 2
    gan, gp = (np.array([results.numbers(f"{rule}-{i}", "score") for i in range(count)]) for rule in RULES)
    return gan, gp, count > 6


def draw(results: Results) -> Figure:
    figure, (axes,) = drawing.panels(1, 1, width=8.2, height=3.6)
    gan, gp, full = scores(results)
    bars(axes, {f"{abs(at):g}": tally(gan, gp, at) for at in MARKS[full][1]})
    y = "Inception Score above" if full else "all 8 modes, sliced W₁ below"
    drawing.name(axes, "Which train", f"{gan.size} random architectures", y)
    return figure


def passes(results: Results) -> list[Check]:
    gan, gp, full = scores(results)
    counts = tally(gan, gp, MARKS[full][0])
    one, other, both = (np.array(counts[name]) for name in ("only GAN", "only WGAN-GP", "both"))
    return [
        Check(what="architectures that train, WGAN-GP", ours=list(other + both), control=list(one + both),
              control_name="GAN", at_least=len(gp) - 1, paper="189 of 200; GAN 42"),
        Check(what="of all seeds, only WGAN-GP trains", ours=[other.sum()], control=[one.sum()],
              control_name="only GAN", at_least=gp.size / 6, paper="147 of 200; 0"),
    ]  # fmt: skip
