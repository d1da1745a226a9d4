"""Arrays, .npy and .npz: told apart without guessing, checked, never held in memory as a whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wgan.data import Images, Points, load, order
from wgan.data.arrays import from_array
from wgan.errors import UserError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 3, 8, 10), np.uint8)
POINTS = RNG.standard_normal((50, 3))


def save(path: Path, **arrays: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, arrays["x"])
    else:
        np.savez(path, allow_pickle=False, **arrays)
    return path


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (BYTES, BYTES),
        (BYTES.transpose(0, 2, 3, 1), BYTES),
        (BYTES[:, 0], BYTES[:, :1]),
        (BYTES[:, :1], BYTES[:, :1]),
        (BYTES[:, :2], BYTES[:, :2]),
        (RNG.integers(0, 256, (2, 4, 8, 8), np.uint8), None),
    ],
)
def test_images_of_every_layout(array: np.ndarray, expected: np.ndarray | None, tmp_path: Path) -> None:
    expected = array if expected is None else expected
    for data in (
        load(array),
        load(save(tmp_path / "x.npy", x=array)),
        load(save(tmp_path / "x.npz", x=array), root=tmp_path),
    ):
        assert isinstance(data, Images)
        assert np.array_equal(data.array, expected)
        assert data.count == len(array)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f8"])
def test_points_of_every_width(dtype: str, tmp_path: Path) -> None:
    array = POINTS.astype(dtype)
    for data in (load(array), load(save(tmp_path / "x.npy", x=array))):
        assert isinstance(data, Points)
        assert data.array.dtype == np.float32
        assert np.array_equal(data.array, array.astype(np.float32))
        assert np.array_equal(data.batch(1, 7, 20).x.numpy(), array.astype(np.float32)[order(1, 7, 20, 50)])


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((5, 3, 8, 3), np.uint8), "could be [n, c, h, w] or [n, h, w, c]"),
        (np.zeros((5, 8, 8, 8), np.uint8), "no axis of 1 to 4 channels"),
        (np.zeros((0, 3, 8, 8), np.uint8), "is empty"),
        (np.zeros((5, 0), np.float32), "is empty"),
        (np.zeros((5, 3, 8, 8), np.float32), "(255 * x).round().astype('uint8')"),
        (np.zeros((5, 3, 8, 8), np.int64), "x.astype('uint8')"),
        (np.zeros((5, 64), np.uint8), "points must be float"),
        (np.zeros((5, 2), np.int64), "points must be float"),
        (np.zeros((5, 2), bool), "points must be float"),
        (np.zeros((5, 2), complex), "points must be float"),
        (np.zeros(5), "neither images"),
        (np.array(1.0), "neither images"),
        (np.zeros((1, 1, 1, 1, 1), np.uint8), "neither images"),
    ],
)
def test_other_arrays_are_refused_with_the_remedy(array: np.ndarray, says: str, tmp_path: Path) -> None:
    for name in (array, save(tmp_path / "x.npy", x=array)):
        with pytest.raises(UserError) as error:
            load(name)
        assert says in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_are_none_are_counted(value: float) -> None:
    array = np.zeros((3_000_000, 1))  # more than one block
    array[[2_500_003, 2_999_999]] = value
    with pytest.raises(UserError, match="2 of 3000000 rows hold NaN or infinity, the first is row 2500003"):
        load(array)


@pytest.mark.parametrize(("x", "y"), [("images", "labels"), ("x", "y"), ("arr_0", "y"), ("x_train", "y_train")])
def test_npz_with_labels(x: str, y: str, tmp_path: Path) -> None:
    labels = np.array([2, 0, 1, 1, 0, 2], np.uint8)
    data = load(save(tmp_path / "set.npz", **{x: BYTES, y: labels}), root=tmp_path)
    assert isinstance(data, Images)
    assert isinstance(data.array, np.memmap)
    assert data.classes == ("0", "1", "2")
    batch = data.batch(0, 0, 6)
    assert batch.labels is not None
    assert np.array_equal(batch.labels.numpy(), labels[order(0, 0, 6, 6)])


def test_npz_with_splits_and_labelled_points(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.npz", x_train=POINTS, y_train=np.arange(50) % 4, x_test=POINTS[:5], y_test=np.arange(5) % 4
    )
    assert load(path, root=tmp_path).count == 50
    assert load(path, root=tmp_path, split="test").count == 5
    assert load(path, root=tmp_path, split="test").classes == tuple("0123")
    with pytest.raises(UserError, match="x_val"):
        load(path, root=tmp_path, split="val")


def test_a_changed_npz_is_read_again(tmp_path: Path) -> None:
    path = save(tmp_path / "s.npz", x=BYTES)
    first = load(path, root=tmp_path).fingerprint
    assert load(path, root=tmp_path).fingerprint == first
    save(path, x=BYTES ^ 1)
    os.utime(path, ns=(1, 1))
    assert load(path, root=tmp_path).fingerprint != first


@pytest.mark.parametrize(
    "labels", [np.zeros(5, int), np.full(6, -1), np.full(6, 6), np.zeros(6), np.zeros((6, 1), int)]
)
def test_wrong_labels_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"labels must be 6 whole numbers 0\.\.k-1"):
        from_array("mine", BYTES, labels)


def test_objects_are_refused(tmp_path: Path) -> None:
    array = np.array([None, os.system], object)
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=array)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(UserError, match="holds Python objects"):
            load(tmp_path / name, root=tmp_path)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_files_are_one_line(name: str, share: float, tmp_path: Path) -> None:
    path = save(tmp_path / name, x=BYTES)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"is truncated or no \.np[yz] file") as error:
        load(path, root=tmp_path)
    assert "\n" not in str(error.value)


def test_an_npz_of_other_names_says_which(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds pixels: name the array one of images, x, arr_0"):
        load(save(tmp_path / "x.npz", pixels=BYTES), root=tmp_path)


@pytest.mark.parametrize("array", [BYTES, POINTS.astype(np.float32)])
def test_the_fingerprint_is_of_the_content(array: np.ndarray, tmp_path: Path) -> None:
    path = save(tmp_path / "x.npy", x=array)
    first = load(path).fingerprint
    assert load(array).fingerprint == first
    assert load(shutil.copy(path, tmp_path / "y.npy")).fingerprint == first
    changed = array.copy()
    changed.flat[-1] += 1
    assert load(save(path, x=changed)).fingerprint != first
    assert load(array[::-1]).fingerprint != first


LARGE = """
import resource, sys
from wgan.data import load
# what is not mapped from the file: without this, a program that reads it all would take the machine's memory first
resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = load(sys.argv[1], quiet=True)
for step in range(30):
    data.batch(0, 64 * step, 64)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(data.count, *data.shape, after - before)
"""


@pytest.mark.slow
def test_a_file_larger_than_memory_is_not_read_into_it(tmp_path: Path) -> None:
    # 36 GB as the file system counts them, but all holes: no disk is used
    path = tmp_path / "large.npy"
    with open(path, "wb") as file:
        fields = {"descr": "|u1", "fortran_order": False, "shape": (3_000_000, 3, 64, 64)}
        np.lib.format.write_array_header_1_0(file, fields)
        file.truncate(file.tell() + 3_000_000 * 3 * 64 * 64)
    done = subprocess.run([sys.executable, "-c", LARGE, path], capture_output=True, text=True, check=True)
    *facts, grown = map(int, done.stdout.split())
    assert facts == [3_000_000, 3, 64, 64]
    # the order of an epoch (8 bytes a sample, twice while it is made), pages that were touched, and some air
    assert grown < 150_000, f"grew by {grown} kB"


def test_large_files_are_known_by_stamp_and_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgan.data.stored.HASH_ALL_BELOW", 1000)
    monkeypatch.setattr("wgan.data.arrays.HASH_ALL_BELOW", 1000)
    array = RNG.integers(0, 256, (9000, 1, 2, 5), np.uint8)
    path = save(tmp_path / "x.npy", x=array)
    first = load(path).fingerprint
    assert load(path).fingerprint == first
    os.utime(path, ns=(1, 1))
    assert load(path).fingerprint != first
    stamped = load(path).fingerprint
    array[-1] ^= 1
    save(path, x=array)
    os.utime(path, ns=(1, 1))
    assert load(path).fingerprint != stamped


def test_a_large_file_of_doubles_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgan.data.arrays.HASH_ALL_BELOW", 1000)
    monkeypatch.setattr("wgan.data.arrays._BLOCK", 200)
    path = save(tmp_path / "x.npy", x=POINTS)
    data = load(path, root=tmp_path)
    assert isinstance(data, Points)
    assert isinstance(data.array, np.memmap)
    assert np.array_equal(data.array, POINTS.astype(np.float32))
