"""Vanishing gradients and mode collapse, step by step, and what a well-trained critic does about both.

Claim: A perfect discriminator stops the minimax GAN; a perfect critic doesn't stop a WGAN, which can so keep all modes.
Source: WGAN, Sections 2 and 3; hopping between modes: Metz et al. 2017 (Unrolled GANs), Figure 2.
Expected: Fakes moved one by one stay where they are under minimax and travel to the real data under WGAN-GP. On a ring
a generator ahead of its discriminator hops from mode to mode; a WGAN-GP with its 5 critic steps holds all 8.
Here: Fakes of N(-2, 0.5²), real data N(2, 0.5²): moves of 0.01 times their gradients, 5 critic steps each, after 500.
Ring: 2 x 64 units, generator steps of 1e-3, critic's of 1e-3 or (ahead) one of 1e-4. --full: 10,000 steps, not 600.
Thresholds: Fixed on seeds 100-102, before seeds 0-2 were run; tried first: equal steps (no GAN collapsed), weight 10.
Caveat: The critic's training is the cure, not the loss: a WGAN-GP whose generator is ahead hops too, a GAN with 5 fast
steps holds most modes. And -log D does not vanish.
Cost: 100 s of CPU time for three seeds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from wgan import Adam, Objective, Run
from wgan.networks import Points
from wgan.objectives import GradientPenalty, logistic, minimax, wasserstein
from wgan.reproduction import Check, Job, Results, Scale, drawing, games, points

MOVES = (0, 20, 40, 80, 160)
GP, GAN = Objective(wasserstein, GradientPenalty(0.1)), Objective(logistic)
MOVED = {
    "minimax": ("GAN, minimax", Objective(minimax), drawing.RED),
    "logistic": ("GAN, -log D", GAN, drawing.ORANGE),
    "gp": ("WGAN-GP", GP, drawing.GREEN),
}
RING = {
    "gan_ahead": ("GAN\nahead", GAN, 1e-4, 1, drawing.ORANGE),
    "gp_ahead": ("WGAN-GP\nahead", GP, 1e-4, 1, drawing.GREEN),
    "gan_5": ("GAN\n5 steps", GAN, 1e-3, 5, drawing.ORANGE),
    "gp_5": ("WGAN-GP\n5 steps", GP, 1e-3, 5, drawing.GREEN),
}


def runs(seed: int, scale: Scale) -> dict[str, Job]:
    jobs: dict[str, Job] = {rule: partial(games.journey, MOVED[rule][1], MOVES, seed) for rule in MOVED}
    ring = Run(data="8gaussians", networks=Points(64, 2), z_dim=2, batch_size=128, generator_optimizer=Adam(1e-3, 0.5))
    for rule, (_, objective, lr, n, _) in RING.items():
        run = replace(ring, objective=objective, critic_optimizer=Adam(lr, 0.5), n_critic=n, seed=seed)
        jobs[rule] = partial(points.job, replace(run, steps=10_000 if scale.full else 600), "cpu", 10)
    return jobs


def draw(results: Results) -> Figure:
    (figure, axes), ring = drawing.panels(7, 5, width=1.75, height=1.4), points.mixture("8gaussians")
    for i, (rule, (label, *_, colour)) in enumerate((MOVED | RING).items()):
        found = results[rule][0]
        for each, k, moves in zip(axes[5 * i :], (1, 3, 5, 7, 9), MOVES, strict=False):
            if rule in MOVED:
                games.crowd(each, found["shots"][k // 2], colour, f"{moves} moves")
            else:
                points.cloud(each, found["samples"][k], ring, colour, f"{found['steps'][k]} steps")
        axes[5 * i].set_ylabel(label)
    return figure


def passes(results: Results) -> list[Check]:
    left, held = {r: results.numbers(r, "left") for r in MOVED}, {r: points.last(results, r, "covered") for r in RING}
    top = {rule: [float(run["shares"].max(1)[5:].mean()) for run in results[rule]] for rule in RING}
    hops = [float(len(set(run["shares"].argmax(1).tolist()))) for run in results["gan_ahead"]]
    told: Any = {"control": held["gan_ahead"], "control_name": "GAN, ahead", "paper": "no mode collapse"}
    moved: Any = {"control": left["minimax"], "control_name": "GAN, minimax", "paper": "gradients do not vanish"}
    return [
        Check(what="share of W1 left after 160 moves, WGAN-GP", ours=left["gp"], at_most=0.15, **moved),
        Check(what="the same, GAN with the minimax loss", ours=left["minimax"], at_least=0.99, paper="vanishes"),
        Check(what="the same, GAN with -log D (not gated)", ours=left["logistic"], **moved),
        Check(what="modes of 8, WGAN-GP, 5 steps", ours=held["gp_5"], at_least=7, **told),
        Check(what="largest share at one mode", ours=top["gp_5"], at_most=0.25, **told | {"control": top["gan_ahead"]}),
        Check(what="modes that lead in turn in 10 looks, GAN, ahead", ours=hops, at_least=3, paper="hops"),
        Check(what="modes of 8, GAN, 5 steps (not gated)", ours=held["gan_5"], **told),
        Check(what="modes of 8, WGAN-GP, ahead (not gated)", ours=held["gp_ahead"], **told),
    ]
