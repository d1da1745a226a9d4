"""Arrays of the user's own: NumPy arrays, .npy and .npz files, memory-mapped, so larger than memory too."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from wgan.data.base import Images, Points, Request
from wgan.data.cache import ArrayFile, build, need_room
from wgan.data.stored import HASH_ALL_BELOW, content_hash, stamp, why
from wgan.errors import UserError

_SAMPLE_KEYS, _LABEL_KEYS = ("images", "x", "arr_0"), ("labels", "y")
_BLOCK = 16 << 20  # bytes looked at in one go


@dataclass(frozen=True)
class _Origin:
    """Where an array comes from: for messages, for a file's stamp in the fingerprint, for what must be converted."""

    name: str
    key: str = ""
    cache: Path | None = None


def from_array(name: str, array: np.ndarray, labels: np.ndarray | None = None) -> Images | Points:
    """Images from uint8 [n, c, h, w], [n, h, w, c] or [n, h, w] (c 1 to 4), Points from float [n, d].

    labels: whole numbers 0..k-1 [n] or None. UserError: any other shape or dtype, NaN or infinity, float images.
    """
    return _interpret(array, labels, _Origin(name))


def open_array_file(path: Path, request: Request) -> Images | Points:
    """A .npy file, or a .npz with `images`, `x` or `arr_0` (and `labels` or `y`), or `x_train`, `y_train`, `x_test` ...

    Forms as in `from_array`. A .npy file is memory-mapped as it lies; the members of a .npz are unpacked into the
    cache once. UserError: damaged, objects inside, no such array.
    """
    try:
        origin = _Origin(request.name, stamp(path), request.cache)
        array, labels = _mapped(path, request, origin.key)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            raise UserError(f"'{path}' holds Python objects: save it as one array of uint8 or float") from error
        raise UserError(f"'{path}' is truncated or no {path.suffix} file ({why(error)})") from error
    return _interpret(array, labels, origin)


def _mapped(path: Path, request: Request, key: str) -> tuple[np.ndarray, np.ndarray | None]:
    if path.suffix == ".npy":
        request.check(("train",))
        return np.load(path, mmap_mode="r", allow_pickle=False), None
    samples, labels = _members(path, request)
    entry = build(request.cache, f"{request.name}-{request.split}", key, partial(_unpack, path, samples, labels))
    x = np.load(entry / "x.npy", mmap_mode="r", allow_pickle=False)
    return x, np.load(entry / "y.npy", allow_pickle=False) if labels else None


def _members(path: Path, request: Request) -> tuple[str, str | None]:
    """The names of samples and labels in the .npz for the wanted split."""
    with zipfile.ZipFile(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist()]
    split = request.split
    plain = split == "train"  # names without a split
    sample_keys = [*(_SAMPLE_KEYS if plain else ()), f"x_{split}", f"images_{split}"]
    label_keys = [*(_LABEL_KEYS if plain else ()), f"y_{split}", f"labels_{split}"]
    samples = next((key for key in sample_keys if key in keys), None)
    if samples is None:
        raise UserError(
            f"'{path}' holds {', '.join(keys) or 'nothing'}: name the array one of {', '.join(sample_keys)}"
        )
    return samples, next((key for key in label_keys if key in keys), None)


def _unpack(path: Path, samples: str, labels: str | None, to: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for key, name in ((samples, "x.npy"), (labels, "y.npy")):
            if key:
                need_room(to, archive.getinfo(f"{key}.npy").file_size)
                with archive.open(f"{key}.npy") as source, open(to / name, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)


def _interpret(array: np.ndarray, labels: np.ndarray | None, origin: _Origin) -> Images | Points:
    name, shape = origin.name, list(array.shape)
    classes = _classes(name, labels, len(array) if array.ndim else 0)
    if array.size == 0:
        raise UserError(f"data '{name}' is empty: an array {shape}")
    if array.dtype == np.uint8 and array.ndim in (3, 4):
        images = _channels_first(name, array)
        return Images(name, images, labels, classes, _fingerprint(array, labels, origin))
    if array.dtype.kind == "f" and array.ndim == 2:
        points = _float32(array, origin)
        return Points(name, points, labels, classes, _fingerprint(points, labels, origin))
    if array.ndim in (3, 4):
        how = "(255 * x).round().astype('uint8')" if array.dtype.kind == "f" else "x.astype('uint8')"
        raise UserError(f"data '{name}': images must be uint8 in 0..255, not {array.dtype}: convert them, {how}")
    if array.ndim == 2:
        raise UserError(
            f"data '{name}': {array.dtype} {shape}: points must be float: x.astype('float32'); "
            "images uint8 [n, h, w] or [n, c, h, w]"
        )
    raise UserError(
        f"data '{name}': {array.dtype} {shape} is neither images uint8 [n, c, h, w] nor points float [n, d]"
    )


def _channels_first(name: str, array: np.ndarray) -> np.ndarray:
    """A view [n, c, h, w] of [n, c, h, w], [n, h, w, c] or [n, h, w]; UserError when it might be either or neither."""
    if array.ndim == 3:
        return array[:, None]
    first, last = 1 <= array.shape[1] <= 4, 1 <= array.shape[3] <= 4
    if first and last:
        raise UserError(
            f"data '{name}': {list(array.shape)} could be [n, c, h, w] or [n, h, w, c]; "
            "hand over wgan.data.Images(name, array) with [n, c, h, w]"
        )
    if not first and not last:
        raise UserError(
            f"data '{name}': {list(array.shape)} has no axis of 1 to 4 channels; "
            "images are [n, c, h, w], [n, h, w, c] or [n, h, w]"
        )
    return array if first else array.transpose(0, 3, 1, 2)


def _classes(name: str, labels: np.ndarray | None, count: int) -> tuple[str, ...]:
    if labels is None:
        return ()
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= count:
        raise UserError(
            f"data '{name}': labels must be {count} whole numbers 0..k-1, not {labels.dtype} {list(labels.shape)}"
        )
    return tuple(str(label) for label in range(int(labels.max()) + 1))


def _float32(array: np.ndarray, origin: _Origin) -> np.ndarray:
    """`array` [n, d] as float32, checked for NaN and infinity by blocks; a large file of another dtype is cached."""
    rows = max(1, _BLOCK // max(1, array[:1].nbytes))
    bad, first = 0, -1
    for start in range(0, len(array), rows):
        # a float64 beyond float32's range turns infinite here, and is bad then
        with np.errstate(over="ignore"):
            wrong = ~np.isfinite(array[start : start + rows].astype(np.float32)).all(axis=1)
        if wrong.any():
            first = start + int(wrong.argmax()) if first < 0 else first
            bad += int(wrong.sum())
    if bad:
        raise UserError(
            f"data '{origin.name}': {bad} of {len(array)} rows hold NaN or infinity, the first is row {first}"
        )
    if array.dtype == np.float32:
        return array
    if origin.cache is None or array.nbytes < HASH_ALL_BELOW:
        return array.astype(np.float32)

    def fill(folder: Path) -> None:
        need_room(folder, 4 * array.size)
        with ArrayFile(folder / "x.npy", array.shape[1:], np.float32) as file:
            for start in range(0, len(array), rows):
                file.append(array[start : start + rows])

    entry = build(origin.cache, f"{origin.name}-float32", origin.key, fill)
    converted: np.ndarray = np.load(entry / "x.npy", mmap_mode="r")
    return converted


def _fingerprint(array: np.ndarray, labels: np.ndarray | None, origin: _Origin) -> str:
    """Of the content alone where all of it is read, so that a copied file is the same data; else of the stamp too."""
    digest = content_hash(array, *([origin.key] if array.nbytes >= HASH_ALL_BELOW else []))
    return digest if labels is None else hashlib.sha256(digest.encode() + labels.tobytes()).hexdigest()
