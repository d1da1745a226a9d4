"""The estimate without what the constraint does to the slope: against brute force and trained critics."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wgan.objectives import (
    R1,
    R2,
    Clip,
    Consistency,
    Constraint,
    Divergence,
    Dragan,
    Drift,
    GradientPenalty,
    LipschitzPenalty,
    Objective,
    OneSidedPenalty,
    Orthonormal,
    SpectralNorm,
    hinge,
    wasserstein,
)
from wgan.seeds import draw

weights = st.floats(0.05, 100.0)
distances = st.floats(1e-3, 200.0)
SHAPES: dict[type, Callable[[Constraint, np.ndarray], np.ndarray]] = {
    GradientPenalty: lambda part, s: part.weight / part.target**2 * (s - part.target) ** 2,
    LipschitzPenalty: lambda part, s: part.weight * np.maximum(s - 1, 0) ** 2,
    Divergence: lambda part, s: part.k * s**part.p,
}
parts = st.one_of(
    st.builds(GradientPenalty, weights, st.floats(0.2, 5.0)),
    st.builds(LipschitzPenalty, weights),
    st.builds(Divergence, weights, st.sampled_from([1.5, 2.0, 6.0])),
)


@settings(max_examples=200, deadline=None)
@given(parts, distances)
def test_the_best_slope_is_undone(part: Constraint, true: float) -> None:
    # the critic s f*, f* optimal, scores s W - penalty(s): its best s by golden section, nothing derived
    def score(slope: float) -> float:
        return slope * true - float(SHAPES[type(part)](part, np.float64(slope)))

    low, high, golden = 0.0, 1.0, (math.sqrt(5) - 1) / 2
    while score(2 * high) > score(high):
        high *= 2
    high *= 2
    for _ in range(200):
        a, b = high - golden * (high - low), low + golden * (high - low)
        if score(a) < score(b):
            low = a
        else:
            high = b
    raw = true * (low + high) / 2
    assert part.corrected(raw, math.nan) == pytest.approx(true, rel=1e-4)


@given(distances, weights)
def test_a_linear_penalty_is_exact_below_its_weight(true: float, weight: float) -> None:
    # s W - weight max(0, s - 1) is largest at s = 1 while W < weight, and unbounded above
    assert OneSidedPenalty(weight).corrected(true, 1.0) == (true if true < weight else None)


def test_constraints_that_leave_the_slope_open_divide_by_it() -> None:
    assert Clip(0.01).corrected(3.0, 1.5) == 2.0
    assert SpectralNorm().corrected(3.0, 0.5) == 6.0
    assert Clip(0.01).corrected(3.0, 0.0) is None
    assert Orthonormal().corrected(3.0, 0.5) == 3.0


@pytest.mark.parametrize("part", [R1(), R2(), Dragan(), Divergence(p=1.0), Divergence(k=0.0), GradientPenalty(0.0)])
def test_no_estimate_without_a_derivation(part: Constraint) -> None:
    assert part.corrected(1.0, 1.0) is None


def test_a_negative_estimate_stays_negative() -> None:
    for part in (GradientPenalty(), LipschitzPenalty(), Divergence(), OneSidedPenalty(), Clip(), Orthonormal()):
        corrected = part.corrected(-0.5, 1.0)
        assert corrected is not None
        assert corrected < 0


def test_an_objective_asks_the_constraint_that_sets_the_slope() -> None:
    raw = 2.0 * (1 + 2.0 / 20)
    objective = Objective(wasserstein, Consistency(), GradientPenalty(10.0), Drift())
    assert objective.corrected(raw, 1.1) == pytest.approx(2.0)
    assert Objective(hinge, GradientPenalty(10.0)).corrected(raw, 1.1) is None
    assert Objective(wasserstein).corrected(raw, 1.1) is None
    assert Objective(wasserstein, GradientPenalty(10.0), R1()).corrected(raw, 1.1) is None


@pytest.mark.parametrize(("part", "slope"), [(GradientPenalty(10.0), 1.4), (LipschitzPenalty(10.0), 1.4)])
def test_a_trained_critic_does_as_derived(part: Constraint, slope: float) -> None:
    """Two points 8 apart: a linear critic ends at slope 1 + W / (2 weight) = 1.4, and raw is 1.4 W."""
    torch.manual_seed(0)
    critic = torch.nn.Sequential(torch.nn.Linear(1, 1, dtype=torch.float64), torch.nn.Flatten(0))
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.05)
    real, fake = torch.full((8, 1), 8.0, dtype=torch.float64), torch.zeros(8, 1, dtype=torch.float64)
    objective = Objective(wasserstein, part)
    for step in range(600):
        found = objective.critic_loss(critic, real, fake, draw(torch.device("cpu"), 0, "test", step))
        optimizer.zero_grad()
        found.loss.backward()
        optimizer.step()
    raw = float(found.wasserstein)
    assert abs(critic[0].weight.item()) == pytest.approx(slope, rel=1e-3)
    assert raw == pytest.approx(8 * slope, rel=1e-3)
    assert objective.corrected(raw, math.nan) == pytest.approx(8, rel=1e-3)
