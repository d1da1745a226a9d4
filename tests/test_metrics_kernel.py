"""Kernel distance and inception score: against brute force, identities of U-statistics and closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wgan.metrics import Spread, inception_score, kernel_distance, mmd2

SEEDS = st.integers(0, 2**32 - 1)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def brute_mmd2(x: Tensor, y: Tensor) -> float:
    def k(a: Tensor, b: Tensor) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    within = [
        sum(k(z[i], z[j]) for i, j in itertools.permutations(range(len(z)), 2)) / (len(z) * (len(z) - 1))
        for z in (x, y)
    ]
    return sum(within) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 7), st.integers(2, 7), st.integers(1, 4))
def test_mmd_by_brute_force(seed: int, n: int, m: int, d: int) -> None:
    x, y = normal(n, d, seed=seed), normal(m, d, seed=seed + 1) + 0.5
    true = brute_mmd2(x, y)
    assert mmd2(x, y) == pytest.approx(true, rel=1e-10, abs=1e-12)
    assert mmd2(y, x) == pytest.approx(true, rel=1e-10, abs=1e-12)
    q = torch.linalg.qr(normal(d, d, seed=seed))[0]
    assert mmd2(x @ q, y.flip(0) @ q) == pytest.approx(true, rel=1e-9, abs=1e-11)


def test_diracs() -> None:
    # k(x, x) + k(y, y) - 2 k(x, y) with x.x = 9, y.y = 4, x.y = 2, d = 2
    x, y = torch.tensor([[3.0, 0.0]]).repeat(4, 1), torch.tensor([[2 / 3, (4 - 4 / 9) ** 0.5]]).repeat(3, 1)
    true = (9 / 2 + 1) ** 3 + (4 / 2 + 1) ** 3 - 2 * (2 / 2 + 1) ** 3
    assert mmd2(x.double(), y.double()) == pytest.approx(true, rel=1e-6)
    assert mmd2(x, x) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(300, 700), (256, 257), (2, 513)])
def test_blocks_leave_nothing_out(n: int, m: int) -> None:
    x, y = normal(n, 8), normal(m, 8, seed=1) * 1.1

    def k(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / 8 + 1) ** 3

    true = (
        (k(x, x).sum() - k(x, x).diagonal().sum()) / (n * (n - 1))
        + (k(y, y).sum() - k(y, y).diagonal().sum()) / (m * (m - 1))
        - 2 * k(x, y).mean()
    )
    assert mmd2(x, y) == pytest.approx(float(true), rel=1e-9, abs=1e-12)


def test_the_mean_over_all_subsets_is_the_value_of_all_samples() -> None:
    # what it means that the estimator is unbiased: the mean over all pairs of subsets of 3 of 5
    x, y = normal(5, 3), normal(5, 3, seed=1) + 1
    subsets = [list(s) for s in itertools.combinations(range(5), 3)]
    values = [mmd2(x[a], y[b]) for a in subsets for b in subsets]
    assert np.mean(values) == pytest.approx(mmd2(x, y), rel=1e-10)


def test_random_subsets_estimate_that_value() -> None:
    x, y = normal(50, 3), normal(40, 3, seed=1) + 0.5
    found = kernel_distance(x, y, subsets=2000, size=10)
    assert found.mean == pytest.approx(mmd2(x, y), abs=4 * found.std / 2000**0.5)
    assert found.std > 0.1 * found.mean


def test_unbiased_for_two_samples_of_one_distribution() -> None:
    values = [mmd2(*normal(2, 12, 3, seed=seed)) for seed in range(800)]
    assert abs(np.mean(values)) < 4 * np.std(values) / len(values) ** 0.5
    assert min(values) < 0


def test_a_subset_of_all_holds_each_sample_once() -> None:
    x, y = normal(30, 4), normal(30, 4, seed=1) + 1
    found = kernel_distance(x, y, subsets=5, size=30)
    assert found.mean == pytest.approx(mmd2(x, y), rel=1e-10)
    assert found.std < 1e-10


def test_seed_decides_the_subsets() -> None:
    x, y = normal(30, 4), normal(30, 4, seed=1)
    first = kernel_distance(x, y, subsets=3, size=5)
    assert kernel_distance(x, y, subsets=3, size=5) == first
    assert kernel_distance(x, y, subsets=3, size=5, seed=1) != first


def test_spread_is_the_population_standard_deviation() -> None:
    assert Spread.of([1.0, 3.0]) == Spread(2.0, 1.0)
    assert Spread.of([5.0]) == Spread(5.0, 0.0)


def test_narrow_features_are_multiplied_in_float64() -> None:
    x, y = normal(40, 6).half(), (normal(40, 6, seed=1) + 1).half()
    assert mmd2(x, y) == mmd2(x.double(), y.double())
    assert kernel_distance(x, y, size=20) == kernel_distance(x.double(), y.double(), size=20)


# Inception score


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_score_runs_from_one_to_the_number_of_classes(classes: int) -> None:
    sure = torch.eye(classes).repeat(2, 1)
    assert inception_score(sure, splits=1).mean == pytest.approx(classes)
    unsure = torch.full((20, classes), 1 / classes)
    assert inception_score(unsure, splits=2) == pytest.approx((1, 0), abs=1e-6)
    assert inception_score(sure[:1].repeat(20, 1), splits=2) == pytest.approx((1, 0), abs=1e-9)


def test_score_of_a_known_mixture() -> None:
    # half the samples (a, 1 - a), half the reverse: log score = log 2 - H(a)
    a = 0.9
    p = torch.tensor([[a, 1 - a], [1 - a, a]], dtype=torch.float64).repeat(30, 1)
    entropy = -(a * math.log(a) + (1 - a) * math.log(1 - a))
    assert inception_score(p, splits=1).mean == pytest.approx(math.exp(math.log(2) - entropy), rel=1e-12)


def test_each_split_has_its_own_marginal() -> None:
    # in order: the first split sees class 0 only (score 1), the second both classes evenly (score 2)
    p = torch.eye(2)[[0] * 10 + [0, 1] * 5]
    assert inception_score(p, 2, seed=None) == pytest.approx((1.5, 0.5))
    # 5 samples in 2 splits: 2 and 3, by the rule i n // splits
    p = torch.eye(3)[[0, 1, 0, 1, 2]]
    assert inception_score(p, 2, seed=None) == pytest.approx((2.5, 0.5))


def test_samples_sorted_by_class_are_dealt_out() -> None:
    p = torch.eye(10).repeat_interleave(200, 0)
    assert inception_score(p, 10, seed=None).mean == pytest.approx(1)
    assert inception_score(p, 10).mean > 9.5
    assert inception_score(p, 10) != inception_score(p, 10, seed=1)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 30), st.integers(1, 8))
def test_score_is_within_its_bounds_and_blind_to_class_order(seed: int, n: int, classes: int) -> None:
    p = (3 * normal(n, classes, seed=seed)).softmax(1)
    found = inception_score(p, 1).mean
    assert 1 - 1e-9 <= found <= classes + 1e-9
    assert inception_score(p.flip(1), 1).mean == pytest.approx(found, rel=1e-12)


def test_half_precision_probabilities_pass() -> None:
    p = (5 * normal(200, 1000)).softmax(1)
    assert inception_score(p.half(), 2).mean == pytest.approx(inception_score(p, 2).mean, rel=1e-2)
