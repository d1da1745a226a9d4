"""What is told and drawn of a data set, against numpy: numbers in float64, every pixel of a grid where it belongs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wgan.data import Images, Points, Toy, load
from wgan.data import describe as describing
from wgan.data.describe import describe
from wgan.data.grid import FAKE, REAL, as_bytes, grid, limits_of, scatter
from wgan.errors import UserError
from wgan.pictures import save_png

RNG = np.random.default_rng(0)
GAP = 128


def photos(n: int = 50, channels: int = 3) -> Images:
    array = (RNG.integers(0, 256, (n, channels, 6, 5)) * np.linspace(0.3, 1, channels)[:, None, None]).astype(np.uint8)
    return Images("photos", array, np.arange(n) % 3, ("a", "b", "c"), notes=("2 images cropped",))


# ---- describe ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("chunk", [None, 7])
def test_images_against_numpy(monkeypatch: pytest.MonkeyPatch, channels: int, chunk: int | None) -> None:
    images = photos(channels=channels)
    if chunk:
        monkeypatch.setattr(describing, "_CHUNK_BYTES", chunk * 4 * channels * 30)
    found = describe(images)
    pixels = images.array.astype(np.float64).transpose(1, 0, 2, 3).reshape(channels, -1) / 255
    assert found.mean == pytest.approx(pixels.mean(1), abs=1e-7)
    assert found.std == pytest.approx(pixels.std(1), abs=1e-7)
    assert found.low == pytest.approx(pixels.min(1), abs=1e-7)
    assert found.high == pytest.approx(pixels.max(1), abs=1e-7)
    assert (found.name, found.count, found.seen, found.shape) == ("photos", 50, 50, (channels, 6, 5))
    assert found.classes == (("a", 17), ("b", 17), ("c", 16))
    assert (found.constant, found.duplicates) == (0, 0)
    assert found.notes == ("2 images cropped",)


def test_the_deviation_is_stable_far_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean of squares less square of the mean would lose all digits here."""
    monkeypatch.setattr(describing, "_CHUNK_BYTES", 64 * 4)
    array = (3e4 + RNG.normal(0, 0.05, (1000, 1))).astype(np.float32)
    found = describe(Points("far", array))
    assert found.std == pytest.approx(array.astype(np.float64).std(0), rel=1e-9)
    assert found.mean == pytest.approx(array.astype(np.float64).mean(0), rel=1e-12)


def test_duplicates_and_constant_images() -> None:
    array = photos(10, 1).array
    array[3] = array[7] = array[1]
    array[4] = 9
    array[5] = 9
    array[6] = 10
    found = describe(Images("twins", array))
    assert found.duplicates == 3
    assert found.constant == 3
    text = "\n".join(found.lines())
    assert "constant   3 images of one colour" in text
    assert "duplicates 3 equal to another" in text


def test_a_colour_image_is_constant_only_in_all_channels() -> None:
    array = np.zeros((2, 3, 4, 4), np.uint8)
    array[0] = np.array([1, 2, 3])[:, None, None]
    array[1, 2, 0, 0] = 1
    assert describe(Images("x", array)).constant == 1


def test_a_limit_measures_some_and_counts_all() -> None:
    found = describe(photos(), limit=20)
    assert (found.seen, found.count) == (20, 50)
    assert found.classes == (("a", 17), ("b", 17), ("c", 16))
    assert "measured   on 20 samples drawn at random" in found.lines()
    assert not [line for line in describe(photos()).lines() if line.startswith("measured")]


def test_points_are_as_they_are() -> None:
    array = RNG.normal(5, 3, (400, 2)).astype(np.float32)
    found = describe(Points("table", array, np.arange(400) % 2, ("even", "odd")))
    assert found.mean == pytest.approx(array.mean(0, np.float64))
    assert found.std == pytest.approx(array.std(0, np.float64))
    assert found.low == pytest.approx(array.min(0))
    assert found.classes == (("even", 200), ("odd", 200))
    assert found.constant is None
    assert found.duplicates is None
    assert "samples    400 points in 2 dimensions" in found.lines()


def test_an_infinite_toy() -> None:
    found = describe(load("25gaussians"), limit=5000)
    assert found.count is None
    assert found.seen == 5000
    assert found.mean == pytest.approx((0, 0), abs=0.05)
    lines = found.lines()
    assert "samples    infinitely many points in 2 dimensions" in lines
    assert "measured   on 5,000 samples" in lines


def test_digits() -> None:
    found = describe(load("digits"))
    assert found.count == 1797
    assert sum(count for _, count in found.classes) == 1797
    lines = found.lines()
    assert "samples    1,797 images, 8x8 px, gray" in lines
    assert any(line.endswith("of [0, 1]") for line in lines)


@pytest.mark.parametrize("classes", [0, 1, 10, 12, 13, 1000])
def test_lines_fit_the_terminal(classes: int) -> None:
    names = tuple(f"category {i}" for i in range(classes))
    labels = np.arange(2000) % classes if classes else None
    notes = ("3 of 2003 images cannot be read and are left out; reasons in " + "/a-folder" * 6,)
    images = Images("/home/somebody/photos", np.zeros((2000, 4, 4, 4), np.uint8), labels, names, notes=notes)
    lines = describe(images).lines()
    assert max(map(len, lines)) <= 100
    assert "/a-folder" * 6 in "\n".join(lines)
    text = " ".join(" ".join(lines).split())
    if 0 < classes <= 12:
        assert all(f"{name} {2000 // classes + (i < 2000 % classes):,}" in text for i, name in enumerate(names))
    if classes > 12:
        assert f"{classes}: category 0," in text
        assert f"{2000 // classes:,} to" in text


def test_lines_of_many_dimensions_fit() -> None:
    found = describe(Toy("wide", 300, lambda n, rng: -1e-4 * rng.random((n, 300)) - 1.2345e-5), limit=100)
    assert max(map(len, found.lines())) <= 100
    assert "... (300 in all)" in "\n".join(found.lines())


# ---- grid ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize(("pad", "scale"), [(2, 3), (0, 1), (5, 2)])
def test_every_pixel_of_a_grid(channels: int, mode: str, pad: int, scale: int) -> None:
    images = RNG.integers(0, 256, (7, channels, 4, 6), np.uint8)
    picture = grid(images, columns=3, pad=pad, scale=scale)
    assert picture.mode == mode
    sheet = np.asarray(picture)
    expected = np.full((pad + 3 * (4 * scale + pad), pad + 3 * (6 * scale + pad), channels), GAP)
    for y, x in np.ndindex(expected.shape[:2]):
        row, below = divmod(y - pad, 4 * scale + pad)
        column, right = divmod(x - pad, 6 * scale + pad)
        i = row * 3 + column
        if row >= 0 and column >= 0 and below < 4 * scale and right < 6 * scale and i < 7:
            expected[y, x] = images[i, :, below // scale, right // scale]
    assert (sheet.reshape(expected.shape) == expected).all()


def test_transparent_tiles_are_laid_on_white() -> None:
    gray = np.array([[100, 51], [100, 0], [100, 255]], np.uint8)[:, :, None, None]  # [n, gray and alpha, 1, 1]
    assert np.asarray(grid(gray, columns=3, pad=0, scale=1)).tolist() == [[224, 255, 100]]
    colour = np.array([[10, 200, 30, 51]], np.uint8)[:, :, None, None]
    assert np.asarray(grid(colour, pad=0, scale=1)).tolist() == [[[206, 244, 210]]]


def test_gaps_part_black_tiles_and_white_ones() -> None:
    for level in (0, 255):
        sheet = np.asarray(grid(np.full((4, 1, 8, 8), level, np.uint8))).astype(int)
        assert np.abs(sheet[0] - level).min() > 100
        assert np.abs(sheet[:, sheet.shape[1] // 2] - level).min() > 100


@pytest.mark.parametrize(("side", "scale"), [(8, 6), (28, 2), (32, 2), (48, 1), (64, 1), (5, 10)])
def test_small_tiles_are_enlarged(side: int, scale: int) -> None:
    gap = max(2, scale)
    assert grid(np.zeros((1, 1, side, side), np.uint8)).size == (side * scale + 2 * gap,) * 2


@pytest.mark.parametrize(("n", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (5, 3, 2), (9, 3, 3), (64, 8, 8)])
def test_about_as_many_rows_as_columns(n: int, columns: int, rows: int) -> None:
    assert grid(np.zeros((n, 1, 4, 4), np.uint8), pad=0, scale=1).size == (4 * columns, 4 * rows)


def test_floats_become_levels() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    x = torch.from_numpy(levels).float() / 127.5 - 1
    assert (as_bytes(x) == levels).all()
    assert (as_bytes(x.double().numpy()) == levels).all()
    assert np.abs(as_bytes(x.half()).astype(int) - levels).max() <= 1
    assert as_bytes(x.bfloat16().requires_grad_()).shape == levels.shape
    odd = torch.tensor([-9.0, 9.0, float("nan"), -float("inf"), float("inf")])[None, None, None]
    assert as_bytes(odd)[0, 0, 0].tolist() == [0, 255, 0, 0, 255]


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 5, 4, 4)), np.zeros((2, 4, 4)), np.zeros((0, 1, 4, 4)), np.zeros((1, 1, 4, 4), np.int64)],
)
def test_no_images(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images must be"):
        grid(wrong)


# ---- scatter -------------------------------------------------------------------------------------------------------


def near(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """bool [h, w] of the plot itself, without the legend above it: pixels closer to `colour` than to anything else."""
    pixels = np.asarray(picture).astype(int)[30:]
    return np.asarray(np.abs(pixels - colour).sum(2) < 120)


def test_scatter_shows_points_where_they_are() -> None:
    real = np.tile([[-1.0, -1.0]], (50, 1))
    fake = np.tile([[1.0, 1.0]], (50, 1))
    picture = scatter(real, fake, limits=(-2, 2, -2, 2))
    blue, orange = (np.argwhere(near(picture, colour)).mean(0) for colour in (REAL, FAKE))
    assert blue[0] > orange[0]  # lower in the picture
    assert blue[1] < orange[1]
    plot = 480 - 48
    assert np.abs(orange - blue).tolist() == pytest.approx([plot / 2] * 2, abs=3)
    assert orange[1] == pytest.approx(38 + 0.75 * plot, abs=3)


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 2, 300, 3000])
def test_scatter_opens(tmp_path: Path, dim: int, n: int) -> None:
    real = torch.from_numpy(RNG.normal(0, 1, (n, dim))).bfloat16().requires_grad_()
    save_png(scatter(real, real.detach(), side=300), tmp_path / "new" / "points.png")
    with Image.open(tmp_path / "new" / "points.png") as picture:
        picture.load()
        assert picture.width == 300
        assert near(picture.convert("RGB"), FAKE).any()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["points.png"]


def test_points_on_a_line_are_ranked() -> None:
    """The curve is the distribution function: of uniform points a straight line up to the right."""
    y, x = np.argwhere(near(scatter(RNG.random((2000, 1))), REAL)).T
    assert np.corrcoef(x, y)[0, 1] < -0.99


def test_fake_points_outside_or_lost_do_no_harm() -> None:
    real = RNG.normal(0, 1, (500, 2))
    far = np.array([[1e9, 0], [np.nan, 0], [0, np.inf], [0, 0]])
    picture = scatter(real, far)
    assert picture.size == scatter(real).size
    assert (np.asarray(picture)[:26] != np.asarray(scatter(real, np.zeros((4, 2))))[:26]).any()  # "3 outside"
    assert (np.asarray(picture)[-20:] == np.asarray(scatter(real))[-20:]).all()  # the axes stay


def test_limits() -> None:
    real = np.concatenate([RNG.uniform(-1, 1, (9999, 2)) * [2, 1], [[1e6, 1e6]]])
    left, right, bottom, top = limits_of(torch.from_numpy(real))
    assert -2.7 < left < -2 < 2 < right < 2.7
    assert top - bottom == pytest.approx(right - left)  # circles are round
    left, right, bottom, top = limits_of(np.ones((5, 2)))
    assert left < 1 < right
    assert bottom < 1 < top


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((0, 2)), np.zeros((2, 2, 2))])
def test_no_points(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="points must be"):
        scatter(wrong)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"can't write .*a\.png: File exists"):
        save_png(Image.new("L", (4, 4)), tmp_path / "file" / "a.png")


def test_a_failed_save_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_png(Image.new("L", (4, 4), 7), tmp_path / "a.png")

    def full(self: Image.Image, path: Path, format: str) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match="No space left"):
        save_png(Image.new("L", (4, 4), 8), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.getpixel((0, 0)) == 7
