"""CIFAR-10 from small files of the official layout: read right, or refused in one line; no code from a file runs."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wgan.data import Images, load
from wgan.data.cifar10 import read_batch
from wgan.errors import UserError

N = 20
PIXELS = np.random.default_rng(0).integers(0, 256, (6 * N, 3072), np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, 6 * N)
NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def batch(i: int) -> dict[bytes, object]:
    part = slice(i * N, (i + 1) * N)
    return {b"batch_label": b"x", b"labels": LABELS[part].tolist(), b"data": PIXELS[part], b"filenames": [b"a.png"] * N}


def write_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for i, name in enumerate(NAMES):
        (folder / name).write_bytes(pickle.dumps(batch(i), protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({b"label_names": []}, protocol=2))
    return folder


def write_archive(root: Path) -> Path:
    folder = write_folder(root / "aside" / "cifar-10-batches-py")
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(folder, "cifar-10-batches-py")
    shutil.rmtree(root / "aside")
    return root / "cifar-10-python.tar.gz"


def read(root: Path, split: str = "train") -> Images:
    data = load("cifar10", root=root, split=split, quiet=True)
    assert isinstance(data, Images)
    return data


@pytest.mark.parametrize("write", [lambda root: write_folder(root / "cifar-10-batches-py"), write_archive])
def test_folder_and_archive_are_read_in_order(write: object, tmp_path: Path) -> None:
    write(tmp_path)  # type: ignore[operator]
    for split, part in (("train", slice(0, 5 * N)), ("test", slice(5 * N, 6 * N))):
        data = read(tmp_path, split)
        assert np.array_equal(data.array, PIXELS[part].reshape(-1, 3, 32, 32))
        assert data.labels is not None
        assert np.array_equal(data.labels, LABELS[part])
        assert data.classes[3] == "cat"
    outside = [p for p in tmp_path.rglob("data_batch_1") if "cifar-10-batches-py" not in p.parts]
    assert outside == []


def test_the_decoded_array_is_mapped_and_follows_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "cifar-10-batches-py")
    first = read(tmp_path)
    assert isinstance(first.array, np.memmap)
    with monkeypatch.context() as patch:
        patch.setattr("wgan.data.cifar10.read_batch", lambda *_: pytest.fail("decoded again"))
        assert read(tmp_path).fingerprint == first.fingerprint
    changed = batch(0) | {b"data": PIXELS[:N] ^ 1}
    (folder / "data_batch_1").write_bytes(pickle.dumps(changed, protocol=2))
    os.utime(folder / "data_batch_1", ns=(1, 1))
    second = read(tmp_path)
    assert second.fingerprint != first.fingerprint
    assert np.array_equal(second.array[:N], (PIXELS[:N] ^ 1).reshape(-1, 3, 32, 32))


def test_the_fingerprint_is_of_pixels_and_labels(tmp_path: Path) -> None:
    one = write_folder(tmp_path / "one" / "cifar-10-batches-py")
    write_archive(tmp_path)
    assert read(tmp_path / "one").fingerprint == read(tmp_path).fingerprint
    changed = batch(0) | {b"labels": [(label + 1) % 10 for label in LABELS[:N].tolist()]}
    (one / "data_batch_1").write_bytes(pickle.dumps(changed, protocol=2))
    assert read(tmp_path / "one").fingerprint != read(tmp_path).fingerprint


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_pickles_of_every_age_are_read(protocol: int) -> None:
    images, labels = read_batch(io.BytesIO(pickle.dumps(batch(0), protocol=protocol)), "here")
    assert np.array_equal(images.reshape(N, 3072), PIXELS[:N])
    assert labels.tolist() == LABELS[:N].tolist()


def test_the_pickle_of_python_2_is_read() -> None:
    # as in the official files: py2 strings, numpy.core names, the array's bytes as one string
    raw = PIXELS[:1].tobytes()
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01K\x01M\x00\x0c\x86" + dtype + b"\x89"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR" + state
    array += b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    content = b"\x80\x02}(U\x04data" + array + b"U\x06labels]K\x07au."
    images, labels = read_batch(io.BytesIO(content), "here")
    assert images.tobytes() == raw
    assert labels.tolist() == [7]


class Evil:
    """A pickle of this makes a plain unpickler call `what(*arguments)`."""

    def __init__(self, what: object, *arguments: object) -> None:
        self.call = (what, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "what",
    [(os.system, "touch {}"), (eval, "open('{}', 'w')"), (os.mkdir, "{}"), (np.fromfile, "{}"), (getattr, 1, "x")],
)
def test_code_in_a_pickle_does_not_run(what: tuple[object, ...], protocol: int, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    arguments = [a.format(trace) if isinstance(a, str) else a for a in what[1:]]
    content = pickle.dumps(batch(0) | {b"data": Evil(what[0], *arguments)}, protocol=protocol)
    with pytest.raises(UserError, match="its pickle asks for"):
        read_batch(io.BytesIO(content), "here")
    assert not trace.exists()


def test_even_allowed_names_only_build_arrays_of_bytes() -> None:
    attacks = [
        Evil(np.dtype, "O"),
        Evil(np.ndarray, (1 << 20,)),
        np.array([None, object]),
        np.zeros((2, 3072)),
    ]
    for attack in attacks:
        with pytest.raises(UserError):
            read_batch(io.BytesIO(pickle.dumps(batch(0) | {b"data": attack}, protocol=2)), "here")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({b"data": PIXELS[:N].astype(np.float32)}, "not uint8"),
        ({b"data": PIXELS[:N, :3000]}, r"uint8 \[n, 3072\]"),
        ({b"data": PIXELS[:N].reshape(-1, 3, 32, 32)}, r"uint8 \[n, 3072\]"),
        ({b"data": PIXELS[:N].tolist()}, r"uint8 \[n, 3072\]"),
        ({b"labels": LABELS[: N - 1].tolist()}, "one label for each of 20"),
        ({b"labels": [10] * N}, "whole numbers 0..9"),
        ({b"labels": [-1] * N}, "whole numbers 0..9"),
        ({b"labels": [0.5] * N}, "whole numbers 0..9"),
        ({b"data": PIXELS[:0], b"labels": []}, "one label for each of 0"),
    ],
)
def test_wrong_content_is_refused(change: dict[bytes, object], says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        read_batch(io.BytesIO(pickle.dumps(batch(0) | change, protocol=4)), "here/data_batch_1")
    assert "here/data_batch_1" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x80", b"hello", pickle.dumps([1]), pickle.dumps(None)])
def test_something_else_is_refused(content: bytes) -> None:
    with pytest.raises(UserError):
        read_batch(io.BytesIO(content), "here")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_batch_is_one_line(share: float, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "cifar-10-batches-py")
    content = (folder / "data_batch_3").read_bytes()
    (folder / "data_batch_3").write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"data_batch_3' is truncated or damaged") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)
    assert read(tmp_path, "test").count == N  # the other split is whole


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_a_truncated_archive_is_one_line(share: float, tmp_path: Path) -> None:
    archive = write_archive(tmp_path)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"tar.gz' is truncated or damaged") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(UserError, match="lacks data_batch_1"):
        read(tmp_path)


def test_an_incomplete_folder_names_the_missing_file(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "cifar-10-batches-py")
    (folder / "data_batch_4").unlink()
    with pytest.raises(UserError, match="data_batch_4' is missing"):
        read(tmp_path)
    write_archive(tmp_path)
    assert read(tmp_path).count == 5 * N


def test_without_files_or_network_it_says_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WGAN_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="put it at") as error:
        read(tmp_path)
    assert str(tmp_path / "cifar-10-python.tar.gz") in str(error.value)


def test_the_real_one() -> None:
    root = Path(__file__).parents[1] / "datasets"
    if not (root / "cifar-10-batches-py").is_dir() and not (root / "cifar-10-python.tar.gz").is_file():
        pytest.skip("no CIFAR-10 under datasets/")
    data = read(root)
    assert data.array.shape == (50_000, 3, 32, 32)
    assert np.bincount(data.labels if data.labels is not None else []).tolist() == [5000] * 10
    # the means that the literature normalises with; 1,000 images a slice keep memory small
    sums = sum(data.array[i : i + 1000].sum((0, 2, 3), dtype=np.int64) for i in range(0, 50_000, 1000))
    assert np.asarray(sums) / (255 * 50_000 * 1024) == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-4)
    assert read(root, "test").count == 10_000
