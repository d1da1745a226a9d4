"""A folder of images of any size, mode and format, as one array; its first level of subfolders names the classes."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from wgan.data.base import Images
from wgan.data.cache import ArrayFile, build, check_size, need_room, progress
from wgan.data.pixels import GRAY, Picture, extensions, head, read, to_array
from wgan.errors import UserError

__all__ = ["open_folder", "to_array"]

_VERSION = 1  # raise it when the same files would give other pixels: old caches are then built anew
_BAD_SHARE = 0.05

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def open_folder(
    path: Path,
    *,
    size: int | None,
    cache_root: Path,
    allow_bad: bool = False,
    workers: int | None = None,
    quiet: bool = False,
) -> Images:
    """All images below `path` as [n, c, size, size], in the order of their sorted names; see `pixels.to_array`.

    c = 1 when every image is gray (modes 1, L, LA, 16-bit, I, F), else 3. Labels come from the first level of
    subfolders, sorted; none when an image lies in `path` itself. Hidden files, and files whose extension Pillow does
    not know, are ignored. `size` None takes the square size that all images share.
    The first call decodes with `workers` threads (default: one a core) into `cache_root`; later ones map that file,
    as long as names, sizes and dates of the files stay. The fingerprint is of the pixels and labels alone.
    UserError: no such folder or no images in it; more than 5 % of them cannot be read and not `allow_bad`; none can;
    sizes differ and `size` is None; the cache cannot be written.
    """
    if size is not None:
        check_size(size)
    path = Path(os.path.expanduser(path))  # unlike Path's, these calls never raise, whatever the name
    found = _scan(path)
    place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
    name = f"folder-{path.resolve().name}-{place}-{f'{size}px' if size else 'own-size'}"
    fill = partial(_fill, path, found, size, workers or os.cpu_count() or 1, quiet)
    entry = build(cache_root, name, f"v{_VERSION}-{found.fingerprint}", fill)
    made = _Made(**json.loads((entry / "made.json").read_text()))
    _refuse_bad(path, made, entry / "bad-files.txt", allow_bad)
    return Images(
        name=str(path),
        array=np.load(entry / "array.npy", mmap_mode="r"),
        labels=np.load(entry / "labels.npy") if made.classes else None,
        classes=tuple(made.classes),
        fingerprint=made.fingerprint,
        notes=tuple(_notes(made, entry / "bad-files.txt")),
    )


class _Found(NamedTuple):
    files: list[str]  # relative to the folder
    tops: list[str]  # the first-level subfolder of each, "" for none
    others: int  # files that are no images by their extension
    fingerprint: str  # of names, sizes and dates


def _scan(root: Path) -> _Found:
    """Walks `root` once, depth first in the order of names; one stat a file, nothing is opened."""
    if not os.path.exists(root):
        raise UserError(f"no folder '{root}': give the path of a folder of images")
    if not os.path.isdir(root):
        raise UserError(f"'{root}' is a file: give the folder that holds the images")
    known, digest = extensions(), hashlib.sha256()
    files: list[str] = []
    tops: list[str] = []
    others = 0
    # with each folder the real paths of those above it: a link back to one of them would circle
    stack: list[tuple[str, frozenset[str]]] = [("", frozenset())]
    while stack:
        prefix, above = stack.pop()
        real = os.path.realpath(root / prefix)
        if real in above:
            continue
        below = []
        for entry in _entries(root, prefix):
            if _is(entry.is_dir):
                below.append((f"{prefix}{entry.name}/", above | {real}))
            elif os.path.splitext(entry.name)[1].lower() not in known:
                others += 1
            elif _is(entry.is_file) or entry.is_symlink():  # a dangling link counts as a bad file; a pipe would block
                files.append(prefix + entry.name)
                tops.append(prefix.partition("/")[0])
                digest.update(os.fsencode(f"{prefix}{entry.name}\0{_stamp(entry)}\n"))
        stack.extend(reversed(below))
    if not files:
        what = f"{others} files, but no image that Pillow knows by its extension" if others else "nothing in it"
        raise UserError(f"no images in '{root}' ({what}): give a folder with .png, .jpg, .webp or other images")
    return _Found(files, tops, others, digest.hexdigest())


def _entries(root: Path, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / prefix) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise UserError(
            f"cannot list the folder '{root / prefix}' ({error.strerror}): make it readable or move it away"
        ) from error


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:  # a link to itself, or into a folder that is closed to this user
        return False


def _stamp(entry: os.DirEntry[str]) -> str:
    try:
        stat = entry.stat()
    except OSError:
        return "gone"
    return f"{stat.st_size} {stat.st_mtime_ns}"


@dataclass
class _Made:
    """What an entry tells about itself, kept beside its array as made.json."""

    files: int
    classes: list[str]
    mixed: bool
    others: int
    size: int = 0
    bad: int = 0
    alpha: int = 0
    cropped: int = 0
    resized: int = 0
    enlarged: int = 0
    fingerprint: str = ""


def _fill(path: Path, found: _Found, size: int | None, workers: int, quiet: bool, folder: Path) -> None:
    names = sorted(set(found.tops))
    mixed = "" in names and len(names) > 1
    classes = [] if "" in names else names
    number = {top: label for label, top in enumerate(names)}
    made = _Made(len(found.files), classes, mixed, found.others)
    paths = [path / file for file in found.files]
    with _pool(workers) as pool, warnings.catch_warnings():
        # set here for all threads, as the filters are the process's own; Pillow warns of every odd tag
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        made.size, channels = _survey(path, paths, size, pool, quiet)
        need_room(folder, len(paths) * channels * made.size**2)
        decode = partial(read, size=made.size, channels=channels)
        labels = []
        with (
            progress("decoding", len(paths), quiet) as advance,
            open(folder / "bad-files.txt", "w", encoding="utf-8", errors="backslashreplace") as bad,
            ArrayFile(folder / "array.npy", (channels, made.size, made.size)) as array,
        ):
            for file, top, got in zip(found.files, found.tops, _in_order(pool, decode, paths), strict=True):
                if isinstance(got, str):
                    made.bad += 1
                    bad.write(f"{file}\t{got}\n")
                else:
                    array.append(got.pixels[None])
                    labels.append(number[top])
                    _count(made, got)
                advance(1)
    np.save(folder / "labels.npy", np.array(labels, np.int64))
    content = f"{array.digest} {classes} {hashlib.sha256(np.array(labels, np.int64).tobytes()).hexdigest()}"
    made.fingerprint = hashlib.sha256(os.fsencode(content)).hexdigest()
    (folder / "made.json").write_text(json.dumps(asdict(made), indent=1))


def _count(made: _Made, picture: Picture) -> None:
    short = min(picture.width, picture.height)
    made.alpha += picture.alpha
    made.cropped += picture.width != picture.height
    made.resized += short != made.size
    made.enlarged += short < made.size


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads, not processes: Pillow decodes and resizes outside the interpreter lock, and nothing is copied."""
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[_In], _Out], items: Iterable[_In], chunk: int = 16, ahead: int = 16
) -> Iterator[_Out]:
    """`map(work, items)` on the pool; at most `ahead` chunks wait, so that a million files stay out of memory."""
    rest = iter(items)
    waiting: deque[Future[list[_Out]]] = deque()
    while True:
        while len(waiting) < ahead and (part := list(islice(rest, chunk))):
            waiting.append(pool.submit(lambda part: [work(item) for item in part], part))
        if not waiting:
            return
        yield from waiting.popleft().result()


def _survey(path: Path, paths: list[Path], size: int | None, pool: ThreadPoolExecutor, quiet: bool) -> tuple[int, int]:
    """(size, channels) from the files' headers alone: about 0.1 ms each."""
    gray, seen = True, set()
    shorts: list[int] = []
    with progress("looking", len(paths), quiet) as advance:
        for got in _in_order(pool, head, paths, chunk=256):
            if got is not None:
                mode, width, height = got
                gray &= mode in GRAY
                seen.add((width, height))
                shorts.append(min(width, height))
            advance(1)
    channels = 1 if gray and shorts else 3
    if size is not None:
        return size, channels
    if not shorts:
        return 8, channels  # nothing can be read: the entry will only hold the list of bad files
    if len(seen) == 1 and len(set(next(iter(seen)))) == 1:
        check_size(shorts[0])
        return shorts[0], channels
    raise UserError(_ask_for_size(path, seen, shorts))


def _ask_for_size(path: Path, seen: set[tuple[int, int]], shorts: list[int]) -> str:
    median = int(statistics.median(shorts))
    sharp = min(256, max(8, 1 << median.bit_length() - 1))  # the power of two at or below
    advice = f"--size {min(64, sharp)}" + (f" (up to {sharp} would be sharp, and cost more)" if sharp > 64 else "")
    few = sorted(seen)
    if len(few) == 1:
        return f"images in '{path}' are {few[0][0]}x{few[0][1]} px, not square: say what to crop them to, {advice}"
    return (
        f"images in '{path}' have {len(few)} sizes, from {few[0][0]}x{few[0][1]} to {few[-1][0]}x{few[-1][1]} px "
        f"(median short side {median}): say which size to bring them to, {advice}"
    )


def _refuse_bad(path: Path, made: _Made, listed: Path, allow_bad: bool) -> None:
    if made.bad == made.files:
        raise UserError(f"none of the {made.files} images in '{path}' can be read; the reasons are in {listed}")
    if made.bad > _BAD_SHARE * made.files and not allow_bad:
        raise UserError(
            f"{made.bad} of {made.files} images in '{path}' cannot be read ({made.bad / made.files:.1%}); "
            f"they are listed in {listed}: mend or remove them, or leave them out with --allow-bad"
        )


def _notes(made: _Made, listed: Path) -> Iterator[str]:
    size = f"{made.size}x{made.size} px"
    if made.bad:
        yield f"{made.bad} of {made.files} images cannot be read and are left out; reasons in {listed}"
    if made.mixed:
        yield "images both in the folder itself and in subfolders: all are used, without labels"
    if made.others:
        yield f"{made.others} other files ignored"
    if made.cropped:
        yield f"{made.cropped} images cropped to their centre square"
    if made.resized:
        small = f", of which {made.enlarged} were smaller and are blurred by it" if made.enlarged else ""
        yield f"{made.resized} images resized to {size}{small}"
    if made.alpha:
        yield f"{made.alpha} images with transparency laid on white"
