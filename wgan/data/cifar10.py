"""`cifar10`: 60,000 photographs of 32 x 32 pixels in 10 classes, from the official Python batches.

Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. The batches are pickles: they are read by an
unpickler that knows nothing but arrays of bytes, lists and dicts, so a file from anywhere runs no code.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wgan.data.base import Images, Request
from wgan.data.download import fetch
from wgan.data.stored import stored, why
from wgan.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
CHECKSUM = "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# an official batch has 31 MB; what says it has more is not one, and is not read into memory
LARGEST_BATCH = 64 << 20


def open_cifar10(request: Request) -> Images:
    """uint8 [50000, 3, 32, 32] (test: 10000) and labels 0..9.

    From `root/cifar-10-batches-py/`, else `root/cifar-10-python.tar.gz`, else downloaded there (170 MB).
    UserError: a truncated or damaged file, a pickle that holds anything but the expected arrays, no network.
    """
    request.check(("train", "test"))
    names = BATCHES[request.split]
    folder, archive = request.root / FOLDER, request.root / ARCHIVE
    sources = [folder / name for name in names]
    if not all(path.is_file() for path in sources):
        if folder.is_dir() and not archive.exists():
            missing = next(path for path in sources if not path.is_file())
            raise UserError(f"'{missing}' is missing: complete the folder, or remove it to have it downloaded again")
        sources = [fetch(URL, archive, CHECKSUM, quiet=request.quiet)]

    def decode() -> tuple[np.ndarray, np.ndarray]:
        batches = _from_archive(archive, names) if sources == [archive] else _from_folder(sources)
        parts = [read_batch(stream, where) for stream, where in batches]
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])

    return stored(request, sources, CLASSES, decode)


def _from_folder(paths: list[Path]) -> Iterator[tuple[io.BytesIO, str]]:
    for path in paths:
        try:
            if path.stat().st_size > LARGEST_BATCH:
                raise UserError(f"'{path}' is larger than any CIFAR-10 batch: get it again from {URL}")
            yield io.BytesIO(path.read_bytes()), str(path)
        except OSError as error:
            raise UserError(f"cannot read '{path}': {why(error)}") from error


def _from_archive(archive: Path, names: tuple[str, ...]) -> list[tuple[io.BytesIO, str]]:
    """The batches out of the .tar.gz, in order; nothing is extracted to disk, whatever paths the archive names."""
    found: dict[str, io.BytesIO] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                if not member.isfile() or name not in names or member.size > LARGEST_BATCH:
                    continue
                stream = tar.extractfile(member)
                found[name] = io.BytesIO(stream.read() if stream else b"")
                if len(found) == len(names):
                    break
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UserError(
            f"'{archive}' is truncated or damaged ({why(error)}): remove it to have it downloaded again"
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(f"'{archive}' lacks {missing[0]}: not the CIFAR-10 archive; remove it to have it downloaded")
    return [(found[name], f"{archive}/{name}") for name in names]


def read_batch(stream: io.BytesIO, where: str) -> tuple[np.ndarray, np.ndarray]:
    """One pickled batch -> images uint8 [n, 3, 32, 32], labels int64 [n] in 0..9. UserError naming `where`."""
    try:
        batch = _ArraysOnly(stream, encoding="bytes").load()
    except _Forbidden as error:
        raise UserError(f"'{where}' was not read: {error}; get the batch from {URL}") from error
    except Exception as error:  # a damaged pickle raises anything: KeyError, struct.error, MemoryError ...
        raise UserError(f"'{where}' is truncated or damaged ({why(error)}): get the batch from {URL}") from error
    data, labels = (batch.get(b"data"), batch.get(b"labels")) if isinstance(batch, dict) else (None, None)
    if type(data) is not np.ndarray or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
        raise UserError(f"'{where}': b'data' must be uint8 [n, 3072]; get the batch from {URL}")
    if not isinstance(labels, list) or len(labels) != len(data) or not len(data):
        raise UserError(f"'{where}': b'labels' must list one label for each of {len(data)} images")
    if not all(type(label) is int and 0 <= label <= 9 for label in labels):
        raise UserError(f"'{where}': labels must be whole numbers 0..9")
    return data.reshape(-1, 3, 32, 32), np.array(labels, np.int64)


class _Forbidden(pickle.UnpicklingError):
    pass


class _Name:
    """Stands for a class that a batch may name but not call."""


def _new_array(kind: object, shape: object, dtype: object) -> np.ndarray:
    if kind is not _Name:
        raise _Forbidden("it builds something other than an array")
    return np.empty(0, np.uint8)  # as numpy's own _reconstruct does; the content follows


def _new_dtype(code: object, *_: object) -> np.dtype[Any]:
    if code not in ("u1", b"u1", "|u1", b"|u1"):
        raise _Forbidden(f"it holds an array of dtype {code!r}, not uint8")
    return np.dtype(np.uint8)


def _encode(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise _Forbidden("it encodes something other than bytes")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., object] | type[_Name]] = {
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,
    ("numpy", "ndarray"): _Name,
    ("numpy", "dtype"): _new_dtype,
    ("_codecs", "encode"): _encode,
}


class _ArraysOnly(pickle.Unpickler):
    """Never imports what a file names: the few names of an array's pickle give functions of this module."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _Forbidden(f"its pickle asks for {module}.{name}, which no CIFAR-10 batch needs")
        return _ALLOWED[module, name]
