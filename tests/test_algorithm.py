"""Algorithm 1 against a transcription of its own, and each field of a run against what it says."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from tiny import POINTS, QUIET, tiny, train_to
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, softplus

from wgan import seeds
from wgan.algorithm import real_batch, update, update_critic, update_generator
from wgan.data import Batch, Data, load
from wgan.networks import DCGAN, MLP
from wgan.networks import Network as Networks
from wgan.objectives import Clip, GradientPenalty, Objective, relativistic, wasserstein
from wgan.optimizers import RMSProp
from wgan.presets import PRESETS
from wgan.run import Run
from wgan.state import State, start
from wgan.training import steps

CPU = torch.device("cpu")
Weights = list[Tensor]
Network = Callable[[Weights, Tensor], Tensor]

# --- the transcription: float64, formulas written out ----------------------------------------------------------------


@dataclass(frozen=True)
class InFloat64:
    """Networks of float64 weights; z comes in float32 and is widened."""

    inner: Networks

    def __call__(self, shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[nn.Module, nn.Module]:
        generator, critic = self.inner(shape, z_dim, classes)
        generator.register_forward_pre_hook(lambda module, z: (z[0].double(), *z[1:]))
        return generator.double(), critic.double()


@dataclass(frozen=True)
class Wide:
    """Data in float64; images enlarged `zoom` times each way."""

    inner: Data
    zoom: int = 1
    name: str = "wide"
    classes: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.inner.shape
        return shape if len(shape) == 1 else (shape[0], shape[1] * self.zoom, shape[2] * self.zoom)

    @property
    def count(self) -> int | None:
        return self.inner.count

    def batch(self, seed: int, start: int, n: int) -> Batch:
        x = self.inner.batch(seed, start, n).x.double()
        if x.ndim == 4:
            x = x.repeat_interleave(self.zoom, 2).repeat_interleave(self.zoom, 3)
        return Batch(x, None)


def perceptron(weights: Weights, x: Tensor) -> Tensor:
    for i in range(0, len(weights), 2):
        x = x @ weights[i].T + weights[i + 1]
        x = x if i + 2 == len(weights) else torch.maximum(x, torch.zeros_like(x))
    return x


def normalised(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
    return scale[:, None, None] * (x - mean) / (variance + 1e-5).sqrt() + shift[:, None, None]


def dcgan_generator(weights: Weights, z: Tensor) -> Tensor:
    x = conv_transpose2d(z[:, :, None, None], weights[0])
    for scale, shift, kernel in (weights[1:4], weights[4:7]):
        x = torch.relu(normalised(x, scale, shift))
        x = conv_transpose2d(x, kernel, stride=2, padding=1)
    return torch.tanh(x)


def dcgan_critic(weights: Weights, x: Tensor) -> Tensor:
    x = leaky_relu(conv2d(x, weights[0], stride=2, padding=1), 0.2)
    x = conv2d(x, weights[1], stride=2, padding=1)
    if len(weights) == 5:  # with batch norm
        x = normalised(x, weights[2], weights[3])
    return leaky_relu(x, 0.2).flatten(1) @ weights[-1].T


@dataclass
class HandWritten:
    """w, theta: weights. Line numbers are those of Algorithm 1 of Arjovsky et al. 2017, or of Gulrajani et al. 2017."""

    f: Network
    g: Network
    w: Weights
    theta: Weights
    data: Data
    run: Run

    def __post_init__(self) -> None:
        self.memory = {
            name: [(torch.zeros_like(x), torch.zeros_like(x)) for x in getattr(self, name)] for name in ("w", "theta")
        }
        self.updates = {"w": 0, "theta": 0}

    def train(self, steps: int, n_critic: int, m: int) -> None:
        seen = 0
        for step in range(steps):
            for t in range(n_critic):
                if self.run.constrain == "before":
                    self.clip()
                x = self.data.batch(self.run.seed, seen, m).x
                z = seeds.draw(CPU, self.run.seed, "critic z", step, t).normal(m, self.run.z_dim).double()
                eps = seeds.draw(CPU, self.run.seed, "penalty", step, t).uniform(m, *[1] * (x.ndim - 1)).double()
                self.ascend_critic(x, self.g(self.theta, z).detach(), eps)
                if self.run.constrain == "after":
                    self.clip()
                seen += m
            z = seeds.draw(CPU, self.run.seed, "generator z", step).normal(m, self.run.z_dim).double()
            theta = [value.detach().requires_grad_() for value in self.theta]
            loss = -self.f(self.w, self.g(theta, z)).mean()
            self.descend("theta", torch.autograd.grad(loss, theta))

    def ascend_critic(self, x: Tensor, fake: Tensor, eps: Tensor) -> None:
        w = [value.detach().requires_grad_() for value in self.w]
        loss = self.f(w, fake).mean() - self.f(w, x).mean()
        if not isinstance(self.run.objective.constraints[0], Clip):  # WGAN-GP, lines 6 and 7
            between = (eps * x + (1 - eps) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(self.f(w, between).sum(), between, create_graph=True)
            norm = (slope**2).flatten(1).sum(1) ** 0.5
            loss = loss + 10 * ((norm - 1) ** 2).mean()
        self.descend("w", torch.autograd.grad(loss, w))

    def descend(self, name: str, gradients: tuple[Tensor, ...]) -> None:
        self.updates[name] += 1
        weights, memory = getattr(self, name), self.memory[name]
        for i, g in enumerate(gradients):
            first, second = memory[i]
            if self.run.critic_optimizer == RMSProp(5e-5):
                second = 0.99 * second + 0.01 * g**2
                change = 5e-5 * g / (second**0.5 + 1e-8)
            else:  # Adam: 1e-4, 0, 0.9
                first, second = 0.0 * first + 1.0 * g, 0.9 * second + 0.1 * g**2
                corrected = second / (1 - 0.9 ** self.updates[name])
                change = 1e-4 * first / (corrected**0.5 + 1e-8)
            memory[i] = (first, second)
            weights[i] = (weights[i] - change).detach()

    def clip(self) -> None:
        if isinstance(self.run.objective.constraints[0], Clip):
            self.w = [torch.clamp(value, -0.01, 0.01) for value in self.w]


def values(module: nn.Module) -> Weights:
    return [value.detach().clone() for value in module.parameters()]


@pytest.mark.parametrize("constrain", ["after", "before"])
@pytest.mark.parametrize("source", ["digits", "8gaussians"])
@pytest.mark.parametrize("preset", ["wgan", "wgan-gp"])
def test_same_weights_as_the_transcription(preset: str, source: str, constrain: str) -> None:
    run, data = PRESETS[preset].run, Wide(load(source), zoom=2)
    norm = "batch" if preset == "wgan" else "none"
    networks: Any = DCGAN(filters=4, critic_norm=norm) if source == "digits" else POINTS
    run = replace(run, data=data, networks=InFloat64(networks), z_dim=8, steps=20, batch_size=16, constrain=constrain)
    begin = start(run, data, CPU)
    f, g = (dcgan_critic, dcgan_generator) if source == "digits" else (perceptron, perceptron)
    f_flat: Network = lambda w, x: f(w, x).squeeze(1)  # noqa: E731
    mine = HandWritten(f_flat, g, values(begin.critic), values(begin.generator), data, run)
    mine.train(steps=20, n_critic=5, m=16)
    with closing(steps(run, None, QUIET)) as loop:
        *_, (state, metrics) = loop
    moved = 0.0
    pairs = ((begin.critic, state.critic, mine.w), (begin.generator, state.generator, mine.theta))
    for before, theirs, ours in pairs:
        for first, value, expected in zip(before.parameters(), theirs.parameters(), ours, strict=True):
            assert value.dtype == torch.float64
            torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
            moved = max(moved, float((value - first).detach().abs().max()))
    assert moved > 1e-3
    assert (metrics.step, metrics.images) == (20, 20 * 5 * 16)


# --- the fields of a run ---------------------------------------------------------------------------------------------


def states(run: Run) -> list[dict[str, Any]]:
    """After each step: the weights, the optimisers' step sizes, images seen."""
    found = []
    with closing(steps(run, None, QUIET)) as loop:
        for state, _ in loop:
            found.append(
                {
                    "critic": values(state.critic),
                    "generator": values(state.generator),
                    "average": [] if state.average is None else values(state.average),
                    "buffers": [
                        copy.deepcopy([*m.buffers()]) for m in (state.generator, state.average) if m is not None
                    ],
                    "lr": (
                        state.critic_optimizer.param_groups[0]["lr"],
                        state.generator_optimizer.param_groups[0]["lr"],
                    ),
                    "images": state.images,
                }
            )
    return found


def largest(weights: Weights) -> float:
    return max(float(value.abs().max()) for value in weights)


def test_clipping_after_and_before() -> None:
    fields = {"objective": Objective(wasserstein, Clip(0.01)), "critic_optimizer": RMSProp(1e-3)}
    for each in states(tiny("wgan", **fields)):
        assert largest(each["critic"]) == pytest.approx(0.01, rel=1e-6)
    for each in states(tiny("wgan", **fields, constrain="before")):
        # one update of at most lr / sqrt(1 - alpha) on top of clipped weights
        assert 0.0101 < largest(each["critic"]) <= 0.01 + 1e-3 / math.sqrt(0.01) + 1e-6


def test_the_warm_up_of_the_authors_code() -> None:
    run = PRESETS["wgan-code"].run
    # gen_iterations < 25 or gen_iterations % 500 == 0: 100, else 5
    expected = [100 if step < 25 or step % 500 == 0 else 5 for step in range(1600)]
    assert [run.n_critic_at(step) for step in range(1600)] == expected
    assert [PRESETS["wgan"].run.n_critic_at(step) for step in (0, 24, 25, 500)] == [5, 5, 5, 5]
    warm = tiny("wgan-code", n_critic=2, warmup_n_critic=6, warmup_steps=2, warmup_every=4, steps=6)
    images = [each["images"] for each in states(warm)]
    assert [b - a for a, b in zip([0, *images], images, strict=False)] == [8 * n for n in (6, 6, 2, 2, 6, 2)]


@pytest.mark.parametrize("fields", [{"steps": 4}, {"steps": 0, "epochs": 4 * 2 * 8 / 1797}])
def test_the_rate_falls_to_zero(fields: dict[str, Any]) -> None:
    run = tiny("ttur", lr_decay="linear", n_critic=2, **fields)
    expected = [(3e-4 * share, 1e-4 * share) for share in (1, 0.75, 0.5, 0.25)]
    assert [each["lr"] for each in states(run)] == [pytest.approx(pair, rel=1e-12) for pair in expected]
    assert {each["lr"] for each in states(tiny("ttur"))} == {(3e-4, 1e-4)}


@pytest.mark.parametrize(("generator_batch_size", "expected"), [(0, 8), (12, 12)])
def test_the_batches_of_both_networks(generator_batch_size: int, expected: int) -> None:
    run, state, data = ready(tiny("wgan", generator_batch_size=generator_batch_size))
    sizes: list[int] = []
    state.generator.register_forward_hook(lambda module, z, made: sizes.append(len(made)))
    update_critic(run, state, data, CPU, 0)
    update_generator(run, state, data, CPU)
    assert sizes == [8, expected]
    assert state.images == 8


def test_the_running_average_in_closed_form() -> None:
    run = tiny("wgan", ema=0.5, steps=12)
    begin = values(ready(run)[1].generator)
    found = states(run)
    decays = [min(0.5, (1 + k) / (10 + k)) for k in range(12)]
    assert decays[0] == 0.1
    assert decays[-1] == 0.5
    for i, first in enumerate(begin):
        # prod(d) theta_0 + sum_k (1 - d_k) prod_{j > k} d_j theta_k
        expected = math.prod(decays) * first.double()
        for k, each in enumerate(found):
            expected += (1 - decays[k]) * math.prod(decays[k + 1 :]) * each["generator"][i].double()
        torch.testing.assert_close(found[-1]["average"][i].double(), expected, rtol=1e-5, atol=1e-7)
        assert not torch.equal(found[-1]["average"][i], found[-1]["generator"][i])
    for mine, its in zip(*found[-1]["buffers"], strict=True):
        assert torch.equal(mine, its)


def test_the_running_average_changes_no_training() -> None:
    with_it, without = states(tiny("wgan", ema=0.9))[-1], states(tiny("wgan"))[-1]
    assert all(map(torch.equal, with_it["generator"], without["generator"]))


def ready(run: Run) -> tuple[Run, State, Data]:
    data = load(run.data)
    run = run.resolved(data)
    return run, start(run, data, CPU), data


def test_dequantizing_adds_less_than_a_level() -> None:
    run, _, data = ready(tiny("wgan", dequantize=True))
    plain = data.batch(run.seed, 40, 500).x
    added = real_batch(run, data, CPU, 40, 500)[0] - plain
    # float32 near 1 is spaced 1.2e-7 apart
    assert added.min() >= -2e-7
    assert added.max() <= 1 / 128 + 2e-7
    assert added.max() - added.min() > 0.99 / 128
    assert abs(added.mean() - 1 / 256) < 1e-4
    assert torch.equal(real_batch(run, data, CPU, 40, 500)[0] - plain, added)
    assert not torch.equal(real_batch(run, data, CPU, 41, 499)[0], plain[1:] + added[1:])
    assert torch.equal(real_batch(replace(run, dequantize=False), data, CPU, 40, 500)[0], plain)
    points = load("8gaussians")
    assert torch.equal(real_batch(run, points, CPU, 40, 500)[0], points.batch(run.seed, 40, 500).x)


def test_a_relativistic_generator_sees_real_samples() -> None:
    run = tiny("wgan", objective=Objective(relativistic), conditional=True, generator_batch_size=12)
    run, state, data = ready(run)
    update_critic(run, state, data, CPU, 0)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    state.critic.register_forward_hook(lambda module, x, score: seen.append((*x, score.detach())))
    loss = update_generator(run, state, data, CPU)
    (real, real_labels, real_scores), (fake, fake_labels, fake_scores) = seen
    expected = data.batch(run.seed, 8, 12)
    assert torch.equal(real, expected.x)
    assert torch.equal(real_labels, expected.labels)
    assert fake.shape == real.shape
    assert not torch.equal(real_labels, fake_labels)
    torch.testing.assert_close(loss, softplus(real_scores - fake_scores).mean())
    # the critic has not trained on them
    assert state.images == 8


def test_labels_reach_both_networks() -> None:
    run, state, data = ready(tiny("wgan", conditional=True))
    seen: list[Tensor] = []
    state.generator.register_forward_hook(lambda module, inputs, made: seen.append(inputs[1]))
    state.critic.register_forward_hook(lambda module, inputs, score: seen.append(inputs[1]))
    losses = update_critic(run, state, data, CPU, 0)
    labels = data.batch(run.seed, 0, 8).labels
    # the generator once, then the critic, real and fake samples in one pass
    assert len(seen) == 2
    assert all(torch.equal(each, labels) for each in (*seen[0:1], *seen[1].chunk(2), losses.labels))
    drawn = []
    for step in range(100):
        state.step = step
        update_generator(run, state, data, CPU)
        assert torch.equal(seen[-1], seen[-2])
        drawn.append(seen[-1])
    counts = torch.cat(drawn).bincount(minlength=10)
    assert len(counts) == 10
    # 800 labels in 10 classes: 80 each, five standard deviations are 42
    assert counts.min() > 38
    assert counts.max() < 122


def test_each_step_trains_its_own_network() -> None:
    run, state, data = ready(tiny("wgan"))
    frozen = next(state.critic.parameters()).requires_grad_(False)
    before = values(state.critic), values(state.generator)
    update_critic(run, state, data, CPU, 0)
    trained = values(state.critic)
    assert not any(map(torch.equal, trained[1:], before[0][1:]))
    assert all(map(torch.equal, values(state.generator), before[1]))
    assert all(weight.grad is None for weight in state.generator.parameters())
    gradients = [None if w.grad is None else w.grad.clone() for w in state.critic.parameters()]
    update_generator(run, state, data, CPU)
    assert all(map(torch.equal, values(state.critic), trained))
    assert not any(map(torch.equal, values(state.generator), before[1]))
    for weight, gradient in zip(state.critic.parameters(), gradients, strict=True):
        if weight is frozen:  # what a critic of one's own keeps fixed stays so
            assert not weight.requires_grad
            assert weight.grad is None
        else:
            assert weight.requires_grad
            assert weight.grad is not None
            assert gradient is not None
            assert torch.equal(weight.grad, gradient)


class Sum(nn.Module):
    """f(x) = a sum(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.a * x.flatten(1).sum(1)


class Shift(nn.Module):
    """g(z) = (b, b)."""

    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.tensor(-3.0))

    def forward(self, z: Tensor) -> Tensor:
        return self.b * torch.ones(len(z), 2)


def right_critic(shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[nn.Module, nn.Module]:
    return Shift(), Sum()


def test_signs() -> None:
    """Real points lie at (2, u), fake ones at (-3, -3): a critic that rises to the right is right."""
    run = tiny("wgan", data="line:2", networks=right_critic, objective=Objective(wasserstein), steps=30, batch_size=64)
    run = replace(run, critic_optimizer=RMSProp(0.0), generator_optimizer=RMSProp(0.1))
    seen = train_to(run)[1]
    # E f(real) = 2 + 1/2, E f(fake) = -6
    assert seen[0].wasserstein == pytest.approx(8.5, abs=0.2)
    assert seen[0].critic_loss == pytest.approx(-seen[0].wasserstein, rel=1e-6)
    assert seen[0].generator_loss == pytest.approx(6.0, rel=1e-6)
    assert seen[-1].critic_slope == pytest.approx(math.sqrt(2), rel=1e-5)
    # the generator goes where scores are high, the estimate falls
    assert seen[-1].wasserstein < seen[0].wasserstein - 3
    # and a critic step makes the critic more right
    run = replace(run, critic_optimizer=RMSProp(0.1), generator_optimizer=RMSProp(0.0))
    assert train_to(run)[1][-1].wasserstein > seen[0].wasserstein + 3


@pytest.mark.parametrize("preset", ["wgan", "wgan-gp"])
def test_bf16_stays_close_to_fp32(preset: str) -> None:
    run = tiny(preset, data="8gaussians", networks=POINTS, steps=20, batch_size=64)
    if preset == "wgan-gp":
        run = replace(run, objective=Objective(wasserstein, GradientPenalty(10.0)))
    (exact, metrics), (coarse, coarse_metrics) = (
        states_and_metrics(replace(run, precision=p)) for p in ("fp32", "bf16")
    )
    assert coarse_metrics.wasserstein != metrics.wasserstein
    assert coarse_metrics.wasserstein == pytest.approx(metrics.wasserstein, rel=0.03, abs=1e-4)
    for name in ("critic", "generator"):
        for a, b in zip(exact[name], coarse[name], strict=True):
            assert b.dtype == torch.float32
            # 40 updates of the critic that may differ in sign where a gradient is near zero
            assert (a - b).abs().mean() < 5e-4


def states_and_metrics(run: Run) -> tuple[dict[str, Any], Any]:
    return states(run)[-1], train_to(run)[1][-1]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"data": "digits", "conditional": True, "networks": MLP(16, critic="mlp")},
        {"data": "digits", "networks": DCGAN(filters=4, critic_norm="none")},
        {"data": "digits", "conditional": True, "networks": DCGAN(filters=4, critic_norm="none")},
    ],
)
def test_fakes_of_several_updates_in_one_pass(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same training as one by one; 11 critic updates are a full pass and the rest."""
    monkeypatch.setattr("wgan.algorithm.AHEAD", {3: 64, 1: 64})
    chosen = {"data": "8gaussians", "networks": POINTS, "n_critic": 11, "steps": 2, "precision": "fp32"} | fields
    found, sizes = [], []
    for separable in (True, False):
        run, state, data = ready(tiny("wgan-gp", **chosen))
        assert state.generator.separable
        state.generator.separable = separable
        made: list[int] = []
        state.generator.register_forward_hook(lambda module, z, x, made=made: made.append(len(x)))
        for _ in range(2):
            update(run, state, data, CPU)
        found.append([*values(state.critic), *values(state.generator)])
        sizes.append(made)
        assert state.images == 2 * 11 * run.batch_size
    n = run.batch_size
    assert sizes == [[8 * n, 3 * n, n] * 2, [n] * 24]
    for ahead, alone in zip(*found, strict=True):
        torch.testing.assert_close(ahead, alone, rtol=1e-5, atol=1e-6)
