"""Through which features samples are seen, when nobody says: the best that is there, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wgan.data import Data, Toy
from wgan.data.stacked_mnist import CLASSES as STACKED
from wgan.errors import UserError
from wgan.evaluation.measures import SWD_IMAGES, SWD_UNASKED
from wgan.evaluation.plan import Facts, needs_official, planned
from wgan.evaluation.reference import Reference
from wgan.evaluation.sides import AsTheyAre
from wgan.features import Features, find_features
from wgan.features.inception import CHANNELS
from wgan.features.weights import FOLDER, URLS


class Choice(NamedTuple):
    """features; judge: a classifier of the data's own labels, None without; official: they are what FID is defined by.

    why: the reason for the choice in a line, "" when the user chose.
    """

    features: Features
    judge: Features | None
    official: bool
    why: str


def choose_features(
    name: str | None,
    reference: Reference,
    metrics: Sequence[str] | None,
    n: int,
    *,
    weights: Path | None,
    root: Path | None,
    device: torch.device,
    quiet: bool,
) -> Choice:
    """Those of that name, or the best that are there; points are measured as they are. n: samples to measure.

    Errors: UserError for metrics that these features can't give, before a classifier is trained or weights are read;
    for unknown features, missing or damaged weights, a classifier for data without labels.
    """
    data = reference.train
    if len(data.shape) != 3:
        if name not in (None, "points"):
            raise UserError(f"features '{name}' are for images; points are measured as they are: leave --features out")
        return Choice(AsTheyAre(data.shape[0]), None, False, "")
    why = ""
    if name is None:
        name, why = _best(reference, metrics, weights, root)
    judged = name == "classifier" or _asks_judge(metrics, data)
    # what these features will give is known before they are there
    foreseen = Known(name, name == "inception", 0, name in ("classifier", "inception"), judged)
    planned(metrics, facts_of(foreseen, reference, metrics, n))

    def found(name: str) -> Features:
        return find_features(name, data, root=root, device=device, quiet=quiet, weights=weights)

    features = found(name)
    judge = (
        features
        if name == "classifier"
        else find_features("classifier", data, root=root, device=device, quiet=quiet)
        if judged
        else None
    )
    # the name stands for the official weights alone
    return Choice(features, judge, features.name == "inception", why)


def _asks_judge(metrics: Sequence[str] | None, data: Data) -> bool:
    """Whether a metric is asked for by name that needs a classifier, on data that can have one."""
    need = {"modes", "mode_kl"} if data.classes == STACKED else {"missing_classes", "class_kl"}
    return bool(data.classes) and bool(need & set(metrics or ()))


class Known(NamedTuple):
    """What a plan asks of features: their name, whether FID is defined by them, their number, whether they come with
    class probabilities, and whether a classifier judges too.
    """

    name: str
    official: bool
    dim: int
    probabilities: bool
    judged: bool


def facts_of(known: Known, reference: Reference, metrics: Sequence[str] | None, n: int) -> Facts:
    """What there is to measure with, for `planned`."""
    data = reference.data
    points = len(data.shape) != 3
    has = set() if points else {"images"}
    if not points and reference.seen_and_unseen:
        has |= {"train and held-out data"}
    if known.probabilities:
        has |= {"probabilities"}
    if known.judged:
        has |= {"known modes"} if data.classes == STACKED else {"judge"}
    if centres_of(data)[0] is not None:
        has |= {"known modes"}
    n = n if data.count is None else min(n, data.count)
    swd_images = min(n, SWD_UNASKED if metrics is None else SWD_IMAGES)
    return Facts(known.name, known.official, points, known.dim, n, swd_images, frozenset(has))


def centres_of(data: Data) -> tuple[Tensor | None, float]:
    """Centres float64 [k, d] and common deviation of a mixture of Gaussians; (None, 0) of other data."""
    if not isinstance(data, Toy) or data.centres is None or data.std is None:
        return None, 0.0
    return torch.from_numpy(np.asarray(data.centres, np.float64)), data.std


def _best(
    reference: Reference, metrics: Sequence[str] | None, weights: Path | None, root: Path | None
) -> tuple[str, str]:
    if weights is not None:
        return "inception", "weights were given"
    if asked := needs_official(metrics):
        return "inception", f"{asked} is defined by them"
    if weights_are_there(root) and reference.data.shape[0] in CHANNELS:
        return "inception", "their weights are there"
    if reference.train.classes:
        return "classifier", "there are no Inception weights, and the data have labels"
    return "pixels", "there are no Inception weights, and the data have no labels"


def weights_are_there(root: Path | None) -> bool:
    """Whether `inception` would find its weights without a download."""
    folders = [root_of(root) / FOLDER, Path(torch.hub.get_dir()) / "checkpoints"]
    return any((folder / url.rpartition("/")[2]).is_file() for folder in folders for url in URLS)


def root_of(root: Path | None) -> Path:
    """The folder of data sets, as `wgan.data.load` takes it."""
    return Path(root or os.environ.get("WGAN_DATASETS") or "datasets").expanduser()
