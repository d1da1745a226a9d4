"""Pictures of samples: images side by side, points in the plane."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_TILE = 48  # smaller tiles are hard to read on a screen
REAL, FAKE = (38, 98, 158), (226, 106, 20)  # blue and orange: told apart by colour-blind readers and in gray print
_GAP = 128  # gray: parts black tiles as well as white ones from each other
_INK, _LINE = (70, 70, 70), (214, 214, 214)

Limits = tuple[float, float, float, float]


def grid(
    images: Tensor | np.ndarray, columns: int | None = None, pad: int | None = None, scale: int | None = None
) -> Image.Image:
    """`images` [n, c, h, w] side by side, row by row, on gray; uint8 in [0, 255] or float in [-1, 1].

    c: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA (alpha is laid on white). columns: ceil(sqrt(n)) when None.
    pad: pixels between and around; None for one enlarged pixel, at least 2. scale: each pixel becomes scale x scale;
    None chooses the least that makes tiles at least 48 px, 1 for larger images. Floats beyond [-1, 1] are clipped,
    NaN is drawn black.
    """
    pixels = as_bytes(images)
    n, _, h, w = pixels.shape
    columns = min(n, columns or math.ceil(math.sqrt(n)))
    scale = scale or max(1, math.ceil(_TILE / min(h, w)))
    pad = max(2, scale) if pad is None else pad
    rows, h, w = math.ceil(n / columns), h * scale, w * scale
    opaque = _opaque(pixels)
    colours = opaque.shape[1]
    sheet = np.full((pad + rows * (h + pad), pad + columns * (w + pad), colours), _GAP, np.uint8)
    for i, image in enumerate(opaque):
        top, left = pad + i // columns * (h + pad), pad + i % columns * (w + pad)
        sheet[top : top + h, left : left + w] = image.transpose(1, 2, 0).repeat(scale, 0).repeat(scale, 1)
    return Image.fromarray(sheet if colours == 3 else sheet[..., 0])


def as_bytes(images: Tensor | np.ndarray) -> np.ndarray:
    """uint8 [n, c, h, w] in [0, 255] from itself or from float in [-1, 1], rounded to the nearest level.

    ValueError for another shape or type: a wrong call, not a wrong input.
    """
    if isinstance(images, Tensor):  # numpy knows no bfloat16
        images = images.detach().cpu()
        array: np.ndarray = (images.float() if images.is_floating_point() else images).numpy()
    else:
        array = images
    if array.ndim != 4 or not 1 <= array.shape[1] <= 4 or len(array) == 0:
        raise ValueError(f"images must be [n, 1 to 4 channels, h, w], not {list(array.shape)}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise ValueError(f"images must be uint8 in [0, 255] or float in [-1, 1], not {array.dtype}")
    levels = np.nan_to_num((array.astype(np.float32) + 1) * 127.5, nan=0.0)
    pixels: np.ndarray = np.rint(levels.clip(0, 255)).astype(np.uint8)
    return pixels


def _opaque(pixels: np.ndarray) -> np.ndarray:
    """[n, 1 or 3, h, w]: the last of 2 or 4 channels is alpha, and is laid on white."""
    if pixels.shape[1] % 2:
        return pixels
    alpha = pixels[:, -1:].astype(np.float32) / 255
    return np.rint(pixels[:, :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)


def scatter(
    real: Tensor | np.ndarray | None,
    fake: Tensor | np.ndarray | None = None,
    limits: Limits | None = None,
    side: int = 480,
) -> Image.Image:
    """Points [n, d] in the plane, `real` in blue and `fake` in orange over it, `side` x `side` px.

    The first two coordinates are drawn; of points on a line (d = 1) the second one is their rank in [0, 1], so that
    the curve is the distribution function. limits: (left, right, bottom, top); None takes them from `real` alone, so
    the axes stay while the generator learns, and from `fake` where `real` is None. Fake points outside are counted in
    the picture.
    """
    shown = fake if real is None else real
    if shown is None:
        raise ValueError("nothing to draw: give real points, fake ones or both")
    blue, orange = (None if points is None else _plane(points) for points in (real, fake))
    left, right, bottom, top = limits or limits_of(shown)
    margin, head = 38, 26
    plot = side - margin - 10
    sheet = np.full((plot, plot, 3), 255, np.float32)
    for points, colour in ((blue, REAL), (orange, FAKE)):
        if points is not None:
            ink = _ink(points, (left, right, bottom, top), plot)[..., None]
            sheet = sheet * (1 - ink) + np.array(colour, np.float32) * ink
    picture = Image.new("RGB", (side, plot + head + 26), "white")
    picture.paste(Image.fromarray(np.rint(sheet).astype(np.uint8)), (margin, head))
    _axes(ImageDraw.Draw(picture), (margin, head, plot), (left, right, bottom, top))
    _legend(ImageDraw.Draw(picture), margin, blue, orange, (left, right, bottom, top))
    return picture


def limits_of(points: Tensor | np.ndarray) -> Limits:
    """(left, right, bottom, top) around all but the farthest 0.1 % of `points` [n, d], with room at the edges."""
    plane = _plane(points)
    plane = plane[np.isfinite(plane).all(1)]
    low, high = np.quantile(plane, (0.001, 0.999), axis=0)
    if points.shape[1] > 1:  # one unit is as long on both axes, or circles would not be round
        middle, half = (low + high) / 2, np.full(2, ((high - low) / 2).max())
        low, high = middle - half, middle + half
    room = np.maximum((high - low) * 0.12, 1e-3)
    return (float(low[0] - room[0]), float(high[0] + room[0]), float(low[1] - room[1]), float(high[1] + room[1]))


def _plane(points: Tensor | np.ndarray) -> np.ndarray:
    numbers = points.detach().cpu().double().numpy() if isinstance(points, Tensor) else points
    array: np.ndarray = np.asarray(numbers, np.float64)
    if array.ndim != 2 or len(array) == 0:
        raise ValueError(f"points must be [n, d], not {list(array.shape)}")
    if array.shape[1] > 1:
        return array[:, :2]
    ranked = np.sort(array[:, 0])
    return np.stack([ranked, np.linspace(0, 1, len(ranked))], axis=1)


def _inside(points: np.ndarray, limits: Limits) -> np.ndarray:
    left, right, bottom, top = limits
    x, y = points.T
    inside: np.ndarray = points[(x >= left) & (x <= right) & (y >= bottom) & (y <= top)]
    return inside


def _ink(points: np.ndarray, limits: Limits, plot: int, fine: int = 3) -> np.ndarray:
    """float [plot, plot] in [0, 1]: how much of each pixel the points' discs cover; more where they lie thick."""
    left, right, bottom, top = limits
    points = _inside(points, limits)
    cells = plot * fine
    x = ((points[:, 0] - left) / (right - left) * (cells - 1)).astype(int)
    y = ((top - points[:, 1]) / (top - bottom) * (cells - 1)).astype(int)
    counts = np.zeros((cells, cells), np.float32)
    np.add.at(counts, (y, x), 1)
    radius = fine * (2.4 if len(points) <= 500 else 1.6)
    reach = int(radius)
    padded, discs = np.pad(counts, reach), np.zeros_like(counts)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy <= radius * radius:
                discs += padded[reach + dy : reach + dy + cells, reach + dx : reach + dx + cells]
    share = 0.75 if len(points) <= 500 else 0.4
    covered: np.ndarray = 1 - (1 - share) ** discs
    return np.asarray(covered.reshape(plot, fine, plot, fine).mean((1, 3)))


def _axes(draw: ImageDraw.ImageDraw, place: tuple[int, int, int], limits: Limits) -> None:
    x0, y0, plot = place
    left, right, bottom, top = limits
    font = ImageFont.load_default(11)
    draw.rectangle((x0, y0, x0 + plot, y0 + plot), outline=_LINE)
    for tick in _ticks(left, right):
        x = x0 + (tick - left) / (right - left) * plot
        draw.line((x, y0 + plot, x, y0 + plot + 4), fill=_INK)
        draw.text((x, y0 + plot + 6), f"{tick:g}", _INK, font, anchor="mt")
    for tick in _ticks(bottom, top):
        y = y0 + (top - tick) / (top - bottom) * plot
        draw.line((x0 - 4, y, x0, y), fill=_INK)
        draw.text((x0 - 7, y), f"{tick:g}", _INK, font, anchor="rm")


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough)
    return [round(i * step, 12) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _legend(
    draw: ImageDraw.ImageDraw, x: int, blue: np.ndarray | None, orange: np.ndarray | None, limits: Limits
) -> None:
    font = ImageFont.load_default(12)
    for points, colour, word in ((blue, REAL, "real"), (orange, FAKE, "fake")):
        if points is None:
            continue
        outside = len(points) - len(_inside(points, limits)) if word == "fake" else 0
        text = f"{word} {len(points):,}" + (f", {outside:,} outside" if outside else "")
        draw.ellipse((x, 9, x + 8, 17), fill=colour)
        draw.text((x + 13, 13), text, _INK, font, anchor="lm")
        x += 13 + int(draw.textlength(text, font)) + 20
