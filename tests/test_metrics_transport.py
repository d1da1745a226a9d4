"""Exact and sliced Wasserstein distances: against brute force, the line's closed form, SciPy and bounds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from torch import Tensor

from wgan.metrics import sliced, sliced_wasserstein, transport_distance, transport_plan

SEEDS = st.integers(0, 2**32 - 1)
CASES = st.tuples(SEEDS, st.integers(1, 30), st.integers(1, 5))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def pair(case: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    seed, n, d = case
    return normal(n, d, seed=seed), 1.5 * normal(n, d, seed=seed + 1) + 0.3


# Exact


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 5), st.integers(1, 4), st.sampled_from([1, 2]))
def test_exact_distance_by_brute_force(seed: int, n: int, d: int, power: int) -> None:
    a, b = pair((seed, n, d))
    cost = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") ** power
    true = min(
        float(cost[torch.arange(n), torch.tensor(order)].mean()) for order in itertools.permutations(range(n))
    ) ** (1 / power)
    assert transport_distance(a, b, power) == pytest.approx(true, rel=1e-10)
    plan = transport_plan(a, b, power)
    assert sorted(plan.tolist()) == list(range(n))
    assert float(cost[torch.arange(n), plan].mean()) ** (1 / power) == pytest.approx(true, rel=1e-10)


@pytest.mark.parametrize("power", [1, 2])
def test_on_a_line_order_is_the_plan(power: int) -> None:
    a, b = normal(200, 1), 3 * normal(200, 1, seed=1) - 1
    moved = (a.sort(0).values - b.sort(0).values).abs()
    assert transport_distance(a, b, power) == pytest.approx(float((moved**power).mean() ** (1 / power)), rel=1e-10)
    if power == 1:
        true = wasserstein_distance(a[:, 0].numpy(), b[:, 0].numpy())
        assert transport_distance(a, b) == pytest.approx(true, rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(CASES, st.sampled_from([1, 2]))
def test_exact_distance_is_a_metric(case: tuple[int, int, int], power: int) -> None:
    a, b = pair(case)
    c = normal(*a.shape, seed=5)
    found = transport_distance(a, b, power)
    assert transport_distance(b, a, power) == pytest.approx(found, rel=1e-9)
    assert found <= transport_distance(a, c, power) + transport_distance(c, b, power) + 1e-9
    assert transport_distance(a, a.flip(0), power) == 0


@settings(max_examples=40, deadline=None)
@given(CASES)
def test_shift_rotation_and_order(case: tuple[int, int, int]) -> None:
    a, b = pair(case)
    q, shift = torch.linalg.qr(normal(a.shape[1], a.shape[1]))[0], normal(a.shape[1], seed=2)
    for power in (1, 2):
        assert transport_distance(a, a + shift, power) == pytest.approx(float(shift.norm()), rel=1e-9)
        found = transport_distance(a, b, power)
        assert transport_distance(2 * (a @ q), 2 * (b @ q).flip(0), power) == pytest.approx(2 * found, rel=1e-9)
    assert transport_distance(a, b, 1) <= transport_distance(a, b, 2) + 1e-12


def test_points_along_a_ray_move_by_their_displacement() -> None:
    # any map x -> x + t(x) u with t >= 0 along one direction u is optimal for W1
    a = normal(200, 16)
    t = torch.from_numpy(np.random.default_rng(3).random(200))
    b = a + t[:, None] * torch.nn.functional.one_hot(torch.tensor(0), 16)
    assert transport_distance(a, b[torch.randperm(200)]) == pytest.approx(float(t.mean()), rel=1e-10)


def test_far_from_zero_distances_are_the_same() -> None:
    a, b = normal(50, 100), 2 * normal(50, 100, seed=1)
    assert transport_distance((a + 1e5).float(), (a + 1e5).float().flip(0)) == 0
    assert transport_distance(a + 1e7, b + 1e7) == pytest.approx(transport_distance(a, b), rel=1e-7)


# Sliced


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 40))
def test_sliced_on_a_line_is_w1(seed: int, n: int) -> None:
    a, b = pair((seed, n, 1))
    true = wasserstein_distance(a[:, 0].numpy(), b[:, 0].numpy())
    assert sliced_wasserstein(a, b, directions=3, seed=seed) == pytest.approx(true, rel=1e-10)


@settings(max_examples=30, deadline=None)
@given(CASES, st.integers(1, 400))
def test_sliced_is_the_mean_over_its_directions(case: tuple[int, int, int], at_once: int) -> None:
    a, b = pair(case)
    kept: list[Tensor] = []
    draw = sliced.unit_directions

    def remembered(dim: int, count: int, rng: np.random.Generator) -> Tensor:
        kept.append(draw(dim, count, rng))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sliced, "unit_directions", remembered)
        patch.setattr(sliced, "_AT_ONCE", at_once)
        found = sliced_wasserstein(a, b, directions=7)
    (directions,) = kept
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(7, dtype=torch.float64))
    true = np.mean([wasserstein_distance((a @ v).numpy(), (b @ v).numpy()) for v in directions])
    assert found == pytest.approx(true, rel=1e-10)


@settings(max_examples=30, deadline=None)
@given(CASES)
def test_sliced_is_symmetric_bounded_and_zero_to_itself(case: tuple[int, int, int]) -> None:
    a, b = pair(case)
    found = sliced_wasserstein(a, b, 20)
    assert sliced_wasserstein(b, a.flip(0), 20) == pytest.approx(found, rel=1e-10)
    assert found <= transport_distance(a, b) + 1e-9
    assert sliced_wasserstein(a, a.flip(0), 20) == pytest.approx(0, abs=1e-14)
    assert sliced_wasserstein(a, b, 20, seed=1) != found or a.shape[1] == 1


@pytest.mark.parametrize("d", [1, 2, 3, 16])
def test_sliced_of_a_shift(d: int) -> None:
    # the mean of |v.u| over the sphere of directions: |v| Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2))
    shift = torch.full((d,), 2.0)
    true = 2 * d**0.5 * math.gamma(d / 2) / (math.pi**0.5 * math.gamma((d + 1) / 2))
    assert sliced_wasserstein(torch.zeros(1, d), shift[None], 40_000) == pytest.approx(true, rel=0.02)


def test_inputs_are_left_as_they_are() -> None:
    a, b = normal(9, 1), normal(9, 1, seed=1)
    kept = a.clone(), b.clone()
    sliced_wasserstein(a, b, 2)
    transport_distance(a, b)
    assert torch.equal(a, kept[0])
    assert torch.equal(b, kept[1])
