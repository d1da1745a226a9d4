"""`wgan evaluate` as a user runs it: a table that can be read, JSON, and mistakes told in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from test_bad_input import Refused, refused  # noqa: F401  a fixture
from tiny import tiny, train_to

from wgan.cli import main
from wgan.evaluation.report import Report, Row, print_report
from wgan.sample import load, write_folder, write_npy

Told = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_to(tiny("wgan-gp"), folder)
    return folder


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs `wgan evaluate` in an empty folder; returns what it printed on stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WGAN_DATASETS", raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def command(*arguments: str) -> str:
        capsys.readouterr()
        main(["evaluate", *arguments])
        return capsys.readouterr().out

    return command


QUICK = ("--features", "pixels", "--n", "50", "--metrics", "frechet,kernel, recall,closer_to_train", "--device", "cpu")


def test_a_table_with_its_protocol_first(run: Path, told: Told) -> None:
    out = told(str(run), *QUICK[:-2], "--held-out", "digits")
    lines = out.splitlines()
    assert lines[0].startswith("samples    ")
    assert out.index("samples ") < out.index("against ") < out.index("features ") < out.index("metric ")
    assert max(len(line) for line in lines if not line.startswith(("picture", "report"))) <= 80
    rows = {line.split()[0]: line.split() for line in lines if "_pixels" in line.split("  ")[0]}
    assert set(rows) >= {"frechet_pixels", "kernel_pixels", "recall_pixels", "closer_to_train_pixels"}
    assert [rows[f"{name}_pixels"][1] for name in ("frechet", "kernel", "recall")] == ["↓", "↓", "↑"]
    assert rows["kernel_pixels"].count("±") == 2
    picture, report = (next(line for line in lines if line.startswith(name)) for name in ("picture", "report"))
    assert Path(picture.split(maxsplit=1)[1]).exists()
    assert Path(report.split(maxsplit=1)[1]).exists()


def test_nothing_in_the_table_is_cut_short() -> None:
    protocol = {
        "samples": {"run": "results/" + "a" * 60, "step": 100_000, "n": 50_000, "draws": 1, "seed": 0},
        "reference": {"data": "cifar10", "split": "train", "n": 50_000, "available": 50_000, "fingerprint": "0f" * 32},
        "floor": {"data": "cifar10 test", "n": 10_000},
        "features": {"name": "classifier-cifar10", "resizer": "none", "accuracy": 0.81234, "weights_sha256": "ab" * 32},
        "versions": {"wgan": "0.1.0", "torch": "2.13.0+cpu"},
    }
    keys = [
        "classifier_score_classifier-cifar10",
        "frechet_my-own-network.py:features_of_a_very_long_name_indeed",
        "fid",
    ]
    rows = tuple(Row(key, 11.23456, "higher", 0.0951, 11.2, 0.0412, note="a word " * 30) for key in keys)
    for width in (60, 80, 200):
        console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        print_report(Report(protocol, rows, ("note",), "p" * 90, "f" * 90), console)
        text = console.export_text()
        together = "".join(text.split())
        assert "…" not in text
        for key in keys:
            assert key in together if width < 80 else key in text.replace("\n", "") or key in together
        assert text.count("11.235 ± 0.095") == 3
        assert text.count("↑") == 4
        assert "p" * 90 in text
        assert "abababababab" in text
        assert "ab" * 7 not in text  # the hash by its first digits
        assert together.count("aword" * 30) == 3
    assert "classifier_score_classifier-cifar10" in text


def test_json_holds_everything(run: Path, told: Told) -> None:
    report = json.loads(told(str(run), *QUICK, "--held-out", "digits", "--json", "--out", "mine.json"))
    assert [row["key"] for row in report["rows"]] == [
        f"{name}_pixels" for name in ("frechet", "kernel", "recall", "closer_to_train")
    ]
    assert {row["better"] for row in report["rows"]} == {"lower", "higher"}
    assert all(row["floor"] is not None for row in report["rows"])
    assert report["protocol"]["samples"]["n"] == 50
    assert json.loads(Path("mine.json").read_text()) == report
    assert Path(report["picture"]).exists()


def test_images_that_anyone_made(run: Path, told: Told, tmp_path: Path) -> None:
    made = load(run).sample(40, seed=1)
    write_folder(made, tmp_path / "made")
    write_npy(made, tmp_path / "made.npy")
    np.save(tmp_path / "floats.npy", made.numpy())
    torch.manual_seed(0)
    asked = ("--against", "digits", "--features", "pixels", "--metrics", "frechet,recall", "--json")
    found = [json.loads(told("--samples", name, *asked)) for name in ("made", "made.npy", "floats.npy")]
    own = json.loads(told(str(run), "--n", "40", "--seed", "1", *asked[2:]))
    for report in found:
        values = {row["key"]: row["value"] for row in report["rows"]}
        assert values == pytest.approx({row["key"]: row["value"] for row in own["rows"]}, rel=1e-4)
        assert report["protocol"]["samples"]["available"] == 40
        assert report["file"] == ""
    assert found[2]["protocol"]["samples"]["read_as"] == "float in [-1, 1], rounded to bytes"
    told("--samples", "made.npy", *asked[:-1], "--out", "deep/report.json")
    assert sorted(path.name for path in Path("deep").iterdir()) == ["report-neighbours.png", "report.json"]


def test_the_choice_of_features_is_told_with_its_reason(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    rng = np.random.default_rng(0)
    np.save("real.npy", rng.integers(0, 256, (60, 1, 8, 8), np.uint8))
    np.save("made.npy", rng.integers(0, 256, (30, 1, 8, 8), np.uint8))
    main(["evaluate", "--samples", "made.npy", "--against", "real.npy", "--metrics", "frechet"])
    assert "features pixels: there are no Inception weights, and the data have no labels" in capsys.readouterr().err
    main(["evaluate", "--samples", "made.npy", "--against", "real.npy", "--metrics", "frechet", "--quiet"])
    assert capsys.readouterr().err == ""


NO_RUN = ("--against", "digits", "--features", "pixels")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "evaluate what? Give the folder of a run, or --samples"),
        (("nowhere",), "no run at nowhere: needs a folder with run.toml"),
        (("nowhere", "--samples", "made.npy"), "evaluate what?"),
        (("--samples", "made.npy"), "against what? Samples of no run need --against DATA"),
        (("--samples", "made.npy", *NO_RUN, "--metrics", "fdi"), "unknown metric 'fdi'; did you mean 'fid'?"),
        (("--samples", "made.npy", *NO_RUN, "--metrics", ","), "no metric is named"),
        (("--samples", "made.npy", *NO_RUN, "--n", "31"), "n is 31, but made.npy has 30 samples: give a lower --n"),
        (("--samples", "made.npy", *NO_RUN, "--n", "1.5"), "no whole number"),
        (("--samples", "made.npy", *NO_RUN, "--n", "5", "--metrics", "recall"), "recall: needs at least 6 samples"),
        (("--samples", "made.npy", "--against", "digits", "--features", "pixles"), "did you mean 'pixels'?"),
        (("--samples", "made.npy", "--against", "dgits"), "unknown data 'dgits'; did you mean 'digits'?"),
        (
            ("--samples", "colour.npy", *NO_RUN),
            "images of 3 channels, 8x8 px, the reference 'digits' is images of 1 channel",
        ),
        (("--samples", "large.npy", *NO_RUN), "9x9 px, the reference 'digits' is images of 1 channel, 8x8 px"),
        (("--samples", "unit.npy", *NO_RUN), "could be meant in [0, 1] or [-1, 1]"),
        (("--samples", "nan.npy", *NO_RUN), "hold NaN or infinity, first in sample 2"),
        (("--samples", "cut.npy", *NO_RUN), "truncated or no .npy file"),
        (("--samples", "empty", *NO_RUN), "no images in 'empty'"),
        (("--samples", "gone", *NO_RUN), "unknown data 'gone'"),
        (("--samples", "made.npy", *NO_RUN, "--out", "taken.json"), "taken.json is there already"),
        (("--samples", "made.npy", *NO_RUN, "--split", "test"), "has no split 'test'"),
        (("--samples", "made.npy", "--against", "digits", "--features", "inception", "--weights", "w.pth"), "w.pth"),
        (("--samples", "made.npy", "--against", "digits", "--features", "none:such"), "there is no module 'none'"),
        (("--samples", "made.npy", "--against", "digits", "--features", "mine.py:nan"), "are NaN or infinite"),
        (("--samples", "made.npy", "--against", "made.npy", "--features", "classifier"), "has no labels"),
        (("--samples", "made.npy", *NO_RUN, "--metrics", "class_kl", "--held-out", "8gaussians"), "has other shapes"),
    ],
)
def test_mistakes_are_one_line(
    arguments: tuple[str, ...],
    line: str,
    refused: Refused,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    bytes_ = rng.integers(0, 256, (30, 1, 8, 8), np.uint8)
    unit = rng.random((4, 1, 8, 8))
    for name, array in {
        "made": bytes_,
        "colour": np.repeat(bytes_, 3, 1),
        "large": rng.integers(0, 256, (30, 1, 9, 9), np.uint8),
        "unit": unit,
        "nan": np.where(np.arange(4)[:, None, None, None] == 2, np.nan, 2 * unit - 1),
    }.items():
        np.save(f"{name}.npy", array)
    Path("cut.npy").write_bytes(Path("made.npy").read_bytes()[:300])
    Path("empty").mkdir()
    Path("taken.json").write_text("mine")
    Path("w.pth").write_bytes(b"no weights at all")
    Path("mine.py").write_text("def nan(images):\n    return images.float().flatten(1) * float('nan')\n")
    assert line in refused("evaluate", *arguments)
