"""The shipped digits and the toy distributions, against their sources."""

from __future__ import annotations

import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from wgan.data import Images, load
from wgan.errors import UserError
from wgan.fast.native import HEADERS, SOURCES


def _points(name: str, n: int = 20_000) -> np.ndarray:
    return load(name).batch(0, 0, n).x.numpy().astype(np.float64)


@pytest.mark.slow
def test_digits_equal_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    truth, data = load_digits(), load("digits")
    assert isinstance(data, Images)
    assert data.shape == (1, 8, 8)
    assert np.array_equal(data.array[:, 0], np.floor(truth.images * 255 / 16 + 0.5).astype(np.uint8))
    assert (data.array.min(), data.array.max()) == (0, 255)
    assert data.labels is not None
    assert np.array_equal(data.labels, truth.target)
    with pytest.raises(UserError, match="no split 'test'"):
        load("digits", split="test")


@pytest.mark.slow
def test_the_wheel_holds_the_digits_and_their_licence_and_the_textbook_and_the_maps(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="needs hatchling to build the wheel without network")
    repository = Path(__file__).parents[1]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    compiled = {f"wgan/fast/{file.name}" for file in (*SOURCES, *HEADERS)}
    assert {"wgan/bench/textbook.py", *compiled} <= set(names)
    assert {"wgan/data/digits.npz", "wgan/data/DIGITS.md"} <= set(names)


def test_eight_gaussians() -> None:
    x = _points("8gaussians") * 1.414
    corner = np.round(np.arctan2(x[:, 1], x[:, 0]) / (math.pi / 4)).astype(int) % 8
    angle = corner * math.pi / 4
    rest = x - 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert np.abs(rest).max() < 6 * 0.02
    assert rest.std() == pytest.approx(0.02, rel=0.03)
    assert np.bincount(corner, minlength=8) == pytest.approx(np.full(8, 2500), abs=5 * 47)


def test_twenty_five_gaussians() -> None:
    x = _points("25gaussians") * 2.828
    centre = 2 * np.round(x / 2)
    assert np.abs(centre).max() == 4
    assert (x - centre).std() == pytest.approx(0.05, rel=0.03)
    cell = ((centre + 4) / 2).astype(int) @ [5, 1]
    assert np.bincount(cell, minlength=25) == pytest.approx(np.full(25, 800), abs=5 * 28)


@pytest.mark.slow
def test_swiss_roll_is_scikit_learns() -> None:
    from scipy.stats import ks_2samp
    from sklearn.datasets import make_swiss_roll

    truth = make_swiss_roll(20_000, noise=0.25, random_state=1)[0][:, [0, 2]] / 7.5
    ours = _points("swissroll")
    for direction in ([1, 0], [0, 1], [0.6, 0.8], [-0.8, 0.6]):
        assert ks_2samp(ours @ direction, truth @ direction).pvalue > 1e-3
    radius = [np.hypot(*points.T) for points in (ours, truth)]
    assert ks_2samp(*radius).pvalue > 1e-3
    # distance from the noiseless curve: the noise itself, which the projections above hardly see
    curve = np.linspace(1.5 * math.pi, 4.5 * math.pi, 4000)
    roll = np.stack([curve * np.cos(curve), curve * np.sin(curve)], axis=1) / 7.5
    rest = [np.sqrt(((p[:2000, None] - roll) ** 2).sum(-1).min(1)) for p in (ours, truth)]
    assert rest[0].mean() == pytest.approx(rest[1].mean(), rel=0.1)


@pytest.mark.parametrize(("name", "theta"), [("line:0.5", 0.5), ("line:-2", -2.0), ("line:1e-3", 0.001)])
def test_line(name: str, theta: float) -> None:
    x = _points(name)
    assert (x[:, 0] == np.float32(theta)).all()
    assert x[:, 1].min() >= 0
    assert x[:, 1].max() <= 1
    assert x[:, 1].mean() == pytest.approx(0.5, abs=0.01)
    assert x[:, 1].var() == pytest.approx(1 / 12, abs=0.003)


def test_a_line_has_one_name() -> None:
    assert load("line:0.50").fingerprint == load("line:.5").fingerprint != load("line:0.500001").fingerprint
    assert load("line:0.1234567891").fingerprint != load("line:0.1234567892").fingerprint


@pytest.mark.parametrize("name", ["line", "line:", "line:x", "line:nan", "line:inf", "gaussian:0", "gaussian:2.5"])
def test_bad_numbers_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="needs a number"):
        load(name)


def test_gaussian() -> None:
    x = _points("gaussian:3")
    assert x.shape == (20_000, 3)
    assert np.cov(x.T) == pytest.approx(np.eye(3), abs=0.05)
    assert x.mean(0) == pytest.approx(np.zeros(3), abs=0.05)
    assert load("gaussian").shape == (2,)
