"""One image of any mode and format as bytes: uint8 [c, h, w] in [0, 255], upright, square where a size is asked for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

# the modes whose every pixel is gray; a palette may hold colours, so it counts as colour
GRAY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})

# formats without a decoder of Pillow's own; EPS would run a stranger's program in Ghostscript
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_T = Image.Transpose
_UPRIGHT = {  # EXIF 2.32, tag 0x0112
    2: _T.FLIP_LEFT_RIGHT,
    3: _T.ROTATE_180,
    4: _T.FLIP_TOP_BOTTOM,
    5: _T.TRANSPOSE,
    6: _T.ROTATE_270,
    7: _T.TRANSVERSE,
    8: _T.ROTATE_90,
}


class Picture(NamedTuple):
    """One decoded file: pixels uint8 [c, size, size], and what the file itself was."""

    pixels: np.ndarray
    width: int
    height: int
    alpha: bool


def extensions() -> frozenset[str]:
    """`.png`, `.jpg` and all others, in lower case, of formats that Pillow itself can decode."""
    known = Image.registered_extensions()
    return frozenset(e for e, f in known.items() if (f in Image.OPEN or f == "MPO") and f not in _NO_PICTURES)


@cache
def _formats() -> list[str]:
    Image.init()
    return [f for f in Image.ID if f not in _NO_PICTURES]


def head(path: Path) -> tuple[str, int, int] | None:
    """(mode, width, height) from the file's header alone, about 0.1 ms; None when it is no image (see `read`)."""
    try:
        with Image.open(path, formats=_formats()) as image:
            return image.mode, image.width, image.height
    except Exception:  # `read` tells the reason
        return None


def read(path: Path, *, size: int, channels: int) -> Picture | str:
    """The picture in `path` through `to_array`, or in one line why there is none."""
    try:
        if path.stat().st_size == 0:
            return "empty file"
        with Image.open(path, formats=_formats()) as image:
            width, height = image.size
            alpha = image.has_transparency_data
            return Picture(to_array(image, size, channels), width, height, alpha)
    except UnidentifiedImageError:
        return "not an image, or of an unknown format"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS} pixels: a decompression bomb?"
    except Exception as error:  # Pillow's decoders raise whatever a broken file leads them to
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return " ".join(text.split()) or type(error).__name__


def to_array(image: Image.Image, size: int | None, channels: int) -> np.ndarray:
    """`image` as uint8 [channels, h, w]: turned as its EXIF says; h = w = `size`, or its own size when None.

    With a size, the largest centred square is cut out and resized (Lanczos with antialias; smaller ones are enlarged).
    channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA. Without an alpha channel to keep, transparency is laid on white.
    16-bit gray [0, 65535] is scaled to [0, 255]. Mode I is read as 16-bit, mode F as [0, 1], or as [0, 255] when it
    goes beyond 1; other ranges are a ValueError. Errors: whatever Pillow raises for a file that it cannot decode.
    """
    if size is not None:
        # JPEG decodes at 1/2, 1/4 or 1/8 almost for free; twice the size is left for the antialiasing
        image.draft(None, (2 * size, 2 * size))
    image.load()
    orientation = _orientation(image)
    image = _convert(image, _MODES[channels])
    if size is not None and image.size != (size, size):
        w, h = image.size
        side = min(w, h)
        box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
        image = image.resize((size, size), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    if orientation in _UPRIGHT:  # last, as a small square turns faster
        image = image.transpose(_UPRIGHT[orientation])
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a picture with damaged EXIF is still a picture; Pillow raises many types here
        return 1


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode))
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data and mode in ("L", "RGB"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        image = image.convert("RGB")  # CMYK, YCbCr and HSV reach the other modes only through RGB
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Gray levels of a deep image -> uint8, rounded: 65535 = 257 * 255, so both ends are met exactly."""
    if mode == "F":
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
            raise ValueError("float pixels outside [0, 255]")
        scale = 255.0 if values.max() <= 1 else 1.0
        return np.rint(values * scale).astype(np.uint8)
    wide = values.astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise ValueError("integer pixels outside 16 bits")
    return ((wide + 128) // 257).astype(np.uint8)
