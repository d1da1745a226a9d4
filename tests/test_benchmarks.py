"""The benchmarks run, in small, and what they print can be read."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from wgan.cli import main

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def printed(name: str, *arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a benchmark prints when called with these arguments."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    capsys.readouterr()
    runpy.run_path(str(BENCHMARKS / name), run_name="__main__")
    return capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["wgan", "wgan-gp"])
def test_loop_overhead(
    preset: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("--data", "digits", "--preset", preset, "--steps", "6", "--json")
    told = json.loads(printed("loop_overhead.py", *arguments, capsys=capsys, monkeypatch=monkeypatch))
    # digits are so small that the loop may weigh more than their networks; what is sure is the order of the two
    assert 0 < told["loop_seconds_per_step"] < told["seconds_per_step"]
    assert told["peak_memory_mib"] > 0
    assert told["steps"] == 5


def test_sample_statistics(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    networks = 'dcgan(filters=4, critic_norm="none")'
    main(["train", "digits", "--networks", networks, "--steps", "2", "--out", "run", "--quiet"])
    arguments = ("run", "--data", "digits", "--split", "train", "--n", "20")
    lines = printed("sample_statistics.py", *arguments, capsys=capsys, monkeypatch=monkeypatch).splitlines()
    assert len(lines) == 4
    assert all(line.count("|") == 7 for line in lines)


def test_prdc_cost(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = printed("prdc_cost.py", "--n", "50", "--dim", "8", capsys=capsys, monkeypatch=monkeypatch)
    assert told.startswith("50 x 50 of 8: ")


def test_known_distances(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--dims", "2", "--funnels", "4", "--seeds", "1", "--n", "2000", "--steps", "50", "--json")
    told = json.loads(printed("known_distances.py", *arguments, capsys=capsys, monkeypatch=monkeypatch))
    assert abs(told["heldout"]) < 0.2
    assert told["cosine"] > 0.5
