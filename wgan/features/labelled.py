"""Which images a classifier learns from, and which ones it is measured on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wgan import seeds
from wgan.data import SOURCES, Data, Images, load, order
from wgan.data.stored import content_hash
from wgan.errors import UserError

ALTERNATIVES = "use --features pixels, --features inception or --features MODULE:FUNCTION"
# images that accuracy is measured on at most: 10,000 give it to half a percent
MEASURED_ON = 10_000
# of a data set without labelled test images: every tenth is held out
HELD_OUT = 10
FEWEST = 20
# of a folder, in order of preference
SPLITS = ("train", "test", "val", "valid")


class Material(NamedTuple):
    """What a classifier learns from: the images `rows` int64 of `train`, and the images `unseen` of `test`."""

    train: Images
    rows: np.ndarray
    test: Images
    unseen: np.ndarray

    @property
    def measured_on(self) -> str:
        where = "held-out images" if self.test is self.train else "images of the test split"
        return f"{len(self.unseen)} {where}"

    def digest(self, *more: object) -> str:
        parts = [repr(more), repr(self.train.shape), repr(self.train.classes)]
        for images, rows in ((self.train, self.rows), (self.test, self.unseen)):
            labels = np.asarray(images.labels, np.int64)
            parts += [images.fingerprint or content_hash(images.array), content_hash(labels), content_hash(rows)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def find_material(data: Data, root: Path) -> Material:
    """What to learn and what to measure with; UserError where there is nothing to learn."""
    if not isinstance(data, Images):
        raise UserError(f"data '{data.name}' is no set of images that can be classified: {ALTERNATIVES}")
    if data.labels is None:
        raise UserError(f"data '{data.name}' has no labels to train classifier features on: {ALTERNATIVES}")
    if not all(8 <= side <= 256 for side in data.shape[1:]):
        height, width = data.shape[1:]
        raise UserError(
            f"classifier features are for 8 to 256 pixels, data '{data.name}' has {width}x{height}: use --size"
        )
    train, test = _splits(data, root)
    rows = np.arange(train.count)
    if test is None:
        if train.count < FEWEST:
            raise UserError(f"data '{data.name}' has {train.count} images, a classifier needs {FEWEST}: {ALTERNATIVES}")
        # the same images for every seed of the training
        rows = order(seeds.derive(0, "classifier held out"), 0, train.count, train.count)
        held = len(rows) // HELD_OUT
        test, unseen, rows = train, np.sort(rows[:held][:MEASURED_ON]), np.sort(rows[held:])
    else:
        unseen = np.unique(np.linspace(0, test.count - 1, min(test.count, MEASURED_ON)).astype(np.int64))
    assert train.labels is not None
    seen = np.unique(train.labels[rows])
    if len(seen) < 2:
        name = train.classes[int(seen[0])]
        raise UserError(f"data '{data.name}' has only the class '{name}', nothing to tell apart: {ALTERNATIVES}")
    return Material(train, rows, test, unseen)


def _splits(data: Images, root: Path) -> tuple[Images, Images | None]:
    """The train split that `data` belongs to and its labelled test split, None where there is none.

    What the name leads to counts only if `data` is in it: an array may be called anything.
    """
    siblings = {split: found for split in _named(data) if (found := _sibling(data, split, root)) is not None}
    if "train" not in siblings or data.fingerprint not in [images.fingerprint for images in siblings.values()]:
        return data, None
    train = siblings.pop("train")
    # hf:NAME:SPLIT is the same split whatever is asked for
    tests = [images for images in siblings.values() if images.fingerprint != train.fingerprint]
    return train, tests[0] if tests else None


def _named(data: Images) -> tuple[str, ...]:
    """The splits to look for."""
    path = Path(data.name)
    if path.name in SPLITS and path.is_dir():
        return SPLITS
    return ("train", "test") if data.name.partition(":")[0] in SOURCES else ()


def _sibling(data: Images, split: str, root: Path) -> Images | None:
    """A split of the data set of `data`, labelled in the same way and of the same size, None where it can't be had."""
    path = Path(data.name)
    name = str(path.parent) if path.name in SPLITS and path.is_dir() else data.name
    size = data.shape[1] if data.shape[1] == data.shape[2] else None
    try:
        found = load(name, size=size, root=root, split=split, allow_bad=True, quiet=True)
    except UserError:
        return None
    if not isinstance(found, Images) or found.labels is None:
        return None
    return found if (found.shape, found.classes) == (data.shape, data.classes) else None
