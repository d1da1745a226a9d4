"""Fetches a file once: with progress, resumed after an interruption, checked, and moved into place only when whole."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wgan.errors import UserError

_CHUNK = 1 << 18
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.EFBIG)


class _Refused(Exception):
    """An answer that will not change when asked again."""


def fetch(
    url: str,
    target: Path,
    checksum: str,
    *,
    quiet: bool = False,
    tries: int = 3,
    timeout: float = 30.0,
    pause: float = 0.5,
) -> Path:
    """Downloads `url` to `target` unless that exists, and returns `target`.

    checksum: 'md5:HEX' or 'sha256:HEX' of the whole file. A download that stops goes on from `target`.part, here and
    the next time; `tries` counts attempts in a row that bring nothing, `pause` seconds (doubling) apart; `timeout` in
    seconds. With WGAN_MIRROR=URL in the environment, the file comes from URL/<file name> instead.
    UserError: no network or refused (says where to put the file by hand), wrong checksum (the file is removed),
    `target` cannot be written.
    """
    if target.exists():
        return target
    mirror = os.environ.get("WGAN_MIRROR")
    url = f"{mirror.rstrip('/')}/{url.rsplit('/', 1)[-1]}" if mirror else url
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.parent):
            if target.exists():  # another process brought it while this one waited
                return target
            resumed = part.exists() and part.stat().st_size > 0
            _attempts(url, part, quiet, tries, timeout, pause)
            found = _digest(part, checksum)
            if found != checksum and resumed:  # the old part may have been of another version of the file
                part.unlink()
                _attempts(url, part, quiet, tries, timeout, pause)
                found = _digest(part, checksum)
            if found != checksum:
                part.unlink()
                raise UserError(
                    f"download of {url} is damaged: its checksum is {found}, not {checksum}. It was removed; try "
                    f"again, or put a good copy at {target}"
                )
            part.replace(target)
    except _Refused as error:
        raise UserError(f"cannot download {url}: {error}. Get {target.name} by hand and put it at {target}") from error
    except OSError as error:
        raise UserError(f"cannot write {part}: {error.strerror or error}") from error
    return target


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Processes that download into `folder` take turns; the system frees the turn of one that dies."""
    try:
        import fcntl
    except ImportError:  # Windows: two at once would spoil each other's part, which the checksum tells
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _attempts(url: str, part: Path, quiet: bool, tries: int, timeout: float, pause: float) -> None:
    """Fills `part` until it is whole. _Refused when `tries` attempts in a row bring nothing; OSError from the disk."""
    idle = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _continue(url, part, quiet, timeout)
            return
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                part.unlink()  # longer than the file on the server: of another version
                continue
            if error.code < 500:
                raise _Refused(f"the server answered {error.code} {error.reason}") from error
            trouble = f"the server answered {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise
            reason = getattr(error, "reason", None) or error
            trouble = str(reason) or type(error).__name__
        idle = 0 if part.exists() and part.stat().st_size > before else idle + 1
        if idle >= tries:
            raise _Refused(f"no connection ({trouble})")
        time.sleep(pause * 2**idle / 2)


def _continue(url: str, part: Path, quiet: bool, timeout: float) -> None:
    """One connection: appends to `part` what the server still has. ConnectionError when it ends too early."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "wgan"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server cannot resume and sends all of it
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdecimal() else None
        with open(part, "ab" if have else "wb") as file, _bar(url, have, total, quiet) as advance:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                advance(len(chunk))
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")


def _digest(path: Path, checksum: str) -> str:
    """The checksum of `path` in the form of `checksum`, 'ALGORITHM:HEX'."""
    kind = checksum.partition(":")[0]
    with open(path, "rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


@contextmanager
def _bar(url: str, have: int, total: int | None, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar in bytes on a terminal, one line elsewhere, nothing when quiet; all on stderr."""
    if quiet or not sys.stderr.isatty():
        if not quiet:
            size = f" ({total / 1e6:.1f} MB)" if total else ""
            print(f"downloading {url}{size}" + (f" from byte {have}" if have else ""), file=sys.stderr)
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(url.rsplit("/", 1)[-1], total=total, completed=have)
        yield lambda n: bar.advance(task, n)
