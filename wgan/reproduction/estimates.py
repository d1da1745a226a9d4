"""What critics and generators of toy runs are measured by: estimates beside the truth, slopes, gradients by layer."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wgan import seeds
from wgan.curve import median_filter
from wgan.data import Data, Images, load, order
from wgan.errors import UserError
from wgan.evaluation import evaluate
from wgan.metrics import sliced_wasserstein, transport_distance
from wgan.objectives import Critic, gradient_norms
from wgan.reproduction.critics import quietly, training
from wgan.reproduction.points import count, mixture
from wgan.run import Run
from wgan.state import State

POINTS = 600


@torch.no_grad()
def fakes(run: Run, state: State, n: int) -> Tensor:
    """`n` samples of the generator as it stands, of the same noise at every step; changes no state."""
    device = next(state.sampler.parameters()).device
    state.sampler.eval()
    made: Tensor = state.sampler(seeds.draw(device, run.seed, "judged z").normal(n, run.z_dim))
    state.sampler.train()
    return made


def reals(data: Data, seed: int, n: int) -> Tensor:
    """`n` samples of the data from another stream than the one trained on."""
    return data.batch(seeds.derive(seed, "judged reals"), 0, n).x


def subset(data: Data, first: int, n: int, seed: int) -> Images:
    """`n` images of a data set from position `first` of a random order on, without labels. TypeError for other data."""
    if not isinstance(data, Images):
        raise TypeError(f"data '{data.name}' is no array of images")
    return Images(data.name, data.array[order(seeds.derive(seed, "subset"), first, n, data.count)])


def follow(run: Run, *, every: int, smooth: int = 1) -> dict[str, np.ndarray]:
    """Train on points; at multiples of `every` steps the estimates and the truth, float [steps / every] each.

    step. w1: exact transport between POINTS fakes and real samples, of the same noise each time. raw: E f(real) -
    E f(fake). estimate: that as the constraint lets it be told, of a standard GAN the Jensen-Shannon divergence; both
    of one batch, through a median filter of `smooth` such steps.
    """
    real = reals(load(run.data), run.seed, POINTS)
    rows: list[tuple[float | None, ...]] = []
    for state, metrics in quietly(run, every=every):
        if state.step % every == 0:
            corrected, js = metrics.wasserstein_corrected, metrics.jensen_shannon
            truth = transport_distance(fakes(run, state, POINTS), real)
            rows.append((state.step, truth, metrics.wasserstein, corrected if js is None else js))
    step, w1, raw, estimate = np.array(rows, float).T
    return {"step": step, "w1": w1, "raw": median_filter(raw, smooth), "estimate": median_filter(estimate, smooth)}


def ring_score(run: Run) -> float:
    """Train on a mixture; minus the sliced distance to it, -inf for a run that broke off or a mode that is as good as
    lost: one with less than a fifth of its fair share of the samples."""
    toy = mixture(run.data)
    try:
        *_, (state, _) = quietly(run)
    except UserError:  # a loss that is no number
        return -math.inf
    shares = count(fakes(run, state, 2500), toy)["shares"]
    return -math.inf if shares.min() < 0.2 / len(shares) else -sliced(run, state)


def inception_score(run: Run, device: str, root: Path | None) -> float:
    """Train on images and take the Inception Score of 50,000 samples; 0 where the run broke off."""
    try:
        *_, (state, _) = quietly(run, device=device, root=root)
    except UserError:
        return 0.0
    parts = [fakes(replace(run, seed=seeds.derive(run.seed, "part", i)), state, 1000).cpu() for i in range(50)]
    images = ((torch.cat(parts) + 1) * 127.5).round().to(torch.uint8).numpy()
    report = evaluate(samples=images, against=run.data, metrics=["is"], features="inception", data_root=root)
    return report["is"]


def sliced(run: Run, state: State, n: int = 2500) -> float:
    """The sliced Wasserstein distance of `n` fakes to the data."""
    return sliced_wasserstein(fakes(run, state, n), reals(load(run.data), run.seed, n), directions=64)


def noised(data: str, n: int, draw: seeds.Draw) -> tuple[Tensor, Tensor]:
    """`n` points of a toy distribution, and n others of it with N(0, I) added: a generator that stands still."""
    x = load(data).batch(draw.source.initial_seed(), 0, 2 * n).x
    return x[:n], x[n:] + draw.normal(n, *x.shape[1:])


def steepness(critic: Critic, *points: Tensor) -> float:
    """The 95 % quantile of the norm of the critic's gradient at all `points`: nearly its Lipschitz constant there."""
    return float(gradient_norms(critic, torch.cat(points), create_graph=False).quantile(0.95))


@torch.no_grad()
def surface(critic: Critic, axis: np.ndarray) -> np.ndarray:
    """The critic's values on the square grid axis x axis in the plane, as matplotlib's `contour` takes them."""
    grid = torch.from_numpy(np.stack(np.meshgrid(axis, axis), -1).astype(np.float32))
    return np.asarray(critic(grid.flatten(0, 1)).view(len(axis), len(axis)).numpy())


def layer_gradients(critic: nn.Module, real: Tensor, fake: Tensor) -> np.ndarray:
    """The norm of the gradient of E f(fake) - E f(real) with respect to the output of each nonlinearity of a critic.

    For `wgan.networks.Points`. In float64: float32 can't hold what is left of a gradient behind a dozen clipped layers.
    """
    exact = copy.deepcopy(critic).cpu().double()
    seen: list[Tensor] = []
    for layer in exact.modules():
        if isinstance(layer, nn.ReLU | nn.LeakyReLU | nn.Tanh):
            layer.register_forward_hook(lambda _, __, output: seen.append(output))
    scores = exact(torch.cat([real, fake]).cpu().double())
    loss = scores[len(real) :].mean() - scores[: len(real)].mean()
    return np.array([float(gradient.norm()) for gradient in torch.autograd.grad(loss, seen)])


# (steps done, critic, fakes) at some steps of a training
Critics = Iterator[tuple[int, nn.Module, Tensor]]


def in_play(run: Run, *, every: int, n: int, device: str) -> Critics:
    """The critic of a run and `n` of its generator's fakes, at multiples of `every` steps."""
    for state, _ in quietly(run, device=device):
        if state.step % every == 0:
            yield state.step, state.critic, fakes(run, state, n)


def alone(run: Run, others: Data, build: Callable[[], nn.Module], *, every: int, n: int) -> Critics:
    """The same for a critic by `build` that is trained on `run.data` against a perfect generator: `others`.

    build: makes a critic of flattened samples, [n, d] -> [n].
    """
    data, size = load(run.data), run.batch_size

    def sample(draw: seeds.Draw) -> tuple[Tensor, Tensor]:
        place = draw.source.initial_seed()
        return data.batch(place, 0, size).x, others.batch(place, 0, size).x

    critics = training(
        lambda: nn.Sequential(nn.Flatten(), build()),
        sample,
        run.objective,
        run.critic_optimizer,
        steps=run.steps,
        seed=run.seed,
    )
    for step, critic in critics:
        if step and step % every == 0:
            yield step, critic, reals(others, run.seed, n)


def negative_loss(run: Run, critic: nn.Module, real: Tensor, fake: Tensor) -> float:
    """The critic's loss on the two, penalty included, times -1; changes no state."""
    critic.eval()
    draw = seeds.draw(fake.device, run.seed, "judged penalty")
    made = run.objective.critic_loss(critic, real.to(fake.device), fake, draw)
    critic.train()
    return -float(made.loss.detach())


def spearman(a: Any, b: Any) -> float:
    """Rank correlation; NaN where one of the two does not vary."""
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic)


def kendall(a: Any, b: Any) -> float:
    """Kendall's tau between two rankings."""
    from scipy.stats import kendalltau

    return float(kendalltau(a, b).statistic)


def distance_error(estimate: Any, truth: Any) -> float:
    """The median over a curve of |estimate - truth| / truth."""
    return float(np.median(np.abs(np.asarray(estimate) - truth) / truth))


def cosines(state: State) -> list[float]:
    """A list that grows from now on by one number at each critic update: the cosine of its step and -gradient.

    The step is the optimiser's own, before any clipping; the gradient that of the batch of this update.
    """
    found: list[float] = []
    before: list[Tensor] = []
    optimizer = state.critic_optimizer
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def flat(tensors: list[Tensor]) -> Tensor:
        return torch.cat([tensor.detach().flatten() for tensor in tensors]).double()

    def ahead(*_: Any) -> None:
        before[:] = [flat(weights)]

    def behind(*_: Any) -> None:
        down = -flat([weight.grad for weight in weights])
        found.append(float(torch.nn.functional.cosine_similarity(flat(weights) - before[0], down, dim=0)))

    optimizer.register_step_pre_hook(ahead)
    optimizer.register_step_post_hook(behind)
    return found
