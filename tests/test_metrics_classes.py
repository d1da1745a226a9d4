"""Class balance, Stacked-MNIST modes and the modes of toy mixtures: against SciPy, plain loops and hand counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from wgan.metrics import class_balance, modes, stacked_labels


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.lists(st.integers(1, 9), min_size=7, max_size=7))
def test_balance_as_scipy_has_it(labels: list[int], counts: list[int]) -> None:
    share = np.bincount(labels, minlength=7) / len(labels)
    even, expected = (
        class_balance(torch.tensor(labels), 7),
        class_balance(torch.tensor(labels), 7, torch.tensor(counts)),
    )
    np.testing.assert_allclose(even.share, share)
    assert even.missing == expected.missing == 7 - len(set(labels))
    assert even.reverse_kl == pytest.approx(entropy(share, np.full(7, 1 / 7)), rel=1e-12, abs=1e-12)
    assert expected.reverse_kl == pytest.approx(entropy(share, counts), rel=1e-12, abs=1e-12)
    assert even.reverse_kl >= 0


def test_balance_by_hand() -> None:
    missing, reverse_kl, share = class_balance(torch.tensor([0, 0, 0, 1]), 3)
    assert (missing, share.tolist()) == (1, [0.75, 0.25, 0])
    assert reverse_kl == pytest.approx(0.75 * math.log(0.75 * 3) + 0.25 * math.log(0.25 * 3))
    assert class_balance(torch.arange(5), 5)[:2] == (0, 0)
    assert class_balance(torch.zeros(9, dtype=torch.uint8), 10)[1] == pytest.approx(math.log(10))


def test_a_class_that_can_not_be_there() -> None:
    reference = torch.tensor([1.0, 1.0, 0.0])
    assert class_balance(torch.tensor([0, 1, 2]), 3, reference).reverse_kl == math.inf
    assert class_balance(torch.tensor([0, 1, 1]), 3, reference).reverse_kl < math.inf


def test_rounding_makes_no_divergence_negative() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        counts = rng.integers(1, 9, 5)
        labels = torch.from_numpy(np.repeat(np.arange(5), counts))
        found = class_balance(labels, 5, torch.from_numpy(counts * rng.random())).reverse_kl
        assert 0 <= found < 1e-15


def test_stacked_mnist_counts_1000_modes() -> None:
    digits = torch.cartesian_prod(*[torch.arange(10)] * 3)
    labels = stacked_labels(digits)
    assert labels.tolist() == list(range(1000))
    assert class_balance(labels, 1000)[:2] == (0, pytest.approx(0, abs=1e-12))
    lost = class_balance(labels[labels >= 41], 1000)
    assert 1000 - lost.missing == 959
    assert lost.reverse_kl == pytest.approx(math.log(1000 / 959))


def test_the_floor_of_perfect_samples_is_as_documented() -> None:
    labels = torch.from_numpy(np.random.default_rng(0).integers(0, 1000, 26_000))
    assert class_balance(labels, 1000).reverse_kl == pytest.approx(999 / 52_000, rel=0.1)


# Modes

GRID = torch.cartesian_prod(torch.arange(-2.0, 3), torch.arange(-2.0, 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0.05, 1))
def test_modes_by_plain_loops(seed: int, n: int, std: float) -> None:
    points = 2 * np.random.default_rng(seed).standard_normal((n, 2))
    hits, good, captured = np.zeros(25), 0, set()
    for point in points:
        distances = [math.dist(point, centre) for centre in GRID.tolist()]
        owner = int(np.argmin(distances))
        hits[owner] += 1
        if distances[owner] <= 3 * std:
            good += 1
            captured.add(owner)
    found = modes(torch.from_numpy(points), GRID, std)
    assert found[:2] == (len(captured), pytest.approx(good / n))
    assert found.reverse_kl == pytest.approx(entropy(hits / n, np.full(25, 1 / 25)), rel=1e-9, abs=1e-12)


def test_the_mixture_itself() -> None:
    rng = np.random.default_rng(0)
    samples = GRID[rng.integers(0, 25, 20_000)] + 0.05 * torch.from_numpy(rng.standard_normal((20_000, 2)))
    captured, high_quality, reverse_kl = modes(samples, GRID, 0.05)
    assert captured == 25
    assert high_quality == pytest.approx(1 - math.exp(-9 / 2), abs=0.003)  # a chi of 2 degrees below 3
    assert reverse_kl == pytest.approx(24 / 40_000, rel=0.6)


def test_dropped_modes_and_poor_samples() -> None:
    few = GRID[[0, 0, 1, 2]]
    assert modes(few, GRID, 0.1) == (3, 1, pytest.approx(0.5 * math.log(0.5 * 25) + 0.5 * math.log(0.25 * 25)))
    # 3 standard deviations are still good, more are not; a poor sample counts in the histogram, not as capture
    edge = torch.tensor([[0.3, 0.0], [2.0, 2.4]], dtype=torch.float64)
    assert modes(edge, GRID, 0.1)[:2] == (1, 0.5)
    assert modes(edge, GRID, 0.1).reverse_kl == pytest.approx(math.log(25 / 2))
    assert modes(edge, GRID, 0.05)[:2] == (0, 0)
    assert modes(torch.tensor([[1.5]]), torch.zeros(1, 1), 0.5) == (1, 1, 0)  # at 3 standard deviations exactly


def test_modes_of_unlike_weights() -> None:
    centres, samples = torch.tensor([[0.0], [10.0]]), torch.tensor([[0.0], [0.1], [-0.1], [10.0]])
    assert modes(samples, centres, 1, torch.tensor([3.0, 1.0])) == (2, 1, pytest.approx(0, abs=1e-12))
    assert modes(samples, centres, 1).reverse_kl > 0.1
