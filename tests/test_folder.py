"""Folders of images: every pixel right, every bad file told, and a cache that is whole, current or not there."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wgan.data import Images, cache, folder, load
from wgan.data.cache import build, resized
from wgan.data.folder import open_folder, to_array
from wgan.errors import UserError

RNG = np.random.default_rng(0)


def noise(mode: str = "RGB", width: int = 16, height: int = 16) -> Image.Image:
    deep = (height, width) if mode == "L" else (height, width, 3)
    return Image.fromarray(RNG.integers(0, 256, deep, np.uint8))


def save(path: Path, image: Image.Image | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or noise()).save(path, **options)
    return path


def some(path: Path, n: int = 3) -> Path:
    for i in range(n):
        save(path / f"{i:03d}.png")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return tmp_path / "photos"


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Images]:
    def call(path: Path, size: int | None = None, allow_bad: bool = False) -> Images:
        return open_folder(path, size=size, cache_root=tmp_path / "cache", allow_bad=allow_bad, workers=2, quiet=True)

    return call


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a file was decoded")

    monkeypatch.setattr(folder, "read", fail)
    monkeypatch.setattr(folder, "head", fail)


# ---- one image -----------------------------------------------------------------------------------------------------


def flat(mode: str, value: Any) -> Image.Image:
    return Image.new(mode, (8, 8), value)


def palette(transparent: bool = False) -> Image.Image:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    if transparent:
        image.info["transparency"] = bytes([255, 51])  # of colour 1: a fifth opaque
    return image


def deep(value: float, dtype: Any) -> Image.Image:
    return Image.fromarray(np.full((8, 8), value, dtype))


# luma of ITU-R 601: 0.299 R + 0.587 G + 0.114 B
@pytest.mark.parametrize(
    ("image", "gray", "colour"),
    [
        (flat("1", 1), 255, (255, 255, 255)),
        (flat("1", 0), 0, (0, 0, 0)),
        (flat("L", 77), 77, (77, 77, 77)),
        (flat("LA", (100, 51)), 224, (224, 224, 224)),  # 0.2 * 100 + 0.8 * 255
        (palette(), 124, (200, 100, 50)),
        (palette(transparent=True), 229, (244, 224, 214)),
        (flat("RGB", (10, 200, 30)), 124, (10, 200, 30)),
        (flat("RGBA", (10, 200, 30, 255)), 124, (10, 200, 30)),
        (flat("RGBA", (10, 200, 30, 0)), 255, (255, 255, 255)),
        (flat("RGBA", (10, 200, 30, 51)), 229, (206, 244, 210)),
        (flat("CMYK", (0, 255, 255, 0)), 76, (255, 0, 0)),
        (flat("CMYK", (0, 0, 0, 255)), 0, (0, 0, 0)),
        (flat("YCbCr", (76, 85, 255)), 76, (254, 0, 0)),
        (flat("HSV", (85, 255, 255)), 150, (0, 255, 0)),
        (deep(65535, np.uint16), 255, (255, 255, 255)),
        (deep(257 * 100, np.uint16), 100, (100, 100, 100)),
        (deep(300, np.uint16), 1, (1, 1, 1)),  # clipping would give 255
        (deep(257 * 200, np.int32), 200, (200, 200, 200)),
        (deep(0.6, np.float32), 153, (153, 153, 153)),
        (deep(153.2, np.float32), 153, (153, 153, 153)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_every_mode(image: Image.Image, gray: int, colour: tuple[int, int, int]) -> None:
    for channels, expected in ((1, (gray,)), (3, colour)):
        pixels = to_array(image.copy(), None, channels)
        assert pixels.dtype == np.uint8
        assert pixels.shape == (channels, 8, 8)
        assert np.abs(pixels[:, 3, 3].astype(int) - expected).max() <= 1
        assert (pixels == pixels[:, :1, :1]).all()


def test_the_wide_range_is_kept_and_not_clipped() -> None:
    ramp = np.linspace(0, 65535, 64).reshape(8, 8)
    expected = np.rint(ramp / 257)
    for image in (Image.fromarray(ramp.astype(np.uint16)), Image.fromarray(ramp.astype(np.int32))):
        assert np.abs(to_array(image, None, 1)[0] - expected).max() <= 1
    assert np.abs(to_array(Image.fromarray((ramp / 65535).astype(np.float32)), None, 1)[0] - expected).max() <= 1


@pytest.mark.parametrize("values", [-1.0, 256.0, np.nan, np.inf])
def test_floats_of_an_unknown_range(values: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        to_array(deep(values, np.float32), None, 1)


@pytest.mark.parametrize("value", [-1, 65536])
def test_integers_beyond_16_bits(value: int) -> None:
    with pytest.raises(ValueError, match="outside 16 bits"):
        to_array(deep(value, np.int32), None, 1)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_kept_when_asked_for(channels: int) -> None:
    pixels = to_array(flat("RGBA", (90, 90, 90, 60)), None, channels)
    assert pixels[:, 0, 0].tolist() == [90] * (channels - 1) + [60]


# what a viewer must do to show the picture upright, EXIF 2.32 table 6, written with numpy on [h, w, c]
TURNED_BACK: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [None, 12])
def test_upright(photos: Path, orientation: int, size: int | None) -> None:
    stored = RNG.integers(0, 256, (12, 12, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(photos / "a.png", Image.fromarray(stored), exif=exif)
    with Image.open(path) as image:
        pixels = to_array(image, size, 3)
    assert (pixels.transpose(1, 2, 0) == TURNED_BACK[orientation](stored)).all()


def test_upright_in_a_folder(photos: Path, opened: Callable[..., Images]) -> None:
    left_dark = Image.fromarray(np.repeat([[0] * 8 + [255] * 8], 16, 0).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the dark left half comes up
    save(photos / "a.jpg", left_dark, exif=exif, quality=95)
    pixels = opened(photos).array[0, 0]
    assert pixels[:6].max() < 20
    assert pixels[10:].min() > 235


def test_centre_crop() -> None:
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = RNG.integers(0, 256, (10, 10))
    assert (to_array(Image.fromarray(wide), 10, 1)[0] == wide[:, 10:20]).all()
    assert (to_array(Image.fromarray(wide.T.copy()), 10, 1)[0] == wide[:, 10:20].T).all()


def test_resizing_against_pillow() -> None:
    image = noise(width=90, height=50)
    expected = np.asarray(image.resize((45, 25), Image.Resampling.LANCZOS))[:, 10:35]
    assert (to_array(image, 25, 3).transpose(1, 2, 0) == expected).all()


def test_transparent_pixels_do_not_bleed() -> None:
    """Resized after it was laid on white: a hidden colour never reaches a neighbour."""
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, :16] = (255, 255, 255, 255)  # the other half is black and fully transparent
    assert to_array(Image.fromarray(pixels), 7, 3).min() == 255


@given(
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(4, 40),
    st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_any_image_has_the_size_asked_for(mode: str, width: int, height: int, size: int, channels: int) -> None:
    pixels = to_array(Image.new(mode, (width, height)), size, channels)
    assert pixels.shape == (channels, size, size)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


# ---- a folder ------------------------------------------------------------------------------------------------------


def test_pixels_and_order(photos: Path, opened: Callable[..., Images]) -> None:
    some(photos, 40)
    images = opened(photos)
    assert images.shape == (3, 16, 16)
    assert images.array.dtype == np.uint8
    assert isinstance(images.array, np.memmap)
    assert images.labels is None
    assert images.classes == ()
    assert images.notes == ()
    for i in range(40):
        assert (images.array[i].transpose(1, 2, 0) == np.asarray(Image.open(photos / f"{i:03d}.png"))).all()


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=6),
    st.integers(4, 24),
    st.sampled_from(["png", "webp", "bmp", "tif", "gif", "jpg"]),
)
@settings(max_examples=12, deadline=None)
def test_any_sizes_make_one_array(sizes: list[tuple[int, int]], size: int, kind: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        for i, (width, height) in enumerate(sizes):
            save(Path(place) / "in" / f"{i}.{kind}", noise(width=width, height=height))
        images = open_folder(Path(place) / "in", size=size, cache_root=Path(place) / "c", workers=1, quiet=True)
        assert images.array.shape == (len(sizes), 3, size, size)


def test_gray_folder(photos: Path, opened: Callable[..., Images]) -> None:
    save(photos / "a.png", noise("L"))
    save(photos / "b.png", Image.fromarray(RNG.integers(0, 65536, (16, 16), np.uint16)))
    save(photos / "c.png", noise("L").convert("1"))
    save(photos / "d.png", noise("L").convert("LA"))
    save(photos / "e.tif", Image.fromarray(RNG.random((16, 16), np.float32)))
    save(photos / "f.jpg", noise("L"))
    assert opened(photos).array.shape == (6, 1, 16, 16)
    save(photos / "g.png", noise("RGB"))
    assert opened(photos).array.shape == (7, 3, 16, 16)


def test_subfolders_are_classes(photos: Path, opened: Callable[..., Images]) -> None:
    for name, level in (("dog", 10), ("cat", 20), ("cat/indoors", 30)):
        save(photos / name / "a.png", flat("L", level))
    images = opened(photos)
    assert images.classes == ("cat", "dog")
    assert images.labels is not None
    assert images.labels.dtype == np.int64
    assert [(int(a[0, 0, 0]), int(y)) for a, y in zip(images.array, images.labels, strict=True)] == [
        (20, 0),
        (30, 0),
        (10, 1),
    ]


def test_labels_stay_with_their_images_when_some_are_bad(photos: Path, opened: Callable[..., Images]) -> None:
    for i in range(30):
        save(photos / "ab"[i % 2] / f"{i}.png", flat("L", i % 2))
    (photos / "a" / "0.png").write_bytes(b"no")
    images = opened(photos)
    assert images.labels is not None
    assert images.labels.tolist() == images.array[:, 0, 0, 0].tolist() == [0] * 14 + [1] * 15


def test_mixed_layout_is_told(photos: Path, opened: Callable[..., Images]) -> None:
    save(photos / "a.png")
    save(photos / "dog" / "b.png")
    images = opened(photos)
    assert images.count == 2
    assert images.labels is None
    assert images.classes == ()
    assert any("without labels" in note for note in images.notes)


def test_which_files_count(photos: Path, opened: Callable[..., Images]) -> None:
    save(photos / "A.PNG")
    save(photos / "b.JPeG", format="jpeg")
    save(photos / ".hidden.png")
    save(photos / ".thumbs" / "c.png")
    (photos / "notes.txt").write_text("no image")
    (photos / "empty.png.d").mkdir()
    images = opened(photos)
    assert images.count == 2
    assert images.notes == ("1 other files ignored",)


def test_links(photos: Path, opened: Callable[..., Images]) -> None:
    """A link to a folder is followed, one back up ends, one to itself or to nothing is a bad file or ignored."""
    some(photos, 40)
    some(photos.parent / "elsewhere", 1)
    (photos / "more").symlink_to(photos.parent / "elsewhere")
    (photos / "back").symlink_to(photos)
    (photos / "circle").symlink_to(photos / "circle")
    (photos / "self.png").symlink_to(photos / "self.png")
    (photos / "gone.png").symlink_to(photos / "nothing.png")
    images = opened(photos)
    assert images.count == 41
    assert any(note.startswith("2 of 43 images cannot be read") for note in images.notes)


def test_notes(photos: Path, opened: Callable[..., Images]) -> None:
    save(photos / "a.png", noise(width=40, height=20))
    save(photos / "b.png", noise(width=5, height=5))
    save(photos / "c.png", flat("RGBA", (0, 0, 0, 9)).resize((8, 8)))
    assert opened(photos, size=8).notes == (
        "1 images cropped to their centre square",
        "2 images resized to 8x8 px, of which 1 were smaller and are blurred by it",
        "1 images with transparency laid on white",
    )


# ---- bad files and bad folders -------------------------------------------------------------------------------------


def bad_files(path: Path) -> dict[str, str]:
    """Three files that are no images -> what the list says of them."""
    whole = save(path / "cut.png", noise()).read_bytes()
    (path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (path / "empty.jpg").write_bytes(b"")
    (path / "text.png").write_text("<html>404</html>")
    return {"cut.png": "trunc", "empty.jpg": "empty file", "text.png": "not an image"}


def listed(tmp_path: Path) -> dict[str, str]:
    found = list((tmp_path / "cache").rglob("bad-files.txt"))
    assert len(found) == 1
    return dict(line.split("\t") for line in found[0].read_text().splitlines())


def test_bad_files_are_skipped_counted_and_listed(photos: Path, opened: Callable[..., Images], tmp_path: Path) -> None:
    some(photos, 60)
    expected = bad_files(photos)
    images = opened(photos)
    assert images.count == 60
    assert images.array.shape == (60, 3, 16, 16)
    assert [note for note in images.notes if note.startswith("3 of 63 images cannot be read")]
    assert str(tmp_path / "cache") in images.notes[0]
    found = listed(tmp_path)
    assert found.keys() == expected.keys()
    for name, words in expected.items():
        assert words in found[name]


def test_a_cut_jpeg_is_bad_at_every_size(photos: Path, opened: Callable[..., Images], tmp_path: Path) -> None:
    some(photos, 30)
    whole = save(photos / "cut.jpg", noise(width=300, height=300)).read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert opened(photos, size=16).count == 30
    assert "trunc" in listed(tmp_path)["cut.jpg"]


def test_too_many_bad_files(photos: Path, opened: Callable[..., Images], tmp_path: Path) -> None:
    some(photos, 20)
    bad_files(photos)
    for _ in range(2):  # from the cache as well
        with pytest.raises(UserError) as caught:
            opened(photos, size=16)
        message = str(caught.value)
        assert "3 of 23 images" in message
        assert "--allow-bad" in message
        assert "\n" not in message
        assert next((tmp_path / "cache").rglob("bad-files.txt")).as_posix() in message
    assert opened(photos, size=16, allow_bad=True).count == 20


@pytest.mark.parametrize(("bad", "passes"), [(1, True), (2, False)])
def test_five_percent_is_the_limit(photos: Path, opened: Callable[..., Images], bad: int, passes: bool) -> None:
    some(photos, 20 - bad)
    for i in range(bad):
        (photos / f"x{i}.png").write_bytes(b"x")
    if passes:
        assert opened(photos).count == 19
    else:
        with pytest.raises(UserError, match=r"2 of 20 .*10\.0%"):
            opened(photos)


@pytest.mark.parametrize("size", [None, 16])
def test_nothing_can_be_read(photos: Path, opened: Callable[..., Images], size: int | None) -> None:
    photos.mkdir()
    bad_files(photos)
    with pytest.raises(UserError, match="none of the 3 images"):
        opened(photos, size=size, allow_bad=True)


@pytest.mark.parametrize("limit", [300, 150])  # Pillow warns above the limit and refuses above twice the limit
def test_decompression_bomb(
    photos: Path, opened: Callable[..., Images], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    for i in range(30):
        save(photos / f"{i}.png", noise(width=8, height=8))
    save(photos / "bomb.png", noise(width=20, height=20))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert opened(photos).count == 30
    assert "bomb" in listed(tmp_path)["bomb.png"]


def test_missing_empty_or_no_folder(photos: Path, opened: Callable[..., Images]) -> None:
    with pytest.raises(UserError, match="no folder"):
        opened(photos)
    photos.mkdir()
    with pytest.raises(UserError, match="nothing in it"):
        opened(photos)
    (photos / "a.txt").write_text("x")
    with pytest.raises(UserError, match="1 files, but no image"):
        opened(photos)
    with pytest.raises(UserError, match="is a file: give the folder"):
        opened(photos / "a.txt")


def test_sizes_that_differ_ask_for_a_size(photos: Path, opened: Callable[..., Images]) -> None:
    save(photos / "a.png", noise(width=100, height=90))
    save(photos / "b.png", noise(width=200, height=160))
    with pytest.raises(UserError, match=r"2 sizes, from 100x90 to 200x160 px .*--size 64"):
        opened(photos)
    assert opened(photos, size=32).shape == (3, 32, 32)


def test_one_size_that_is_not_square_asks_for_a_size(photos: Path, opened: Callable[..., Images]) -> None:
    for i in range(2):
        save(photos / f"{i}.png", noise(width=40, height=33))
    with pytest.raises(UserError, match=r"40x33 px, not square.*--size 32"):
        opened(photos)


@pytest.mark.parametrize("size", [3, 0, -8, 1025])
def test_impossible_size(photos: Path, opened: Callable[..., Images], size: int) -> None:
    with pytest.raises(UserError, match="--size"):
        opened(some(photos), size=size)


# ---- the cache -----------------------------------------------------------------------------------------------------


def entries(tmp_path: Path) -> list[Path]:
    return [path.parent for path in (tmp_path / "cache").rglob("complete.json")]


def test_second_opening_decodes_nothing(
    photos: Path, opened: Callable[..., Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    some(photos / "a")
    first = opened(photos)
    no_decoding(monkeypatch)
    second = opened(photos)
    assert (first.array == second.array).all()
    assert (first.fingerprint, first.classes, first.notes) == (second.fingerprint, second.classes, second.notes)
    with pytest.raises(AssertionError):  # another size is another array
        opened(photos, size=8)


def test_a_changed_source_is_noticed(photos: Path, opened: Callable[..., Images], tmp_path: Path) -> None:
    some(photos)
    before = opened(photos)
    pixels = np.array(before.array)

    save(photos / "new.png")
    more = opened(photos)
    assert more.count == 4
    assert more.fingerprint != before.fingerprint
    assert (before.array == pixels).all()  # still mapped, although its entry is gone

    path = save(photos / "0.bmp")
    opened(photos)
    stat = path.stat()
    save(path, flat("RGB", (1, 2, 3)).resize((16, 16)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert path.stat().st_size == stat.st_size  # told by its date alone
    assert opened(photos).array[0, :, 0, 0].tolist() == [1, 2, 3]

    (photos / "new.png").unlink()
    assert opened(photos).count == 4
    assert len(entries(tmp_path)) == 1  # what is superseded is removed


def test_the_fingerprint_is_of_the_content(photos: Path, opened: Callable[..., Images]) -> None:
    some(photos)
    before = opened(photos).fingerprint
    os.utime(photos / "000.png", (1, 1))
    assert opened(photos).fingerprint == before
    (photos / "class").mkdir()
    for file in photos.glob("*.png"):
        file.rename(photos / "class" / file.name)
    assert opened(photos).fingerprint != before  # the same pixels, now with labels


def test_a_cache_that_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    some(photos)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the cache .*--data-root"):
        open_folder(photos, size=None, cache_root=tmp_path / "file" / "cache", quiet=True)


def test_a_full_disk(
    photos: Path, opened: Callable[..., Images], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(photos)
    full = shutil.disk_usage(tmp_path)._replace(free=100)
    with monkeypatch.context() as patch:
        patch.setattr(cache.shutil, "disk_usage", lambda _: full)
        with pytest.raises(UserError, match=r"disk full .*--data-root"):
            opened(photos)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert opened(photos).count == 3


def killed(work: Callable[[], object]) -> int:
    """Runs `work` in a fork; the signal that killed it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_builder_leaves_nothing_half(
    photos: Path, opened: Callable[..., Images], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(photos, 100)
    decode = folder.read

    def die(path: Path, *, size: int, channels: int) -> Any:
        if path.name == "090.png":
            os.kill(os.getpid(), signal.SIGKILL)
        return decode(path, size=size, channels=channels)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "read", die)
        assert killed(lambda: opened(photos)) == -signal.SIGKILL
    assert list((tmp_path / "cache").rglob("array.npy"))  # it had begun
    assert entries(tmp_path) == []
    images = opened(photos)
    assert images.count == 100
    assert (images.array[99].transpose(1, 2, 0) == np.asarray(Image.open(photos / "099.png"))).all()
    assert len(list((tmp_path / "cache").rglob("array.npy"))) == 1  # the half one was swept away


@pytest.mark.parametrize("file", ["array.npy", "labels.npy", "made.json", "complete.json"])
@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_a_damaged_entry_is_built_anew(
    photos: Path, opened: Callable[..., Images], tmp_path: Path, file: str, damage: str
) -> None:
    some(photos / "a")
    expected = np.array(opened(photos).array)
    path = entries(tmp_path)[0] / file
    if damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.unlink()
    images = opened(photos)
    assert (images.array == expected).all()
    assert images.classes == ("a",)


def test_an_interrupted_build_cleans_up(tmp_path: Path) -> None:
    def fill(place: Path) -> None:
        (place / "part").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, "name", "key", fill)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_build_once(tmp_path: Path) -> None:
    def fill(place: Path) -> None:
        import time

        (tmp_path / f"by-{os.getpid()}").write_text("x")
        time.sleep(0.2)

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                build(tmp_path / "cache", "name", "key", fill)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert len(list(tmp_path.glob("by-*"))) == 1


def test_strange_names_do_not_collide_or_escape(tmp_path: Path) -> None:
    places = {build(tmp_path, name, "k", lambda place: None) for name in ("../up", "a/b", "a_b", "a b", "ü", ".")}
    assert len(places) == 6
    assert all(place.parent.parent == tmp_path for place in places)


# ---- an array brought to another size ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 20, 30), (3, 30, 20), (4, 12, 12)])
def test_resized_against_pillow(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    array = RNG.integers(0, 256, (5, *shape), np.uint8)
    images = Images("a", array, np.arange(5), tuple("vwxyz"), "f")
    small = resized(images, 8, tmp_path, quiet=True)
    assert small.shape == (shape[0], 8, 8)
    assert small.classes == images.classes
    assert small.labels is not None
    assert small.labels.tolist() == [0, 1, 2, 3, 4]
    assert small.fingerprint not in ("", "f")
    _, h, w = (8 * side // min(shape[1:]) for side in shape)
    for i, plane in np.ndindex(5, shape[0]):
        whole = Image.fromarray(array[i, plane]).resize((w, h), Image.Resampling.LANCZOS)
        expected = np.asarray(whole)[(h - 8) // 2 :, (w - 8) // 2 :][:8, :8]
        assert (small.array[i, plane] == expected).all()


def test_resized_to_its_own_size_is_the_same(tmp_path: Path) -> None:
    images = Images("a", RNG.integers(0, 256, (5, 1, 8, 8), np.uint8))
    assert resized(images, 8, tmp_path) is images
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="--size 2000"):
        resized(images, 2000, tmp_path)


def test_resized_tells_arrays_apart(tmp_path: Path) -> None:
    """An array in memory has no fingerprint: its content decides."""
    one, two = (Images("a", np.full((2, 1, 8, 8), v, np.uint8)) for v in (1, 2))
    assert resized(one, 4, tmp_path, quiet=True).array.max() == 1
    assert resized(two, 4, tmp_path, quiet=True).array.max() == 2
    assert resized(one, 5, tmp_path, quiet=True).shape == (1, 5, 5)


# ---- real photographs ----------------------------------------------------------------------------------------------


def test_real_photographs(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "datasets" / "houses64"
    if not path.is_dir():
        pytest.skip("no datasets/houses64")
    images = load(path, root=tmp_path, quiet=True)
    assert isinstance(images, Images)
    assert images.array.shape == (2140, 3, 64, 64)
    assert images.classes == ("bathroom", "bedroom", "frontal", "kitchen")
    assert images.labels is not None
    assert np.bincount(images.labels).tolist() == [535] * 4
    assert images.notes == ()
    assert 0.2 < images.array.mean() / 255 < 0.8
    assert images.array[:, 0].std() > 30
