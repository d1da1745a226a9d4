"""`wgan bench`: what it counts against formulas, what it times, and what it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path

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
from wgan.errors import UserError

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
CPU = torch.device("cpu")
SMALL = tiny("wgan-gp", data="8gaussians", networks=POINTS, batch_size=16)


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
    one, two = (bench(wgan.Run(data="8gaussians", networks=POINTS, batch_size=n, steps=9), repeats=1) for n in (8, 16))
    assert two.operations == 2 * one.operations


@pytest.mark.parametrize("name", ["sngan", "gan", "wgan-lp"])
def test_a_run_that_the_textbook_has_not(name: str) -> None:
    found = bench(tiny(name), repeats=1)
    assert found.ratio_to_textbook is found.textbook_seconds is None
    assert not any("textbook" in line for line in found.lines())


def test_benchmarking_trains_nothing_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bench(SMALL, repeats=1)
    assert list(tmp_path.iterdir()) == []


def test_the_textbook_is_no_straw_man() -> None:
    """Its penalty is ours, its clip holds, its optimisers have the run's constants."""
    from textbook import Textbook, gradient_penalty, has

    from wgan.objectives import GradientPenalty

    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))
    real, fake = torch.randn(2, 6, 3)
    torch.manual_seed(5)
    theirs = gradient_penalty(critic, real, fake)

    class Same:
        def uniform(self, *shape: int) -> torch.Tensor:
            torch.manual_seed(5)
            return torch.rand(*shape)

    ours = GradientPenalty(1.0).penalty(critic, real, fake, Same())  # type: ignore[arg-type]
    assert theirs.item() == pytest.approx(ours.item())
    for preset in ("wgan", "wgan-gp"):
        run = tiny(preset, data="8gaussians", networks=POINTS, batch_size=64)
        assert has(run)
        textbook = Textbook(run, wgan.data.load("8gaussians"))
        before = [weight.detach().clone() for weight in textbook.generator.parameters()]
        estimates = [textbook.step() for _ in range(5)]
        assert all(torch.isfinite(torch.tensor(estimates)))
        assert not all(torch.equal(a, b) for a, b in zip(before, textbook.generator.parameters(), strict=True))
        assert [group["lr"] for each in textbook.optimizers for group in each.param_groups] == [
            run.critic_optimizer.lr,
            run.generator_optimizer.lr,
        ]
        if preset == "wgan":
            assert all(weight.abs().max() <= 0.01 + 1e-7 for weight in textbook.critic.parameters())


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
