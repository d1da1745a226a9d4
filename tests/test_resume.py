"""A run that was stopped, however it was stopped, ends as one that never was: bit for bit."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from forks import Server
from tiny import QUIET, bits, rows_of, saved, tiny, train_to, untimed

from wgan import checkpoint
from wgan.data import load
from wgan.devices import find_device
from wgan.networks import DCGAN
from wgan.objectives import Consistency, GradientPenalty, Objective, SpectralNorm, hinge, wasserstein
from wgan.presets import PRESETS
from wgan.run import from_fields
from wgan.signals import StopSignals
from wgan.state import start
from wgan.training import steps
from wgan.watch import Options

KILLED = {
    "clip": ["--preset", "wgan", "--networks", "dcgan(filters=4)"],
    "gp": ["--preset", "wgan-gp", "--networks", "dcgan(filters=4, critic_norm='none')", "--ema", "0.9"],
    "spectral": ["--objective", "hinge + spectral_norm", "--networks", "dcgan(filters=4, critic_norm='none')"],
    "conditional": ["--conditional", "--dequantize", "--networks", "dcgan(filters=4, critic_norm='none')"],
    "consistency": [
        *("--objective", "wasserstein + gp + consistency"),
        *("--networks", "dcgan(filters=4, critic_norm='none', dropout=0.3)"),
    ],
}
COMMON = [
    *("--batch-size", 16, "--steps", 12, "--log-every", 1, "--sample-every", 6, "--save-every", 2, "--keep", 2),
    *("--device", "cpu"),
]
KILLS_EACH = 4  # 20 in all


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("forks")) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("variant", KILLED)
def test_killed_at_random_moments(variant: str, server: Server, tmp_path: Path) -> None:
    command = ["train", "digits", *KILLED[variant], *COMMON, "--out"]
    ended = server.run(*command, tmp_path / "whole")
    assert ended.code == 0, ended.err
    moments = random.Random(f"moments/{variant}")
    kills, folder = 0, 0
    while kills < KILLS_EACH:
        out = tmp_path / f"killed-{folder}"
        killed = server.start(*command, out)
        # a moment in a run: so many steps on, and anywhere in the next ones
        killed.wait_for_lines(out / "metrics.jsonl", moments.choice([0, 0, 1, 2]))
        time.sleep(moments.uniform(0.0, 0.25))
        ended = killed.poll(kill=True)
        assert ended is not None
        assert ended.code in (-signal.SIGKILL, 0), ended.err
        # on a quick machine it may have got to the end before: then the other kills come in a new folder
        kills += ended.code != 0
        folder += ended.code == 0
    for i in range(folder + 1):
        out = tmp_path / f"killed-{i}"
        ended = server.run(*command, out)
        assert ended.code == 0, ended.err
        assert saved(out) == saved(tmp_path / "whole")
        assert saved(out)[0] == 12
        assert rows_of(out) == rows_of(tmp_path / "whole")
        left = [sorted(file.relative_to(at) for file in at.rglob("*")) for at in (out, tmp_path / "whole")]
        assert left[0] == left[1]
        for name in ("step-000000.png", "step-000012.png", "real.png"):
            assert (out / "samples" / name).read_bytes() == (tmp_path / "whole" / "samples" / name).read_bytes()


@pytest.mark.parametrize("preset", PRESETS)
def test_left_and_taken_up_again(preset: str, tmp_path: Path) -> None:
    run = tiny(preset)
    whole, seen = train_to(run)
    parts = [train_to(run, tmp_path / "run", last)[1] for last in (2, 3, None)]
    assert [len(part) for part in parts] == [2, 1, 2]
    assert saved(tmp_path / "run") == (5, whole)
    again = [metrics for part in parts for metrics in part]
    assert untimed([asdict(metrics) for metrics in again]) == untimed([asdict(metrics) for metrics in seen])
    # finished: the same call does nothing
    assert train_to(run, tmp_path / "run") == ({}, [])


def test_a_checkpoint_holds_all_that_changes(tmp_path: Path) -> None:
    run = tiny("wgan-gp", ema=0.9, conditional=True)
    whole, _ = train_to(run, tmp_path / "run")
    data, device = load("digits"), find_device("cpu")
    state = start(replace(run, seed=1), data, device)
    _, tensors, header, _ = checkpoint.newest(tmp_path / "run" / "checkpoints")
    state.load(tensors, header)
    assert bits(state.tensors()) == whole
    assert (state.step, state.images) == (5, 5 * 2 * 8)
    kinds = {name.split(".")[0] for name in whole}
    assert kinds == {"critic", "generator", "average", "critic_optimizer", "generator_optimizer"}


@pytest.mark.parametrize(
    "objective",
    [
        Objective(hinge, SpectralNorm()),
        Objective(wasserstein, GradientPenalty(), Consistency()),
    ],
    ids=["power iteration", "dropout"],
)
def test_watching_changes_nothing(objective: Objective, tmp_path: Path) -> None:
    networks = DCGAN(filters=4, critic_norm="none", dropout=0.3)
    run = tiny("wgan", objective=objective, networks=networks)
    watched = Options(quiet=True, log_every=1, sample_every=1, save_every=1, device="cpu")
    assert train_to(run, tmp_path / "run", options=watched)[0] == train_to(run)[0]


def test_other_seeds_are_other_runs() -> None:
    assert train_to(tiny("wgan"))[0] == train_to(tiny("wgan"))[0]
    assert train_to(tiny("wgan"))[0] != train_to(tiny("wgan", seed=1))[0]


def test_a_line_cut_short_by_a_kill_is_written_again(tmp_path: Path) -> None:
    run, options = tiny("wgan"), replace(QUIET, log_every=1)
    train_to(run, tmp_path / "whole", options=options)
    train_to(run, tmp_path / "run", 3, options)
    log = tmp_path / "run" / "metrics.jsonl"
    log.write_text(
        log.read_text() + log.read_text().splitlines()[-1].replace('"step": 3', '"step": 4') + '\n{"step": 5'
    )
    train_to(run, tmp_path / "run", options=options)
    assert rows_of(tmp_path / "run") == rows_of(tmp_path / "whole")
    assert [row["step"] for row in rows_of(tmp_path / "run")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", ".run.toml.part"]])
def test_killed_before_the_run_was_described(left: list[str], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).write_text("[ru")
    assert train_to(tiny("wgan"), tmp_path / "run")[0] == train_to(tiny("wgan"))[0]


def test_more_steps_go_on(tmp_path: Path) -> None:
    train_to(tiny("wgan", steps=3), tmp_path / "run")
    _, seen = train_to(tiny("wgan", steps=6), tmp_path / "run")
    assert [metrics.step for metrics in seen] == [4, 5, 6]
    assert saved(tmp_path / "run") == (6, train_to(tiny("wgan", steps=6))[0])


def test_fewer_steps_leave_a_finished_run_as_it_is(tmp_path: Path) -> None:
    train_to(tiny("wgan", steps=4), tmp_path / "run")
    before = (tmp_path / "run" / "run.toml").read_text()
    assert train_to(tiny("wgan", steps=2), tmp_path / "run") == ({}, [])
    assert (tmp_path / "run" / "run.toml").read_text() == before


def test_an_exception_in_the_body_saves(tmp_path: Path) -> None:
    def body() -> None:
        for state, _ in steps(tiny("wgan"), tmp_path / "run", QUIET):
            if state.step == 2:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    assert saved(tmp_path / "run")[0] == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(number: signal.Signals, server: Server, tmp_path: Path) -> None:
    fields = {"networks": "dcgan(filters=4)", "batch_size": 16, "n_critic": 2}
    flags = [part for name, value in fields.items() for part in (f"--{name.replace('_', '-')}", value)]
    watch = ["--log-every", 1, "--save-every", 0, "--sample-every", 0, "--device", "cpu", "--quiet"]
    out = tmp_path / "run"
    command = ["train", "digits", "--preset", "wgan", *flags, *watch, "--out", out, "--steps"]
    running = server.start(*command, 100_000)
    running.wait_for_lines(out / "metrics.jsonl", 3)
    running.signal(number)
    ended = running.wait()
    step = rows_of(out)[-1]["step"]
    assert ended.code == 128 + number
    assert ended.err == f"wgan: stopped after step {step}; the same command goes on from there\n"
    base = PRESETS["wgan"].run
    assert saved(out) == (step, train_to(from_fields(fields | {"data": "digits", "steps": step}, base))[0])
    # and it does
    ended = server.run(*command, step + 3)
    assert ended.code == 0, ended.err
    assert saved(out) == (step + 3, train_to(from_fields(fields | {"data": "digits", "steps": step + 3}, base))[0])


def test_a_second_signal_ends_at_once() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def twice() -> None:
        with StopSignals() as signals:
            assert signals.heard() is None
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.heard() == signal.SIGINT
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with StopSignals() as signals:
        assert signals.heard() is None
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_before_the_first_step_ends_at_once() -> None:
    def early() -> None:
        with StopSignals():
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        early()


def test_a_folder_goes_on_in_its_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved to a machine that is quicker in another one, a run whose precision was left open stays what it was."""
    run = tiny("wgan", precision="auto")
    for here, last in (("fp32", 2), ("bf16", None)):
        monkeypatch.setattr("wgan.run.quickest_precision", lambda device, here=here: here)
        train_to(run, tmp_path / "run", last)
    assert saved(tmp_path / "run") == (5, train_to(tiny("wgan", precision="fp32"))[0])
