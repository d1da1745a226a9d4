"""MNIST and Fashion-MNIST from small idx files: read right, or refused in one line."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

import wgan.data.mnist
from wgan.data import Images, load
from wgan.data.mnist import FASHION, FILES, MNIST, Idx, read_idx
from wgan.errors import UserError

N = 30
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 28, 28), np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, N).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(folder: Path, images: bytes = idx(PIXELS), labels: bytes = idx(LABELS), packed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for names in FILES.values():
        for name, content in zip(names, (images, labels), strict=True):
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                (folder / name).write_bytes(content)


def read(root: Path, name: str = "mnist", split: str = "train") -> Images:
    data = load(name, root=root, split=split, quiet=True)
    assert isinstance(data, Images)
    return data


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_idx_files_are_read(name: str, split: str, packed: bool, tmp_path: Path) -> None:
    write(tmp_path / name, packed=packed)
    data = read(tmp_path, name, split)
    assert np.array_equal(data.array[:, 0], PIXELS)
    assert data.labels is not None
    assert np.array_equal(data.labels, LABELS)
    assert data.classes[9] == ("9" if name == "mnist" else "ankle boot")
    assert len(data.classes) == 10


def test_the_splits_are_different_files(tmp_path: Path) -> None:
    write(tmp_path / "mnist")
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PIXELS ^ 255)))
    assert np.array_equal(read(tmp_path, split="test").array[:, 0], PIXELS ^ 255)
    assert np.array_equal(read(tmp_path, split="train").array[:, 0], PIXELS)


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (b"", idx(LABELS), "no idx file"),
        (b"\0\0\x0d\3" + idx(PIXELS)[4:], idx(LABELS), "no idx file"),
        (idx(LABELS), idx(LABELS), "no idx file"),
        (idx(PIXELS)[:-1], idx(LABELS), "truncated"),
        (idx(PIXELS) + b"x", idx(LABELS), "truncated"),
        (idx(PIXELS)[:10], idx(LABELS), "no idx file"),
        (bytes((0, 0, 8, 3)) + b"\xff" * 12, idx(LABELS), "truncated"),
        (idx(PIXELS[:, :27]), idx(LABELS), "28x27"),
        (idx(PIXELS[1:]), idx(LABELS), "29 images but"),
        (idx(PIXELS), idx(LABELS + 10), r"labels must be 0\.\.9"),
        (idx(PIXELS[:0]), idx(LABELS[:0]), "at least one"),
    ],
)
def test_wrong_files_are_one_line(images: bytes, labels: bytes, says: str, tmp_path: Path) -> None:
    write(tmp_path / "mnist", images, labels)
    with pytest.raises(UserError, match=says) as error:
        read(tmp_path)
    assert str(tmp_path / "mnist") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 5, 100, -5])
def test_a_truncated_gzip_is_one_line(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx(PIXELS))[: keep or 0])
    with pytest.raises(UserError, match=r"a\.gz'") as error:
        read_idx(path, axes=3)
    assert "\n" not in str(error.value)


def test_files_are_fetched_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "server")
    md5 = {p.name.removesuffix(".gz"): hashlib.md5(p.read_bytes()).hexdigest() for p in (tmp_path / "server").iterdir()}
    here = Idx((tmp_path / "server").as_uri(), md5, tuple("0123456789"))
    monkeypatch.setattr(wgan.data.mnist, "MNIST", here)
    assert read(tmp_path / "a").count == N
    wrong = Idx(here.url, dict.fromkeys(md5, "0" * 32), here.classes)
    monkeypatch.setattr(wgan.data.mnist, "MNIST", wrong)
    with pytest.raises(UserError, match="damaged"):
        read(tmp_path / "b")


def test_every_official_file_has_a_checksum() -> None:
    names = {name for names in FILES.values() for name in names}
    for source in (MNIST, FASHION):
        assert set(source.md5) == names
        assert all(len(value) == 32 for value in source.md5.values())
    assert len({*MNIST.md5.values(), *FASHION.md5.values()}) == 8


def test_the_real_one() -> None:
    root = Path(__file__).parents[1] / "datasets"
    if not (root / "mnist" / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("no MNIST under datasets/")
    data = read(root)
    assert data.array.shape == (60_000, 1, 28, 28)
    assert data.labels is not None
    assert np.bincount(data.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.array.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    # the file whose original bytes are there has the official checksum
    content = (root / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes()
    assert hashlib.md5(content).hexdigest() == MNIST.md5["t10k-images-idx3-ubyte"]
    assert read(root, split="test").count == 10_000
