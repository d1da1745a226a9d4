"""Which metrics an evaluation measures, and what their figures are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wgan.errors import UserError, did_you_mean
from wgan.evaluation.measures import MEASURES, SWD_IMAGES, Measure

# names that a figure has only by the network it is defined by (Salimans 2016, Heusel 2017, Binkowski 2018)
OFFICIAL = {"frechet": "fid", "kernel": "kid", "classifier_score": "is"}
# of points, these say enough by themselves
PLAIN = {"modes", "high_quality", "mode_kl", "w1", "w2", "sliced"}
ROWS = [name for measure in MEASURES for name in measure.rows]
NAMES = [*OFFICIAL.values(), *ROWS]
# the Frechet distance takes the cube of the features' number: 9 s of one core for 2048, a minute here
LARGEST_UNASKED = 4096


@dataclass(frozen=True)
class Facts:
    """What an evaluation has to measure with.

    features: their name; official: they are the network that FID is defined by. points: samples are points, not
    images. dim: numbers of a feature. n: samples a side, the smaller one; swd_images: of them for the distance of
    patches. has: what measures may need: "images", "probabilities", "judge", "known modes", "train and held-out data".
    """

    features: str
    official: bool
    points: bool
    dim: int
    n: int
    swd_images: int
    has: frozenset[str]


def check_names(names: Sequence[str] | None) -> None:
    """Errors: UserError for a metric that there isn't; did you mean another?"""
    if isinstance(names, str):
        raise UserError(f"metrics must be a list of names, such as ['{names}'], not a text")
    if names is not None and not names:
        raise UserError(f"no metric is named; metrics are {', '.join(NAMES)}")
    for name in names or ():
        if name not in NAMES:
            raise UserError(did_you_mean("metric", name, NAMES))


def needs_official(names: Sequence[str] | None) -> str:
    """The first of the metrics that are defined by Inception alone, "" when there is none."""
    return next((name for name in names or () if name in OFFICIAL.values()), "")


def key_of(name: str, facts: Facts) -> str:
    """What a figure is called: fid, kid and is by official features alone; others carry their features' name."""
    if facts.official and name in OFFICIAL:
        return OFFICIAL[name]
    if name == "swd":  # of the pixels, whatever the features; the protocol's own name only at its own n
        return name if facts.swd_images == SWD_IMAGES else f"{name}_{facts.swd_images}"
    if facts.points and name in PLAIN:
        return name
    return f"{name}_{short(facts.features)}"


def short(features: str) -> str:
    """Features by their name without folders: classifier-photos for those of /home/me/photos."""
    kind, _, data = features.partition("classifier-")
    return features.rpartition("/")[2] if kind else f"classifier-{Path(data).name}"


def planned(names: Sequence[str] | None, facts: Facts) -> tuple[list[tuple[Measure, list[str]]], list[str]]:
    """(each measure with the rows wanted of it, notes on what was left out); names None takes all that apply.

    Errors: UserError for a metric that is asked for by name and can't be measured here; says what it needs.
    """
    wanted = None if names is None else {_plain(name, facts) for name in names}
    plan, notes = [], []
    for measure in MEASURES:
        unasked = not measure.offered or facts.points
        rows = [name for name in measure.rows if (unasked if wanted is None else name in wanted)]
        if not rows:
            continue
        lack = _lacking(measure, rows, facts)
        if not lack and names is None and "frechet" in measure.rows and facts.dim > LARGEST_UNASKED:
            notes.append(f"frechet of {facts.dim:,} features takes an hour or more: ask for it by name")
            continue
        if not lack:
            plan.append((measure, rows))
        elif names is not None:
            raise UserError(lack)
        elif measure.fewest > facts.n:
            notes.append(lack)
    if not plan:
        raise UserError("nothing can be measured here: " + "; ".join(notes))
    return plan, notes


def _plain(name: str, facts: Facts) -> str:
    """frechet for fid and so on. Errors: UserError where the features are others than the name stands for."""
    if name not in OFFICIAL.values():
        return name
    plain = next(key for key, value in OFFICIAL.items() if value == name)
    if not facts.official:
        raise UserError(
            f"{name} is defined by the official Inception weights, these are {facts.features} features: ask for "
            f"{plain}, which is told as {key_of(plain, facts)}, or for --features inception"
        )
    return plain


def _lacking(measure: Measure, rows: Sequence[str], facts: Facts) -> str:
    """Why a measure can't be taken, "" when it can."""
    named = ", ".join(rows)
    if facts.n < measure.fewest:
        return f"{named}: needs at least {measure.fewest} samples on each side, there are {facts.n}"
    if measure.needs and measure.needs not in facts.has:
        return f"{named}: needs {NEEDS[measure.needs]}"
    return ""


NEEDS = {
    "probabilities": "class probabilities, which these features don't give: --features classifier or inception",
    "images": "images, and these are points",
    "judge": "a classifier of the data's own labels: data with labels, and --features classifier",
    "known modes": "data whose modes are known: 8gaussians, 25gaussians, or stacked-mnist with its classifier",
    "train and held-out data": "a train and a test split of images",
}
