"""A training of the package against the textbook loop: the same numbers, the same weights, for every preset.

Nothing of the package's objectives or loop is in the textbook, so that what is made faster here is held to it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny
from torch import Tensor, nn

from wgan import seeds
from wgan.algorithm import update
from wgan.data import load
from wgan.data.base import Images
from wgan.fast.norms import FastBatchNorm2d
from wgan.networks import ResNet
from wgan.objectives import R1, Constraint, Drift, GradientPenalty, Objective, SpectralNorm, hinge, minimax, wasserstein
from wgan.presets import PRESETS
from wgan.run import Run, with_lr
from wgan.state import State, start

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from textbook import Textbook, has, slopes

CPU = torch.device("cpu")


class Same:
    """The very samples and numbers that `update` draws, asked for in the textbook's order."""

    def __init__(self, run: Run, data: Images) -> None:
        self.run, self.data = run, data
        self.step = self.t = self.images = self.position = 0
        self.penalty = self.draw("penalty", 0, 0)

    def draw(self, purpose: str, *place: int) -> seeds.Draw:
        return seeds.draw(CPU, self.run.seed, purpose, *place)

    def real(self, purpose: str, n: int) -> Tensor:
        self.position = self.images
        # the generator looks at real samples that the critic is still to see
        self.images += n if purpose == "critic" else 0
        return self.data.batch(self.run.seed, self.position, n).x

    def normal(self, purpose: str, *shape: int) -> Tensor:
        if purpose == "generator z":
            self.step, self.t = self.step + 1, 0
            return self.draw(purpose, self.step - 1).normal(*shape)
        place = (self.step, self.t)
        self.t, self.penalty = self.t + 1, self.draw("penalty", *place)
        return self.draw(purpose, *place).normal(*shape)

    def uniform(self, purpose: str, *shape: int) -> Tensor:
        return (self.draw(purpose, self.position) if purpose == "dequantize" else self.penalty).uniform(*shape)


def images(size: int) -> Images:
    """64 noisy pictures of three channels, uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(64, 192, (64, 3, 4, 4)).repeat(size // 4, axis=2).repeat(size // 4, axis=3)
    return Images("made", (coarse + rng.integers(-64, 64, coarse.shape)).astype(np.uint8))


def both(name: str, steps: int, lr: float | None = None) -> tuple[Run, State, Textbook]:
    """A small run of the preset and its two trainings at equal weights; smooth and by plain steps of `lr` where given.

    Smooth, because rounding turns a ReLU at 0 now and then, and in networks as small as these one of them is up to a
    thousandth of the gradient.
    """
    data = images(16)
    run = tiny(name, data=data, steps=steps)
    run = replace(run, networks=replace(run.networks, filters=8)).resolved(data)  # type: ignore[type-var]
    run = run if lr is None else with_lr(run, critic=lr, generator=lr)
    state, textbook = start(run, data, CPU), Textbook(run, data, source=Same(run, data))
    if lr is not None:
        for network in (state.critic, state.generator, textbook.critic, textbook.generator):
            smoothen(network)
    if run.objective.per_sample:
        steepen(state.critic, data)
    for mine, its in ((state.critic, textbook.critic), (state.generator, textbook.generator)):
        its.load_state_dict({name.replace(".inner.", "."): value for name, value in mine.state_dict().items()})
    if textbook.average is not None:
        textbook.average.load_state_dict(textbook.generator.state_dict())
    if lr is not None:
        state.critic_optimizer, state.generator_optimizer = (
            torch.optim.SGD(network.parameters(), lr) for network in (state.critic, state.generator)
        )
        textbook.optimizers = [torch.optim.SGD(net.parameters(), lr) for net in (textbook.critic, textbook.generator)]
    return run, state, textbook


def smoothen(network: nn.Module) -> None:
    """SiLU in the place of every ReLU."""
    for layer in list(network.modules()):
        for name, child in layer.named_children():
            if isinstance(child, FastBatchNorm2d):
                child.slope = 1.0
            # one that a norm does (`wgan.fast.layers.join_norms`) still knows that it was one
            if isinstance(child, nn.ReLU | nn.LeakyReLU) or hasattr(child, "inplace"):
                setattr(layer, name, nn.SiLU())


@torch.no_grad()
def steepen(critic: nn.Module, data: Images) -> None:
    """Bring the mean slope to 1.2: initial weights give less than 0.3, where lp and div have next to nothing to do."""
    with torch.enable_grad():
        slope = slopes(critic, data.batch(0, 0, 8).x).mean().item()
    critic.head.weight.mul_(1.2 / slope)  # type: ignore[operator, union-attr]


def weights(network: nn.Module, matrices: bool = False) -> Tensor:
    """All weights as one vector, float64; without offsets and scales where only `matrices` are asked for."""
    asked = [weight for weight in network.parameters() if weight.ndim > 1 or not matrices]
    return torch.cat([weight.detach().flatten().double() for weight in asked])


def players(training: State | Textbook) -> dict[str, nn.Module]:
    found = {"critic": training.critic, "generator": training.generator, "average": training.average}
    return {name: network for name, network in found.items() if network is not None}


def differences(run: Run, state: State, textbook: Textbook, matrices: bool = False) -> dict[str, tuple[float, float]]:
    """Train both for all steps. Of each player: how far apart the weights end over their norm, and over how far they
    moved. Of each loss: 0, and the largest difference at a step over the largest value.
    """
    assert isinstance(run.data, Images)
    before = {name: weights(network, matrices) for name, network in players(state).items()}
    curves = []
    for _ in range(run.steps):
        ours, theirs = update(run, state, run.data, CPU), textbook.step()
        curves.append(torch.tensor([[ours.wasserstein, ours.critic, ours.generator], [*theirs]]).double())
    found = {}
    for name, its in players(textbook).items():
        mine = weights(players(state)[name], matrices)
        apart = (mine - weights(its, matrices)).norm().item()
        found[name] = (apart / mine.norm().item(), apart / (mine - before[name]).norm().item())
    both_curves = torch.stack(curves)
    apart_losses = (both_curves[:, 0] - both_curves[:, 1]).abs().amax(0) / both_curves[:, 1].abs().amax(0)
    names = ("wasserstein", "critic loss", "generator loss")
    return found | {name: (0.0, value) for name, value in zip(names, apart_losses.tolist(), strict=True)}


def too_far(found: dict[str, tuple[float, float]], of_norm: float, of_move: float) -> dict[str, tuple[float, float]]:
    """The entries that are not within both bounds; NaN is not."""
    return {name: pair for name, pair in found.items() if not (pair[0] <= of_norm and pair[1] <= of_move)}


# where 1e-3 would hardly move the weights: clipped scores are tiny, and a normalised critic has no large gradients
LR = {"wgan": 0.3, "wgan-code": 0.3, "sngan": 1e-2}


@pytest.mark.parametrize("name", PRESETS)
def test_gradient_descent_ends_at_the_same_weights(name: str) -> None:
    """Plain steps, so that a gradient that is wrong by a factor shows too.

    In float32 the two end up to 3e-6 of the way apart, in float64 2e-15; in float32 with noise of 1e-6 on the output
    of each convolution, as fast kernels have, 1e-5.
    """
    # a step of a ResNet takes as long as four of a DCGAN
    steps = 10 if isinstance(PRESETS[name].run.networks, ResNet) else 20
    found = differences(*both(name, steps, LR.get(name, 1e-3)))
    assert not too_far(found, 1e-5, 1e-4), found


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_own_optimisers(name: str) -> None:
    """The networks as they are: 4e-6 of the way apart, but up to 2e-2 with the same noise, where it turns a ReLU.

    Matrices alone: an offset before a batch norm has no gradient but rounding, which Adam makes full steps of.
    """
    run, state, textbook = both(name, 2)
    for ours, theirs in zip((state.critic_optimizer, state.generator_optimizer), textbook.optimizers, strict=True):
        assert type(ours) is type(theirs)
        for constant in ours.defaults.keys() - {"foreach", "fused"}:
            assert ours.defaults[constant] == theirs.defaults[constant], constant
    found = differences(run, state, textbook, matrices=True)
    assert not too_far(found, 5e-3, 5e-2), found


@pytest.mark.parametrize(("name", "part"), [("wgan-gp", GradientPenalty(10.1)), ("r3gan", R1(0.0505))])
def test_one_percent_more_penalty_would_show(name: str, part: Constraint) -> None:
    run, state, textbook = both(name, 5, 1e-3)
    textbook.penalties[0] = part
    found = differences(run, state, textbook)
    assert "critic" in too_far(found, 1e-5, 1e-4), found


@pytest.mark.parametrize("name", PRESETS)
def test_the_textbook_has_every_preset_in_layers_of_torch(name: str) -> None:
    """Its layers are torch's own: faster ones belong to the training, or both sides would have them."""
    run = tiny(name)
    assert has(PRESETS[name].run)
    assert not has(replace(run, conditional=True))
    textbook = Textbook(run, load("digits"))
    for layer in [*textbook.critic.modules(), *textbook.generator.modules()]:
        if next(layer.children(), None) is None:
            assert type(layer).__module__.startswith("torch.nn"), layer
    before = weights(textbook.generator)
    assert all(loss.isfinite() for loss in textbook.step())
    assert not torch.equal(before, weights(textbook.generator))


def test_what_the_textbook_has_not() -> None:
    for objective in (Objective(minimax), Objective(wasserstein, Drift()), Objective(hinge, SpectralNorm(maxmin=True))):
        assert not has(Run(objective=objective))
