"""The picture of neighbours shows the samples that look most like copies, and beside each the right images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from wgan.evaluation.neighbours import _GAP, _GROUP, _LINE, _MARGIN, _Sheet, neighbours
from wgan.evaluation.sides import Side
from wgan.evaluation.streams import Stream
from wgan.features.pixels import Pixels

RNG = np.random.default_rng(0)


def side(name: str, x: np.ndarray) -> Side:
    stream = Stream(name, x.shape[1:], len(x), lambda first, m: torch.from_numpy(x[first : first + m]))
    return Side(stream, Pixels(x.shape[1:])(torch.from_numpy(x)).features)


def images(n: int, shape: tuple[int, int, int] = (1, 8, 8)) -> np.ndarray:
    return RNG.integers(0, 256, (n, *shape), np.uint8)


def tile(picture: Image.Image, row: int, column: int, shape: tuple[int, int, int], section: int = 1) -> np.ndarray:
    """The image in a row and column (0 the sample, 1-3 train, 4-6 held out), back at its own size."""
    scale = max(1, round(88 / min(shape[1:])))
    wide, tall = shape[2] * scale, shape[1] * scale
    x = _MARGIN
    if column:
        group, k = divmod(column - 1, 3)
        x += wide + _GROUP + group * (max(3 * (wide + _GAP), 150) + _GROUP) + k * (wide + _GAP)
    y = _Sheet.top + section * _LINE + row * (tall + _LINE)
    return np.asarray(picture.crop((x, y, x + wide, y + tall)))[::scale, ::scale].transpose(2, 0, 1)


def as_colours(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, 3, 0) if len(x) == 1 else x


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 16), (3, 100, 100)])
def test_copies_come_first_with_what_they_copy(shape: tuple[int, int, int]) -> None:
    train, heldout, samples = images(30, shape), images(30, shape), images(40, shape)
    samples[17], samples[5] = train[11], train[3]
    samples[5, 0, 0, 0] ^= 8  # not quite
    # one that is as near to an unseen image is no suspect
    samples[9] = heldout[20]
    picture = neighbours(side("samples", samples), side("train", train), side("test", heldout))
    for row, (sample, copied) in enumerate(((17, 11), (5, 3))):
        assert np.array_equal(tile(picture, row, 0, shape), as_colours(samples[sample]))
        assert np.array_equal(tile(picture, row, 1, shape), as_colours(train[copied]))
    flat = [x.reshape(len(x), -1).astype(float) for x in (samples, train, heldout)]
    for group, real in ((0, train), (1, heldout)):
        order = np.linalg.norm(flat[0][17] - flat[1 + group], axis=1).argsort()
        for k in range(3):
            assert np.array_equal(tile(picture, 0, 1 + 3 * group + k, shape), as_colours(real[order[k]]))
    near, far = (np.linalg.norm(flat[0][:, None] - real, axis=2).min(1) for real in flat[1:])
    first = np.argsort(near / np.maximum(far, 1e-12))[:5].tolist()
    assert 9 not in first
    others = [i for i in (0, 9, 19, 29, 39) if i not in first]
    for row, i in enumerate([*first, *others]):
        assert np.array_equal(tile(picture, row, 0, shape, 1 if row < 5 else 2), as_colours(samples[i]))


def test_without_held_out_images_the_nearest_come_first() -> None:
    train, samples = images(30), images(20)
    samples[13] = train[2]
    picture = neighbours(side("samples", samples), side("a/long/path/to/photos train", train), None)
    assert np.array_equal(tile(picture, 0, 0, (1, 8, 8)), as_colours(samples[13]))
    both = neighbours(side("samples", samples), side("train", train), side("test", images(30)))
    assert both.width > picture.width


def test_few_images_are_enough() -> None:
    for n, m in ((1, 1), (2, 2), (3, 5)):
        assert neighbours(side("samples", images(n)), side("train", images(m)), side("test", images(m))).width > 300
