"""Several processes and small pieces train what one process with the whole batch does; a lost one stops all, and a
restart ends with the same bits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ranks
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import bits
from torch import Tensor, nn

from wgan import checkpoint
from wgan.distributed import Share, SharedBatchNorm, Sum, share_batch_norms

HERE = Path(__file__).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
NAMES = list(ranks.runs())


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return {name: ranks.weights_of(run) for name, run in ranks.runs().items()}


@pytest.fixture(scope="module", params=[2, 4])
def together(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of 2 and of 4 processes ended with."""
    out, n = tmp_path_factory.mktemp("ranks"), request.param
    command = [*TORCHRUN, "--nproc-per-node", str(n), str(HERE / "ranks.py"), str(out)]
    done = subprocess.run(command, env=QUIET, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    return [torch.load(out / f"rank-{rank}-of-{n}.pt") for rank in range(n)]


def apart(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest relative distance of a tensor of weights or of batch norm's statistics."""
    assert mine.keys() == theirs.keys()
    names = [name for name in theirs if theirs[name].is_floating_point() and "optimizer" not in name]
    return max(
        float((mine[name].double() - theirs[name].double()).norm() / theirs[name].double().norm().clamp_min(1e-12))
        for name in names
    )


def losses_apart(mine: list[tuple[float, ...]], theirs: list[tuple[float, ...]]) -> float:
    pairs = [(x, y) for a, b in zip(mine, theirs, strict=True) for x, y in zip(a, b, strict=True)]
    return max(abs(x - y) / (abs(y) + 0.01) for x, y in pairs)


@pytest.mark.slow
def test_processes_train_what_one_does(alone: dict[str, Any], together: list[dict[str, Any]]) -> None:
    assert together[0].keys() == (set(NAMES) if len(together) == 2 else set(NAMES[: ranks.FOUR]))
    for found in together:
        for name, (weights, losses) in found.items():
            assert len(losses) == ranks.STEPS
            # bf16 keeps 8 bits of a sum, in whatever order
            low = name.startswith("bf16")
            assert apart(weights, alone[name][0]) < (0.05 if low else 1e-5), name
            assert losses_apart(losses, alone[name][1]) < (0.05 if low else 1e-4), name
            # the same bits on every rank: they would drift apart otherwise
            assert bits(weights) == bits(together[0][name][0]), name


@pytest.mark.parametrize("name", [name for name in NAMES if "norm" not in name])
@pytest.mark.parametrize("micro_batch", [1, 3, 8])
def test_pieces_train_what_the_whole_does(name: str, micro_batch: int, alone: dict[str, Any]) -> None:
    if micro_batch == 1 and name not in ("gp", "spectral", "dragan"):
        pytest.skip("each row by itself: on three runs")
    weights, losses = ranks.weights_of(ranks.runs()[name], micro_batch)
    assert apart(weights, alone[name][0]) < 1e-5
    assert losses_apart(losses, alone[name][1]) < 1e-4


@given(st.integers(1, 200), st.integers(1, 9), st.integers(0, 50))
def test_shares_are_the_batch(batch: int, size: int, micro_batch: int) -> None:
    """Every row once, in order, in pieces that are small enough."""
    rows: list[int] = []
    for rank in range(size):
        share = Share(rank, size, micro_batch)
        mine = range(batch)[share.rows(batch)]
        for piece in share.pieces(len(mine)):
            assert 0 < piece.stop - piece.start <= (micro_batch or batch)
            rows += mine[piece]
        assert abs(len(mine) - batch / size) < 1
    assert rows == list(range(batch))


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """A group of one: collectives run, and do nothing."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 2, 5)])
def test_shared_batch_norm_is_torchs(shape: tuple[int, ...], one_process: None) -> None:
    layers = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}
    torch.manual_seed(0)
    theirs = layers[len(shape)](3).double()
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    holder = nn.Sequential(layers[len(shape)](3).double())
    holder[0].load_state_dict(theirs.state_dict())
    share_batch_norms(holder, Share(0, 2))
    mine = holder[0]
    assert isinstance(mine, SharedBatchNorm)
    for _ in range(2):
        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        assert torch.allclose(mine(x), theirs(x), atol=1e-12)
        slopes = [torch.autograd.grad(layer(x).pow(3).sum(), x, create_graph=True)[0] for layer in (mine, theirs)]
        assert torch.allclose(slopes[0], slopes[1], atol=1e-9)
        twice = [torch.autograd.grad(slope.square().sum(), x, retain_graph=True)[0] for slope in slopes]
        assert torch.allclose(twice[0], twice[1], atol=1e-6)
    assert all(torch.allclose(a, b) for a, b in zip(mine.buffers(), theirs.buffers(), strict=True))
    assert list(mine.state_dict()) == list(theirs.state_dict())
    mine.eval(), theirs.eval()
    assert torch.allclose(mine(x), theirs(x), atol=1e-12)


def test_the_sum_has_gradients(one_process: None) -> None:
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Sum.apply, x)
    assert torch.autograd.gradgradcheck(Sum.apply, x)


# --- the command under torchrun ---------------------------------------------------------------------------------------


def train(out: Path, *more: str) -> list[str]:
    fields = ["--steps", "60", "--save-every", "10", "--batch-size", "8", "--preset", "wgan-gp", "--n-critic", "2"]
    start = [*TORCHRUN, "--nproc-per-node", "2", "--max-restarts", "1", "-m", "wgan", "train"]
    return [*start, "8gaussians", *fields, "--networks", "points(width=16)", "--out", str(out), *more]


def workers(out: Path) -> list[int]:
    """The trainings that write to `out`, in the order in which they were started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"wgan" in words and str(out).encode() in words and b"--nproc-per-node" not in words:
            found.append(int(path.parent.name))
    return sorted(found)


@pytest.mark.slow
def test_a_killed_process_and_a_restart(tmp_path: Path) -> None:
    """One of two is killed: the other says so and stops, torchrun starts both again; they end with the same bits."""
    whole = subprocess.run(train(tmp_path / "whole"), env=QUIET, capture_output=True, text=True, timeout=250)
    assert whole.returncode == 0, whole.stderr[-2000:]
    assert whole.stdout.count("more ") == 1
    process = subprocess.Popen(train(tmp_path / "killed"), env=QUIET, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 100
    while not (tmp_path / "killed" / "checkpoints" / "step-000020.safetensors").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(workers(tmp_path / "killed")[-1], signal.SIGKILL)
    _, told = process.communicate(timeout=250)
    assert process.returncode == 0
    assert "another process of this run has gone" in told or "stopped after step" in told
    assert "going on from step" in told
    found = [checkpoint.newest(tmp_path / name / "checkpoints")[1:3] for name in ("whole", "killed")]
    assert found[0][1]["step"] == found[1][1]["step"] == 60
    assert bits(found[0][0]) == bits(found[1][0])
    rows = [(tmp_path / name / "metrics.jsonl").read_text().count("\n") for name in ("whole", "killed")]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_mistakes_are_told_once(tmp_path: Path) -> None:
    command = [*TORCHRUN, "--nproc-per-node", "2", "-m", "wgan", "train", "8gaussians", "--steps", "2"]
    done = subprocess.run(
        [*command, "--batch-size", "1", "--out", str(tmp_path / "run")], env=QUIET, capture_output=True
    )
    assert done.returncode == 1
    assert done.stderr.count(b"wgan: a batch of 1 is too small for 2 processes: raise --batch-size") == 1
    assert not (tmp_path / "run").exists()


def test_a_negative_piece_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from wgan.cli import main

    with pytest.raises(SystemExit):
        main(["train", "digits", "--micro-batch", "-1"])
    assert "micro_batch is -1: must be at least 0" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["2", "abc"])
def test_processes_that_nobody_started(size: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Some clusters set WORLD_SIZE for every program."""
    from wgan.cli import main

    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(SystemExit) as stop:
        main(["train", "digits", "--steps", "1"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "can't reach the other processes" in error
    assert "unset WORLD_SIZE" in error
