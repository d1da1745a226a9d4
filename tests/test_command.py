"""The command `wgan`, as a user runs it: what it prints, what it leaves behind, what it takes up again."""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import wgan
from wgan.cli import RunFlags, WatchFlags, main
from wgan.data.grid import FAKE, REAL
from wgan.devices import quickest_precision

NETWORKS = ["--networks", 'dcgan(filters=4, critic_norm="none")']
SMALL = ["--batch-size", "8", "--n-critic", "1", "--device", "cpu"]
DIGITS = ["train", "digits", *NETWORKS, *SMALL]
POINTS = ["train", "8gaussians", "--networks", "points(width=8, depth=1)", *SMALL]

Command = Callable[..., tuple[str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command that must succeed in an empty folder; returns what it printed: (stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WGAN_DATASETS", raising=False)

    def run(*arguments: str) -> tuple[str, str]:
        capsys.readouterr()
        main(arguments)
        told = capsys.readouterr()
        return told.out, told.err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs to sample from: plain, conditional, points."""
    folder = tmp_path_factory.mktemp("trained")
    for kind, base in (("plain", DIGITS), ("conditional", [*DIGITS, "--conditional"]), ("points", POINTS)):
        main([*base, "--steps", "2", "--quiet", "--out", str(folder / kind)])
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def fields(folder: Path) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((folder / "run.toml").read_text())["run"]
    return found


# --- train ----------------------------------------------------------------------------------------------------------


def test_train_leaves_a_run_behind(command: Command) -> None:
    every = ["--log-every", "2", "--sample-every", "3", "--save-every", "2", "--keep", "2", "--keep-every", "4"]
    out, err = command(*DIGITS, "--steps", "10", *every)
    run = Path("results/digits-wgan-gp")
    assert out.splitlines() == [
        f"curve    {run}/curve.png",
        f"samples  {run}/samples/step-000010.png",
        f"more     wgan sample {run} --n 64",
    ]
    lines = err.splitlines()
    assert lines[-1].startswith("step 10/10  Wasserstein estimate ")
    assert lines[-1].endswith(" images/s  done")
    assert {path for path in tree(run) if not path.startswith(".")} == {
        "run.toml",
        "metrics.jsonl",
        "curve.png",
        "samples/real.png",
        *(f"samples/step-{step:06d}.png" for step in (0, 3, 6, 9, 10)),
        # the newest two, and multiples of four
        *(f"checkpoints/step-{step:06d}.safetensors" for step in (4, 8, 10)),
    }
    logged = rows(run)
    assert [row["step"] for row in logged] == [2, 4, 6, 8, 10]
    keys = "step epoch images wasserstein critic_loss generator_loss seconds images_per_second "
    keys += "wasserstein_corrected critic_slope fake_spread generator_gradient"
    assert {" ".join(row) for row in logged} == {keys}
    assert [row["images"] for row in logged] == [16, 32, 48, 64, 80]
    assert logged[-1]["epoch"] == round(80 / 1797, 4)
    with Image.open(run / "samples" / "step-000010.png") as drawn, Image.open(run / "samples" / "real.png") as real:
        assert drawn.size == real.size
        assert drawn.getextrema() != (0, 0)
    told = tomllib.loads((run / "run.toml").read_text())
    assert told["run"]["batch_size"] == 8
    assert told["run"]["steps"] == 10
    assert told["data"] | {"fingerprint": ""} == {
        "shape": [1, 8, 8],
        "classes": list("0123456789"),
        "count": 1797,
        "fingerprint": "",
    }
    assert set(told["versions"]) == {"wgan", "torch", "python", "machine", "threads"}


@pytest.mark.parametrize(
    ("preset", "keys"),
    [
        ("wgan", {"clipped_share"}),
        ("gan", {"jensen_shannon"}),
        ("wgan-gp", set()),
    ],
)
def test_keys_of_the_log_follow_the_objective(command: Command, preset: str, keys: set[str]) -> None:
    command(*DIGITS, "--preset", preset, "--steps", "2", "--quiet")
    assert {"clipped_share", "jensen_shannon"} & set(rows(Path(f"results/digits-{preset}"))[-1]) == keys


def test_a_penalty_is_no_part_of_the_jensen_shannon_estimate(command: Command) -> None:
    one = [*DIGITS, "--preset", "gan", "--steps", "1", "--quiet"]
    command(*one, "--out", "plain")
    command(*one, "--objective", "logistic + dragan(weight=50)", "--out", "penalised")
    plain, penalised = rows(Path("plain"))[-1], rows(Path("penalised"))[-1]
    assert penalised["critic_loss"] > plain["critic_loss"] + 1
    assert penalised["jensen_shannon"] == pytest.approx(plain["jensen_shannon"], abs=1e-5)
    assert plain["jensen_shannon"] == pytest.approx(np.log(2) - plain["critic_loss"] / 2, abs=1e-6)


def test_label_of_the_estimate(command: Command) -> None:
    # the standard GAN estimates another divergence, hinge none
    assert "JS estimate" in command(*DIGITS, "--preset", "gan", "--steps", "1")[1]
    assert "score gap" in command(*DIGITS, "--objective", "hinge", "--steps", "1", "--out", "h")[1]


def test_the_same_command_again_says_finished_and_changes_nothing(command: Command, tmp_path: Path) -> None:
    command(*DIGITS, "--steps", "3", "--out", "a", "--log-every", "1")
    before = tree(tmp_path)
    out, err = command(*DIGITS, "--steps", "3", "--out", "a")
    assert err == "a is finished after 3 steps; a higher --steps goes on\n"
    assert "a/curve.png" in out
    assert tree(tmp_path) == before


def test_fewer_steps_than_done_are_finished_too(command: Command, tmp_path: Path) -> None:
    command(*DIGITS, "--steps", "3", "--out", "a")
    before = tree(tmp_path)
    assert "a is finished after 3 steps" in command(*DIGITS, "--steps", "2", "--out", "a")[1]
    assert tree(tmp_path) == before


def test_more_steps_go_on(command: Command, tmp_path: Path) -> None:
    log = ["--log-every", "1"]
    command(*DIGITS, "--steps", "3", "--out", "a", *log)
    _, err = command(*DIGITS, "--steps", "5", "--out", "a", *log)
    assert err.splitlines()[0] == "a: going on from step 3"
    assert fields(tmp_path / "a")["steps"] == 5
    assert [row["step"] for row in rows(tmp_path / "a")] == [1, 2, 3, 4, 5]
    # as if it had never stopped
    command(*DIGITS, "--steps", "5", "--out", "b", *log)
    key = "checkpoints/step-000005.safetensors"
    assert [row["wasserstein"] for row in rows(tmp_path / "a")] == [row["wasserstein"] for row in rows(tmp_path / "b")]
    samples = "samples/step-000005.png"
    assert (tmp_path / "a" / samples).read_bytes() == (tmp_path / "b" / samples).read_bytes()
    assert (tmp_path / "a" / key).exists()


def test_epochs_become_steps(command: Command, tmp_path: Path) -> None:
    batch = ["--batch-size", "1000", "--n-critic", "2", "--device", "cpu"]
    command("train", "digits", *NETWORKS, *batch, "--epochs", "2", "--quiet", "--out", "a")
    # 2 x 1797 samples at 2000 a step
    assert fields(tmp_path / "a")["steps"] == 2
    assert rows(tmp_path / "a")[-1]["epoch"] == round(4000 / 1797, 4)


def test_config_is_run_again_with_other_flags(command: Command, tmp_path: Path) -> None:
    command(*DIGITS, "--steps", "2", "--quiet", "--out", "a")
    again = ["--quiet", "--device", "cpu", "--config", "a/run.toml"]
    command("train", *again, "--seed", "1", "--lr", "0.5", "--out", "other")
    old, new = fields(tmp_path / "a"), fields(tmp_path / "other")
    assert {name for name in old if old[name] != new[name]} == {"seed", "critic_optimizer", "generator_optimizer"}
    assert new["critic_optimizer"] == "adam(lr=0.5, beta1=0.0, beta2=0.9, eps=1e-08)"
    # unchanged, it is the same run
    command("train", *again, "--out", "same")
    samples = "samples/step-000002.png"
    assert (tmp_path / "a" / samples).read_bytes() == (tmp_path / "same" / samples).read_bytes()


def test_flags_reach_the_run(command: Command, tmp_path: Path) -> None:
    flags = ["--critic-lr", "0.25", "--lr", "0.5", "--z-dim", "5", "--ema", "0.9", "--lr-decay", "linear"]
    command(*DIGITS, "--preset", "wgan", *flags, "--steps", "2e0", "--dequantize", "--quiet", "--out", "a")
    assert fields(tmp_path / "a") | {"networks": ""} == {
        "data": "digits",
        "conditional": False,
        "networks": "",
        "z_dim": 5,
        "objective": "wasserstein + clip(c=0.01)",
        "constrain": "after",
        "n_critic": 1,
        "warmup_n_critic": 0,
        "warmup_steps": 0,
        "warmup_every": 0,
        "batch_size": 8,
        "generator_batch_size": 0,
        "steps": 2,
        "critic_optimizer": "rmsprop(lr=0.25, alpha=0.99, eps=1e-08)",
        "generator_optimizer": "rmsprop(lr=0.5, alpha=0.99, eps=1e-08)",
        "lr_decay": "linear",
        "ema": 0.9,
        "dequantize": True,
        "precision": quickest_precision(torch.device("cpu")),
        "allow_critic_batch_norm": False,
        "seed": 0,
    }


MY_RUN = """
import torch
from torch import nn

import wgan
from beside import width


class Generator(nn.Module):
    def __init__(self, z_dim):
        super().__init__()
        self.layer = nn.Linear(z_dim, 64)

    def forward(self, z, labels=None):
        return torch.tanh(self.layer(z)).view(-1, 1, 8, 8)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x, labels=None):
        return self.layers(x).squeeze(1)


def networks(shape, z_dim, classes=0):
    return Generator(z_dim), Critic()


run = wgan.Run(data="digits", networks=networks, z_dim=4, batch_size=8, n_critic=1, steps=2)
"""


def test_python_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_run.py").write_text(MY_RUN)
    (tmp_path / "beside.py").write_text("width = 6\n")
    mine = ["train", "my_run.py", "--device", "cpu", "--log-every", "1"]
    out, _ = command(*mine)
    assert "more     wgan sample results/my_run --n 64" in out
    _, err = command(*mine, "--steps", "3")
    assert "results/my_run: going on from step 2" in err
    assert [row["step"] for row in rows(tmp_path / "results" / "my_run")] == [1, 2, 3]
    # its networks are found again, also from elsewhere
    sys.modules.pop("my_run")
    out, _ = command("sample", "results/my_run", "--n", "2", "--device", "cpu", "--npy", "x.npy")
    assert np.load(tmp_path / "x.npy").shape == (2, 1, 8, 8)
    command("train", "--config", "results/my_run/run.toml", "--z-dim", "3", "--device", "cpu", "--quiet", "--out", "b")
    assert fields(tmp_path / "b")["z_dim"] == 3
    assert fields(tmp_path / "b")["steps"] == 3


@pytest.mark.parametrize("base", [DIGITS, [*DIGITS, "--conditional"], POINTS], ids=["digits", "conditional", "points"])
def test_dry_run_prints_and_writes_nothing(command: Command, tmp_path: Path, base: list[str]) -> None:
    out, err = command(*base, "--steps", "7", "--dry-run")
    told = {line.split()[0]: line for line in out.splitlines()}
    assert err == ""
    assert tree(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
    assert "parameters" in told["generator"]
    assert "multiply-adds" in told["critic"] or "multiply-adds" in out
    assert "for 7 steps" in told["cost"]
    assert told["batch_size"].split() == ["batch_size", "8"]


def test_quiet_says_nothing(command: Command) -> None:
    quiet = [*DIGITS, "--steps", "2", "--quiet"]
    assert command(*quiet) == ("", "")
    # finished, gone on with
    assert command(*quiet) == ("", "")
    assert command(*quiet[:-2], "3", "--quiet") == ("", "")


def test_tensorboard(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is an extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    command(
        *DIGITS, "--steps", "4", "--log-every", "2", "--sample-every", "4", "--quiet", "--tensorboard", "--out", "a"
    )
    events = EventAccumulator(str(tmp_path / "a" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("wasserstein")] == [2, 4]
    assert events.Scalars("wasserstein")[-1].value == pytest.approx(rows(tmp_path / "a")[-1]["wasserstein"])
    assert 4 in [event.step for event in events.Images("samples")]


def test_points(command: Command, tmp_path: Path) -> None:
    command(*POINTS, "--steps", "2", "--log-every", "1")
    run = tmp_path / "results" / "8gaussians-wgan-gp"
    assert "epoch" not in rows(run)[-1]
    assert (run / "samples" / "step-000002.png").exists()
    command("train", "line:0.5", *POINTS[2:], "--steps", "1", "--quiet")
    assert rows(tmp_path / "results" / "line-0.5-wgan-gp")[-1]["step"] == 1


def test_every_path_that_is_told_is_there(command: Command, tmp_path: Path) -> None:
    # a curve takes two logged steps
    assert "curve" not in command(*DIGITS, "--steps", "1", "--out", "a")[0]
    out, _ = command(*DIGITS, "--steps", "2", "--out", "a")
    told = [line.split()[1] for line in out.splitlines()[:2]]
    assert told == ["a/curve.png", "a/samples/step-000002.png"]
    assert all((tmp_path / path).is_file() for path in told)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_of_any_channels(command: Command, tmp_path: Path, channels: int) -> None:
    array = np.random.default_rng(0).integers(0, 256, (12, channels, 8, 8), np.uint8)
    np.save(tmp_path / "x.npy", array)
    command("train", "x.npy", *NETWORKS, *SMALL, "--steps", "1", "--quiet", "--out", "a")
    command("sample", "a", "--n", "3", "--npy", "fake.npy", "--device", "cpu")
    fake = np.load(tmp_path / "fake.npy")
    assert fake.shape == (3, channels, 8, 8)
    assert fake.dtype == np.uint8


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_folder_of_images_of_odd_sizes(command: Command, tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(0)
    for i in range(10):
        pixels = rng.integers(0, 256, (9 + i, 23 - i) + ((3,) if mode == "RGB" else ()), np.uint8)
        folder = tmp_path / "photos" / ("cats", "dogs")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels, mode).save(folder / f"{i}.png")
    flags = [*NETWORKS, *SMALL, "--steps", "1", "--quiet", "--size", "8", "--conditional"]
    command("train", "photos", *flags)
    run = "results/photos-wgan-gp"
    command("sample", run, "--n", "4", "--label", "dogs", "--npy", "fake.npy", "--device", "cpu")
    assert np.load(tmp_path / "fake.npy").shape == (4, 1 if mode == "L" else 3, 8, 8)
    out, _ = command("data", "photos", "--size", "8", "--quiet")
    assert "cats 5, dogs 5" in out
    assert "results/data-photos.png" in out


def test_parquet(command: Command, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is an extra")
    images = [Image.fromarray(np.full((8, 8), 20 * i, np.uint8)) for i in range(10)]
    datasets.Dataset.from_dict({"image": images}).cast_column("image", datasets.Image()).to_parquet("x.parquet")
    command("train", "hf:x.parquet", *NETWORKS, *SMALL, "--steps", "1", "--quiet", "--out", "a")
    assert fields(tmp_path / "a")["data"] == "hf:x.parquet"


# --- sample ---------------------------------------------------------------------------------------------------------


def array_of(command: Command, tmp_path: Path, run: Path, *flags: str) -> np.ndarray:
    """What --npy writes."""
    target = tmp_path / "drawn.npy"
    target.unlink(missing_ok=True)
    out, err = command("sample", str(run), "--npy", "drawn.npy", "--device", "cpu", *flags)
    assert (out, err) == ("drawn.npy\n", "")
    drawn: np.ndarray = np.load(target)
    return drawn


def test_sample_grid(command: Command, tmp_path: Path, trained: Path) -> None:
    run = trained / "plain"
    out, _ = command("sample", str(run), "--n", "6", "--device", "cpu")
    assert out == f"{run}/sample-step000002-seed0.png\n"
    command("sample", str(run), "--n", "6", "--device", "cpu", "--seed", "3", "--out", "new/b.png")
    with Image.open(run / "sample-step000002-seed0.png") as a, Image.open(tmp_path / "new" / "b.png") as b:
        assert a.size == b.size
        assert a.tobytes() != b.tobytes()


def test_sample_folder(command: Command, tmp_path: Path, trained: Path) -> None:
    out, _ = command("sample", str(trained / "plain"), "--n", "3", "--folder", "each", "--device", "cpu")
    assert out == "each\n"
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    array = array_of(command, tmp_path, trained / "plain", "--n", "3")
    for i in range(3):
        with Image.open(tmp_path / "each" / f"0000{i}.png") as image:
            assert (image.mode, image.size) == ("L", (8, 8))
            assert np.array_equal(np.asarray(image), array[i, 0])


def test_sampled_points_are_drawn_as_fake(command: Command, tmp_path: Path, trained: Path) -> None:
    command("sample", str(trained / "points"), "--out", "fake.png", "--device", "cpu")
    command("data", "8gaussians", "--out", "real.png")
    for name, colour, other in (("fake.png", FAKE, REAL), ("real.png", REAL, FAKE)):
        with Image.open(tmp_path / name) as picture:
            colours = {pixel for _, pixel in picture.getcolors(1 << 20) or []}
        assert colour in colours
        assert other not in colours


def test_sample_npy(command: Command, tmp_path: Path, trained: Path) -> None:
    images = array_of(command, tmp_path, trained / "plain", "--n", "5")
    assert (images.dtype, images.shape) == (np.uint8, (5, 1, 8, 8))
    # of an untrained tanh: gray, on both sides of the middle
    assert images.min() < 127 < images.max()
    points = array_of(command, tmp_path, trained / "points", "--n", "5")
    assert (points.dtype, points.shape) == (np.float32, (5, 2))
    assert np.isfinite(points).all()


def test_sample_depends_on_the_seed_alone(command: Command, tmp_path: Path, trained: Path) -> None:
    run = trained / "plain"
    first, again = (array_of(command, tmp_path, run, "--seed", "7", "--n", "4") for _ in range(2))
    other = array_of(command, tmp_path, run, "--seed", "8", "--n", "4")
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    for name in ("a.png", "b.png"):
        command("sample", str(run), "--seed", "7", "--out", name, "--device", "cpu")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_sample_by_checkpoint_file(command: Command, tmp_path: Path, trained: Path) -> None:
    file = trained / "plain" / "checkpoints" / "step-000002.safetensors"
    by_file = array_of(command, tmp_path, file, "--n", "4")
    assert np.array_equal(by_file, array_of(command, tmp_path, trained / "plain", "--n", "4"))


def test_sample_of_a_damaged_checkpoint_takes_the_one_before_and_says_so(command: Command, tmp_path: Path) -> None:
    command(*DIGITS, "--steps", "2", "--save-every", "1", "--quiet", "--out", "a")
    newest = tmp_path / "a" / "checkpoints" / "step-000002.safetensors"
    newest.write_bytes(newest.read_bytes()[:-10])
    out, err = command("sample", "a", "--n", "2", "--device", "cpu")
    assert out == "a/sample-step000001-seed0.png\n"
    assert err.startswith("warning: checkpoint a/checkpoints/step-000002.safetensors")
    assert err.endswith("taking step 1\n")


def test_sample_label_by_name_and_number(command: Command, tmp_path: Path, trained: Path) -> None:
    run = trained / "conditional"
    three = array_of(command, tmp_path, run, "--label", "3", "--n", "10")
    four = array_of(command, tmp_path, run, "--label", "4", "--n", "10")
    in_turn = array_of(command, tmp_path, run, "--n", "10")
    assert np.array_equal(in_turn[3], three[3])
    assert np.array_equal(in_turn[4], four[4])
    assert not np.array_equal(three, four)


def test_sample_truncation(command: Command, tmp_path: Path, trained: Path) -> None:
    run = trained / "points"
    free = array_of(command, tmp_path, run, "--n", "500")
    bound = array_of(command, tmp_path, run, "--n", "500", "--truncation", "0.2")
    assert bound.std() < 0.6 * free.std()


def test_sample_interpolate(command: Command, tmp_path: Path, trained: Path) -> None:
    out, _ = command("sample", str(trained / "plain"), "--n", "20", "--interpolate", "--device", "cpu")
    assert out == f"{trained}/plain/interpolation-step000002-seed0.png\n"
    # rows of eight, as many as hold 20
    x = array_of(command, tmp_path, trained / "points", "--n", "20", "--interpolate").reshape(3, 8, 2)
    ends = array_of(command, tmp_path, trained / "points", "--n", "6")
    assert x[:, 0] == pytest.approx(ends[:3], abs=1e-4)
    assert x[:, -1] == pytest.approx(ends[3:], abs=1e-4)
    steps = np.linalg.norm(np.diff(x, axis=1), axis=2)
    # none jumps
    assert (steps.max(axis=1) < 0.5 * steps.sum(axis=1)).all()


# --- data, presets, help --------------------------------------------------------------------------------------------


def test_data_digits(command: Command, tmp_path: Path) -> None:
    out, err = command("data", "digits")
    assert err == ""
    assert "1,797 images, 8x8 px, gray" in out
    assert "10: 0 178, 1 182" in out
    assert out.splitlines()[-1] == "picture    results/data-digits.png"
    with Image.open(tmp_path / "results" / "data-digits.png") as picture:
        assert picture.size[0] > 64


def test_data_points(command: Command, tmp_path: Path) -> None:
    out, _ = command("data", "8gaussians", "--out", "points.png")
    assert "infinite" in out
    assert (tmp_path / "points.png").exists()


def test_presets_are_told_with_their_numbers(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out, err = command("presets")
    assert err == ""
    *names, last = [line for line in out.splitlines() if line and line[0] != " "]
    assert names == list(wgan.PRESETS)
    assert last.startswith("Any field can be changed by its flag")
    assert "objective   wasserstein + gp(weight=10.0, target=1.0)" in out
    assert "rmsprop(lr=5e-05, alpha=0.99, eps=1e-08)" in out
    assert "n_critic 5, batch 64, z 100, 25 epochs" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [[], ["train"], ["sample"], ["data"], ["presets"]], ids=" ".join)
def test_help(command: Command, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out, err = command(*arguments, "--help")
    assert err == ""
    assert out.startswith("Usage: wgan " + " ".join(arguments))
    assert max(map(len, out.splitlines())) <= 80


def test_every_field_has_a_flag() -> None:
    run = {field.name for field in dataclasses.fields(wgan.Run)} - {"data"}
    assert {field.name for field in dataclasses.fields(RunFlags)} - {"lr", "critic_lr", "generator_lr"} == run
    watch = {field.name for field in dataclasses.fields(wgan.Options)} - {"source"}
    assert {field.name for field in dataclasses.fields(WatchFlags)} == watch


def test_every_flag_is_explained(command: Command) -> None:
    out, _ = command("train", "--help")
    for field in (*dataclasses.fields(RunFlags), *dataclasses.fields(WatchFlags)):
        assert f"--{field.name.replace('_', '-')}" in out


def test_version(command: Command) -> None:
    assert command("--version")[0] == f"{wgan.__version__}\n"


def cpu_seconds(*arguments: str) -> float:
    """Time that a fresh Python spends on the processor, of user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_is_quick() -> None:
    # the best of three: byte code may have to be written, and caches are cold
    assert min(cpu_seconds("-m", "wgan", "--help") for _ in range(3)) < 0.6


@pytest.mark.parametrize(
    "code",
    [
        "import wgan",
        "import wgan.cli",
        "import sys; sys.argv = ['wgan', '--help']; from wgan.cli import main; main()",
        "from wgan.cli import main; main(['train', '--help'])",
    ],
)
def test_torch_is_not_imported_before_it_is_needed(code: str) -> None:
    heavy = "{'torch', 'numpy', 'matplotlib', 'PIL', 'datasets'} & set(sys.modules)"
    check = f"{code}\nimport sys\nassert not {heavy}, {heavy}"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_going_on_with_other_threads_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    networks = 'dcgan(filters=4, critic_norm="none")'
    arguments = ["train", "digits", "--networks", networks, "--out", str(tmp_path / "run")]
    main([*arguments, "--steps", "1", "--quiet"])
    main([*arguments, "--steps", "2", "--quiet"])
    assert capsys.readouterr().err == ""
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        main([*arguments, "--steps", "3", "--quiet"])
    finally:
        torch.set_num_threads(threads)
    assert f"threads {threads}, now {threads + 1}" in capsys.readouterr().err
