"""Faster ways are the same maps: against torch's convolutions in float64, against autograd, and in training."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_textbook import LR, both, differences, too_far
from tiny import tiny
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from wgan import seeds
from wgan.data import load
from wgan.fast import choosing, maps, native, ways
from wgan.fast import rows as perceptron
from wgan.fast.activations import LeakyReLU
from wgan.fast.choosing import Shape, candidates, choose
from wgan.fast.layers import FastConv2d, FastReLU, Nothing, PooledConv2d, UpsampledConv2d, join_norms, speed_up
from wgan.fast.norms import FastBatchNorm2d, in_parts
from wgan.networks import DCGAN, Points, ResNet
from wgan.objectives import (
    R1,
    R2,
    Critic,
    Dragan,
    Draw,
    GradientPenalty,
    GroupSort,
    LipschitzPenalty,
    Objective,
    OneSidedPenalty,
    SpectralNorm,
    hinge,
    logistic,
    wasserstein,
)
from wgan.state import start

CPU = torch.device("cpu")
compiled = pytest.mark.skipif(native.library() is None, reason="there is no C compiler here")


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own for each test, in which the compiled maps lie already."""
    monkeypatch.setattr(choosing, "cache_folder", lambda: tmp_path)
    choosing.cache_file.cache_clear()
    choose.cache_clear()
    yield
    choosing.cache_file.cache_clear()
    choose.cache_clear()


def random(*shape: int, seed: int = 0, grad: bool = True) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_(grad)


def off(found: Tensor, expected: Tensor) -> float:
    """The relative distance of a tensor from what it should be, in float64."""
    return float(((found.double() - expected).norm() / expected.norm().clamp_min(1e-30)).detach())


def derivatives(way: choosing.Way, x: Tensor, w: Tensor, stride: int, padding: int) -> list[Tensor]:
    """y, the two gradients of |y|^2 / 2, and those of an inner product of these with fixed numbers."""
    y = way(x, w, stride, padding)
    first = torch.autograd.grad(y.square().sum() / 2, (x, w), create_graph=True)
    fixed = [random(*g.shape, seed=seed, grad=False).to(g.dtype) for seed, g in enumerate(first, 7)]
    second = torch.autograd.grad(sum((g * u).sum() for g, u in zip(first, fixed, strict=True)), (x, w))
    return [y, *first, *second]


GEOMETRIES = [(4, 2, 1), (3, 1, 1), (1, 1, 0), (4, 1, 0), (3, 2, 0), (5, 3, 2)]


@compiled
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(GEOMETRIES),
    *[st.integers(1, 3)] * 2,
    st.integers(1, 70),
    st.integers(1, 9),
    st.integers(0, 1 << 16),
)
def test_each_way_is_the_librarys(
    geometry: tuple[int, int, int], tall: int, wide: int, c: int, o: int, seed: int
) -> None:
    """There and back, and back once more, against the library in float64."""
    kernel, stride, padding = geometry
    height, width = (4 * side if kernel in (3, 4) and padding else 4 * side + 1 for side in (tall, wide))
    x, w = random(2, c, height, width, seed=seed), random(o, c, kernel, kernel, seed=seed + 1)
    y = random(*conv2d(x, w, None, stride, padding).shape, seed=seed + 2)
    for table, given_, plain in (
        (choosing.CONVOLVE, x, conv2d),
        (choosing.SPREAD, y, conv_transpose2d),
    ):
        out = x.shape[2:] if table is choosing.CONVOLVE else plain(y, w, None, stride, padding).shape[2:]
        exact = derivatives(
            lambda a, b, s, p: plain(a, b, None, s, p),  # noqa: B023  used in this round alone
            *(t.detach().double().requires_grad_() for t in (given_, w)),
            stride,
            padding,
        )
        for name, way in table.items():
            if name == "winograd" and not ways.winograd_fits(kernel, stride, padding, out[0], out[1]):
                continue
            found = derivatives(way, given_, w, stride, padding)
            assert max(map(off, found, exact)) < 3e-6, name


@compiled
def test_each_map_and_its_adjoint() -> None:
    """<A x, y> = <x, A' y> to rounding, in float32; and bf16 is float32 rounded."""
    shape, kernel = (2, 5, 8, 12), (6, 5, 4, 4)
    for linear, x in (
        (maps.split(shape, 2), random(*shape)),
        (maps.split(shape, 1), random(*shape)),
        (maps.merge(shape, 3), random(9, 2 * 4 * 6, 5)),
        (maps.merge(shape, 4), random(16, 2 * 4 * 6, 5)),
        (maps.kernels(kernel, 2, torch.float32), random(*kernel)),
        (maps.kernels((6, 5, 3, 3), 1, torch.float32), random(6, 5, 3, 3)),
        (maps.columns(shape, 4, 2, 1), random(*shape)),
        (maps.columns(shape, 3, 1, 0), random(*shape)),
    ):
        there = linear(x.detach())
        y = random(*there.shape, seed=3, grad=False)
        left, right = (there * y).sum(), (x * linear.adjoint(y)).sum()
        assert float((left - right).abs().detach()) < 1e-4 * float(there.norm() * y.norm()), linear
        assert linear.adjoint.adjoint == linear
        if linear.name != "kernels":
            low = linear(x.detach().bfloat16())
            assert low.dtype == torch.bfloat16
            assert off(low, linear(x.detach().bfloat16().float()).double()) < 4e-3, linear


@compiled
def test_bf16_is_rounded_as_torch_rounds() -> None:
    w = random(6, 70, 4, 4, grad=False)
    corner = maps.kernels((6, 70, 4, 4), 2, torch.bfloat16)(w)[0].view(6, 2, 2, 70)
    assert torch.equal(corner, w[:, :, :2, :2].permute(0, 2, 3, 1).bfloat16())


@compiled
def test_bf16_keeps_what_is_no_number() -> None:
    x = torch.tensor([1.0, float("nan"), float("inf"), -float("inf")]).bfloat16().view(1, 1, 2, 2)
    found = maps.columns((1, 1, 2, 2), 1, 1, 0)(x).flatten()
    assert torch.equal(found, x.flatten()) or (found.isnan() == x.flatten().isnan()).all()
    merged = maps.merge((1, 1, 2, 2), 3)(torch.full((9, 1, 1), float("nan")).bfloat16())
    assert merged.isnan().all()


@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_an_activation_and_its_derivatives(slope: float, layout: torch.memory_format) -> None:
    u, found = random(3, 4, 5, 6, seed=1, grad=False), []
    for f in (lambda x: LeakyReLU.apply(x, slope), lambda x: leaky_relu(x, slope)):
        x = random(3, 4, 5, 6, grad=False).contiguous(memory_format=layout)
        x[:, 1] = 0
        y = f(x.requires_grad_())
        (first,) = torch.autograd.grad((y + y.pow(3)).sum(), x, create_graph=True)
        found.append([y, first, *torch.autograd.grad((first * u).sum(), x)])
    for mine, its in zip(*found, strict=True):
        torch.testing.assert_close(mine, its)


@compiled
def test_layers_that_become_one() -> None:
    down = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.AvgPool2d(2))
    up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(3, 8, 3, padding=1))
    for network, kinds in ((down, [FastConv2d, FastReLU, PooledConv2d, Nothing]), (up, [Nothing, UpsampledConv2d])):
        fast = copy.deepcopy(network)
        speed_up(fast)
        assert [type(layer) for layer in fast] == kinds
        assert list(fast.state_dict()) == list(network.state_dict())
        for side in (8, 7):
            x = random(2, 3, side, side, grad=False)
            torch.testing.assert_close(fast(x), network(x), rtol=1e-4, atol=1e-5)


def test_layers_that_something_else_holds_do_their_own() -> None:
    """One mean for two places, a convolution that is called by itself, a Sequential of one's own."""
    half = nn.AvgPool2d(2)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.AvgPool2d(2))
            self.first = self.body[0]

        def forward(self, x: Tensor) -> Tensor:
            both: Tensor = self.body(self.first(x))
            return both

    class Around(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            whole, small = self[0](x), self[1](x)
            return torch.cat([whole.flatten(), small.flatten()])

    for network in (
        nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), half, nn.Conv2d(3, 3, 1), half),
        Twice(),
        Around(nn.Conv2d(3, 3, 3, padding=1), nn.AvgPool2d(2)),
    ):
        x = random(2, 3, 8, 8, grad=False)
        expected = network(x)
        speed_up(network)
        torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-5)


def test_layers_that_stay() -> None:
    class Own(nn.Conv2d):
        pass

    kept = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, (3, 5)),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(4, 4, 3, 2, output_padding=1),
        nn.LeakyReLU(1.5),
        Own(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.AvgPool2d(3),
        nn.Upsample(scale_factor=3),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(4, 4, 5, padding=2),
    )
    before = [type(layer) for layer in kept]
    speed_up(kept)
    changed = [layer for layer, kind in zip(kept, before, strict=True) if type(layer) is not kind]
    assert [type(layer) for layer in changed] == [FastConv2d, FastConv2d]


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize(
    "objective",
    [
        Objective(wasserstein, GradientPenalty(10.0)),
        Objective(logistic, LipschitzPenalty(3.0)),
        Objective(wasserstein, OneSidedPenalty(2.0)),
        Objective(wasserstein, Dragan(10.0)),
    ],
    ids=str,
)
def test_one_pass_of_a_perceptron(activation: str, objective: Objective) -> None:
    """Loss and gradients in float64 are autograd's double backward."""
    with seeds.scope(0, "weights"):
        critic = Points(width=24, depth=3, activation=activation)((2,), 4)[1].double()
    fast = copy.deepcopy(critic)
    speed_up(fast)
    assert fast.scores_and_gradients(torch.zeros(1, 2).double(), lambda: torch.zeros(1, 2).double()) is not None
    real, fake = (random(9, 2, seed=seed, grad=False).double() for seed in (1, 2))
    found = []
    for one in (critic, fast):
        losses = objective.critic_loss(one, real, fake, seeds.draw(CPU, 0, "penalty", 0))
        losses.loss.backward()
        found.append([losses.loss.detach(), losses.penalty, *(weight.grad for weight in one.parameters())])
    for plain, quick in zip(*found, strict=True):
        torch.testing.assert_close(quick, plain, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "critic",
    [
        Points(width=8, activation="tanh")((2,), 4)[1],
        Points(width=8, dropout=0.5)((2,), 4)[1],
        Points(width=8)((2,), 4, 3)[1],
        DCGAN(filters=4, critic_norm="none")((1, 8, 8), 4)[1],
    ],
    ids=["tanh", "dropout", "labels", "convolutions"],
)
def test_a_critic_without_that_way_draws_nothing(critic: nn.Module) -> None:
    def never() -> Tensor:
        raise AssertionError("points were drawn")

    speed_up(critic)
    assert critic.scores_and_gradients(torch.zeros(1, 2), never) is None  # type: ignore[operator]


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])
@pytest.mark.parametrize(
    "networks",
    [
        DCGAN(filters=4),
        DCGAN(filters=4, critic_norm="none"),
        DCGAN(filters=4, critic_norm="layer"),
        DCGAN(filters=4, critic_norm="none", dropout=0.1),
        ResNet(filters=4),
        ResNet(filters=4, critic_norm="batch"),
    ],
    ids=str,
)
def test_real_and_fake_in_one_pass(networks: DCGAN | ResNet, fast: bool) -> None:
    """What two passes give, scores, gradients and what batch norms remember; dropout and torch's norms need two."""
    critic = networks((1, 16, 16), 4)[1]
    if fast:
        speed_up(critic)
        join_norms(critic)
    apart = copy.deepcopy(critic)
    apart.separable = False
    seen: list[int] = []
    critic.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    real, fake = random(3, 1, 16, 16, grad=False), random(3, 1, 16, 16, seed=1, grad=False) + 1
    found = []
    for one in (critic, apart):
        with seeds.scope(0, "dropout"):
            losses = Objective(wasserstein).critic_loss(one, real, fake, seeds.draw(CPU, 0, "x"))
        losses.loss.backward()
        gradients = [weight.grad for weight in one.parameters()]
        found.append([losses.real_scores, losses.fake_scores, *gradients, *one.buffers()])
    together = not networks.dropout and (fast or networks.critic_norm != "batch")
    assert seen == ([6] if together else [3, 3])
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("constraints", "sizes"), [((R1(3.0),), [3, 3]), ((R2(3.0),), [3, 3]), ((R1(3.0), R2(2.0)), [6])]
)
@pytest.mark.parametrize("networks", [DCGAN(filters=4, critic_norm="none"), DCGAN(filters=4)], ids=str)
def test_scores_and_zero_centred_penalties_of_one_pass(
    networks: DCGAN, constraints: tuple[R1 | R2, ...], sizes: list[int]
) -> None:
    critic = networks((1, 16, 16), 4)[1]
    speed_up(critic)
    apart, seen = copy.deepcopy(critic), list[int]()
    apart.separable = False
    critic.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    real, fake = random(3, 1, 16, 16, grad=False), random(3, 1, 16, 16, seed=1, grad=False) + 1
    found = []
    for one in (critic, apart):
        losses = Objective(wasserstein, *constraints).critic_loss(one, real, fake, seeds.draw(CPU, 0, "x"))
        losses.loss.backward()
        gradients = [weight.grad for weight in one.parameters()]
        found.append([losses.real_scores, losses.fake_scores, losses.penalty, *gradients])
    # with batch norm, scores in one pass and then each penalty
    assert seen == (sizes if networks.critic_norm == "none" else [6, *[3] * len(constraints)])
    for mine, expected in zip(*found, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-6)


def test_a_penalty_in_the_place_of_one_that_is_known_is_asked() -> None:
    class Own(R1):
        def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
            return real.new_tensor(7.0)

    class Mine(GradientPenalty):
        def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
            return real.new_tensor(5.0)

    critic = Points(width=8)((2,), 4)[1]
    speed_up(critic)
    real, fake = random(3, 2, grad=False), random(3, 2, seed=1, grad=False)
    losses = Objective(wasserstein, Own(), Mine()).critic_loss(critic, real, fake, seeds.draw(CPU, 0, "x"))
    assert float(losses.penalty) == 12


@compiled
@settings(max_examples=60, deadline=None)
@given(
    parts=st.integers(1, 4),
    n=st.integers(1, 3),
    channels=st.sampled_from([1, 5, 64, 70]),
    height=st.integers(1, 20),
    slope=st.sampled_from([1.0, 0.0, 0.2]),
    affine=st.booleans(),
    tracked=st.booleans(),
    level=st.sampled_from([0.0, 100.0]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_batch_norm_of_parts(
    parts: int,
    n: int,
    channels: int,
    height: int,
    slope: float,
    affine: bool,
    tracked: bool,
    level: float,
    dtype: torch.dtype,
    seed: int,
) -> None:
    """Against torch's in float64, a part after another: values, gradients, and what is remembered."""
    # of numbers far from 0, many are the mean after rounding: there is a ReLU's edge
    assume(not level or slope == 1)
    plain = nn.BatchNorm2d(channels, affine=affine, track_running_stats=tracked, momentum=0.3)
    with torch.no_grad():
        for i, weight in enumerate(plain.parameters()):
            weight.copy_(random(channels, seed=seed + i, grad=False))
    fast = copy.deepcopy(plain)
    speed_up(fast)
    assert isinstance(fast, FastBatchNorm2d)
    fast.slope = slope
    plain = plain.double()
    # each part has its own mean, and some have means that are far above their deviations
    x = random(parts * n, channels, height + 1, 2, seed=seed, grad=False)
    x = (x + level * torch.arange(1, parts + 1).repeat_interleave(n)[:, None, None, None]).to(dtype).requires_grad_()
    wide = x.detach().double().requires_grad_()
    with in_parts(parts):
        found = fast(x)
    expected = torch.cat([leaky_relu(plain(part), slope) for part in wide.chunk(parts)])
    assert found.dtype == dtype
    change = random(*x.shape, seed=seed + 9, grad=False)
    gradients = torch.autograd.grad(found, [x, *fast.parameters()], change.to(dtype))
    wanted = torch.autograd.grad(expected, [wide, *plain.parameters()], change.to(dtype).double())
    near = 3e-2 if dtype == torch.bfloat16 else 2e-3 if level else 1e-4
    assert off(found.detach(), expected.detach()) < near
    for mine, its in zip(gradients, wanted, strict=True):
        assert off(mine, its) < near or float((mine.double() - its).abs().max()) < near
    for mine, its in zip(fast.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(mine.double(), its.double(), rtol=1e-4, atol=1e-4)


@compiled
def test_a_batch_norm_differentiated_twice() -> None:
    """As the penalty of a critic with batch norm does (--allow-critic-batch-norm)."""
    plain = nn.Sequential(nn.BatchNorm2d(3), nn.LeakyReLU(0.2)).double()
    fast = copy.deepcopy(plain).float()
    speed_up(fast)
    join_norms(fast)
    assert isinstance(fast[1], Nothing)
    found = []
    for one, x in ((fast, random(4, 3, 5, 5)), (plain, random(4, 3, 5, 5, grad=False).double().requires_grad_())):
        (gradient,) = torch.autograd.grad(one(x).pow(3).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [x, *one.parameters()]))
    for mine, expected in zip(*found, strict=True):
        assert off(mine, expected) < 1e-4


@compiled
def test_a_batch_norm_gives_the_same_bits_with_any_number_of_threads() -> None:
    layer = nn.BatchNorm2d(70)
    speed_up(layer)
    x, before, found = random(8, 70, 30, 30), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            y = layer(x)
            found.append([y, *torch.autograd.grad(y.pow(2).sum(), [x, *layer.parameters()])])
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))


def test_batch_norms_that_stay_as_they_are() -> None:
    """Where they remember by a plain mean, in evaluation, for other numbers; parts of different sizes are refused."""
    x = random(6, 4, 3, 3, grad=False)
    for layer, numbers in (
        (nn.BatchNorm2d(4, momentum=None), x),
        (nn.BatchNorm2d(4).eval(), x),
        (nn.BatchNorm2d(4).double(), x.double()),
        (nn.BatchNorm2d(4, track_running_stats=False).eval(), x),
    ):
        fast = copy.deepcopy(layer)
        speed_up(fast)
        for _ in range(2):
            torch.testing.assert_close(fast(numbers), layer(numbers))
        for mine, expected in zip(fast.buffers(), layer.buffers(), strict=True):
            torch.testing.assert_close(mine, expected)
    untracked = nn.BatchNorm2d(4, track_running_stats=False).eval()
    fast = copy.deepcopy(untracked)
    speed_up(fast)
    with in_parts(2):
        torch.testing.assert_close(fast(x), torch.cat([untracked(part) for part in x.chunk(2)]))
    fast = nn.BatchNorm2d(4)
    speed_up(fast)
    with in_parts(4), pytest.raises(ValueError, match="4 parts"):
        fast(x)
    with pytest.raises(ValueError, match="more than 1 value"):
        fast(random(1, 4, 1, 1))


def test_networks_that_are_bfloat16_themselves_are_left_to_torch() -> None:
    """What is compiled reads weights as float32: of half the bytes it would read what lies behind them."""
    norm = nn.BatchNorm2d(70).bfloat16()
    fast = copy.deepcopy(norm)
    speed_up(fast)
    x = random(4, 70, 3, 3, grad=False).bfloat16()
    torch.testing.assert_close(fast(x), norm(x))
    for mine, expected in zip(fast.buffers(), norm.buffers(), strict=True):
        torch.testing.assert_close(mine, expected)
    for layer in (nn.Conv2d(70, 40, 4, 2, 1), nn.ConvTranspose2d(70, 40, 4, 2, 1), nn.Conv2d(70, 40, 3, 1, 1)):
        small, quick = random(4, 70, 8, 8, grad=False).bfloat16(), copy.deepcopy(layer).bfloat16()
        speed_up(quick)
        # the bias is added after rounding here
        assert off(quick(small), layer.bfloat16()(small).double()) < 0.005
    with seeds.scope(0, "weights"):
        exact = Points(width=70)((2,), 4)[1].bfloat16()
    critic = copy.deepcopy(exact)
    speed_up(critic)
    real, fake = (random(300, 2, seed=seed, grad=False).bfloat16() for seed in (1, 2))
    found = []
    for one in (critic, exact.double()):
        kind = next(one.parameters()).dtype
        losses = Objective(wasserstein, GradientPenalty(10.0)).critic_loss(
            one, real.to(kind), fake.to(kind), seeds.draw(CPU, 0, "penalty", 0)
        )
        losses.loss.backward()
        found.append([losses.loss.detach(), *(weight.grad for weight in one.parameters() if weight.ndim == 2)])
    for mine, expected in zip(*found, strict=True):
        assert off(mine, expected) < 0.15


def test_norms_do_the_activation_after_them() -> None:
    shared = nn.ReLU()
    network = nn.Sequential(
        nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4), nn.LeakyReLU(0.3), nn.BatchNorm2d(4), nn.Tanh(),
        nn.BatchNorm2d(4), shared, nn.Conv2d(4, 4, 1), shared,
    )  # fmt: skip
    x, plain = random(2, 4, 3, 3, grad=False), copy.deepcopy(network)
    speed_up(network)
    join_norms(network)
    assert [layer.slope for layer in network if isinstance(layer, FastBatchNorm2d)] == [0.0, 0.3, 1.0, 1.0]
    for training in (True, False):
        torch.testing.assert_close(network.train(training)(x), plain.train(training)(x))


def test_other_activations_come_before_norms_take_theirs() -> None:
    """A constraint that puts GroupSort in the critic gets all activations, behind batch norms too."""
    run = tiny("sngan", size=16, networks=DCGAN(filters=4), objective=Objective(hinge, SpectralNorm(maxmin=True)))
    data = load(run.data, size=16)
    critic = start(run.resolved(data), data, CPU).critic
    assert [layer.slope for layer in critic.modules() if isinstance(layer, FastBatchNorm2d)] == [1.0]
    assert sum(isinstance(layer, GroupSort) for layer in critic.modules()) == 2


SHAPE = Shape(False, 2, 20, 24, 8, 8, 4, 2, 1, "torch.float32")


@compiled
def test_a_choice_is_measured_once_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[choosing.Way] = []

    def seconds(way: choosing.Way, shape: Shape) -> float:
        asked.append(way)
        return {ways.winograd_convolve: 2.0}.get(way, 1.0)

    monkeypatch.setattr(choosing, "seconds", seconds)
    assert choose(SHAPE, 1) == "library"
    assert len(asked) == len(candidates(SHAPE)) == 2
    choose.cache_clear()
    assert choose(SHAPE, 1) == "library"
    assert len(asked) == 2, "the next process reads it"
    assert choose(SHAPE, 2) == "library"
    assert len(asked) == 4, "other threads are another machine"


KEY = f"1 threads {' '.join(map(str, SHAPE))}"


@pytest.mark.parametrize("damage", ["not json", "[]", json.dumps({"x": 1}), json.dumps({KEY: []})])
def test_a_damaged_memory_is_measured_anew(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "seconds", lambda way, shape: 1.0)
    choosing.cache_file().write_text(damage)
    assert choose(SHAPE, 1) == candidates(SHAPE)[0]
    assert json.loads(choosing.cache_file().read_text())


def test_tuning_can_be_turned_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(choosing, "seconds", lambda way, shape: pytest.fail("measured"))
    monkeypatch.setenv("WGAN_TUNING", "0")
    assert choose(SHAPE, 1) == "winograd"
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_remembered_follows_the_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A choice that the next process may make otherwise would change a resumed run's bits."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(choosing, "cache_folder", lambda: tmp_path / "file")
    choosing.cache_file.cache_clear()
    monkeypatch.setattr(choosing, "seconds", lambda way, shape: 1.0 if way is ways.winograd_convolve else 0.5)
    assert choose(SHAPE, 1) == "winograd"


@compiled
def test_a_damaged_library_is_compiled_anew(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    code = "from wgan.fast import native; assert native.library() is not None; print(native._compiled())"
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        Path(done.stdout.strip()).write_bytes(b"no library")


def test_without_a_compiler_all_is_the_librarys(tmp_path: Path) -> None:
    code = (
        "import torch; from wgan.fast import choosing, native; from wgan.fast.layers import *; from torch import nn;"
        "assert native.library() is None; layer = nn.Conv2d(3, 20, 4, 2, 1); x = torch.randn(2, 3, 8, 8); y = layer(x);"
        "speed_up(layer); assert type(layer) is FastConv2d and torch.allclose(layer(x), y, atol=1e-6);"
        "activation = nn.ReLU(); speed_up(activation); x.requires_grad_(); activation(x).sum().backward();"
        "assert torch.equal(x.grad, (x > 0).float())"
    )
    for variables in ({"WGAN_NATIVE": "0"}, {"CC": "/nowhere/cc", "XDG_CACHE_HOME": str(tmp_path)}):
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@compiled
@pytest.mark.parametrize("name", ["wgan", "wgan-gp", "sngan", "r3gan"])
def test_training_by_the_new_ways_is_the_textbooks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 steps with Winograd's products wherever they fit and columns elsewhere, which no small shape would choose."""
    used: set[str] = set()

    def chosen(shape: Shape, threads: int) -> str:
        fits = ways.winograd_fits(shape.kernel, shape.stride, shape.padding, shape.height, shape.width)
        used.add("winograd" if fits else "columns")
        return "winograd" if fits else "columns"

    monkeypatch.setattr(choosing, "choose", chosen)
    found = differences(*both(name, 20, LR.get(name, 1e-3)))
    assert not too_far(found, 1e-5, 1e-4), found
    assert used == {"winograd", "columns"}


@compiled
@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 17),
    units=st.integers(1, 150),
    slope=st.sampled_from([0.0, 0.2]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_rows_of_a_perceptron(rows: int, columns: int, units: int, slope: float, dtype: torch.dtype, seed: int) -> None:
    """Each step between the products, against torch's operations in float64. 17 columns are left to torch."""
    n = (rows + 1) // 2
    x, w, v, offset, weight, ends, hidden, change = (
        random(*shape, seed=seed + i, grad=False)
        for i, shape in enumerate(
            [
                (rows, columns),
                (columns, units),
                (units,),
                (units,),
                (rows,),
                (rows, columns),
                (rows, units),
                (rows, units),
            ]
        )
    )
    # a ReLU's zeros are on its flat side
    hidden, change = (hidden * (hidden > -0.5)).to(dtype), change.to(dtype)
    close = {"rtol": 0.01, "atol": 1e-6} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-5}
    sums = {"rtol": 1e-4, "atol": 1e-4}

    def check(found: Tensor, expected: Tensor, **how: float) -> None:
        torch.testing.assert_close(found.double(), expected, **how)

    rise = torch.where(hidden > 0, 1.0, slope).double()
    check(perceptron.masked(change, hidden, slope), change.double() * rise, **close)
    within = torch.zeros(rows + 2, units, dtype=dtype)
    within[1:-1] = change
    perceptron.masked(within[1:-1], hidden, slope, out=within[1:-1])
    check(within[1:-1], change.double() * rise, **close)
    assert not within[0].any(), "a row that is not its own"
    assert not within[-1].any(), "a row that is not its own"

    opened = perceptron.opened(x, w, offset, dtype, slope)
    expected = x.double() @ w.double() + offset.double()
    assert opened.dtype == dtype
    check(opened, leaky_relu(expected, slope), rtol=0.01, atol=1e-4)
    tangent = perceptron.opened_tangent(x, w, hidden, slope, torch.empty_like(hidden))
    check(tangent, (x.double() @ w.double()) * rise, rtol=0.01, atol=1e-4)
    scores, delta = perceptron.topped(hidden, v, n, slope)
    check(scores, hidden[:n].double() @ v.double(), **sums)
    check(delta, v.to(dtype).double() * rise, **close)
    check(perceptron.lowered(hidden, w), hidden.double() @ w.double().t(), **sums)
    check(perceptron.gathered(ends, hidden), ends.double().t() @ hidden.double(), **sums)
    check(
        perceptron.weighted(hidden, weight, torch.empty_like(hidden)),
        hidden.double() * weight.double()[:, None],
        rtol=0.02,
        atol=1e-6,
    )


@compiled
@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("low", [False, True])
def test_a_perceptron_with_and_without_its_compiled_rows(
    low: bool, activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with seeds.scope(0, "weights"):
        critic = Points(width=70, depth=3, activation=activation)((2,), 4)[1]
    speed_up(critic)
    real, fake = (random(300, 2, seed=seed, grad=False) for seed in (1, 2))
    found = []
    for native_too in (True, False):
        if not native_too:
            monkeypatch.setattr(perceptron, "compiled", lambda *told, **more: None)
        critic.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            losses = Objective(wasserstein, GradientPenalty(10.0)).critic_loss(
                critic, real, fake, seeds.draw(CPU, 0, "penalty", 0)
            )
        losses.loss.backward()
        found.append([losses.loss.detach(), *(weight.grad.clone() for weight in critic.parameters())])
    for quick, plain in zip(*found, strict=True):
        # between numbers of 8 bits a unit of 70 turns now and then
        assert off(quick, plain.double()) < (0.15 if low else 1e-5)
