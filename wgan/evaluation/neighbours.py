"""Samples beside the real images that are nearest to them: a copy of a training image is seen at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from wgan import metrics
from wgan.data.grid import grid
from wgan.evaluation.sides import Side

NEAREST, SUSPECTS, OTHERS = 3, 5, 5
# nearer to a training image than this share of the distance to held-out ones: marked
_MARKED = 0.5
_INK, _PALE, _WARN = (40, 40, 40), (110, 110, 110), (190, 30, 20)
_TILE, _GAP, _GROUP, _MARGIN, _LINE = 88, 6, 30, 14, 20


class Near(NamedTuple):
    """The real images nearest to each sample: distances [n, k], positions int64 [n, k] in `side`."""

    side: Side
    distances: Tensor
    indices: Tensor


def neighbours(samples: Side, train: Side, heldout: Side | None, distance: str = "distance") -> Image.Image:
    """A row for each of ten samples: it, its three nearest training images, its three nearest held-out ones.

    First come the five samples that are nearest to training images for how near they are to held-out ones (without
    these: nearest to training images at all), then five evenly spaced ones. distance: what the numbers are.
    """
    groups = [_near(samples, side) for side in (train, heldout) if side is not None]
    closeness = groups[0].distances[:, 0]
    if heldout is not None:
        closeness = closeness / groups[1].distances[:, 0].clamp_min(1e-12)
    first = closeness.argsort(stable=True)[:SUSPECTS].tolist()
    others = [i for i in np.linspace(0, samples.n - 1, OTHERS).astype(int).tolist() if i not in first]
    least = "nearest to training images" + (", for their distance to held-out ones" if heldout is not None else "")
    sheet = _Sheet.of(samples.stream.shape, groups, len(first), len(others))
    sheet.heads(groups)
    y = sheet.section(sheet.top, f"the samples {least}")
    for i in first:
        y = sheet.row(y, samples, i, groups, marked=heldout is not None and float(closeness[i]) < _MARKED)
    y = sheet.section(y, "samples evenly spaced among all") if others else y
    for i in others:
        y = sheet.row(y, samples, i, groups, marked=heldout is not None and float(closeness[i]) < _MARKED)
    sheet.text((_MARGIN, y + 4), f"numbers: {distance}", _PALE)
    return sheet.picture


def _near(samples: Side, side: Side) -> Near:
    return Near(side, *metrics.nearest(samples.features, side.features, k=min(NEAREST, side.n)))


@dataclass(frozen=True)
class _Sheet:
    """A white sheet with a column for the sample and a group of columns for each set of real images."""

    picture: Image.Image
    scale: int
    tile: tuple[int, int]
    starts: tuple[int, ...]

    top = _MARGIN + 2 * _LINE

    @classmethod
    def of(cls, shape: tuple[int, ...], groups: list[Near], first: int, others: int) -> _Sheet:
        _, h, w = shape
        scale = max(1, round(_TILE / min(h, w)))
        width, height = w * scale, h * scale
        starts, x = [], _MARGIN + width + _GROUP
        for near in groups:
            starts.append(x)
            x += max(near.distances.shape[1] * (width + _GAP), 150) + _GROUP
        tall = cls.top + (first + others) * (height + _LINE) + 2 * _LINE + (_LINE if others else 0) + _MARGIN
        return cls(Image.new("RGB", (max(x, 420), tall), "white"), scale, (width, height), tuple(starts))

    def text(self, at: tuple[int, int], text: str, ink: tuple[int, int, int], size: int = 12) -> None:
        ImageDraw.Draw(self.picture).text(at, text, ink, ImageFont.load_default(size))

    def heads(self, groups: list[Near]) -> None:
        self.text((_MARGIN, _MARGIN), "sample", _INK, 13)
        for start, near in zip(self.starts, groups, strict=True):
            self.text((start, _MARGIN), Path(near.side.stream.name).name, _INK, 13)
            self.text((start, _MARGIN + 17), f"nearest of {near.side.n:,}", _PALE)

    def section(self, y: int, title: str) -> int:
        self.text((_MARGIN, y), title, _PALE)
        return y + _LINE

    def row(self, y: int, samples: Side, i: int, groups: list[Near], *, marked: bool) -> int:
        """One sample and its neighbours; returns where the next row begins."""
        self.image((_MARGIN, y), samples, i, f"{i}", _PALE)
        for start, near in zip(self.starts, groups, strict=True):
            for k, index in enumerate(near.indices[i].tolist()):
                x = start + k * (self.tile[0] + _GAP)
                warn = marked and near is groups[0] and k == 0
                told = f"{float(near.distances[i, k]):.4g}" + (" close" if warn else "")
                self.image((x, y), near.side, index, told, _WARN if warn else _PALE)
        return y + self.tile[1] + _LINE

    def image(self, at: tuple[int, int], side: Side, index: int, told: str, ink: tuple[int, int, int]) -> None:
        self.picture.paste(grid(side.stream.read(index, 1), pad=0, scale=self.scale).convert("RGB"), at)
        self.text((at[0], at[1] + self.tile[1] + 1), told, ink, 11)
