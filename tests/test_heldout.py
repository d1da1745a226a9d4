"""The critic on held-out data: what is measured, from which data, and that the run does not feel it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import POINTS, QUIET, rows_of, tiny, train_to

from wgan.cli import main
from wgan.data import Images, Points, load
from wgan.errors import UserError
from wgan.heldout import HeldOut, open_held_out
from wgan.run import Run
from wgan.state import start
from wgan.training import steps
from wgan.watch import Options

CPU = torch.device("cpu")


class First(torch.nn.Module):
    """Scores a point by its first number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0]


def test_estimate_and_gap_of_a_known_critic() -> None:
    run = tiny("wgan-gp", data="8gaussians", networks=POINTS).resolved(load("8gaussians"))
    train = Points("train", np.full((40, 2), 5.0, np.float32))
    held = Points("held", np.full((30, 2), 3.0, np.float32))
    state = start(run, train, CPU)
    state.critic = First()
    torch.nn.init.zeros_(state.generator.body[-1].weight)
    torch.nn.init.constant_(state.generator.body[-1].bias, 1.0)
    found = HeldOut(train, held).measure(run, state, CPU)
    # E f(held) - E f(fake) = 3 - 1; (E f(train) - E f(held)) / (E f(train) - E f(fake)) = (5 - 3) / (5 - 1)
    assert found.raw == pytest.approx(2.0)
    assert found.gap == pytest.approx(0.5)
    assert state.critic.training


def test_what_is_held_out_of_what(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "photos" / split).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(np.full((8, 8, 3), i + 10 * (split == "val"), np.uint8)).save(
                tmp_path / "photos" / split / f"{i}.png"
            )
    cache = tmp_path / "cache"
    run = Run(data=str(tmp_path / "photos"), batch_size=2, steps=1)
    data = load(run.data, root=cache)
    held = open_held_out("auto", run, data, root=cache, quiet=True)
    assert held is not None
    assert isinstance(held.data, Images)
    assert held.data.array.max() == 13
    assert open_held_out("none", run, data, root=cache) is None
    # no test split: nothing; an infinite distribution: itself, read as another stream
    digits = load("digits")
    assert open_held_out("auto", Run(), digits) is None
    toy = load("8gaussians")
    found = open_held_out("auto", Run(data="8gaussians", steps=1), toy)
    assert found is not None
    assert found.data is toy
    with pytest.raises(UserError, match=r"shape \[2\]"):
        open_held_out("8gaussians", Run(), digits)
    with pytest.raises(UserError, match="did you mean"):
        open_held_out("digit", Run(), digits)
    np.save(tmp_path / "unlabelled.npy", np.zeros((9, 1, 8, 8), np.uint8))
    with pytest.raises(UserError, match="other labels"):
        open_held_out(str(tmp_path / "unlabelled.npy"), Run(conditional=True), digits)


def test_the_log_has_it_every_so_often_and_the_run_is_the_same(tmp_path: Path) -> None:
    run = tiny("wgan-gp", data="8gaussians", networks=POINTS, steps=7)
    watched = replace(QUIET, log_every=2, heldout_every=3)
    with_it, _ = train_to(run, tmp_path / "a", options=watched)
    without, _ = train_to(run, tmp_path / "b", options=replace(watched, held_out="none"))
    assert with_it == without
    rows = rows_of(tmp_path / "a")
    assert [row["step"] for row in rows] == [2, 3, 4, 6, 7]
    assert [row["step"] for row in rows if "wasserstein_heldout" in row] == [3, 6, 7]
    assert all(("heldout_gap" in row) == ("wasserstein_heldout" in row) for row in rows)
    assert not any("wasserstein_heldout" in row for row in rows_of(tmp_path / "b"))
    for row in rows:
        corrected = run.objective.corrected(row["wasserstein"], row["critic_slope"])
        assert row["wasserstein_corrected"] == pytest.approx(corrected)


def test_a_resumed_log_is_that_of_a_run_in_one_go(tmp_path: Path) -> None:
    run = tiny("wgan-gp", data="8gaussians", networks=POINTS, steps=6)
    options = replace(QUIET, log_every=1, heldout_every=2)
    train_to(run, tmp_path / "whole", options=options)
    train_to(run, tmp_path / "parts", last=3, options=options)
    train_to(run, tmp_path / "parts", options=options)
    assert rows_of(tmp_path / "whole") == rows_of(tmp_path / "parts")


def test_a_critic_that_learns_its_data_by_heart_shows_a_gap(tmp_path: Path) -> None:
    points = np.random.default_rng(0).standard_normal((2, 40, 16)).astype(np.float32)
    np.save(tmp_path / "few.npy", points[0])
    np.save(tmp_path / "more.npy", points[1])
    run = tiny("wgan-gp", data=str(tmp_path / "few.npy"), networks=replace(POINTS, width=64), steps=60, batch_size=40)
    run = replace(run, n_critic=10, critic_optimizer=replace(run.critic_optimizer, lr=2e-3))
    options = replace(QUIET, held_out=str(tmp_path / "more.npy"), heldout_every=20)
    seen = [metrics for _, metrics in steps(run, None, options)]
    gaps = [metrics.heldout_gap for metrics in seen if metrics.heldout_gap is not None]
    assert gaps[-1] > 0.3
    last = seen[-1]
    assert last.wasserstein_corrected is not None
    assert last.wasserstein_heldout is not None
    assert last.wasserstein_corrected > 1.3 * last.wasserstein_heldout


def test_spread_of_fakes_and_gradient_of_the_generator(tmp_path: Path) -> None:
    run = tiny("wgan-gp", data="8gaussians", networks=POINTS, steps=2)
    _, seen = train_to(run, options=replace(QUIET, log_every=1))
    assert seen[0].fake_spread is not None
    assert seen[0].fake_spread > 0
    for state, metrics in steps(replace(run, steps=3), None, replace(QUIET, log_every=1)):
        grads = [weight.grad for weight in state.generator.parameters() if weight.grad is not None]
        expected = torch.cat([grad.flatten() for grad in grads]).norm()
        assert metrics.generator_gradient == pytest.approx(float(expected), rel=1e-5)
        for weight in state.generator.body[-1].parameters():
            torch.nn.init.zeros_(weight)  # from the next step on all fakes are the origin
    assert metrics.fake_spread == pytest.approx(0, abs=1e-2)


def test_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    train = ["train", "8gaussians", "--networks", "points(width=8)", "--steps", "3", "--quiet"]
    main([*train, "--out", "a", "--heldout-every", "1"])
    rows = [json.loads(line) for line in Path("a/metrics.jsonl").read_text().splitlines()]
    assert all("wasserstein_heldout" in row for row in rows)
    for flags, message in ((["--held-out", "digits"], "shape"), (["--heldout-every", "-1"], "heldout_every is -1")):
        with pytest.raises(SystemExit) as left:
            main([*train, "--out", "b", *flags])
        assert left.value.code == 2
        assert message in capsys.readouterr().err
        assert not Path("b").exists()
    assert Options().heldout_every == 100
