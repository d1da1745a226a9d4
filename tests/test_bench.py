"""`wgan bench`: what it counts against formulas, what it times, and what it prints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import POINTS, tiny
from torch import nn

import wgan
from wgan import spans
from wgan.bench import bench
from wgan.bench.ceilings import copy, matmul
from wgan.bench.traffic import Counter, peak_memory
from wgan.cli import main
from wgan.devices import quickest_precision
from wgan.errors import UserError
from wgan.fast.native import library
from wgan.objectives import minimax


def noise(n: int, c: int, side: int) -> np.ndarray:
    """Images uint8 [n, c, side, side]."""
    return np.random.default_rng(0).integers(0, 256, (n, c, side, side), dtype=np.uint8)


CPU = torch.device("cpu")
SMALL = tiny("wgan-gp", data="8gaussians", networks=POINTS, batch_size=16)


@pytest.fixture(autouse=True)
def small_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring the machine well takes seconds."""
    monkeypatch.setattr("wgan.bench.ceilings.SIDE", 256)
    monkeypatch.setattr("wgan.bench.ceilings.COPIED", 1 << 22)


def test_operations_of_layers() -> None:
    """A product of [n, i] and [i, o] is 2 n i o operations; backward is another two of them, but none for the input."""
    x, layer = torch.randn(5, 7), nn.Linear(7, 3, bias=False)
    with Counter() as counter:
        y = layer(x)
    assert counter.operations == 2 * 5 * 7 * 3
    with Counter() as counter:
        y.sum().backward()
    assert counter.operations == 2 * 5 * 7 * 3
    convolution, image = nn.Conv2d(3, 4, 4, 2, 1), torch.randn(2, 3, 8, 8, requires_grad=True)
    with Counter() as counter:
        convolution(image).sum().backward()
    assert counter.operations == 3 * (2 * 2 * 4 * 4 * 4 * 3 * 16)


def test_bytes_of_an_operation() -> None:
    a, b = torch.zeros(100), torch.zeros(100)
    with Counter() as counter:
        a + b
    assert counter.bytes == 3 * 400
    with Counter() as counter:
        a.view(10, 10).t()
    assert counter.bytes == 0


def test_ceilings_are_plausible() -> None:
    assert 1e8 < matmul(CPU, torch.float32) < 1e14
    assert 1e8 < copy(CPU) < 1e13
    assert 1 << 26 < peak_memory(CPU) < 1 << 40


def test_spans_add_up_and_cost_nothing_otherwise() -> None:
    assert spans.span("a") is spans.span("b")
    with spans.measured() as found:
        for _ in range(3):
            with spans.span("a"):
                sum(range(1000))
        with spans.span("b"):
            pass
    assert found.keys() == {"a", "b"}
    assert found["a"] > found["b"] >= 0
    assert spans.span("a") is spans.span("b")


def test_a_benchmark_is_whole() -> None:
    found = bench(SMALL, repeats=2)
    row = found.row()
    for key in ("ratio_to_textbook", "images_per_second", "seconds_per_step", "ceiling_share", "peak_memory_bytes"):
        assert row[key] > 0, key
    assert found.ratio_to_textbook == pytest.approx(found.textbook_seconds / found.seconds_per_step)  # type: ignore[operator]
    assert found.images_per_second == pytest.approx(16 * SMALL.n_critic / found.seconds_per_step)
    parts = {"data", "generator forward", "critic forward", "penalty", "critic backward", "generator backward"}
    assert found.parts.keys() == parts | {"optimiser", "other"}
    assert all(spent >= 0 for spent in found.parts.values())
    low, high = found.seconds_range
    assert low <= found.seconds_per_step <= high


def test_operations_follow_the_batch() -> None:
    one, two = (
        bench(wgan.Run(data="8gaussians", networks=POINTS, batch_size=n, steps=9), repeats=1, textbook=False)
        for n in (8, 16)
    )
    assert two.operations == 2 * one.operations


@pytest.mark.parametrize("fields", [{"conditional": True}, {"objective": wgan.Objective(minimax)}])
def test_a_run_that_the_textbook_has_not(fields: dict[str, Any]) -> None:
    found = bench(tiny("gan", **fields), repeats=1)
    assert found.ratio_to_textbook is found.textbook_seconds is None
    assert not any("textbook" in line for line in found.lines())


def test_benchmarking_trains_nothing_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bench(SMALL, repeats=1, textbook=False)
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_lines_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["8gaussians", "--networks", "points(width=8)", "--batch-size", "8", "--repeats", "1", "--quiet"]
    main(["bench", *small, "--json"])
    row = json.loads(capsys.readouterr().out)
    assert row["ratio_to_textbook"] > 0
    main(["bench", *small, "--no-textbook"])
    told = capsys.readouterr().out
    assert "8gaussians on cpu" in told
    assert "where a step's time goes" in told
    assert "ratio" not in told


def test_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["8gaussians", "--repeats", "0"], "repeats is 0"),
        (["8gausians"], "did you mean '8gaussians'"),
        (["8gaussians", "--preset", "wgan-gb"], "did you mean 'wgan-gp'"),
        (["8gaussians", "--device", "cuda:9"], "is not there"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["bench", *arguments])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    with pytest.raises(UserError):
        bench(SMALL, repeats=-1)


@pytest.mark.slow
def test_speed_is_not_grossly_lost() -> None:
    """Half of what was measured on one thread: 2.3 and more with bf16 and a C compiler, and 1 without either.

    The loops take turns in two processes, so that a busy machine slows both.
    """
    quick = quickest_precision(CPU) == "bf16" and library() is not None
    run = wgan.preset(
        "wgan-gp",
        data=wgan.data.load(noise(64, 3, 32)),
        networks="dcgan(filters=48, critic_norm='none')",
        batch_size=32,
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = bench(replace(run, n_critic=2, steps=9), repeats=3)
    finally:
        torch.set_num_threads(before)
    assert found.ratio_to_textbook is not None
    assert found.ratio_to_textbook > (1.1 if quick else 0.5), found.lines()


def test_a_textbook_that_stops_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(UserError, match="--no-textbook"):
        bench(SMALL, repeats=1)
