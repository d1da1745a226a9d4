"""The benchmark of quality against time: what its clock counts, what its tables say of known curves, a small run."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import time_to_quality
from time_to_quality import Curve, Score, follow, main

TINY = ("--data", "digits", "--features", "pixels", "--n", "60", "--networks", 'dcgan(filters=4, critic_norm="none")')


def command(*arguments: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["time_to_quality.py", *map(str, arguments)])
    main()


def write(folder: Path, name: str, loop: str, seed: int, minutes: list[float], distances: list[float]) -> None:
    """The file of a run that took these measurements."""
    told = {"name": name, "loop": loop, "preset": "wgan-gp", "seed": seed, "networks": "dcgan()", "set": []}
    told |= {"data": "cifar10", "n": 5000, "threads": 1, "precision": "fp32", "metric": "frechet_x"}
    rows = [{**told, "cpu_seconds": 60 * t, "distance": d} for t, d in zip(minutes, distances, strict=True)]
    (folder / f"{name}-{loop}-{seed}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_clock_counts_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(cpu=0.0, wall=0.0)

    def spend(cpu: float, wall: float) -> None:
        now.cpu, now.wall = now.cpu + cpu, now.wall + wall

    def measure() -> Score:
        spend(100, 300)
        return Score("frechet", 5.0, "lower")

    monkeypatch.setattr(time_to_quality.time, "process_time", lambda: now.cpu)
    monkeypatch.setattr(time_to_quality.time, "perf_counter", lambda: now.wall)
    lines = io.StringIO()
    follow(lambda: spend(7, 10), 10**6, measure, lines, {}, minutes=1, every=0.25)
    rows = [json.loads(line) for line in lines.getvalue().splitlines()]
    # the first steps of 7 s at which 15, 30, 45 and 60 s are over
    assert [(row["step"], row["cpu_seconds"], row["wall_seconds"]) for row in rows] == [
        (steps, 7 * steps, 10 * steps) for steps in (0, 3, 5, 7, 9)
    ]
    lines = io.StringIO()
    follow(lambda: spend(7, 10), 4, measure, lines, {}, minutes=1, every=0.25)
    assert [json.loads(line)["step"] for line in lines.getvalue().splitlines()] == [0, 3, 4]


def test_when_a_curve_reaches_a_distance() -> None:
    curve = Curve("r", "ours", 0, np.array([0.0, 1, 2, 3]), np.array([40.0, 20, 30, 10]), {})
    assert curve.at(2.5) == 20
    assert np.isnan(curve.at(3.1))
    # at 25 once on the way down, then again: the first counts
    assert curve.reaches(25) == 0.75
    # not reached by the first dip
    assert curve.reaches(15) == 2.75
    assert curve.reaches(9) == np.inf
    assert curve.reaches(41) == 0


def test_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "gp", "textbook", 0, [0, 5, 10], [40, 30, 20])
    write(tmp_path, "gp", "ours", 0, [0, 2.5, 5, 10], [40, 30, 20, 12])  # twice as fast
    write(tmp_path, "gp", "textbook", 1, [0, 5, 10], [40, 22, 22])
    write(tmp_path, "gp", "ours", 1, [0, 5, 10], [40, 22, 10])  # as fast: the textbook was there at 5 too
    write(tmp_path, "gp", "ours", 2, [0, 10], [40, 1])  # no partner
    write(tmp_path, "quick", "ours", 0, [0, 10], [40, 8])
    write(tmp_path, "quick", "ours", 1, [0, 10], [40, 12])
    picture = tmp_path / "curves.png"
    command("report", "--out", tmp_path, "--png", picture, monkeypatch=monkeypatch)
    printed = capsys.readouterr().out
    cells = "10.0 | 21 (20 to 22) | 11 (10 to 12) | 7.5 (5 to 10) | 5 (5 to 5) | 1.5 (1 to 2)"
    assert f"| gp | 0, 1 | {cells} |" in printed
    assert "| quick | ours | 0, 1 | 25 (24 to 26) | 10 (8 to 12) | - | - |" in printed
    assert picture.stat().st_size > 10_000


def test_runs_that_cannot_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no measurements in"):
        command("report", "--out", tmp_path, monkeypatch=monkeypatch)
    write(tmp_path, "gp", "ours", 0, [0, 5], [40, 30])
    text = (tmp_path / "gp-ours-0.jsonl").read_text()
    (tmp_path / "gp-ours-1.jsonl").write_text(text.replace("5000", "500"))
    with pytest.raises(SystemExit, match="runs with n 500 and 5000"):
        command("report", "--out", tmp_path, monkeypatch=monkeypatch)


@pytest.mark.parametrize("loop", ["textbook", "ours"])
def test_run(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adam = "adam(lr=0.005, beta1=0.0, beta2=0.9)"
    fields = ["batch_size=32", f"critic_optimizer={adam}", "ema=0.9", f"generator_optimizer={adam}"]
    fields += ["n_critic=2", "steps=60"]
    arguments = ("run", loop, *TINY, *(f"--set={field}" for field in fields), "--out", tmp_path)
    command(*arguments, monkeypatch=monkeypatch)
    rows = [json.loads(line) for line in (tmp_path / f"wgan-gp-{loop}-0.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 60]
    assert rows[0]["cpu_seconds"] == 0 < rows[1]["cpu_seconds"] < 60
    # of the networks that were trained: 0.4 to 0.7 of it, on seeds 0 to 2
    assert rows[1]["distance"] < 0.8 * rows[0]["distance"]
    assert rows[1]["set"] == fields
    with pytest.raises(SystemExit, match="is there already"):
        command(*arguments, monkeypatch=monkeypatch)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--set", "n_critic"), "must be a field and its value"),
        (("--set", "seed=1"), "give --seed"),
        (("--set", "critic=1"), "unknown field"),
        (("--set", "objective=wasserstein + drift(weight=1.0)"), "the textbook loop has no such objective"),
        (("--precision", "bf16"), "the textbook loop is float32"),
        (("--minutes", "0"), "must be above 0"),
    ],
)
def test_errors(flags: tuple[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=said) as error:
        command("run", "textbook", *TINY, *flags, "--out", tmp_path, monkeypatch=monkeypatch)
    assert "\n" not in str(error.value)
