"""What is prepared once and kept: folders that are whole or not there at all.

An entry is `cache_root/<name>/<key>/`. It is filled aside in the same folder and renamed when complete, so a process
killed at any moment leaves no half entry; `complete.json` holds the size of every file, so damage is noticed.
The key stands for the source: with a new key the old entry of that name has been superseded and is removed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from wgan.data.base import Images
from wgan.errors import UserError

_COMPLETE = "complete.json"


def build(cache_root: Path, name: str, key: str, fill: Callable[[Path], None]) -> Path:
    """The folder of entry (`name`, `key`): the existing one, else a new one that `fill(folder)` writes its files into.

    Choose `name` per data set and form of it (`cifar10-train`, `photos-1a2b-64px`), and `key` so that it changes when
    the source or the way of preparing it does. Processes that want the same name at once wait for the first.
    Nothing may write into a finished entry. UserError: the cache cannot be written, or the disk is full.
    """
    home = cache_root / _file_name(name)
    entry = home / _file_name(key)
    if _whole(entry):
        return entry
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _lock(home) as alone:
            if not _whole(entry):  # another process may have built it while this one waited
                if alone:
                    _sweep(home, "aside-*")
                _fill_aside(home, entry, fill)
            if alone:
                _sweep(home, "*", keep=entry)
    except OSError as error:
        raise UserError(_trouble(home, error)) from error
    return entry


def _fill_aside(home: Path, entry: Path, fill: Callable[[Path], None]) -> None:
    aside = Path(tempfile.mkdtemp(prefix="aside-", dir=home))
    try:
        fill(aside)
        sizes = {}
        for path in sorted(p for p in aside.rglob("*") if p.is_file()):
            sizes[path.relative_to(aside).as_posix()] = path.stat().st_size
            _sync(path)
        (aside / _COMPLETE).write_text(json.dumps(sizes, indent=1))
        _sync(aside / _COMPLETE)
        if entry.exists():  # damaged, else it would have been used
            shutil.rmtree(entry)
        aside.chmod(0o755)  # mkdtemp's 0700 would hide a shared cache from colleagues
        aside.rename(entry)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _whole(entry: Path) -> bool:
    """Every file of the entry is there with its full size; costs one stat a file."""
    try:
        sizes: dict[str, int] = json.loads((entry / _COMPLETE).read_text())
        return all((entry / file).stat().st_size == size for file, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _lock(home: Path) -> Iterator[bool]:
    """True when this process is alone in `home`; the system frees the lock of a process that dies."""
    try:
        import fcntl
    except ImportError:  # Windows: builds may then race, which costs time but never a half entry
        yield False
        return
    with open(home / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            alone = True
        except OSError:  # a file system without locks
            alone = False
        yield alone


def _sweep(home: Path, pattern: str, keep: Path | None = None) -> None:
    for path in home.glob(pattern):
        if path.is_dir() and path != keep:
            shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _file_name(text: str) -> str:
    """`text` as a file name on any system, still telling texts apart."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip(".")[:80]
    return plain if plain == text else f"{plain}-{hashlib.sha256(os.fsencode(text)).hexdigest()[:8]}"


def _trouble(home: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"disk full while writing the cache '{home}': free some space, or choose another disk with --data-root"
    return f"cannot write the cache '{home}' ({error.strerror or error}): choose another place with --data-root"


def need_room(folder: Path, size: int) -> None:
    """OSError ENOSPC when the disk of `folder` has less than `size` bytes left: told before the work, not after it."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


class ArrayFile:
    """Writes `path` as .npy, block by block, without holding the array: `append` blocks [n, *shape], then `close`.

    Plain writes, not a memory map: there a full disk kills the process (SIGBUS), here it is an OSError.
    `digest` (hex) is of the shape and all bytes written so far.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: type[np.generic] = np.uint8) -> None:
        self._shape, self._dtype, self.count = shape, np.dtype(dtype), 0
        self._hash = hashlib.sha256(repr((shape, self._dtype.str)).encode())
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()
        self._header()

    def _header(self) -> None:
        # numpy pads the header so that the first axis may grow to any number in place
        fields = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, fields)

    def append(self, block: np.ndarray) -> None:
        if block.shape[1:] != self._shape:
            raise ValueError(f"block of {block.shape[1:]} in a file of {self._shape}")
        data = np.ascontiguousarray(block, self._dtype).data.cast("B") if block.size else b""
        self._file.write(data)
        self._hash.update(data)
        self.count += len(block)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.seek(0)
        self._header()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self._file.close()


@contextmanager
def progress(label: str, total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, `advance(n)` moves it on; nothing is drawn when `quiet` or when stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)


def resized(images: Images, size: int, cache_root: Path, quiet: bool = False) -> Images:
    """`images` [n, c, h, w] as [n, c, size, size]: centre crop to a square, then Lanczos; kept in `cache_root`.

    The same object when it has that size already. UserError: impossible size, the cache cannot be written.
    """
    check_size(size)
    if images.shape[1:] == (size, size):
        return images
    source = images.fingerprint or _digest(images.array)
    key = f"{source}-{size}px-1"
    entry = build(cache_root, f"resized-{key}", "v1", lambda folder: _fill_resized(folder, images, size, quiet))
    height, width = images.shape[1:]
    return Images(
        name=images.name,
        array=np.load(entry / "array.npy", mmap_mode="r"),
        labels=images.labels,
        classes=images.classes,
        fingerprint=hashlib.sha256(key.encode()).hexdigest(),
        notes=(*images.notes, f"{width}x{height} px images brought to {size}x{size} px"),
    )


def check_size(size: int) -> None:
    """UserError when images of size x size make no sense."""
    if not 4 <= size <= 1024:
        raise UserError(f"--size {size}: images are 4 to 1024 pixels wide; networks are made for 8 to 256")


def _fill_resized(folder: Path, images: Images, size: int, quiet: bool) -> None:
    from PIL import Image

    channels, height, width = images.shape
    side = min(height, width)
    box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    need_room(folder, images.count * channels * size * size)
    with (
        progress("resizing", images.count, quiet) as advance,
        ArrayFile(folder / "array.npy", (channels, size, size)) as file,
    ):
        for image in images.array:
            planes = [Image.fromarray(p).resize((size, size), Image.Resampling.LANCZOS, box=box) for p in image]
            file.append(np.stack([np.asarray(p) for p in planes])[None])
            advance(1)


def _digest(array: np.ndarray) -> str:
    found = hashlib.sha256(repr((array.shape, array.dtype.str)).encode())
    for start in range(0, len(array), 1024):
        found.update(np.ascontiguousarray(array[start : start + 1024]).data.cast("B"))
    return found.hexdigest()
