"""`classifier` features: a small network trained once on the data set's own labels, kept with its accuracy.

What it calls near is near for telling the classes of this data set apart, and for nothing else: a distance between such
features is no FID, and is comparable only where the `fingerprint` is the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wgan import checkpoint
from wgan.data import Data, Images, load
from wgan.data.cache import build
from wgan.data.stacked_mnist import CLASSES as STACKED
from wgan.data.stored import content_hash
from wgan.errors import UserError, at_least
from wgan.features.base import Extracted, Features, check_images
from wgan.features.labelled import Material, find_material
from wgan.features.training import RECIPE, Network, accuracy, default_steps, fit, native_bfloat16, predict
from wgan.log import Reporter

FILE = "classifier.safetensors"


@dataclass(frozen=True, eq=False)
class Classifier:
    """Features (see `wgan.features.Features`): the last hidden layer of a classifier, and the softmax of its logits.

    data: what it was trained on. shape (c, h, w): of the images that it reads. accuracy: share of images it got right
    that it was not trained on. Made by `classifier`.
    """

    data: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    accuracy: float
    protocol: dict[str, str | int | float]
    fingerprint: str
    network: Network = field(repr=False)

    @property
    def name(self) -> str:
        return f"classifier-{self.data}"

    @property
    def dim(self) -> int:
        return self.network.dim

    def __call__(self, images: Tensor) -> Extracted:
        """uint8 [n, c, h, w] in [0, 255] -> features float32 [n, dim], probabilities float32 [n, classes].

        On the CPU, wherever the network is. UserError: another type or shape than the images it was trained on.
        """
        _check(self.name, self.shape, images)
        return Extracted(*predict(self.network, images))


@dataclass(frozen=True, eq=False)
class StackedClassifier:
    """Features of Stacked-MNIST: a classifier of its digits looks at red, green and blue each by itself.

    features [n, 3 dim]: those of the three digits one after another. probabilities [n, 1000]: their products, so that
    the most probable class is 100 r + 10 g + b of the most probable digits.
    """

    digits: Classifier

    @property
    def name(self) -> str:
        return "classifier-stacked-mnist"

    @property
    def dim(self) -> int:
        return 3 * self.digits.dim

    @property
    def protocol(self) -> dict[str, str | int | float]:
        return {**self.digits.protocol, "channels": "red, green and blue each as a digit"}

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"stacked {self.digits.fingerprint}".encode()).hexdigest()

    def __call__(self, images: Tensor) -> Extracted:
        """uint8 [n, 3, h, w] -> features float32 [n, dim], probabilities float32 [n, 1000]."""
        _check(self.name, (3, *self.digits.shape[1:]), images)
        features, probabilities = self.digits(images.flatten(0, 1)[:, None])
        assert probabilities is not None
        red, green, blue = probabilities.reshape(len(images), 3, -1).unbind(1)
        together = red[:, :, None, None] * green[:, None, :, None] * blue[:, None, None, :]
        return Extracted(features.reshape(len(images), -1), together.flatten(1))


def stacked_modes(images: Tensor, digits: Features, batch: int = 500) -> Tensor:
    """The mode 100 r + 10 g + b of each Stacked-MNIST image uint8 [n, 3, h, w]: int64 [n] in 0..999.

    digits: a classifier of MNIST at that size, as `classifier(load("mnist"))` gives it.
    UserError: images of another shape, a classifier of anything but ten classes.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise UserError(f"stacked digits are uint8 [n, 3, height, width], not {list(images.shape)}")
    found = []
    for start in range(0, len(images), batch):
        channels = images[start : start + batch].flatten(0, 1)[:, None]
        probabilities = digits(channels).probabilities
        if probabilities is None or probabilities.shape[1] != 10:
            raise UserError(f"modes of stacked digits need a classifier of the ten digits, not {digits.name}")
        found.append(probabilities.argmax(1).reshape(-1, 3))
    labels = torch.cat(found) if found else torch.empty(0, 3, dtype=torch.int64)
    return labels @ torch.tensor([100, 10, 1])


def classifier(
    data: Data,
    *,
    root: Path | None = None,
    device: torch.device | None = None,
    quiet: bool = False,
    seed: int = 0,
    steps: int | None = None,
) -> Classifier | StackedClassifier:
    """The classifier of a labelled data set at its own size, out of the cache or trained now (minutes on a CPU).

    It learns the train split, whichever split `data` is, and is measured on up to 10,000 images of the test split. A
    data set without a labelled test split keeps a tenth of its images for that. steps: of training, else the recipe's.
    root: the folder of data sets, by default WGAN_DATASETS or `datasets/`; the network is kept in `root`/cache, and
    trained again when images, labels, seed, steps or recipe change. quiet: says nothing.
    UserError: no images, no labels, a single class, a size that it is not made for, a cache that cannot be written.
    """
    root = Path(root or os.environ.get("WGAN_DATASETS") or "datasets").expanduser()
    device = device or torch.device("cpu")
    if isinstance(data, Images) and data.classes == STACKED and data.name == "stacked-mnist":
        mnist = load("mnist", size=data.shape[1], root=root, quiet=quiet)
        return StackedClassifier(_open(find_material(mnist, root), root, device, quiet, seed, steps))
    return _open(find_material(data, root), root, device, quiet, seed, steps)


def _open(
    material: Material, root: Path, device: torch.device, quiet: bool, seed: int, steps: int | None
) -> Classifier:
    train = material.train
    steps = default_steps(train.shape, len(material.rows)) if steps is None else steps
    at_least(1, "steps", steps)
    reporter = Reporter(quiet=quiet)

    def fill(folder: Path) -> None:
        _train(folder, material, device, steps, seed, reporter)

    name = f"classifier-{material.digest(steps, seed)[:32]}"
    entry = build(root / "cache", name, f"recipe-{RECIPE}", fill)
    try:
        return _read(entry / FILE, device)
    except checkpoint.Damaged as error:
        reporter.warn(f"the kept classifier of '{train.name}' is trained anew: {error}")
        shutil.rmtree(entry, ignore_errors=True)
        return _read(build(root / "cache", name, f"recipe-{RECIPE}", fill) / FILE, device)


def _train(folder: Path, material: Material, device: torch.device, steps: int, seed: int, reporter: Reporter) -> None:
    """Trains, measures, writes FILE into `folder` and tells the accuracy."""
    train = material.train
    assert train.labels is not None
    half = native_bfloat16(device)
    reporter.say(f"training a classifier of '{train.name}' for its features, once: {steps} steps")
    network = fit(train, material.rows, steps=steps, seed=seed, device=device, half=half, reporter=reporter)
    share = accuracy(network, material.test, material.unseen)
    header = {
        "data": train.name,
        "shape": train.shape,
        "classes": train.classes,
        "accuracy": share,
        "measured_on": material.measured_on,
        "train": train.fingerprint or content_hash(train.array),
        "recipe": RECIPE,
        "steps": steps,
        "seed": seed,
        "precision": "bfloat16" if half else "float32",
        "torch": torch.__version__,
    }
    checkpoint.save(folder / FILE, network.state_dict(), header)
    reporter.say(f"classifier of '{train.name}': {100 * share:.2f} % of {material.measured_on} right")
    commonest = np.bincount(material.test.labels[material.unseen]).max() / len(material.unseen)  # type: ignore[index]
    if share <= commonest:
        reporter.warn("that is no better than always naming the commonest class: its features say little")


def _read(path: Path, device: torch.device) -> Classifier:
    """A kept classifier, on `device`. Damaged: cut short, or changed since it was written."""
    weights, header = checkpoint.load(path)
    # on the device that holds no numbers: they would only be drawn to be overwritten
    with torch.device("meta"):
        network = Network(tuple(header["shape"]), len(header["classes"]))
    network.load_state_dict(weights, assign=True)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    told = ("accuracy", "measured_on", "train", "recipe", "steps", "seed", "precision", "torch")
    fingerprint = checkpoint.checksum(weights, f"classifier recipe {RECIPE}")
    protocol = {
        "resizer": "none",
        "scaling": "mean 0 and std 1 by channel of the training images",
        "layer": "last hidden, mean over the grid",
        **{key: header[key] for key in told},
    }
    return Classifier(
        data=header["data"],
        shape=tuple(header["shape"]),
        classes=tuple(header["classes"]),
        accuracy=header["accuracy"],
        protocol={**protocol, "weights": fingerprint},
        fingerprint=fingerprint,
        network=network.eval().requires_grad_(False),
    )


def _check(name: str, shape: tuple[int, ...], images: Tensor) -> None:
    check_images(images)
    if tuple(images.shape[1:]) != shape:
        (c, h, w), given = shape, list(images.shape)
        raise UserError(f"features '{name}' are of images [n, {c}, {h}, {w}], not {given}: bring them to that shape")
