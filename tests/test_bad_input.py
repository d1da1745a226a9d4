"""What the user can mend is said in one line on stderr, with exit code 2, and nothing is created or overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from wgan.cli import main

NETWORKS = ["--networks", 'dcgan(filters=4, critic_norm="none")']
QUICK = ["--steps", "1", "--batch-size", "8", "--n-critic", "1", "--quiet", "--device", "cpu"]
DIGITS = ["train", "digits", *NETWORKS, *QUICK]
POINTS = ["train", "8gaussians", "--networks", "points(width=8, depth=1)", *QUICK]
TOML = '[run]\ndata = "digits"\nz_dim = 8\n'

Refused = Callable[..., str]


def last_wins(arguments: Sequence[str]) -> list[str]:
    """A flag with a value that is given twice, once: the command would refuse it."""
    kept: list[str] = []
    for i, text in enumerate(arguments):
        valued = text.startswith("--") and i + 1 < len(arguments) and not arguments[i + 1].startswith("--")
        if valued and text in kept:
            at = kept.index(text)
            del kept[at : at + 2]
        kept.append(text)
    return kept


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, folders with None."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command in an empty folder that must be refused; returns the line without `wgan: `."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WGAN_DATASETS", raising=False)

    def run(*arguments: str) -> str:
        before = tree(tmp_path)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(last_wins(arguments))
        told = capsys.readouterr()
        assert ended.value.code == 2
        assert told.out == ""
        assert told.err.startswith("wgan: ")
        assert told.err.count("\n") == 1
        assert told.err.endswith("\n")
        assert "Traceback" not in told.err
        assert tree(tmp_path) == before
        return told.err.removeprefix("wgan: ").rstrip("\n")

    return run


def quietly(*arguments: str) -> None:
    """A command that must succeed, to make what another is refused for."""
    main(last_wins(arguments))


# --- train: what is asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train"], "train on what?"),
        (["train", "digitz"], "unknown data 'digitz'; did you mean 'digits'?"),
        (["train", ""], "unknown data ''"),
        (["train", "no/such/folder"], "no such folder or file: 'no/such/folder'"),
        (["train", "missing.npy"], "no such file: 'missing.npy'"),
        (["train", "line:much"], "needs a number, as in 'line:0.5'"),
        (["train", "digits", "--preset", "wgan-gpp"], "unknown preset 'wgan-gpp'; did you mean 'wgan-gp'?"),
        (["train", "digits", "--stepps", "3"], "Unknown option: --stepps. Did you mean --steps?; see wgan --help"),
        (["train", "digits", "cifar10"], "Unused Tokens: ['cifar10']"),
        (["train", "digits", "--steps"], "--steps"),
        (["train", "digits", "--steps", "many"], "Invalid value for --steps: 'many' is no whole number"),
        (["train", "digits", "--steps", "1.5"], "'1.5' is no whole number"),
        (["tarin", "digits"], "tarin"),
        # parts
        ([*DIGITS, "--objective", "garbage"], "unknown part 'garbage'"),
        ([*DIGITS, "--objective", "wasserstien + gp"], "did you mean 'wasserstein'?"),
        ([*DIGITS, "--objective", "gp"], "needs exactly one pairing of wasserstein"),
        ([*DIGITS, "--objective", "wasserstein + hinge"], "needs exactly one pairing"),
        ([*DIGITS, "--objective", "wasserstein + gpp"], "unknown part 'gpp'; did you mean 'gp'?"),
        ([*DIGITS, "--objective", "wasserstein + gp(wieght=1)"], "did you mean 'weight'?"),
        ([*DIGITS, "--objective", "wasserstein + gp(weight='x')"], "needs float"),
        ([*DIGITS, "--objective", "wasserstein + gp(weight=-1)"], "weight"),
        ([*DIGITS, "--objective", "wasserstein + gp(weight=nan)"], "can't be read"),
        ([*DIGITS, "--objective", "wasserstein + gp(weight=1e999)"], "weight"),
        ([*DIGITS, "--objective", "wasserstein + gp(1, 2, 3, 4)"], "takes at most"),
        ([*DIGITS, "--objective", "wasserstein + gp(weight=1, weight=2)"], "'gp' has field 'weight' twice"),
        ([*DIGITS, "--objective", "wasserstein(1)"], "takes no arguments"),
        ([*DIGITS, "--objective", "wasserstein + gp(**{})"], "gp"),
        ([*DIGITS, "--objective", "wasserstein +"], "can't be read"),
        ([*DIGITS, "--objective", ""], "can't be read"),
        ([*DIGITS, "--objective", "wasserstein + \0"], "can't be read"),
        ([*DIGITS, "--objective", "wasserstein + __import__('os')"], "unknown part '__import__'"),
        ([*DIGITS, "--objective", "wasserstein\n+ clip(c=0)"], "clip"),
        ([*DIGITS, "--networks", "dcgn"], "unknown part 'dcgn'; did you mean 'dcgan'?"),
        ([*DIGITS, "--networks", "dcgan + mlp"], "needs one part, found 2"),
        ([*DIGITS, "--networks", "dcgan(filters=0)"], "filters must be a whole number of at least 1"),
        ([*DIGITS, "--networks", "points"], "points"),
        ([*POINTS, "--networks", "dcgan"], "dcgan"),
        ([*DIGITS, "--critic-optimizer", "sgd"], "unknown part 'sgd'"),
        ([*DIGITS, "--critic-optimizer", "adam(lr=-1.0)"], "adam(lr=-1.0): must be at least 0"),
        ([*DIGITS, "--generator-optimizer", "adam(beta1=1.5)"], "adam(beta1=1.5)"),
        ([*DIGITS, "--networks", "resnet(filters=4, critic_norm='batch')"], "batch norm in the critic"),
        # numbers
        ([*DIGITS, "--steps", "0"], "steps is 0: must be at least 1"),
        ([*DIGITS, "--steps", "-1"], "steps is -1"),
        ([*DIGITS, "--epochs", "2"], "give either steps or epochs, not both"),
        (["train", "digits", "--epochs", "0"], "epochs is 0.0: must be a number above 0"),
        (["train", "digits", "--epochs", "-1"], "epochs is -1.0"),
        (["train", "digits", "--epochs", "nan"], "epochs is nan"),
        (["train", "digits", "--epochs", "inf"], "epochs is inf"),
        ([*DIGITS, "--batch-size", "0"], "batch_size is 0: must be at least 1"),
        ([*DIGITS, "--batch-size", "-8"], "batch_size is -8"),
        ([*DIGITS, "--batch-size", "1798"], "batch_size 1798 is larger than data 'digits' (1797 samples)"),
        ([*DIGITS, "--generator-batch-size", "-1"], "generator_batch_size is -1"),
        ([*DIGITS, "--n-critic", "0"], "n_critic is 0: must be at least 1"),
        ([*DIGITS, "--warmup-n-critic", "-1"], "warmup_n_critic is -1"),
        ([*DIGITS, "--z-dim", "0"], "z_dim is 0"),
        ([*DIGITS, "--seed", "-1"], "seed is -1"),
        ([*DIGITS, "--ema", "1"], "ema is 1.0"),
        ([*DIGITS, "--ema", "nan"], "ema is nan"),
        ([*DIGITS, "--lr", "-1"], "lr=-1.0"),
        ([*DIGITS, "--lr", "nan"], "lr=nan"),
        ([*DIGITS, "--critic-lr", "inf"], "lr=inf"),
        ([*DIGITS, "--log-every", "0"], "log_every is 0: must be at least 1"),
        ([*DIGITS, "--sample-every", "-1"], "sample_every is -1"),
        ([*DIGITS, "--save-every", "-1"], "save_every is -1"),
        ([*DIGITS, "--keep", "0"], "keep is 0: must be at least 1"),
        ([*DIGITS, "--keep-every", "-1"], "keep_every is -1"),
        # sizes, devices, precisions
        ([*DIGITS, "--size", "0"], "size is 0"),
        ([*DIGITS, "--size", "-8"], "size is -8"),
        ([*DIGITS, "--size", "3"], "3"),
        ([*DIGITS, "--size", "37"], "37"),
        ([*DIGITS, "--size", "10000"], "10000"),
        ([*POINTS, "--size", "8"], "data '8gaussians' is points, not images: leave --size out"),
        ([*DIGITS, "--device", "foo"], "unknown device 'foo'; use auto, cpu"),
        ([*DIGITS, "--device", "cuda:x"], "unknown device 'cuda:x'"),
        ([*DIGITS, "--device", "meta"], "device 'meta'"),
        ([*DIGITS, "--device", "hpu"], "device 'hpu' is not there"),
        # more than any machine has
        ([*POINTS, "--z-dim", "1000000000000"], "not enough memory: a lower --batch-size"),
        ([*DIGITS, "--networks", "dcgan(filters=1000000000, critic_norm='none')"], "not enough memory"),
        ([*DIGITS, "--precision", "fp8"], "--precision"),
        ([*DIGITS, "--lr-decay", "cosine"], "--lr-decay"),
        ([*DIGITS, "--constrain", "never"], "--constrain"),
        # data
        ([*POINTS, "--conditional"], "no labels; leave --conditional out"),
        (["train", "8gaussians", "--preset", "wgan"], "is infinite and has no epochs: give --steps"),
        (["train", "8gaussians", "--epochs", "2"], "is infinite and has no epochs: give --steps"),
    ],
    ids=lambda value: " ".join(value[1:2] + value[-2:]) if isinstance(value, list) else "",
)
def test_train_refuses(refused: Refused, arguments: list[str], told: str) -> None:
    assert told in refused(*arguments)


@pytest.mark.parametrize("device", ["cuda", "cuda:7"])
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_device_that_is_not_there(refused: Refused, device: str) -> None:
    assert refused(*DIGITS, "--device", device) == (
        f"device '{device}' is not there; leave --device out or use --device cpu"
    )


@pytest.mark.parametrize("flags", [["--dry-run"], ["--tensorboard"]])
def test_a_dry_run_and_others_are_refused_alike(refused: Refused, flags: list[str]) -> None:
    assert "batch_size 2000 is larger" in refused(*DIGITS, *flags, "--batch-size", "2000")


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((20, 5, 8, 8), np.uint8), "channels"),
        (np.zeros((20, 2), np.float32) + np.nan, "data.npy"),
        (np.zeros((0, 1, 8, 8), np.uint8), "data.npy"),
        (np.zeros(7, np.float32), "data.npy"),
        (np.zeros((20, 1, 9, 9), np.uint8), "9"),
        (np.zeros((20, 1, 8, 16), np.uint8), "8"),
        (np.array([{}, {}]), "data.npy"),
    ],
    ids=["channels", "nan", "empty", "axes", "odd size", "oblong", "pickle"],
)
def test_array_that_cannot_be_trained_on(refused: Refused, tmp_path: Path, array: np.ndarray, told: str) -> None:
    np.save(tmp_path / "data.npy", array, allow_pickle=True)
    assert told in refused("train", "data.npy", *QUICK)


@pytest.mark.parametrize("command", [["train"], ["data"]])
def test_folder_without_images(refused: Refused, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(*command, "empty")
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    assert "empty" in refused(*command, "./empty")


# --- train: where to ------------------------------------------------------------------------------------------------


def test_out_holds_another_run(refused: Refused) -> None:
    quietly(*DIGITS, "--out", "a")
    told = refused(*DIGITS, "--out", "a", "--z-dim", "7", "--seed", "5")
    assert told == (
        "a holds another run: z_dim is 128 there, 7 here; seed is 0 there, 5 here. Choose another place with --out"
    )
    assert "data is 'digits' there, '8gaussians' here" in refused(*POINTS, "--out", "a")
    assert "lr_decay" in refused(*DIGITS, "--out", "a", "--lr-decay", "linear")


def test_out_holds_a_run_on_other_data(refused: Refused, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (20, 1, 8, 8), np.uint8))
    quietly("train", "x.npy", *NETWORKS, *QUICK, "--out", "a")
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (20, 1, 8, 8), np.uint8))
    assert "other data than 'x.npy' holds now" in refused("train", "x.npy", *NETWORKS, *QUICK, "--out", "a")


def test_out_is_something_else(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "file" in refused(*DIGITS, "--out", "file")
    assert "file" in refused(*DIGITS, "--out", "file/below")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    assert "full" in refused(*DIGITS, "--out", "full")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_out_without_permission(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "locked" in refused(*DIGITS, "--out", "locked/a")


def test_out_on_a_file_system_that_refuses(refused: Refused) -> None:
    assert "/proc/wgan" in refused(*DIGITS, "--out", "/proc/wgan")


def test_every_checkpoint_damaged(refused: Refused, tmp_path: Path) -> None:
    quietly(*DIGITS, "--out", "a")
    for path in (tmp_path / "a" / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert "every checkpoint in a/checkpoints is damaged" in refused(*DIGITS, "--out", "a")
    assert "every checkpoint in a/checkpoints is damaged" in refused("sample", "a", "--device", "cpu")


# --- train: runs that come from files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "can't read run.toml"),
        ("garbage", "run.toml is no TOML file"),
        (b"\xff\xfe\x00", "run.toml is no TOML file"),
        ("", "run.toml has no [run] table"),
        ("run = 3\n", "run.toml has no [run] table"),
        (TOML + "colour = 'red'\n", "unknown field 'colour'"),
        (TOML + "stepz = 3\n", "did you mean 'steps'?"),
        (TOML + "steps = 'three'\n", "steps is 'three'"),
        (TOML + "steps = 2.5\n", "steps is 2.5"),
        (TOML + "steps = true\n", "steps is True"),
        (TOML + "conditional = 1\n", "conditional is 1"),
        (TOML + "ema = 'x'\n", "ema is 'x'"),
        (TOML + "size = 'big'\n", "size is 'big'"),
        (TOML + "size = [8, 8]\n", "size is [8, 8]"),
        (TOML + "objective = 3\n", "objective"),
        (TOML + "networks = 3\n", "networks"),
        (TOML + "critic_optimizer = ['adam']\n", "critic_optimizer"),
        (TOML + "networks = 'mine:Nets()'\n", "networks 'mine:Nets()' is an object of your own"),
        (TOML + "precision = 'fp8'\n", "precision is 'fp8'"),
        (TOML + "steps = 3\nepochs = 2\n", "give either steps or epochs"),
        ("[run]\ndata = 3\n", "data"),
        ("[run]\ndata = 'digitz'\n", "did you mean 'digits'?"),
        ("source = 3\n" + TOML, "source"),
        (TOML + "[source]\nfile = 3\n", "source"),
        (TOML + "[source]\nfile = 'gone.py'\n", "gone.py"),
    ],
    ids=lambda value: value.removeprefix(TOML).strip() if isinstance(value, str) else "",
)
def test_bad_config(refused: Refused, tmp_path: Path, text: str | bytes | None, told: str) -> None:
    if text is not None:
        (tmp_path / "run.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert told in refused("train", "--config", "run.toml", "--out", "b")


def test_config_is_a_folder_or_comes_with_a_preset(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(TOML)
    assert refused("train", "--config", "run.toml", "--preset", "wgan") == "give either --config or --preset, not both"
    (tmp_path / "a").mkdir()
    assert "can't read a" in refused("train", "--config", "a")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no file my_run.py"),
        ("run = (", "SyntaxError"),
        ("\0", "SyntaxError"),
        ("x = 1\n", "my_run.py defines no run"),
        ("run = 3\n", "my_run.py defines no run"),
        ("raise ValueError('two\\nlines')\n", "my_run.py, line 1, fails: ValueError: two lines"),
        ("import sys\nsys.exit(0)\n", "my_run.py"),
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("import wgan\nrun = wgan.Run(steps=-1)\n", "steps is -1"),
        ("import wgan\nrun = wgan.Run(stepz=1)\n", "stepz"),
        ("import wgan\nrun = wgan.Run(data='digitz')\n", "did you mean 'digits'?"),
        ("import wgan\nrun = wgan.Run(data=3)\n", "data must be a name"),
        ("import wgan\nrun = wgan.Run(objective='wgan')\n", "objective"),
        ("import wgan\nrun = wgan.Run(networks=3)\n", "networks"),
        ("import wgan\nrun = wgan.Run(networks=lambda shape, z, classes: None)\n", "networks"),
        ("import wgan\nrun = wgan.Run(critic_optimizer=3)\n", "critic_optimizer"),
        ("import wgan\nrun = wgan.Run(epochs='many')\n", "epochs"),
    ],
    ids=lambda value: value.strip().splitlines()[-1] if isinstance(value, str) and value else "",
)
def test_bad_python_file(refused: Refused, tmp_path: Path, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / "my_run.py").write_text(text)
    assert told in refused("train", "my_run.py", "--out", "b")


@pytest.mark.parametrize("name", ["torch", "wgan", "json", "wave", "torch.nn"])
def test_python_file_that_would_hide_a_module(refused: Refused, tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("import wgan\nrun = wgan.Run()\n")
    assert refused("train", f"{name}.py") == f"{name}.py would hide the Python module '{name}': rename the file"


def test_python_file_with_a_preset(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "my_run.py").write_text("import wgan\nrun = wgan.Run()\n")
    assert "leave --preset out" in refused("train", "my_run.py", "--preset", "wgan")


# --- sample ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs to sample from: plain, conditional, points."""
    folder = tmp_path_factory.mktemp("trained")
    quietly(*DIGITS, "--out", str(folder / "plain"))
    quietly(*DIGITS, "--conditional", "--out", str(folder / "conditional"))
    quietly(*POINTS, "--out", str(folder / "points"))
    return folder


@pytest.mark.parametrize(
    ("run", "arguments", "told"),
    [
        ("plain", ["--n", "0"], "n is 0: must be at least 1"),
        ("plain", ["--n", "-3"], "n is -3"),
        ("plain", ["--n", "0", "--interpolate"], "n is 0"),
        ("plain", ["--n", "some"], "Invalid value for --n: 'some' is no whole number"),
        ("plain", ["--label", "3"], "this run is not conditional"),
        ("plain", ["--label", "3", "--interpolate"], "this run is not conditional"),
        ("plain", ["--truncation", "0"], "truncation is 0.0: must be at least 0.05"),
        ("plain", ["--truncation", "nan"], "truncation is nan"),
        ("plain", ["--truncation", "-1"], "truncation is -1.0"),
        ("plain", ["--seed", "-1"], "seed is -1"),
        ("plain", ["--device", "foo"], "unknown device 'foo'"),
        ("plain", ["--colour"], "--colour"),
        ("conditional", ["--label", "ten"], "unknown label 'ten'; labels are 0 0, 1 1"),
        ("conditional", ["--label", "10"], "unknown label '10'"),
        ("conditional", ["--label", "-1"], "unknown label '-1'"),
        ("conditional", ["--label", "²"], "unknown label '²'"),
        ("points", ["--folder", "new"], "--folder is for images"),
    ],
)
def test_sample_refuses(refused: Refused, trained: Path, run: str, arguments: list[str], told: str) -> None:
    before = tree(trained)
    assert told in refused("sample", str(trained / run), "--device", "cpu", *arguments)
    assert tree(trained) == before


def test_sample_overwrites_nothing(refused: Refused, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.npy").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    plain = ["sample", str(trained / "plain"), "--device", "cpu", "--n", "2"]
    assert "mine.npy is there already" in refused(*plain, "--npy", "mine.npy")
    assert "mine is there already" in refused(*plain, "--folder", "mine")
    assert "mine.npy is there already" in refused(*plain, "--folder", "mine.npy")
    # refused before the other one is written
    assert "mine.npy is there already" in refused(*plain, "--folder", "new", "--npy", "mine.npy")
    # a folder in place of a file, a file in place of a folder
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(*plain, "--npy", "empty")
    assert "empty" in refused(*plain, "--out", "empty")
    assert "mine.npy" in refused(*plain, "--out", "mine.npy/a.png")


def test_sample_without_a_run(refused: Refused, tmp_path: Path) -> None:
    assert "no run at nowhere" in refused("sample", "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no run at empty" in refused("sample", "empty")
    assert "RUN" in refused("sample")
    (tmp_path / "file").write_text("x")
    assert "no run at file" in refused("sample", "file")


def test_sample_a_run_without_a_checkpoint(refused: Refused, tmp_path: Path) -> None:
    quietly(*DIGITS, "--out", "a")
    for path in (tmp_path / "a" / "checkpoints").iterdir():
        path.unlink()
    assert refused("sample", "a") == "a has no checkpoint yet"


def test_sample_a_damaged_run(refused: Refused, tmp_path: Path) -> None:
    quietly(*DIGITS, "--out", "a")
    toml = tmp_path / "a" / "run.toml"
    good = toml.read_text()
    for text in ("garbage", "", "[run]\n", good.replace("[data]", "[dota]"), good.replace("shape", "shap")):
        toml.write_text(text)
        assert "run.toml" in refused("sample", "a", "--device", "cpu")
    toml.write_text(good.replace("filters=4", "filters=5"))
    assert "does not fit the networks in run.toml" in refused("sample", "a", "--device", "cpu")
    toml.write_text(good)
    file = tmp_path / "a" / "checkpoints" / "step-000001.safetensors"
    file.write_bytes(b"garbage")
    assert "can't be read" in refused("sample", str(file), "--device", "cpu")


# --- data, presets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["data"], "NAME"),
        (["data", "digitz"], "did you mean 'digits'?"),
        (["data", "no/such/folder"], "no such folder or file"),
        (["data", "digits", "--split", "tset"], "tset"),
        (["data", "digits", "--size", "0"], "size"),
        (["data", "digits", "--size", "-1"], "size"),
        (["data", "8gaussians", "--size", "8"], "leave --size out"),
        (["data", "gaussian:x"], "gaussian"),
        (["data", "gaussian:0"], "gaussian"),
        (["presets", "wgan"], "wgan"),
        (["presets", "--colour"], "--colour"),
        (["--colour"], "--colour"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_data_and_presets_refuse(refused: Refused, arguments: list[str], told: str) -> None:
    assert told in refused(*arguments)


def test_data_picture_that_cannot_be_written(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "file" in refused("data", "digits", "--out", "file/a.png")
