"""Moments and the Frechet distance: against closed forms, SciPy and exact sums, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wgan.metrics import Moments, frechet_distance, frechet_of_moments

SEEDS = st.integers(0, 2**32 - 1)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def rotation(d: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(normal(d, d, seed=seed))[0]


def with_moments(n: int, mean: Tensor, covariance: Tensor, seed: int = 0) -> Tensor:
    """n > d samples whose mean and covariance (divisor n - 1) are the given ones to rounding."""
    x = normal(n, len(mean), seed=seed)
    q, _ = torch.linalg.qr(x - x.mean(0))  # orthonormal columns of sum 0
    values, vectors = torch.linalg.eigh(covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return mean + (n - 1) ** 0.5 * q @ root


def spd(d: int, seed: int, spread: float = 1.0) -> Tensor:
    q = rotation(d, seed)
    return (q * torch.logspace(-spread, spread, d, dtype=torch.float64)) @ q.T


def close(found: float, true: float, relative: float = 1e-9) -> None:
    assert found == pytest.approx(true, rel=relative, abs=1e-12)


# Moments


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.lists(st.integers(0, 7), min_size=1, max_size=8), st.integers(1, 5), st.floats(-1e6, 1e6))
def test_a_stream_has_the_moments_of_all_its_rows(seed: int, sizes: list[int], d: int, offset: float) -> None:
    n = sum(sizes) + 2
    x = normal(n, d, seed=seed) + offset
    streamed = Moments(d)
    for part in x.split([*sizes, 2]):
        assert streamed.update(part) is streamed
    assert streamed.n == n
    assert streamed.dim == d
    reference = np.cov(x.numpy(), rowvar=False).reshape(d, d)
    np.testing.assert_allclose(streamed.mean, x.numpy().mean(0), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(streamed.covariance, reference, rtol=1e-9, atol=1e-9)


def test_covariance_survives_a_mean_far_from_zero() -> None:
    # 4 (n - 1) / n of a sum of squares near 1e18 n would keep no digit
    x = torch.tensor([-2.0, 2.0], dtype=torch.float64).repeat(5000)[:, None] + 1e9
    moments = Moments(1)
    for part in x.split(37):
        moments.update(part)
    close(moments.covariance.item(), 4 * 10000 / 9999)
    close(moments.mean.item(), 1e9, 1e-15)


def test_large_batches_are_merged_like_small_ones() -> None:
    x = normal(9000, 3)
    np.testing.assert_allclose(Moments.of(x).covariance, np.cov(x.numpy(), rowvar=False), rtol=1e-12)


def test_restored_moments_are_the_kept_ones_and_go_on() -> None:
    x, y = normal(50, 4), normal(30, 4, seed=1)
    kept = Moments.of(x)
    again = Moments.restored(kept.n, kept.mean, kept.covariance)
    torch.testing.assert_close(again.update(y).covariance, Moments.of(torch.cat([x, y])).covariance)
    assert kept.n == 50
    torch.testing.assert_close(kept.mean, x.mean(0))  # not changed by the other's update
    mean, covariance = kept.mean.clone(), kept.covariance
    again = Moments.restored(kept.n, mean, covariance)
    mean.zero_(), covariance.zero_()  # nor does it follow the tensors that it was made of
    torch.testing.assert_close(again.mean, kept.mean)
    torch.testing.assert_close(again.covariance, kept.covariance)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_features_are_summed_in_float64(dtype: torch.dtype) -> None:
    x = (normal(300, 3) + 5).to(dtype)
    moments = Moments.of(x)
    assert moments.mean.dtype == moments.covariance.dtype == torch.float64
    torch.testing.assert_close(moments.covariance, Moments.of(x.double()).covariance, rtol=1e-12, atol=0)


# Frechet distance: closed forms


def test_one_dimension() -> None:
    # W2 of N(1, 2^2) and N(-2, 5^2): (1 + 2)^2 + (2 - 5)^2
    a = with_moments(20, torch.tensor([1.0]).double(), torch.tensor([[4.0]]).double())
    b = with_moments(30, torch.tensor([-2.0]).double(), torch.tensor([[25.0]]).double(), seed=1)
    close(frechet_distance(a, b), 18)


def test_gaussians_that_share_their_axes() -> None:
    q, first, second = rotation(6), torch.arange(1.0, 7.0).double(), torch.arange(12.0, 0.0, -2).double()
    apart = normal(6, seed=3)
    a = with_moments(40, apart, (q * first) @ q.T)
    b = with_moments(50, torch.zeros(6).double(), (q * second) @ q.T, seed=1)
    close(frechet_distance(a, b), float(apart.square().sum() + (first.sqrt() - second.sqrt()).square().sum()))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_any_two_gaussians_in_the_plane(seed: int) -> None:
    # the trace of the root of a 2x2 product: sqrt(trace + 2 sqrt(determinant))
    first, second = spd(2, seed), spd(2, seed + 1, 0.3)
    product = first @ second
    root = (product.trace() + 2 * product.det().sqrt()).sqrt()
    mean = normal(2, seed=seed)
    true = mean.square().sum() + first.trace() + second.trace() - 2 * root
    found = frechet_distance(
        with_moments(10, mean, first, seed=seed), with_moments(11, torch.zeros(2).double(), second, seed=seed + 1)
    )
    close(found, float(true), 1e-8)


@pytest.mark.parametrize("d", [3, 20, 100])
def test_any_two_gaussians_as_scipy_has_it(d: int) -> None:
    first, second = spd(d, 1), spd(d, 2)
    mean = normal(d)
    root = scipy.linalg.sqrtm((first @ second).numpy())
    true = float(mean.square().sum() + first.trace() + second.trace()) - 2 * np.trace(root).real
    a, b = with_moments(3 * d, mean, first), with_moments(2 * d, mean * 0, second, seed=1)
    close(frechet_distance(a, b), true)
    close(frechet_of_moments(Moments.restored(9, mean, first), Moments.restored(7, mean * 0, second)), true)


def test_gaussians_with_directions_a_million_times_narrower() -> None:
    # eigenvalues from 1e-10 to 1, which a root of the product's eigenvalues (1e-20) would lose
    q = rotation(60)
    first = torch.logspace(-10, 0, 60, dtype=torch.float64)
    second = first * 1.1
    a, b = (Moments.restored(99, torch.zeros(60), (q * values) @ q.T) for values in (first, second))
    close(frechet_of_moments(a, b), float((first.sqrt() - second.sqrt()).square().sum()), 1e-7)


# Singular covariances


def test_diracs_are_as_far_apart_as_their_points() -> None:
    a, b = torch.zeros(3, 4), torch.tensor([[1.0, 2.0, 2.0, 4.0]]).repeat(5, 1)
    close(frechet_distance(a, b), 25)
    close(frechet_distance(a, a), 0)


def test_a_dirac_and_a_gaussian() -> None:
    covariance = spd(5, 0)
    point = normal(5)
    b = with_moments(20, torch.zeros(5).double(), covariance)
    close(frechet_distance(point.repeat(3, 1), b), float(point.square().sum() + covariance.trace()))


def test_gaussians_on_lines_at_an_angle() -> None:
    # rank one each: the trace of the root is s t |cos angle|
    u, v = torch.tensor([3.0, 4.0, 0.0]).double() / 5, torch.tensor([0.0, 1.0, 0.0]).double()
    s = torch.tensor([-1.0, 0, 1]).double()
    a, b = 2 * s[:, None] * u, 3 * s[:, None] * v
    close(frechet_distance(a, b), 4 + 9 - 2 * 2 * 3 * 0.8)


@pytest.mark.parametrize(("n", "m", "d"), [(10, 12, 40), (30, 100, 40), (100, 30, 40), (2, 2, 1)])
def test_fewer_samples_than_features(n: int, m: int, d: int) -> None:
    # from the samples themselves: singular values of X Y^T, without any covariance
    a, b = normal(n, d), normal(m, d, seed=1) * 2 + 1
    x, y = (a - a.mean(0)) / (n - 1) ** 0.5, (b - b.mean(0)) / (m - 1) ** 0.5
    root = torch.linalg.svdvals(x @ y.T).sum()
    true = (a.mean(0) - b.mean(0)).square().sum() + x.square().sum() + y.square().sum() - 2 * root
    close(frechet_distance(a, b), float(true), 1e-8)


def test_features_that_never_vary_add_nothing() -> None:
    a, b = normal(50, 6), normal(50, 6, seed=1) * 2
    still = torch.full((50, 3), 7.0).double()
    close(frechet_distance(torch.cat([a, still], 1), torch.cat([b, still], 1)), frechet_distance(a, b))


def test_copied_features_count_twice() -> None:
    # a singular covariance for which Cholesky's pivots are rounding errors
    a, b = normal(50, 6), normal(50, 6, seed=1) * 2
    close(frechet_distance(a.repeat(1, 2), b.repeat(1, 2)), 2 * frechet_distance(a, b))


@pytest.mark.parametrize(("d", "rank"), [(2, 1), (3, 2), (60, 5), (100, 99)])
def test_directions_without_variance_add_no_rounding(d: int, rank: int) -> None:
    # the root of a rounding error of 1e-16 is 1e-8, once for each direction
    for seed in range(20):
        a, b = normal(150, rank, seed=seed) @ normal(rank, d, seed=seed + 100), normal(200, d, seed=seed + 200)
        x, y = (a - a.mean(0)) / 149**0.5, (b - b.mean(0)) / 199**0.5
        apart = (a.mean(0) - b.mean(0)).square().sum()
        true = apart + x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()
        close(frechet_distance(a, b), float(true), 1e-11)
        close(frechet_distance(b, a), float(true), 1e-11)


# Properties

PAIRS = st.tuples(SEEDS, st.integers(2, 12), st.integers(2, 12), st.integers(1, 6))


def pair(case: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    seed, n, m, d = case
    return normal(n, d, seed=seed), 1.5 * normal(m, d, seed=seed + 1) + 0.3


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_symmetric_and_never_negative(case: tuple[int, int, int, int]) -> None:
    a, b = pair(case)
    found = frechet_distance(a, b)
    assert found >= 0
    close(frechet_distance(b, a), found, 1e-8)


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.floats(0.01, 100))
def test_rotation_shift_order_and_scale(case: tuple[int, int, int, int], scale: float) -> None:
    a, b = pair(case)
    found, q, shift = frechet_distance(a, b), rotation(a.shape[1], 7), normal(a.shape[1], seed=8)
    order = torch.from_numpy(np.random.default_rng(1).permutation(len(a)))
    assert frechet_distance(a @ q + shift, b @ q + shift) == pytest.approx(found, rel=1e-7, abs=1e-9)
    assert frechet_distance(a[order], b) == pytest.approx(found, rel=1e-7, abs=1e-9)
    assert frechet_distance(a * scale, b * scale) == pytest.approx(found * scale**2, rel=1e-7, abs=1e-9 * scale**2)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_zero_to_itself(case: tuple[int, int, int, int]) -> None:
    a, _ = pair(case)
    assert 0 <= frechet_distance(a, a) <= 1e-12 * float(a.var(0).sum() + 1)
    assert 0 <= frechet_distance(a, a.flip(0)) <= 1e-12 * float(a.var(0).sum() + 1)


def test_more_samples_of_one_distribution_come_closer() -> None:
    few, many = ([frechet_distance(*normal(2, n, 30, seed=s)) for s in range(5)] for n in (60, 600))
    assert max(many) < 0.2 * min(few)


def test_a_graph_is_left_alone() -> None:
    x = normal(5, 2).requires_grad_()
    assert isinstance(frechet_distance(x, x.detach() + 1), float)
