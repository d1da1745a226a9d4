"""Nearest neighbours, memorisation, precision, recall, density, coverage: against scikit-learn and definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from wgan.metrics import density_coverage, manifold, memorisation, nearest, neighbours, prdc, precision_recall

SEEDS = st.integers(0, 2**32 - 1)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.fixture
def blocks_of(monkeypatch: pytest.MonkeyPatch):
    def set_size(rows: int) -> None:
        monkeypatch.setattr(neighbours, "BLOCK", rows)
        monkeypatch.setattr(manifold, "BLOCK", rows)

    return set_size


# Nearest neighbours


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(0, 20), st.integers(1, 40), st.integers(1, 5), st.data())
def test_nearest_as_scikit_learn_has_it(seed: int, n: int, m: int, d: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, m))
    queries, reference = normal(n, d, seed=seed), normal(m, d, seed=seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK", data.draw(st.integers(1, 12)))
        distances, index = nearest(queries, reference, k)
    assert distances.shape == index.shape == (n, k)
    if n:
        # its trees subtract points; its brute force multiplies them, and loses digits of small distances
        true = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(reference).kneighbors(queries)
        np.testing.assert_allclose(distances, true[0], rtol=1e-9)
        np.testing.assert_array_equal(index, true[1])


@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
def test_copies_are_at_distance_zero_exactly(offset: float) -> None:
    reference = normal(300, 50) + offset
    distances, index = nearest(reference[[7, 250]], reference, 2)
    assert distances[:, 0].tolist() == [0, 0]
    assert index[:, 0].tolist() == [7, 250]
    assert (distances[:, 1] > 1).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_distances_of_narrow_features_are_float64(dtype: torch.dtype) -> None:
    a, b = normal(20, 5).to(dtype), normal(30, 5, seed=1).to(dtype)
    distances, _ = nearest(a, b)
    torch.testing.assert_close(distances, torch.cdist(a.double(), b.double()).min(1, keepdim=True).values)


# Memorisation


def test_copies_of_training_data_are_found() -> None:
    train, heldout = normal(100, 8), normal(100, 8, seed=1)
    assert memorisation(train[:40], train, heldout) == (1, 0, 1)
    found = memorisation(heldout[:40], train, heldout)
    assert found == (0, float("inf"), 0)
    half = memorisation(torch.cat([train[:25], normal(25, 8, seed=2) * 0.1 + train[30]]), train, heldout)
    assert half.copies == 0.5
    assert half.closer_to_train == 1


def test_near_copies_are_found_without_being_copies() -> None:
    train, heldout = normal(100, 8), normal(100, 8, seed=1)
    found = memorisation(train[:40] + 0.01 * normal(40, 8, seed=2), train, heldout)
    assert found.closer_to_train == 1
    assert found.copies == 0
    assert found.ratio < 0.05


def test_unseen_samples_are_as_close_to_either() -> None:
    found = memorisation(normal(2000, 4), normal(500, 4, seed=1), normal(500, 4, seed=2))
    assert found.closer_to_train == pytest.approx(0.5, abs=0.05)
    assert found.ratio == pytest.approx(1, abs=0.05)
    assert found.copies == 0


def test_train_and_heldout_alike_tie() -> None:
    train = normal(50, 3)
    assert memorisation(normal(20, 3, seed=1), train, train) == (0.5, 1, 0)
    assert memorisation(train, train, train) == (0.5, 1, 1)


def test_ratio_is_the_median() -> None:
    zero, ten = torch.zeros(1, 1), torch.full((1, 1), 10.0)
    samples = torch.tensor([[1.0], [2.0], [9.0], [5.0]])  # ratios 1/9, 2/8, 9/1, 5/5
    assert memorisation(samples, zero, ten) == pytest.approx((2.5 / 4, (0.25 + 1) / 2, 0))


# Precision, recall, density, coverage


def by_definition(real: Tensor, fake: Tensor, k: int, k_density: int) -> tuple[float, float, float, float]:
    """From full matrices of distances, as the papers' equations read."""
    rr, ff, rf = (cdist(a, b) for a, b in ((real, real), (fake, fake), (real, fake)))
    of_real, of_fake = np.sort(rr, 1)[:, k], np.sort(ff, 1)[:, k]
    open_ball = rf < np.sort(rr, 1)[:, k_density, None]
    return (
        float((rf <= of_real[:, None]).any(0).mean()),
        float((rf <= of_fake[None]).any(1).mean()),
        float(open_ball.sum() / k_density / len(fake)),
        float(open_ball.any(1).mean()),
    )


def found(real: Tensor, fake: Tensor, k: int = 3, k_density: int = 5) -> tuple[float, float, float, float]:
    return (*precision_recall(real, fake, k), *density_coverage(real, fake, k_density))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(8, 40), st.integers(6, 40), st.integers(1, 4), st.data())
def test_prdc_by_definition_in_blocks_of_any_size(seed: int, n: int, m: int, d: int, data: st.DataObject) -> None:
    k, k_density = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 7))
    real, fake = normal(n, d, seed=seed), 0.8 * normal(m, d, seed=seed + 1) + 0.5
    true = by_definition(real, fake, k, k_density)
    with pytest.MonkeyPatch.context() as patch:
        size = data.draw(st.integers(1, 45))
        patch.setattr(neighbours, "BLOCK", size)
        patch.setattr(manifold, "BLOCK", size)
        assert found(real, fake, k, k_density) == pytest.approx(true, abs=1e-12)
        both = prdc(real, fake, k, k_density)
    assert (*both[0], *both[1]) == pytest.approx(true, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(1100, 2100), (1024, 1024)])
def test_prdc_across_whole_blocks(n: int, m: int) -> None:
    real, fake = normal(n, 6), normal(m, 6, seed=1) * 0.9 + 0.2
    assert found(real, fake) == pytest.approx(by_definition(real, fake, 3, 5), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(6, 30), st.integers(6, 30), st.integers(1, 5))
def test_prdc_is_blind_to_order_rotation_shift_and_scale(seed: int, n: int, m: int, d: int) -> None:
    real, fake = normal(n, d, seed=seed), normal(m, d, seed=seed + 1)
    q, shift = torch.linalg.qr(normal(d, d, seed=seed))[0], 10 * normal(d, seed=seed)
    first = found(real, fake)
    assert found(real.flip(0), fake.flip(0)) == first
    assert found(3 * (real @ q) + shift, 3 * (fake @ q) + shift) == first
    # precision and recall change roles with the sets
    assert tuple(precision_recall(fake, real)) == tuple(precision_recall(real, fake))[::-1]


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("d", [1, 2048])
def test_a_set_against_itself(d: int, offset: float, blocks_of) -> None:
    # the k-th neighbour lies on the edge of its open ball: itself and k - 1 others are inside, a density of 1 exactly
    x = normal(60, d) + offset
    blocks_of(17)
    assert found(x, x) == (1, 1, 1, 1)
    assert found(x.float(), x.float().flip(0)) == (1, 1, 1, 1)


def test_points_on_a_line_by_hand() -> None:
    real = torch.tensor([[0.0], [1.0], [3.0], [10.0]])  # radii to the 1st neighbour: 1, 1, 2, 7
    fake = torch.tensor([[2.0], [5.0], [20.0]])  # 3, 3, 15
    assert precision_recall(real, fake, k=1) == pytest.approx((2 / 3, 4 / 4))
    # open balls: 2 in (1, 5) alone; 5 in (3, 17) alone; 20 in none; balls hit: those of 3 and 10
    assert density_coverage(real, fake, k=1) == pytest.approx((2 / 3, 2 / 4))
    fake = torch.tensor([[2.0], [5.0]])  # without the point at 10, whose ball held 5
    assert density_coverage(real[:3], fake, k=1) == pytest.approx((1 / 2, 1 / 3))
    assert precision_recall(real[:3], torch.tensor([[-1.0], [5.0]]), k=1) == pytest.approx((1, 1))


def test_a_copied_training_set_has_full_precision_and_its_share_of_recall() -> None:
    real = 10 * torch.eye(20).double()  # all at one distance from each other, 10 sqrt(2)
    fake = real[:5].repeat(4, 1)  # five points four times each: radii 0 up to the 3rd neighbour
    assert found(real, fake) == pytest.approx((1, 0.25, 1 / 5, 5 / 20))


def test_sets_far_apart_share_nothing() -> None:
    assert found(normal(30, 3), normal(30, 3, seed=1) + 100) == (0, 0, 0, 0)


def test_a_generator_that_drops_half_the_data_loses_recall_and_coverage() -> None:
    left, right = normal(300, 4), normal(300, 4, seed=1) + 50
    measured = found(torch.cat([left, right]), normal(600, 4, seed=2))
    assert measured[0] > 0.9
    assert measured[1] < 0.5
    assert measured[3] < 0.51


def test_collapse_to_a_point() -> None:
    real = normal(200, 4)
    precision, recall, density, coverage = found(real, torch.zeros(100, 4).double())
    assert precision == 1
    assert recall == 0
    assert density > 1.5
    assert coverage < 0.5


def test_two_samples_of_one_distribution_have_the_expected_values() -> None:
    n, k = 1500, 5
    _, _, density, coverage = found(normal(n, 5), normal(n, 5, seed=1), k_density=k)
    assert density == pytest.approx(1, abs=0.05)
    none = np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])  # no fake within k neighbours: about 2^-k
    assert coverage == pytest.approx(1 - none, abs=0.015)


@pytest.mark.parametrize("d", [1, 2048])
def test_a_billionth_inside_or_outside_a_ball_is_told_apart(d: int) -> None:
    real = torch.zeros(2, d).double()
    real[1, 0] = 2  # balls of radius 2
    for beyond, hit in ((-1e-9, 1), (1e-9, 0)):
        fake = torch.zeros(2, d).double()
        fake[:, 0] = 4 + beyond
        assert precision_recall(real, fake, k=1).precision == hit
        assert density_coverage(real, fake, k=1).coverage == hit / 2


def test_duplicates_in_large_blocks_of_products_tie() -> None:
    # norms far above the distances: products round, copies must still count as copies
    base = normal(40, 300) + 50
    real = base.repeat(2, 1)  # every point twice: first neighbours at 0
    assert precision_recall(real, base, k=1) == (1, 1)
    assert density_coverage(real, base, k=1) == (0, 0)  # open balls of radius 0 hold nothing
