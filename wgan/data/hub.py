"""`hf:owner/name[:split[:column]]`: images of the Hugging Face hub, of a local parquet file or folder.

Decoded once into the cache. A hub data set is asked for only then: later starts need no network and see the same
images, whatever happens to the original. Needs the extra `hub` (the library `datasets`).
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wgan.data.base import Images, Request
from wgan.data.cache import ArrayFile, build, check_size, need_room, progress
from wgan.data.stored import stamp, why
from wgan.errors import UserError

# formats of the web; any other would put more of Pillow's decoders, or Ghostscript, before a stranger's file
_FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_ROWS = 256
_BAD_SHARE = 0.05

_Rows = tuple[int, list[Any], list[int]]


@dataclass(frozen=True)
class _Place:
    """The parts of `hf:LOCATION[:SPLIT[:COLUMN]]`; `local` when the location is a path."""

    name: str
    location: str
    split: str
    column: str
    local: Path | None


def open_hub(request: Request) -> Images:
    """The images of a split as uint8 [n, c, h, w], with the labels of its ClassLabel column where there is one.

    LOCATION: owner/name on the hub, or a path (starting with / . or ~, or ending in .parquet). SPLIT: else the
    request's. COLUMN: else the first one of images. c = 1 when every image is gray, else 3.
    UserError: `datasets` is not installed, hub out of reach, no such data set, split or column; images of several
    sizes without a `size`; more than 5 % unreadable and not `allow_bad`.
    """
    place = _parse(request)
    if request.size is not None:
        check_size(request.size)
    files = sorted(p for p in place.local.rglob("*") if p.is_file()) if place.local and place.local.is_dir() else []
    key = stamp(*(files or [place.local])) if place.local else "hub"
    form = f"hf-{place.location}-{place.split}-{place.column}-{request.size or 'own'}px"
    entry = build(request.cache, form, f"{key}-1", partial(_fill, place, request))
    made = json.loads((entry / "made.json").read_text())
    bad, total = made["bad"], made["total"]
    if bad == total or (bad > _BAD_SHARE * total and not request.allow_bad):
        remedy = "" if bad == total else "; leave them out with --allow-bad"
        raise UserError(
            f"{bad} of {total} images of '{request.name}' cannot be read, the first: {made['first']}{remedy}"
        )
    return Images(
        request.name,
        np.load(entry / "images.npy", mmap_mode="r"),
        np.load(entry / "labels.npy") if made["classes"] else None,
        tuple(made["classes"]),
        made["fingerprint"],
        (f"{bad} of {total} images cannot be read and are left out",) if bad else (),
    )


def _parse(request: Request) -> _Place:
    location, _, rest = request.argument.partition(":")
    split, _, column = rest.partition(":")
    path = Path(location).expanduser()
    local = location.startswith(("/", ".", "~")) or location.endswith(".parquet")
    if not location or (not local and location.count("/") != 1):
        raise UserError(
            f"data '{request.name}': give 'hf:owner/name', 'hf:owner/name:split:column' or 'hf:./file.parquet'"
        )
    if local and not path.exists():
        raise UserError(f"data '{request.name}': no such file or folder '{path}'")
    return _Place(request.name, location, split or request.split, column, path if local else None)


def _library() -> Any:
    """The module `datasets`. Where it is not installed, a folder ./datasets still imports, as an empty package."""
    try:
        module = importlib.import_module("datasets")
    except ImportError:
        module = None
    if not hasattr(module, "load_dataset"):
        raise UserError("data of the hub needs the library 'datasets': pip install 'wgan[hub]'")
    return module


def _open(place: _Place, request: Request) -> Any:
    datasets = _library()
    if request.quiet or not sys.stderr.isatty():
        datasets.disable_progress_bars()
    own = str(request.cache / "hub")
    try:
        if place.local is None:
            return datasets.load_dataset(place.location, split=place.split)
        if place.local.is_file():
            files = {place.split: [str(place.local)]}
            return datasets.load_dataset("parquet", data_files=files, split=place.split, cache_dir=own)
        if (place.local / "dataset_dict.json").exists():
            return datasets.load_from_disk(str(place.local / place.split))
        if (place.local / "state.json").exists():
            return datasets.load_from_disk(str(place.local))
        return datasets.load_dataset(str(place.local), split=place.split, cache_dir=own)
    except ConnectionError as error:
        raise UserError(
            f"can't reach the hub for '{place.location}': give a local copy (hf:PATH), or fill the cache "
            "(~/.cache/huggingface) on a machine with network and set HF_HUB_OFFLINE=1"
        ) from error
    except Exception as error:  # what datasets raises for an unknown name, split or config, a damaged file ...
        raise UserError(f"cannot open data '{place.name}': {why(error)}") from error


def _image_column(place: _Place, table: Any) -> str:
    datasets, features = _library(), table.features
    if place.column:
        if place.column not in features:
            raise UserError(f"data '{place.name}' has no column '{place.column}'; it has: {', '.join(features)}")
        return place.column
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    # parquet written by other programs: encoded files in a column of bytes
    images += [name for name, kind in features.items() if isinstance(kind, datasets.Value) and kind.dtype == "binary"]
    images += [name for name, kind in features.items() if isinstance(kind, dict) and "bytes" in kind]
    if not images:
        raise UserError(f"data '{place.name}' has no column of images; it has: {', '.join(features)}")
    return str(images[0])


def _fill(place: _Place, request: Request, folder: Path) -> None:
    datasets = _library()
    table = _open(place, request)
    column = _image_column(place, table)
    if isinstance(table.features[column], datasets.Image):
        # undecoded, so that one damaged image is that image's trouble only
        table = table.cast_column(column, datasets.Image(decode=False))
    label = next((name for name, kind in table.features.items() if isinstance(kind, datasets.ClassLabel)), None)
    classes = list(table.features[label].names) if label else []
    table = table.select_columns([column, label] if label else [column])
    rows = partial(_rows, table, column, label)
    with ThreadPoolExecutor() as pool:
        size, channels = _survey(place, request, rows(), pool, len(table))
        need_room(folder, len(table) * channels * size * size)
        decode = partial(_decode, size=size, channels=channels)
        labels, first = [], ""
        with (
            progress("decoding", len(table), request.quiet) as advance,
            ArrayFile(folder / "images.npy", (channels, size, size)) as file,
        ):
            for start, images, values in rows():
                for row, (image, value) in enumerate(zip(pool.map(decode, images), values, strict=True), start):
                    if isinstance(image, str):
                        first = first or f"row {row}, {image}"
                        continue
                    file.append(image[None])
                    labels.append(value)
                advance(len(images))
    _finish(folder, file, np.array(labels, np.int64), classes, len(table), first)


def _finish(folder: Path, file: ArrayFile, labels: np.ndarray, classes: list[str], total: int, first: str) -> None:
    if labels.size and labels.min() < 0:  # the hub's mark for labels held back
        classes = []
    np.save(folder / "labels.npy", labels)
    known = hashlib.sha256(f"{file.digest} {classes}".encode() + (labels.tobytes() if classes else b""))
    made = {
        "bad": total - file.count,
        "total": total,
        "first": first,
        "classes": classes,
        "fingerprint": known.hexdigest(),
    }
    (folder / "made.json").write_text(json.dumps(made))


def _rows(table: Any, column: str, label: str | None) -> Iterator[_Rows]:
    """(first row, encoded images, their labels, -1 where there are none), a few hundred rows at a time."""
    for start in range(0, len(table), _ROWS):
        rows = table[start : start + _ROWS]
        images = rows[column]
        labels = rows[label] if label else [None] * len(images)
        yield start, images, [-1 if value is None else value for value in labels]


def _stream(value: Any) -> io.BytesIO | str:
    """What Pillow opens: the bytes of an encoded image, or the path it lies at."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return io.BytesIO(value)
    if isinstance(value, str):
        return value
    raise ValueError(f"no encoded image but {type(value).__name__}")


def _head(value: Any) -> tuple[str, int, int] | None:
    from PIL import Image

    try:
        with Image.open(_stream(value), formats=_FORMATS) as image:
            return image.mode, image.width, image.height
    except Exception:  # decoding tells the reason
        return None


def _survey(
    place: _Place, request: Request, rows: Iterator[_Rows], pool: ThreadPoolExecutor, total: int
) -> tuple[int, int]:
    """(size, channels) from the headers alone."""
    from wgan.data.pixels import GRAY

    gray, sizes = True, set()
    with progress("looking", total, request.quiet) as advance:
        for _, images, _ in rows:
            for head in filter(None, pool.map(_head, images)):
                gray &= head[0] in GRAY
                sizes.add(head[1:])
            advance(len(images))
    channels = 1 if gray and sizes else 3
    if request.size is not None or not sizes:
        return request.size or 8, channels
    smallest, largest = min(sizes), max(sizes)
    if len(sizes) > 1:
        raise UserError(
            f"images of '{place.name}' have {len(sizes)} sizes, from {smallest[0]}x{smallest[1]} to "
            f"{largest[0]}x{largest[1]} px: say which size to bring them to, as in --size 64"
        )
    if smallest[0] != smallest[1]:
        raise UserError(f"images of '{place.name}' are {smallest[0]}x{smallest[1]} px, not square: give --size")
    check_size(smallest[0])
    return smallest[0], channels


def _decode(value: Any, *, size: int, channels: int) -> np.ndarray | str:
    from PIL import Image

    from wgan.data.pixels import to_array

    try:
        with Image.open(_stream(value), formats=_FORMATS) as image:
            return to_array(image, size, channels)
    except Exception as error:  # Pillow's decoders raise whatever a broken file leads them to
        return why(error)
