"""Pairs of known W1: the properties that make the distance exact, each checked by other means than the generator's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wgan.data import Funnels, load
from wgan.errors import UserError
from wgan.metrics import transport_distance

pairs = st.builds(
    Funnels,
    dim=st.integers(1, 20),
    funnels=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    power=st.sampled_from([1.0, 2.0, 8.0]),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_the_potential_falls_by_exactly_the_distance(pair: Funnels) -> None:
    y, x = pair.pairs(200, np.random.default_rng(pair.seed))
    assert np.abs(y).max() <= pair.side / 2 * pair.scale
    moved = np.linalg.norm(y - x, axis=1)
    np.testing.assert_allclose(pair.potential(y) - pair.potential(x), moved, atol=1e-9 * pair.scale)
    # 1-Lipschitz between any two points: with the line above, no plan can be cheaper
    other = np.random.default_rng(1).permutation(200)
    assert (pair.potential(y) - pair.potential(x[other]) <= np.linalg.norm(y - x[other], axis=1) + 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(pairs)
def test_the_gradient_is_that_of_the_potential(pair: Funnels) -> None:
    x = np.random.default_rng(pair.seed).uniform(-2, 2, (20, pair.dim)) * pair.scale
    step = 1e-6 * pair.scale
    found = np.stack([(pair.potential(x + e) - pair.potential(x - e)) / (2 * step) for e in step * np.eye(pair.dim)], 1)
    # but for the few points within a step of two funnels
    assert np.mean(np.abs(found - pair.gradient(x)).max(1) < 1e-4) > 0.7
    np.testing.assert_allclose(np.linalg.norm(pair.gradient(x), axis=1), 1)


def test_the_rays_end_where_the_funnel_does() -> None:
    pair = Funnels(3, 5, seed=1)
    y, _ = pair.pairs(500, np.random.default_rng(0))
    mine = pair._cones(y).argmin(1)
    v = (y - pair.centres[mine]) / np.linalg.norm(y - pair.centres[mine], axis=1, keepdims=True)
    length = np.minimum(pair._to_box(mine, v), pair._to_other_funnel(mine, v))[:, None]
    inside, outside = pair.centres[mine] + v * length * (1 - 1e-6), pair.centres[mine] + v * length * (1 + 1e-6)
    assert (pair._cones(inside).argmin(1) == mine).all()
    assert (np.abs(inside) <= pair.side / 2).all()
    left = (np.abs(outside) > pair.side / 2).any(1) | (pair._cones(outside).argmin(1) != mine)
    assert left.all()


def test_exact_transport_between_partners_is_the_partners() -> None:
    y, x = Funnels(4, 4, seed=3).pairs(300, np.random.default_rng(0))
    moved = np.linalg.norm(y - x, axis=1).mean()
    shuffled = np.random.default_rng(1).permutation(300)
    assert transport_distance(torch.from_numpy(y), torch.from_numpy(x[shuffled])) == pytest.approx(moved, rel=1e-9)


def test_distance_is_the_mean_of_independent_pairs() -> None:
    pair = Funnels(8, 4, seed=5)
    y, x = pair.pairs(200_000, np.random.default_rng(7))
    moved = np.linalg.norm(y - x, axis=1)
    error = moved.std() / np.sqrt(len(moved))
    assert pair.distance(1 << 17) == pytest.approx(moved.mean(), abs=6 * error)
    assert Funnels(8, 4, seed=5, scale=3.0).distance(1 << 14) == pytest.approx(3 * pair.distance(1 << 14), rel=1e-12)


def test_streams_of_a_pair_share_no_points() -> None:
    pair = Funnels(2, 4, seed=0, power=1.0)
    real, fake = pair.real.batch(0, 0, 256).x, pair.fake.batch(0, 0, 256).x
    assert not (real[:, None] == fake[None]).all(2).any()
    assert pair.real.batch(0, 100, 50).x.equal(real[100:150])


def test_sources_by_name() -> None:
    pair = Funnels(4, 3, seed=2)
    for which in ("real", "fake"):
        data = load(f"funnels:4:3:2:{which}")
        assert data.name == f"funnels:4:3:2:{which}"
        assert data.batch(1, 0, 9).x.equal(getattr(pair, which).batch(1, 0, 9).x)


@pytest.mark.parametrize(
    "name", ["funnels", "funnels:4:3:2", "funnels:4:3:x:real", "funnels:0:3:2:real", "funnels:4:3:2:both"]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(UserError, match=r"funnels"):
        load(name)
