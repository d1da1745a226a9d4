"""Data whose modes can be counted: Stacked-MNIST, pixel by pixel the digits it is made of, and the toys' centres."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import wgan.data.stacked_mnist as stacked
from wgan.data import Images, Toy, load
from wgan.data.mnist import FILES
from wgan.errors import UserError

N = 40
RNG = np.random.default_rng(0)
PIXELS = {split: RNG.integers(0, 256, (N, 28, 28), np.uint8) for split in ("train", "test")}
LABELS = {split: np.resize(RNG.permutation(10), N).astype(np.uint8) for split in ("train", "test")}


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data sets with 40 digits in each split of MNIST; few stacks are made of them."""
    write(tmp_path)
    monkeypatch.setitem(stacked.COUNT, "train", 2300)
    monkeypatch.setitem(stacked.COUNT, "test", 700)
    return tmp_path


def write(root: Path, flip: int = 0) -> None:
    (root / "mnist").mkdir(exist_ok=True)
    for split, names in FILES.items():
        for name, array in zip(names, (PIXELS[split] ^ np.uint8(flip), LABELS[split]), strict=True):
            (root / "mnist" / f"{name}.gz").write_bytes(idx(array))


def read(root: Path, split: str = "train", size: int | None = None) -> Images:
    data = load("stacked-mnist", root=root, split=split, size=size, quiet=True)
    assert isinstance(data, Images)
    return data


@pytest.mark.parametrize(("split", "count"), [("train", 2300), ("test", 700)])
def test_every_channel_is_a_digit_of_the_same_split(split: str, count: int, root: Path) -> None:
    data, index = read(root, split), stacked.triples(N, split)
    assert data.array.shape == (count, 3, 28, 28)
    assert data.array.dtype == np.uint8
    for channel in range(3):
        assert np.array_equal(data.array[:, channel], PIXELS[split][index[:, channel]])
    red, green, blue = LABELS[split].astype(int)[index].T
    assert data.labels is not None
    assert np.array_equal(data.labels, 100 * red + 10 * green + blue)
    assert [data.classes[label] for label in data.labels[:9]] == [
        f"{r}{g}{b}" for r, g, b in zip(red[:9], green[:9], blue[:9], strict=True)
    ]
    assert data.classes[0] == "000"
    assert data.classes[999] == "999"
    assert len(set(data.classes)) == 1000


def test_the_choice_is_fixed_and_uniform() -> None:
    index = stacked.triples(60_000, "train")
    assert index.shape == (128_000, 3)
    assert np.array_equal(index, stacked.triples(60_000, "train"))
    assert stacked.triples(10_000, "test").shape == (26_000, 3)
    assert not np.array_equal(index[:26_000], stacked.triples(60_000, "test"))
    # every one of 60,000 is drawn 6.4 times on average; Poisson: 0.17 % never are
    drawn = np.bincount(index.ravel(), minlength=60_000)
    assert drawn.mean() == 6.4
    assert drawn.var() == pytest.approx(6.4, rel=0.03)
    # the three digits of an image are independent
    assert np.abs(np.corrcoef(index.T) - np.eye(3)).max() < 4 / 128_000**0.5


def test_it_is_made_once_and_again_when_the_digits_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, test = read(root), read(root, "test")
    assert isinstance(first.array.base, np.memmap) or isinstance(first.array, np.memmap)
    before = np.array(first.array)
    assert test.fingerprint != first.fingerprint
    with monkeypatch.context() as patch:
        patch.setattr(stacked, "_fill", None)
        again = read(root)
        assert read(root, "test").fingerprint == test.fingerprint
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.array, before)
    write(root, flip=255)
    other = read(root)
    assert other.fingerprint != first.fingerprint
    assert np.array_equal(other.array, 255 - before)


def test_another_size_is_that_of_its_digits(root: Path) -> None:
    data, digits = read(root, "test", size=16), load("mnist", root=root, split="test", size=16, quiet=True)
    assert isinstance(digits, Images)
    assert np.array_equal(data.array, digits.array[stacked.triples(N, "test"), 0])
    assert data.classes == stacked.CLASSES


def test_wrong_requests_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no split 'val'; it has: train, test"):
        load("stacked-mnist", root=tmp_path, split="val")
    with pytest.raises(UserError, match="takes nothing after a colon"):
        load("stacked-mnist:4", root=tmp_path)
    monkeypatch.setenv("WGAN_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        load("stacked-mnist", root=tmp_path, quiet=True)


@pytest.mark.slow
def test_the_real_one_has_every_mode(tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "datasets" / "mnist"
    if not source.is_dir():
        pytest.skip("no MNIST under datasets/")
    (tmp_path / "mnist").symlink_to(source)
    data, digits = read(tmp_path, "test"), load("mnist", root=tmp_path, split="test", quiet=True)
    assert isinstance(digits, Images)
    assert digits.labels is not None
    assert data.labels is not None
    assert data.array.shape == (26_000, 3, 28, 28)
    index = stacked.triples(10_000, "test")
    for i in (0, 999, 1000, 25_999):
        assert np.array_equal(data.array[i], digits.array[index[i], 0])
    modes = np.bincount(data.labels, minlength=1000)
    share = np.bincount(digits.labels) / 10_000
    expected = 26_000 * (share[:, None, None] * share[:, None] * share).ravel()
    assert modes.min() >= 1
    # chi-squared with 999 degrees of freedom: mean 999, standard deviation 45
    assert ((modes - expected) ** 2 / expected).sum() == pytest.approx(999, abs=4 * 45)


@pytest.mark.parametrize(("name", "count", "std"), [("8gaussians", 8, 0.02 / 1.414), ("25gaussians", 25, 0.05 / 2.828)])
def test_centres_and_std_are_those_of_the_samples(name: str, count: int, std: float) -> None:
    toy = load(name)
    assert isinstance(toy, Toy)
    assert toy.centres is not None
    assert toy.centres.shape == (count, 2)
    assert toy.std == std
    x = toy.batch(0, 0, 40_000).x.numpy().astype(np.float64)
    distance = np.linalg.norm(x[:, None] - toy.centres, axis=2)
    nearest = distance.argmin(1)
    # the chance of one sample beyond 6 std is exp(-18)
    assert distance.min(1).max() < 6 * std
    assert np.bincount(nearest, minlength=count) == pytest.approx(np.full(count, 40_000 / count), rel=0.15)
    rest = x - toy.centres[nearest]
    assert rest.std(0) == pytest.approx([std, std], rel=0.02)
    for k in range(count):
        part = rest[nearest == k]
        assert np.abs(part.mean(0)).max() < 5 * std / len(part) ** 0.5


@pytest.mark.parametrize("name", ["swissroll", "line:0.5", "gaussian", "gaussian:7"])
def test_other_toys_have_no_modes_to_count(name: str) -> None:
    toy = load(name)
    assert isinstance(toy, Toy)
    assert toy.centres is None
    assert toy.std is None
