"""Images in, features out: the spaces in which sets of images are compared. `find_features(name, data)` makes one.

Numbers of different features have nothing to do with each other; each result therefore tells the name and the
protocol of its features. Only those of the official `inception` weights may be called FID.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from wgan.data import Data
from wgan.errors import UserError, did_you_mean
from wgan.features.base import Extracted, Features, check_images

__all__ = ["FEATURES", "Extracted", "Features", "Wanted", "check_images", "find_features"]


class Wanted(NamedTuple):
    """What features are made for: `data` of images, the folder of data sets and weights, a device, and `weights`, the
    file of a network that the user chose.
    """

    data: Data
    root: Path
    device: torch.device
    quiet: bool
    weights: Path | None


def find_features(
    name: str,
    data: Data,
    *,
    root: Path | None = None,
    device: torch.device | None = None,
    quiet: bool = False,
    weights: Path | None = None,
) -> Features:
    """The features that `name` stands for, ready for images of the shape of `data`.

    name: 'inception' (the network of FID), 'classifier' (a small one, trained on the labels of `data`), 'pixels', or
    a function of the user's own as 'module:function' or 'path/file.py:function'. root: the folder of data sets, by
    default WGAN_DATASETS or `datasets/`; networks are kept there. weights: a file for 'inception'. quiet: no progress
    on stderr. UserError: unknown name, data that are no images, weights that cannot be had or read, a bad function.
    """
    if len(data.shape) != 3:
        raise UserError(f"features '{name}' are of images, and data '{data.name}' is points {list(data.shape)}")
    if weights is not None and name != "inception":
        raise UserError(f"weights '{weights}' are for the features 'inception', not for '{name}': leave one out")
    root = Path(root or os.environ.get("WGAN_DATASETS") or "datasets").expanduser()
    if name in FEATURES:
        return FEATURES[name](Wanted(data, root, device or torch.device("cpu"), quiet, weights))
    if ":" in name:
        from wgan.features.own import own_features

        return own_features(name, (data.shape[0], data.shape[1], data.shape[2]))
    raise UserError(did_you_mean("features", name, [*FEATURES, "MODULE:FUNCTION"]))


def _inception(wanted: Wanted) -> Features:
    from wgan.features.inception import CHANNELS, InceptionFeatures
    from wgan.features.weights import find_weights

    if wanted.data.shape[0] not in CHANNELS:
        raise UserError(
            f"data '{wanted.data.name}' has {wanted.data.shape[0]} channels, and the Inception network takes 1 or 3: "
            "use --features pixels or a function of your own"
        )
    return InceptionFeatures(find_weights(wanted.weights, wanted.root, wanted.quiet), wanted.device)


def _classifier(wanted: Wanted) -> Features:
    from wgan.features.classifier import classifier

    return classifier(wanted.data, root=wanted.root, quiet=wanted.quiet, device=wanted.device)


def _pixels(wanted: Wanted) -> Features:
    from wgan.features.pixels import Pixels

    return Pixels((wanted.data.shape[0], wanted.data.shape[1], wanted.data.shape[2]))


# built-in names; each opener imports what it needs when it is asked
FEATURES: dict[str, Callable[[Wanted], Features]] = {
    "inception": _inception,
    "classifier": _classifier,
    "pixels": _pixels,
}
