"""Generators trained on toy mixtures in the plane, and how many modes their samples hold, for the figures of collapse.

A sample belongs to the centre nearest to it. A mode is covered when it holds at least a fifth of its fair share,
counting only samples that lie nearer to its centre than a quarter of the way to the next one: a blur over all modes
covers none.

At the end are the fixed generators whose best gradient is known, for the figures that train a critic alone.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from wgan import seeds
from wgan.data import Data, Toy, load
from wgan.metrics import modes, nearest, sliced_wasserstein
from wgan.networks import Points
from wgan.objectives import Clip, GradientPenalty, Objective, jensen_shannon, logistic, minimax, wasserstein
from wgan.optimizers import Adam, Optimizer, RMSProp
from wgan.reproduction import drawing
from wgan.reproduction.check import Check
from wgan.reproduction.critics import generator_gradient, mlp, quietly, training
from wgan.reproduction.results import Job, Results, Scale
from wgan.run import Run, with_lr

SHARE, NEAR, SAMPLES, SHOWN = 0.2, 0.25, 2500, 600
BASE = Run(precision="fp32", networks=Points(64, 3), z_dim=2, batch_size=128, lr_decay="linear")


class Rule(NamedTuple):
    """label, colour: in figures. run: all but data, steps and seed. longer: generator steps over those of the others.

    paper_lr: the step size in full.
    """

    label: str
    run: Run
    colour: str
    longer: int
    paper_lr: float


def _rule(label: str, colour: str, optimizer: Optimizer, objective: Objective, paper_lr: float, n_critic: int) -> Rule:
    # one critic step costs less than half of five: the control may train longer
    longer = 1 if n_critic > 1 else 2
    run = replace(BASE, objective=objective, n_critic=n_critic)
    run = replace(run, critic_optimizer=optimizer, generator_optimizer=optimizer)
    return Rule(label, run, colour, longer, paper_lr)


GP, CLIP, GAN = Objective(wasserstein, GradientPenalty(0.1)), Objective(wasserstein, Clip(0.1)), Objective(logistic)
RULES = {
    "gp": _rule("WGAN-GP", drawing.GREEN, Adam(2e-3, 0.5, 0.9), GP, 1e-4, 5),
    "clip": _rule("WGAN, clipping", drawing.BLUE, RMSProp(1e-3), CLIP, 5e-5, 5),
    "gan5": _rule("GAN, 5 steps of D", drawing.ORANGE, Adam(1e-3, 0.5, 0.9), GAN, 1e-4, 5),
    "gan": _rule("GAN, 1 step of D", drawing.RED, Adam(4e-4, 0.5, 0.9), GAN, 1e-4, 1),
}


# against a fixed generator: label, objective, the critic's optimiser, colour
LOSSES: dict[str, tuple[str, Objective, Optimizer, str]] = {
    "minimax": ("GAN, minimax", Objective(minimax), Adam(1e-3, 0.5, 0.9), drawing.RED),
    "logistic": ("GAN, -log D", Objective(logistic), Adam(1e-3, 0.5, 0.9), drawing.ORANGE),
    "clip": ("WGAN, clipping", Objective(wasserstein, Clip(0.1)), RMSProp(1e-3), drawing.BLUE),
    "gp": ("WGAN-GP", Objective(wasserstein, GradientPenalty(10.0)), Adam(1e-3, 0.5, 0.9), drawing.GREEN),
}


def jobs(data: str, last: int, seed: int, scale: Scale, *, frames: int = 8) -> dict[str, Job]:
    """For each rule a job that trains `last` steps (see `Rule.longer`) and judges `frames` times on the way."""
    found: dict[str, Job] = {}
    for name, rule in RULES.items():
        run = at_scale(name, replace(rule.run, data=data, steps=last * rule.longer, seed=seed), scale)
        found[name] = partial(job, run, scale.device if scale.full else "cpu", frames)
    return found


def at_scale(name: str, run: Run, scale: Scale) -> Run:
    """`run` of the rule `name`; in full as the toy code: 3 x 512 units, batches of 256, 100,000 steps, no decay."""
    if not scale.full:
        return run
    objective = Objective(wasserstein, Clip(0.01)) if name == "clip" else run.objective
    run = replace(run, networks=Points(), batch_size=256, steps=100_000, lr_decay="none", objective=objective)
    return with_lr(run, critic=RULES[name].paper_lr, generator=RULES[name].paper_lr)


def job(run: Run, device: str, frames: int, here: Path) -> dict[str, Any]:
    """`follow` at `frames` evenly spaced steps, the last of them the end."""
    return follow(run, [run.steps * (i + 1) // frames for i in range(frames)], device)


def follow(run: Run, marks: Sequence[int], device: str = "cpu") -> dict[str, Any]:
    """Train `run` on a toy mixture and `judge` it after each of the steps `marks`: one array for each key of it."""
    found = []
    with closing(quietly(run, device=device)) as loop:
        for state, _ in loop:
            if state.step in marks:
                found.append(judge(state.sampler, run, state.step))
    return {"steps": np.array(marks)} | {key: np.stack([each[key] for each in found]) for key in found[0]}


def trained(run: Run, device: str = "cpu") -> nn.Module:
    """The generator at the end of `run`, which has at least one step."""
    with closing(quietly(run, device=device)) as loop:
        for state, _ in loop:
            generator = state.generator
    return generator


def mixture(data: str | Data) -> Toy:
    """The toy of that name (or itself) with its centres. Raises TypeError for anything else."""
    toy = load(data)
    if not isinstance(toy, Toy) or toy.centres is None or toy.std is None:
        raise TypeError(f"data '{toy.name}' is no mixture with known centres")
    return toy


@torch.no_grad()
def judge(generator: nn.Module, run: Run, step: int) -> dict[str, Any]:
    """SAMPLES samples of a generator against the mixture `run.data`.

    covered, reverse_kl: see the top and `wgan.metrics.modes`. near: share of samples near a centre. sliced: sliced W1
    to as many real samples. shares [k]: of all samples, by centre. samples [SHOWN, 2]: for pictures.
    """
    toy = mixture(run.data)
    device = next(generator.parameters()).device
    x = generator(seeds.draw(device, run.seed, "judge z", step).normal(SAMPLES, run.z_dim)).cpu()
    real = toy.batch(seeds.derive(run.seed, "judge real", step), 0, SAMPLES).x
    return {"samples": x[:SHOWN].numpy(), "sliced": sliced_wasserstein(x, real), **count(x, toy)}


def count(x: Tensor, toy: Toy) -> dict[str, Any]:
    """covered, near, reverse_kl, shares of samples `x` [n, 2]: see `judge`."""
    assert toy.centres is not None
    assert toy.std is not None
    centres = torch.from_numpy(toy.centres)
    distance, index = nearest(x, centres)
    between = torch.pdist(centres).min()
    near = distance[:, 0] <= NEAR * between
    held = torch.bincount(index[near, 0], minlength=len(centres)) * len(centres) / len(x)
    return {
        "covered": int((held >= SHARE).sum()),
        "near": float(near.double().mean()),
        "reverse_kl": modes(x, centres, toy.std).reverse_kl,
        "shares": (torch.bincount(index[:, 0], minlength=len(centres)) / len(x)).numpy(),
    }


def last(results: Results, name: str, key: str) -> list[float]:
    """One number a seed: `key` of job `name` at its last mark."""
    return [float(each[key][-1]) for each in results[name]]


def ends(results: Results, key: str) -> dict[str, list[float]]:
    """`last` of every rule."""
    return {name: last(results, name, key) for name in RULES}


def against(what: str, numbers: dict[str, list[float]], rule: str, control: str, **bounds: Any) -> Check:
    """`numbers` of one rule beside those of another, as a check of "no mode collapse"."""
    return Check(
        what=what,
        ours=numbers[rule],
        control=numbers[control],
        control_name=RULES[control].label,
        paper="no mode collapse",
        **bounds,
    )


def cloud(axes: Any, x: np.ndarray, toy: Toy, colour: str, title: str, half: float = 2.0) -> None:
    """Samples `x` [n, 2] as dots over the centres as grey rings, in the square of +-half."""
    assert toy.centres is not None
    axes.scatter(*toy.centres.T, s=70, facecolors="none", edgecolors=drawing.GREY, linewidths=0.8)
    axes.scatter(*x.T, s=2.5, color=colour, alpha=0.45, linewidths=0)
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.set_title(title, loc="left", fontsize=9.5)


def held(results: Results, name: str) -> list[float]:
    """One number a seed: modes that hold a fifth of their fair share at the end, however far their samples lie."""
    return [float((each["shares"][-1] >= SHARE / each["shares"].shape[1]).sum()) for each in results[name]]


def compared(results: Results, data: str) -> Figure:
    """What the first seed's generators draw at the end, and all seeds' reverse KL along training."""
    toy = mixture(data)
    figure, axes = drawing.panels(2, 3, width=3.0, height=2.9)
    cloud(axes[0], toy.batch(0, 0, SHOWN).x.numpy(), toy, drawing.GREY, "data")
    for each, (name, rule) in zip(axes[1:], RULES.items(), strict=False):
        first = results[name][0]
        title = f"{rule.label}: {int(first['covered'][-1])} of {len(first['shares'][-1])} modes"
        cloud(each, first["samples"][-1], toy, rule.colour, title)
        along = np.linspace(0, 100, len(first["steps"]) + 1)[1:]
        drawing.band(axes[5], along, [found["reverse_kl"] for found in results[name]], rule.colour, rule.label)
    axes[5].set_yscale("log")
    drawing.name(axes[5], "Reverse KL over the modes", "% of the training", "nats, 0 is best")
    return figure


def two_gaussians(draw: seeds.Draw, n: int = 256) -> tuple[Tensor, Tensor]:
    """Real samples of N(2, 0.5²) and fakes of N(-2, 0.5²), [n, 1] each."""
    return 2 + draw.normal(n, 1) / 2, -2 + draw.normal(n, 1) / 2


def two_lines(theta: float, draw: seeds.Draw, n: int = 256) -> tuple[Tensor, Tensor]:
    """Real samples (0, u) and fakes (theta, u), u ~ U[0, 1], [n, 2] each: WGAN, Example 1."""
    real, fake = (torch.cat([torch.full((n, 1), x), draw.uniform(n, 1)], dim=1) for x in (0.0, theta))
    return real, fake


def ring_and_middle(spread: float, draw: seeds.Draw, n: int = 256) -> tuple[Tensor, Tensor]:
    """Real samples of the 8 Gaussians, and fakes of N(0, spread²) in their middle, [n, 2] each."""
    toy = mixture("8gaussians")
    centres = torch.from_numpy(toy.centres).float()
    chosen = centres[(len(centres) * draw.uniform(n)).long()]
    return chosen + (toy.std or 0) * draw.normal(n, 2), spread * draw.normal(n, 2)


def away_from_nearest(x: Tensor, toy: Toy) -> Tensor:
    """Unit vectors [n, 2] from the nearest centre to each of `x` [n, 2].

    Where all modes lie alike around the fakes and are small, each fake is best moved to the nearest one: this then is
    the gradient of W1 in the place of each fake.
    """
    centres = torch.from_numpy(toy.centres).float()
    return torch.nn.functional.normalize(x - centres[torch.cdist(x, centres).argmin(1)])


def learned_line(objective: Objective, theta: float, width: int, steps: int, seed: int) -> tuple[float, float]:
    """The distance between `two_lines` as a critic learns it, and its derivative by theta; of JS under minimax.

    Under a wasserstein objective the distance is without the bias of the constraint (`Objective.corrected`).
    """
    critic: nn.Module = nn.Identity()
    # leaky, because a critic of ReLUs may die under the penalty: no slope, no score, and no way back
    leaky = partial(nn.LeakyReLU, 0.2)
    sample, build = partial(two_lines, theta), partial(mlp, 2, width, width, activation=leaky)
    for _, each in training(build, sample, objective, Adam(2e-3), steps=steps, seed=seed):
        critic = each
    fresh = seeds.draw(torch.device("cpu"), seed, "fresh")
    real, fake = sample(fresh, 4096)
    # g_theta(z) = (theta, z): of the chain rule in Theorem 3, -E grad_theta f(g_theta(z)), the first coordinate is left
    gradient = float(generator_gradient(critic, objective, fake)[:, 0].mean())
    loss = objective.critic_loss(critic, real, fake, fresh)
    raw = float(loss.wasserstein)
    found = float(jensen_shannon(loss.loss.detach())) if objective.pairing is minimax else objective.corrected(raw, 1)
    return float("nan") if found is None else found, gradient


def one_mode(toy: Toy) -> Toy:
    """The first mode of a mixture alone; it keeps all centres, by which modes are counted."""

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        drawn: np.ndarray = np.asarray(toy.centres)[0] + (toy.std or 0) * rng.standard_normal((n, 2))
        return drawn

    return replace(toy, name=f"one mode of {toy.name}", sample=sample)


def going_on(run: Run, generator: nn.Module) -> Run:
    """`run` from a copy of `generator` instead of a fresh one; its critic is fresh."""
    fresh = run.networks
    assert fresh is not None

    def networks(shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[nn.Module, nn.Module]:
        return copy.deepcopy(generator), fresh(shape, z_dim, classes)[1]

    return replace(run, networks=networks)
