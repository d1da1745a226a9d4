"""Checkpoints: whole or not there, damage is known, and what goes wrong is one line."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forks import Ended, Server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import POINTS, QUIET, rows_of, saved, tiny, train_to
from torch import Tensor, nn

from wgan import checkpoint
from wgan.data import Points
from wgan.errors import UserError
from wgan.networks import DCGAN
from wgan.objectives import Objective, wasserstein
from wgan.optimizers import Adam
from wgan.training import train

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64),
]
TINY = ["--preset", "wgan", "--networks", "dcgan(filters=4)", "--batch-size", 16, "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("forks")) as server:
        yield server


def some(dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Any bytes, so NaNs and denormals too; for bool 0 and 1."""
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    n = int(np.prod(shape)) * torch.empty(0, dtype=dtype).element_size()
    raw = torch.from_numpy(np.random.default_rng(n).integers(0, 256, n).astype(np.uint8))
    return (raw % 2 == 0).reshape(shape) if dtype == torch.bool else raw.view(dtype).reshape(shape)


def raw(x: Tensor) -> tuple[torch.dtype, tuple[int, ...], bytes]:
    return x.dtype, tuple(x.shape), x.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 5)], ids=str)
def test_bits_are_kept(dtype: torch.dtype, shape: tuple[int, ...], tmp_path: Path) -> None:
    tensors = {"a.weight": some(dtype, shape), "b": torch.arange(3)}
    checkpoint.save(tmp_path / "x.safetensors", tensors, {"step": 3, "seconds": 0.1 + 0.2})
    loaded, header = checkpoint.load(tmp_path / "x.safetensors")
    assert {name: raw(x) for name, x in loaded.items()} == {name: raw(x) for name, x in tensors.items()}
    assert header == {"step": 3, "seconds": 0.1 + 0.2}


def test_views_and_shared_memory_are_kept(tmp_path: Path) -> None:
    whole = torch.randn(4, 6, requires_grad=True)
    tensors = {
        "whole": whole,
        "again": whole,
        "column": whole[:, 2],
        "turned": whole.t(),
        "nan": torch.tensor([float("nan")]),
    }
    checkpoint.save(tmp_path / "x.safetensors", tensors, {})
    loaded, _ = checkpoint.load(tmp_path / "x.safetensors")
    assert {name: raw(x) for name, x in loaded.items()} == {name: raw(x.detach()) for name, x in tensors.items()}


def test_a_saved_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.safetensors"
    for value in (1.0, 2.0):
        checkpoint.save(path, {"a": torch.tensor(value)}, {})
        assert checkpoint.load(path)[0]["a"] == value
    assert [file.name for file in path.parent.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("ends", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "stopped"])
def test_a_save_that_ends_half_way_leaves_the_old_file(
    ends: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"a": torch.ones(2)}, {})

    def half(tensors: object, to: Path, metadata: object) -> None:
        to.write_bytes(path.read_bytes()[:40])
        raise ends

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises((UserError, KeyboardInterrupt)):
        checkpoint.save(path, {"a": torch.zeros(2)}, {})
    assert torch.equal(checkpoint.load(path)[0]["a"], torch.ones(2))
    if isinstance(ends, OSError):  # a full disk is left no fuller
        assert [file.name for file in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_file_gets_its_name_when_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, real=real: (done.append(name), real(*given)))
    checkpoint.save(tmp_path / "x.safetensors", {"a": torch.ones(2)}, {})
    # the content, the name, the folder that holds the name
    assert done == ["fsync", "replace", "fsync"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("sound") / "x.safetensors"
    checkpoint.save(path, {"a.w": torch.randn(5, 3), "b": torch.tensor([True, False])}, {"step": 7, "images": 11})
    return path.with_name("damaged.safetensors"), path.read_bytes()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_changed_byte_is_noticed_anywhere(sound: tuple[Path, bytes], place: float, change: int) -> None:
    path, content = sound
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= change
    if damaged[int(place * len(content))] in b" \t\n\r" and content[int(place * len(content))] in b" \t\n\r":
        return  # the header is padded with blanks, and another blank means the same
    path.write_bytes(damaged)
    with pytest.raises(checkpoint.Damaged, match=r"damaged\.safetensors"):
        checkpoint.load(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_noticed(sound: tuple[Path, bytes], share: float) -> None:
    path, content = sound
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(checkpoint.Damaged, match=r"damaged\.safetensors"):
        checkpoint.load(path)
    path.write_bytes(content + b"x")
    with pytest.raises(checkpoint.Damaged):
        checkpoint.load(path)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("torchs", [False, True])
def test_a_pickle_is_refused_and_not_run(torchs: bool, tmp_path: Path) -> None:
    out, trap = tmp_path / "run", tmp_path / "trap"
    train_to(tiny("wgan"), out)
    newest = checkpoint.path_of(out / "checkpoints", 5)
    if torchs:
        torch.save(Hostile(trap), newest)
    else:
        newest.write_bytes(pickle.dumps(Hostile(trap)))
    with pytest.raises(checkpoint.Damaged):
        checkpoint.load(newest)
    with pytest.raises(checkpoint.Damaged, match=r"every checkpoint in .* is damaged; move them away"):
        train_to(tiny("wgan"), out)
    assert not trap.exists()


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(checkpoint.Damaged, match="no wgan checkpoint"):
        checkpoint.load(tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "y.safetensors")


EACH = replace(QUIET, save_every=1, keep=10)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_the_one_before_a_damaged_one_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    whole = train_to(tiny("wgan"), out, options=EACH)[0]
    for step in (4, 5):
        damage(checkpoint.path_of(out / "checkpoints", step))
    _, seen = train_to(tiny("wgan"), out)
    assert [metrics.step for metrics in seen] == [4, 5]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert told[0].startswith("warning: checkpoint")
    assert "step-000005.safetensors is damaged" in told[0]
    assert told[0].endswith("going on from step 3")
    assert saved(out) == (5, whole)


def test_damaged_ones_are_not_counted_as_kept(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_to(tiny("wgan"), out, options=EACH)
    damage(checkpoint.path_of(out / "checkpoints", 5))
    # goes on from 4 and leaves before 5 is written again; without step 5 counted, 4 is the newest to keep
    assert [m.step for m in train_to(tiny("wgan", steps=6), out, options=replace(QUIET, keep=1), last=5)[1]] == [5]
    assert saved(out)[0] == 5
    damage(checkpoint.path_of(out / "checkpoints", 5))
    checkpoint.save(checkpoint.path_of(out / "checkpoints", 3), {"a": torch.ones(1)}, {"step": 3})
    checkpoint.prune(out / "checkpoints", last=3, keep=1, keep_every=0)
    assert [step for step, _ in checkpoint.list_all(out / "checkpoints")] == [3, 5]


def test_all_damaged(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_to(tiny("wgan"), out, options=EACH)
    for _, path in checkpoint.list_all(out / "checkpoints"):
        damage(path)
    with pytest.raises(checkpoint.Damaged, match=r"every checkpoint in .* is damaged; move them away to start anew"):
        train_to(tiny("wgan"), out)


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) == (None, {}, {}, [])
    assert checkpoint.newest(tmp_path / "none") == (None, {}, {}, [])


@pytest.mark.parametrize(
    ("keep", "keep_every", "expected"),
    [(3, 0, [9, 10, 11]), (1, 0, [11]), (2, 4, [4, 8, 10, 11]), (1, 1, [*range(1, 12)]), (99, 0, [*range(1, 12)])],
)
def test_which_are_kept(keep: int, keep_every: int, expected: list[int], tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "checkpoints").mkdir(parents=True)
    (out / "checkpoints" / "step-mine.safetensors").write_text("not ours")
    (out / "run.toml").write_text("")
    (out / "checkpoints" / ".step-000001.safetensors.99.part").write_text("left by a kill")
    for step in range(1, 12):
        checkpoint.path_of(out / "checkpoints", step).write_text("")
        checkpoint.prune(out / "checkpoints", step, keep, keep_every)
    assert [step for step, _ in checkpoint.list_all(out / "checkpoints")] == expected
    assert {file.name for file in (out / "checkpoints").iterdir() if "mine" in file.name or "part" in file.name} == {
        "step-mine.safetensors"
    }


def test_a_run_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    train_to(tiny("wgan"), tmp_path / "run", options=replace(EACH, keep=1, keep_every=2))
    assert [step for step, _ in checkpoint.list_all(tmp_path / "run" / "checkpoints")] == [2, 4, 5]


def test_steps_sort_as_numbers(tmp_path: Path) -> None:
    for step in (999_999, 1_000_000):
        checkpoint.save(checkpoint.path_of(tmp_path, step), {}, {"step": step})
    assert checkpoint.newest(tmp_path)[2] == {"step": 1_000_000}


# --- what goes wrong in a run ----------------------------------------------------------------------------------------


def one_line(ended: Ended) -> str:
    assert ended.code == 2, ended.err
    assert ended.err.startswith("wgan: ")
    assert ended.err.count("\n") == 1
    return ended.err


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before_whole(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["train", "digits", *TINY, "--log-every", 1, "--sample-every", 0, "--save-every", 1, "--out", out]
    ended = server.run(*command, "--steps", 3)
    assert ended.code == 0, ended.err
    before = saved(out)
    size = checkpoint.path_of(out / "checkpoints", 3).stat().st_size
    error = one_line(server.run(*command, "--steps", 6, file_size=size - 100))
    assert "could not save" in error
    assert "step-000004.safetensors" in error
    assert "free some space" in error
    assert saved(out) == before
    assert [file.name for file in (out / "checkpoints").iterdir() if not file.name.startswith("step-00000")] == []
    ended = server.run(*command, "--steps", 6)
    assert ended.code == 0, ended.err
    whole = server.run(*command[:-1], tmp_path / "whole", "--steps", 6)
    assert whole.code == 0, whole.err
    assert saved(out) == saved(tmp_path / "whole")
    # a log that can't grow says so too
    log = out / "metrics.jsonl"
    assert f"can't write {log}" in one_line(server.run(*command, "--steps", 7, file_size=log.stat().st_size + 9))
    assert saved(out) == saved(tmp_path / "whole")


@pytest.mark.slow
def test_two_trainings_on_one_folder(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["train", "digits", *TINY, "--log-every", 1, "--save-every", 0, "--out", out, "--steps", 100_000]
    first = server.start(*command)
    first.wait_for_lines(out / "metrics.jsonl", 1)
    error = one_line(server.run(*command))
    assert f"{out} is in use by another training" in error
    assert first.poll() is None
    # a killed one holds nothing
    first.poll(kill=True)
    again = server.start(*command)
    again.wait_for_lines(out / "metrics.jsonl", 1)
    assert again.poll() is None
    again.poll(kill=True)


@pytest.mark.parametrize("out", ["file/run", "file", "/proc/run"])
def test_a_place_that_cannot_be_written(out: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="choose another place with --out"):
        train(tiny("wgan"), tmp_path / out, QUIET)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_checkpoint_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="could not save"):
        checkpoint.save(tmp_path / "file" / "x.safetensors", {"a": torch.ones(2)}, {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(tmp_path: Path) -> None:
    train_to(tiny("wgan", steps=2), tmp_path / "run")
    (tmp_path / "run" / "checkpoints").chmod(0o500)
    with pytest.raises(UserError, match=r"could not save .*Permission denied"):
        train_to(tiny("wgan"), tmp_path / "run")
    (tmp_path / "run" / "checkpoints").chmod(0o700)
    (tmp_path / "run").chmod(0o000)
    with pytest.raises(UserError, match="Permission denied"):
        train_to(tiny("wgan"), tmp_path / "run")
    (tmp_path / "run").chmod(0o700)


def test_a_folder_with_other_things(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    with pytest.raises(UserError, match="is not empty and holds no run"):
        train_to(tiny("wgan"), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["samples"]


def test_another_run_in_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_to(tiny("wgan"), out)
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    with pytest.raises(UserError) as told:
        train_to(tiny("wgan", seed=1, n_critic=1), out)
    assert str(told.value) == (
        f"{out} holds another run: n_critic is 2 there, 1 here; seed is 0 there, 1 here. "
        "Choose another place with --out"
    )
    with pytest.raises(UserError, match=r"critic_optimizer is 'rmsprop\(lr=5e-05.* there, 'adam\("):
        train_to(tiny("wgan", critic_optimizer=Adam()), out)
    # a rate that falls to zero at step 5 is no part of one that falls to zero at step 6
    train_to(tiny("wgan", lr_decay="linear"), tmp_path / "decay")
    with pytest.raises(UserError, match="steps is 5 there, 6 here"):
        train_to(tiny("wgan", lr_decay="linear", steps=6), tmp_path / "decay")
    assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_other_data_of_the_same_name(tmp_path: Path) -> None:
    def data(fingerprint: str) -> Points:
        return Points("mine", np.zeros((50, 2), np.float32), fingerprint=fingerprint)

    run = tiny("wgan", networks=POINTS)
    train_to(replace(run, data=data("a")), tmp_path / "run", 2)
    with pytest.raises(UserError, match="was trained on other data than 'mine' holds now"):
        train_to(replace(run, data=data("b")), tmp_path / "run")
    assert len(train_to(replace(run, data=data("a")), tmp_path / "run")[1]) == 3


def test_what_cannot_be_run_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="batch norm in the critic"):
        train(tiny("wgan-gp", networks=DCGAN(filters=4), data=big_images()), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


def big_images() -> Any:
    from wgan.data import Images

    return Images("big", np.zeros((20, 1, 16, 16), np.uint8))


class Poisoned:
    """Points of which one is NaN, and the generator's gradient too, from step 4 on."""

    name, shape, classes, count, fingerprint = "poisoned", (2,), (), None, ""

    def batch(self, seed: int, start: int, n: int) -> Any:
        from wgan.data import Batch

        x = torch.randn(n, 2, generator=torch.Generator().manual_seed(start))
        if start >= 3 * 2 * 8:
            x[0, 0] = torch.nan
        return Batch(x, None)


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    run, out = tiny("wgan-gp", data=Poisoned(), networks=POINTS), tmp_path / "run"
    with pytest.raises(UserError) as told:
        train_to(run, out, options=replace(EACH, log_every=1))
    assert "no longer finite at step 4 (critic nan" in str(told.value)
    assert f"the last checkpoint is step 3 in {out}" in str(told.value)
    assert "lower --lr" in str(told.value)
    assert saved(out) == (3, train_to(run, last=3)[0])
    assert [row["step"] for row in rows_of(out)] == [1, 2, 3]


def test_a_rate_far_too_high_stops(tmp_path: Path) -> None:
    run, out = tiny("wgan-gp", critic_optimizer=Adam(1e30)), tmp_path / "run"
    with pytest.raises(UserError, match=r"no longer finite at step 1 .*the last checkpoint is step 0"):
        train_to(run, out, options=EACH)
    assert checkpoint.list_all(out / "checkpoints") == []
    with pytest.raises(UserError, match=r"no longer finite at step 1 \("):
        train_to(run)


class Poison(torch.autograd.Function):
    """The identity, whose gradient is NaN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * torch.nan


def poisoned_networks(shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[nn.Module, nn.Module]:
    generator, critic = POINTS(shape, z_dim, classes)
    calls = []

    def hook(module: nn.Module, inputs: object, made: Tensor) -> Tensor:
        calls.append(torch.is_grad_enabled())
        return Poison.apply(made) if calls.count(True) >= 3 else made

    generator.register_forward_hook(hook)
    return generator, critic


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    run, out = tiny("wgan-gp", data="8gaussians", networks=poisoned_networks), tmp_path / "run"
    # the losses of step 3 were finite, its update was not: the checkpoint of step 2 must stay the newest
    with pytest.raises(UserError, match="weights are no longer finite after step 3; the last checkpoint is step 2"):
        train_to(run, out, options=EACH)
    assert saved(out)[0] == 2
    assert all(bool(torch.isfinite(x).all()) for x in checkpoint.newest(out / "checkpoints")[1].values())


def growing(width: int) -> Any:
    def networks(shape: tuple[int, ...], z_dim: int, classes: int = 0) -> tuple[nn.Module, nn.Module]:
        return replace(POINTS, width=width)(shape, z_dim, classes)

    return networks


@pytest.mark.parametrize(("then", "now"), [(8, 9), (8, 4)])
def test_a_checkpoint_of_other_networks(then: int, now: int, tmp_path: Path) -> None:
    run, out = tiny("wgan", data="8gaussians", objective=Objective(wasserstein)), tmp_path / "run"
    train_to(replace(run, networks=growing(then)), out, 2)
    with pytest.raises(UserError) as told:
        train_to(replace(run, networks=growing(now)), out)
    assert str(told.value).startswith("the checkpoint does not fit this run's networks: ")
    assert "\n" not in str(told.value)
    assert saved(out)[0] == 2
