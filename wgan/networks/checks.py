"""Bad sizes and field values, refused in one line before anything is built."""

from __future__ import annotations

from wgan.errors import UserError, did_you_mean

NORMS = ("batch", "layer", "none")
CHANNELS = range(1, 5)
BASES = range(4, 8)
# base * 2^k with a base grid of 4 to 7, from 8 to 256 pixels
SIZES = tuple(sorted(base * 2**k for base in BASES for k in range(1, 7) if base * 2**k <= 256))


def whole(where: str, name: str, value: int, least: int = 1) -> None:
    """Raise UserError unless `value` is an int >= least; `where` is the part's name ("dcgan")."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{where}({name}={value!r}): {name} must be a whole number of at least {least}")


def rate(where: str, name: str, value: float) -> None:
    """Raise UserError unless `value` is a number in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise UserError(f"{where}({name}={value!r}): {name} must be a number in [0, 1); 0 switches it off")


def flag(where: str, name: str, value: bool) -> None:
    """Raise UserError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise UserError(f"{where}({name}={value!r}): {name} must be true or false")


def choice(where: str, name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise UserError, with the closest match, unless `value` is one of `known`."""
    if value not in known:
        raise UserError(f"{where}: {did_you_mean(name, str(value), known)}")


def sizes(where: str, z_dim: int, classes: int) -> None:
    """Raise UserError unless z_dim >= 1 and classes >= 0."""
    whole(where, "z_dim", z_dim)
    whole(where, "classes", classes, least=0)


def image(where: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """`shape` as (channels, height, width); raise UserError unless it is an image with 1 to 4 channels."""
    if len(shape) == 1:
        raise UserError(f"{where} draws images, but the data are points of {shape[0]} coordinates; use 'points'")
    if len(shape) != 3 or min(shape) < 1:
        raise UserError(f"{where} draws images of shape (channels, height, width), not {tuple(shape)}")
    channels, height, width = shape
    if channels not in CHANNELS:
        raise UserError(f"{where}: {channels} channels; images have 1 to 4 (is the array in the order [n, c, h, w]?)")
    return channels, height, width


def pyramid(where: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(channels, base, k) of a square image of side base * 2^k, base in 4..7, k >= 1; UserError for other sizes."""
    channels, height, width = image(where, shape)
    if height != width:
        nearest = _nearest(min(height, width))
        raise UserError(
            f"{where}: images of {height} x {width} are not square; crop or resize them with --size {nearest[0]}"
        )
    if height not in SIZES:
        raise UserError(
            f"{where}: size {height} is not possible; nearest: --size {' or '.join(map(str, _nearest(height)))} "
            f"(possible: {', '.join(map(str, SIZES))})"
        )
    k = 1
    while height // 2**k not in BASES:
        k += 1
    return channels, height // 2**k, k


def point(where: str, shape: tuple[int, ...]) -> int:
    """The number of coordinates d of `shape` = (d,); raise UserError for images."""
    if len(shape) != 1:
        raise UserError(f"{where} draws points of shape (d,), but the data are {tuple(shape)}; use 'dcgan' or 'resnet'")
    if shape[0] < 1:
        raise UserError(f"{where}: points need at least one coordinate, not {shape[0]}")
    return shape[0]


def _nearest(size: int) -> list[int]:
    """The largest possible size below `size` and the smallest above it, as far as there are any."""
    return [s for s in SIZES if s <= size][-1:] + [s for s in SIZES if s > size][:1]
