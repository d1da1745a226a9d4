"""Folders of images where they are hostile, or where an error would pass unseen: programs, full disks, near misses."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from wgan.data import Images, cache
from wgan.data.cache import ArrayFile
from wgan.data.folder import open_folder, to_array
from wgan.errors import UserError

RNG = np.random.default_rng(0)
Open = Callable[..., Images]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(20):
        Image.fromarray(RNG.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def call(path: Path, size: int | None = None, workers: int = 2) -> Images:
        return open_folder(path, size=size, cache_root=tmp_path / "cache", workers=workers, quiet=True)

    return call


# ---- pixels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [40, 64, 120])
def test_a_jpeg_that_is_decoded_small_looks_the_same(tmp_path: Path, size: int) -> None:
    # detail as fine as the result can show, the worst case; decoded too small it is 2.3 or more levels off
    coarse = Image.fromarray(RNG.integers(0, 256, (60, 80, 3), np.uint8))
    coarse.resize((640, 480), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        whole = image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS, box=(80, 0, 560, 480))
    with Image.open(tmp_path / "a.jpg") as image:
        pixels = to_array(image, size, 3).transpose(1, 2, 0)
    assert np.abs(pixels - np.asarray(whole, np.float64)).mean() < 2.0


def test_a_picture_with_damaged_exif_is_a_picture(photos: Path, opened: Open) -> None:
    head = b"Exif\0\0MM\0*\0\0\0\x08"
    cut = head + b"\xff\xff\x01\x12"  # promises 65,535 tags
    text = head + b"\0\x01\x01\x12\0\x02\0\0\0\x03up\0\0\0\0\0\0"  # the orientation is "up"
    for name, exif in (("cut", cut), ("text", text)):
        Image.new("RGB", (32, 32), (9, 9, 9)).save(photos / f"{name}.jpg", exif=exif)
    images = opened(photos)
    assert images.count == 22
    assert np.abs(images.array[20:].astype(int) - 9).max() <= 1


# ---- which files ---------------------------------------------------------------------------------------------------


def test_no_program_is_run(photos: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostScript is a program, and Pillow would hand it to Ghostscript: under its own name, and under that of a PNG."""
    from PIL import EpsImagePlugin

    def ran(*_: object, **__: object) -> None:
        raise AssertionError("PostScript was read")

    monkeypatch.setattr(EpsImagePlugin.EpsImageFile, "_open", ran)
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    for name in ("00.eps", "00.ps", "x.png"):
        (photos / name).write_bytes(program)
    notes = opened(photos).notes
    assert notes[0].startswith("1 of 21 images cannot be read")
    assert notes[1] == "2 other files ignored"
    assert "not an image" in Path(notes[0].rpartition("reasons in ")[2]).read_text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_waited_for(photos: Path, opened: Open) -> None:
    pipe = photos / "pipe.png"
    os.mkfifo(pipe)
    counts: list[int] = []
    thread = Thread(target=lambda: counts.append(opened(photos).count))
    thread.start()
    thread.join(10)
    waited = thread.is_alive()
    while thread.is_alive():  # be the writer it waits for: the test then fails and does not hang
        os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
        thread.join(0.1)
    assert not waited
    assert counts == [20]


@pytest.mark.parametrize("colour", ["00", "zz"])
def test_one_colour_image_makes_a_colour_set(tmp_path: Path, opened: Open, colour: str) -> None:
    for name in ("aa", "bb"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    Image.new("RGB", (8, 8), "red").save(tmp_path / f"{colour}.png")
    assert opened(tmp_path).shape == (3, 8, 8)


def test_names_that_are_no_text(photos: Path, opened: Open) -> None:
    try:
        (photos / os.fsdecode(b"\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    assert opened(photos).count == 20


@pytest.mark.parametrize("name", ["x" * 300, "~no-such-user-here/photos", "a/b/c"])
def test_no_such_folder_whatever_its_name(opened: Open, name: str) -> None:
    with pytest.raises(UserError, match="no folder"):
        opened(Path(name))


def test_a_folder_that_is_closed(photos: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UserError, match=r"cannot list the folder .*photos.*Permission denied.*make it readable"):
        opened(photos)


# ---- the cache -----------------------------------------------------------------------------------------------------


def test_two_sizes_of_one_folder(photos: Path, opened: Open) -> None:
    assert [opened(photos, size=size).shape[1] for size in (8, 16, 8, 16)] == [8, 16, 8, 16]


@pytest.mark.parametrize("told_by", ["size", "date"])
def test_size_or_date_alone_tell_of_a_change(photos: Path, opened: Open, told_by: str) -> None:
    path = photos / "a.bmp"
    Image.new("RGB", (32, 32), "black").save(path)
    opened(photos)
    before = path.stat()
    Image.new("RGB", (32, 32), "white").save(path)
    if told_by == "size":
        path.write_bytes(path.read_bytes() + b"\0")
    later = before.st_mtime_ns + (told_by == "date")
    os.utime(path, ns=(before.st_atime_ns, later))
    assert (path.stat().st_size != before.st_size) == (told_by == "size")
    assert opened(photos).array[20].min() == 255


def test_many_workers_make_the_same_array(photos: Path, tmp_path: Path) -> None:
    made = [
        open_folder(photos, size=8, cache_root=tmp_path / str(n), workers=n, quiet=True).fingerprint for n in (1, 2, 7)
    ]
    assert len(set(made)) == 1


def test_a_finished_entry_is_only_read(photos: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a cache may lie on a disk that this user cannot write to."""
    opened(photos)

    def writes(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(cache, "_lock", writes)
    monkeypatch.setattr(Path, "mkdir", writes)
    assert opened(photos).count == 20


def test_a_disk_that_fills_up_while_decoding(
    photos: Path, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = ArrayFile.append

    def fills_up(self: ArrayFile, block: np.ndarray) -> None:
        if self.count == 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(ArrayFile, "append", fills_up)
        with pytest.raises(UserError, match=r"disk full .*free some space.*--data-root"):
            opened(photos)
    assert not list((tmp_path / "cache").rglob("*.npy"))  # the half one does not keep the disk full
    assert opened(photos).count == 20


def test_what_an_array_file_holds(tmp_path: Path) -> None:
    blocks = [RNG.integers(0, 256, (n, 2, 3), np.uint8) for n in (4, 0, 1, 999)]
    with ArrayFile(tmp_path / "a.npy", (2, 3)) as file:
        for block in blocks:
            file.append(block)
        with pytest.raises(ValueError, match="block of"):
            file.append(np.zeros((1, 3, 2), np.uint8))
    assert (np.load(tmp_path / "a.npy", mmap_mode="r") == np.concatenate(blocks)).all()
