"""`wgan distance`: estimates against known distances, and what bad input gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wgan.cli import main
from wgan.data import Funnels
from wgan.errors import UserError
from wgan.networks.cones import Cones
from wgan.objectives import R1, GradientPenalty, LipschitzPenalty, Objective, wasserstein
from wgan.transport import Distance, distance


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(1, 20), st.floats(0.01, 3.0), st.sampled_from([1.0, -1.0]), st.integers(0, 99))
def test_cones_are_1_lipschitz(dim: int, count: int, temperature: float, sign: float, seed: int) -> None:
    torch.manual_seed(seed)
    critic = Cones(3 * torch.randn(count, dim, dtype=torch.float64), sign, temperature)
    torch.nn.init.normal_(critic.heights)
    x, y = 4 * torch.randn(2, 50, dim, dtype=torch.float64)
    assert ((critic(x) - critic(y)).abs() <= (x - y).norm(dim=1) + 1e-9).all()


def test_cones_are_the_lower_envelope_when_cold() -> None:
    centres = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    critic = Cones(centres, temperature=1e-3)
    x = torch.tensor([[1.0, 0.0], [2.9, 0.0], [0.0, 4.0]])
    torch.testing.assert_close(critic(x), torch.tensor([1.0, 0.1, 4.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(Cones(centres, -1.0, 1e-3)(x), -critic(x))


def quick(a: Any, b: Any, **options: Any) -> Distance:
    chosen: dict[str, Any] = {"n": 12_000, "steps": 200, "exact_n": 100, "device": "cpu"}
    return distance(a, b, **(chosen | options))


@pytest.mark.parametrize(("dim", "funnels", "tolerance"), [(2, 4, 0.05), (8, 4, 0.05), (16, 4, 0.06)])
def test_known_pairs(dim: int, funnels: int, tolerance: float) -> None:
    pair = Funnels(dim, funnels, seed=7)
    found = quick(pair.real, pair.fake)
    assert found.heldout == pytest.approx(pair.distance(1 << 16), rel=tolerance)
    assert found.converged
    assert found.raw == found.corrected
    assert 0.9 < found.slope <= 1.0 + 1e-6


def test_the_order_of_the_two_does_not_matter() -> None:
    pair = Funnels(8, 4, seed=7)
    assert quick(pair.fake, pair.real).heldout == pytest.approx(pair.distance(1 << 16), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("part", [LipschitzPenalty(10.0), GradientPenalty(10.0)])
def test_a_penalised_network_is_off_and_corrected(part: Any) -> None:
    # W = 37, weight 10: the slope is 2.9, the raw estimate almost three times too large
    pair = Funnels(8, 4, seed=7, scale=20.0)
    options: dict[str, Any] = {"critic": "points(width=64, depth=2)", "objective": Objective(wasserstein, part)}
    found = quick(pair.real, pair.fake, steps=1200, batch_size=256, **options)
    true = pair.distance(1 << 16)
    assert found.raw > 2 * true
    assert found.heldout == pytest.approx(true, rel=0.06)
    assert found.slope == pytest.approx(1 + true / 20, rel=0.06)


def test_a_shift_and_a_scaling() -> None:
    x = np.random.default_rng(0).standard_normal((3, 12_000, 4)).astype(np.float32)
    shift = np.full(4, 0.75, np.float32)  # 1.5 long
    assert quick(x[0], x[1] + shift).heldout == pytest.approx(1.5, rel=0.03)
    # radially by 1.5: W1 = 0.5 E|z|; seen from either side
    radius = 0.5 * float(np.linalg.norm(x[2], axis=1).mean())
    assert quick(x[0], 1.5 * x[1]).heldout == pytest.approx(radius, rel=0.04)
    assert quick(1.5 * x[0], x[1]).heldout == pytest.approx(radius, rel=0.04)


def test_the_same_distribution_is_no_distance_away() -> None:
    found = quick("25gaussians", "25gaussians")
    assert abs(found.heldout) < 4 * found.heldout_error
    assert found.exact == pytest.approx(found.exact_bias, rel=0.5)


def test_exact_transport_of_lines() -> None:
    # W1 of two parallel lines is the distance of their thetas (WGAN, Example 1)
    found = quick("line:0", "line:3", exact_n=1000, steps=200)
    assert found.exact == pytest.approx(3, rel=0.01)
    assert found.heldout == pytest.approx(3, rel=0.01)
    assert 0 < found.exact_bias < 0.1


def test_a_critic_that_has_hardly_trained_is_told() -> None:
    pair = Funnels(16, 4, seed=7)
    found = quick(pair.real, pair.fake, steps=3)
    assert not found.converged
    assert found.gain > 0.01 * found.heldout
    assert any("NOT converged" in line for line in found.lines())


def test_few_samples_are_told() -> None:
    pair = Funnels(64, 16, seed=7)
    found = quick(pair.real, pair.fake, n=500, steps=300)
    assert found.corrected > 1.1 * found.heldout
    assert any("few" in line for line in found.lines())


def test_seeds_decide_everything() -> None:
    first, again, other = (quick("8gaussians", "swissroll", n=2000, steps=20, seed=seed) for seed in (1, 1, 2))
    assert {**first.row(), "seconds": 0} == {**again.row(), "seconds": 0}
    assert first.raw != other.raw


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["distance", "8gaussians", "swissroll", "--n", "2000", "--steps", "20", "--exact-n", "50"]
    main([*arguments, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert {"raw", "corrected", "heldout", "exact", "slope", "converged", "seconds"} <= set(told)
    main(arguments)
    out = capsys.readouterr().out
    assert out.startswith("W1(8gaussians, swissroll)")
    assert max(map(len, out.splitlines())) <= 100


def test_runs_folders_and_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["train", "8gaussians", "--networks", "points(width=8)", "--steps", "2", "--out", "run", "--quiet"])
    np.save("points.npy", np.random.default_rng(0).standard_normal((300, 2)).astype(np.float32))
    found = quick("run", "points.npy", n=400, steps=5)
    assert (found.a, found.n) == ("run", 300) or found.b == "points.npy"
    main(
        [
            "train",
            "digits",
            "--networks",
            'dcgan(filters=4, critic_norm="none")',
            "--steps",
            "2",
            "--out",
            "d",
            "--quiet",
        ]
    )
    images = quick("d", "digits", n=200, steps=5)
    assert images.heldout > 0
    network = quick("d", "digits", n=200, steps=5, critic='dcgan(filters=4, critic_norm="none")')
    assert network.critic.startswith("dcgan")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["8gaussians", "gaussian:3"], "shape"),
        (["8gaussians", "8gausians"], "did you mean"),
        (["digits", "8gaussians"], "shape"),
        (["8gaussians", "swissroll", "--n", "10"], "n is 10"),
        (["8gaussians", "swissroll", "--steps", "0"], "steps is 0"),
        (["8gaussians", "swissroll", "--critic", "point"], "did you mean"),
        (["8gaussians", "swissroll", "--objective", "wasserstein + lp()"], "cones need no objective"),
        (["8gaussians", "swissroll", "--critic", "points", "--objective", "hinge"], "wasserstein objective"),
        (
            ["8gaussians", "swissroll", "--critic", "points", "--objective", "wasserstein + r1()"],
            "wasserstein objective",
        ),
        (["nan.npy", "8gaussians"], "NaN"),
        (["few.npy", "8gaussians"], "at least 50"),
        (["empty", "8gaussians"], "empty"),
    ],
)
def test_bad_input(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("nan.npy", np.full((100, 2), np.nan, np.float32))
    np.save("few.npy", np.zeros((20, 2), np.float32))
    Path("empty").mkdir()
    with pytest.raises(SystemExit) as left:
        main(["distance", *arguments])
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_an_objective_without_a_known_slope_is_refused() -> None:
    with pytest.raises(UserError, match="slope is known"):
        quick("8gaussians", "swissroll", critic="points", objective=Objective(wasserstein, R1()))
