"""Every metric as one entry of a table: what it needs, which figures it gives, which way they are better.

The arithmetic is in `wgan.metrics`; docs/metrics.md says what each number means and when it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wgan import metrics
from wgan.evaluation.sides import Side

# what published figures were measured with (StyleGAN2-ADA's KID, Salimans' IS, ProGAN's SWD)
KERNEL_SUBSETS, KERNEL_SIZE, SPLITS, SWD_IMAGES = 100, 1_000, 10, 8_192
# 8,192 images take minutes: unless asked for by name, fewer are measured, and the figure is called so
SWD_UNASKED = 2_048
# 6 s of one core; the assignment takes n^3
TRANSPORT_POINTS = 2_000


@dataclass(frozen=True, eq=False)
class Case:
    """Two sides to compare. n: samples of a draw; the sides hold one draw or more of infinite distributions.

    train, heldout: equally many real samples that training saw and did not see, None where that isn't known.
    centres: float64 [k, d] of a mixture's Gaussians and their common deviation, None for other data.
    """

    real: Side
    fake: Side
    n: int
    seed: int = 0
    train: Side | None = None
    heldout: Side | None = None
    centres: Tensor | None = None
    std: float = 0.0
    classes: tuple[str, ...] = ()

    def draws(self, most: int = 10) -> list[tuple[Tensor, Tensor]]:
        """(real, fake) features of one draw after the other, each of at most n samples."""
        whole = max(1, min(self.real.n, self.fake.n) // self.n)
        cuts = [slice(i * self.n, (i + 1) * self.n) for i in range(min(most, whole))]
        return [(self.real.features[cut], self.fake.features[cut]) for cut in cuts]


@dataclass(frozen=True)
class Value:
    """A figure with its spread, where it is a mean of several, and what it is made of."""

    value: float
    spread: float | None = None
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """One computation. rows: the figures that it gives, with the direction that is better.

    needs: what a case must have beside features. fewest: samples without which it isn't defined. usual: samples of
    published figures, and `below`, what fewer do to it. offered: the only kind of samples, "points", for which it is
    measured without being asked for by name.
    """

    rows: dict[str, str]
    compute: Callable[[Case], dict[str, Value]]
    fewest: int
    needs: str = ""
    usual: int = 0
    below: str = ""
    offered: str = ""


def _frechet(case: Case) -> dict[str, Value]:
    (real, fake), *_ = case.draws()
    return {"frechet": Value(metrics.frechet_distance(real, fake))}


def _kernel(case: Case) -> dict[str, Value]:
    (real, fake), *_ = case.draws()
    # subsets of all there is would be one subset, and their spread nothing
    size = min(KERNEL_SIZE, len(real) // 2, len(fake) // 2)
    mean, std = metrics.kernel_distance(real, fake, subsets=KERNEL_SUBSETS, size=size, seed=case.seed)
    return {"kernel": Value(mean, std)}


def _score(case: Case) -> dict[str, Value]:
    assert case.fake.probabilities is not None
    mean, std = metrics.inception_score(case.fake.probabilities, splits=SPLITS)
    return {"classifier_score": Value(mean, std)}


def _prdc(case: Case) -> dict[str, Value]:
    (real, fake), *_ = case.draws()
    balls, shares = metrics.prdc(real, fake)
    return {name: Value(value) for name, value in (balls._asdict() | shares._asdict()).items()}


def _swd(case: Case) -> dict[str, Value]:
    assert case.real.images is not None
    assert case.fake.images is not None
    n = min(len(case.real.images), len(case.fake.images))
    found = metrics.laplacian_swd(case.real.images[:n], case.fake.images[:n], seed=case.seed)
    return {"swd": Value(metrics.mean_swd(found), parts={f"{size} px": value for size, value in found.items()})}


def _transport(case: Case, power: int) -> Value:
    (real, fake), *_ = case.draws()
    n = min(TRANSPORT_POINTS, len(real), len(fake))
    return Value(metrics.transport_distance(real[:n], fake[:n], power))


def _w1(case: Case) -> dict[str, Value]:
    return {"w1": _transport(case, 1)}


def _w2(case: Case) -> dict[str, Value]:
    return {"w2": _transport(case, 2)}


def _sliced(case: Case) -> dict[str, Value]:
    values = []
    for real, fake in case.draws():
        n = min(len(real), len(fake))
        values.append(metrics.sliced_wasserstein(real[:n], fake[:n], seed=case.seed))
    return {"sliced": _over_draws(values)}


def _modes(case: Case) -> dict[str, Value]:
    if case.centres is None:
        return _stacked_modes(case)
    found = [metrics.modes(fake, case.centres, case.std) for _, fake in case.draws()]
    return {
        "modes": _over_draws([float(each.captured) for each in found]),
        "high_quality": _over_draws([each.high_quality for each in found]),
        "mode_kl": _over_draws([each.reverse_kl for each in found]),
    }


def _stacked_modes(case: Case) -> dict[str, Value]:
    """Of the 1,000 triples of digits, which are all alike (Metz et al. 2017)."""
    assert case.fake.judged is not None
    found = metrics.class_balance(case.fake.judged, len(case.classes))
    return {"modes": Value(float(len(case.classes) - found.missing)), "mode_kl": Value(found.reverse_kl)}


def _balance(case: Case) -> dict[str, Value]:
    assert case.fake.judged is not None
    assert case.real.judged is not None
    classes = len(case.classes)
    # the classifier's own mistakes stand on both sides; half a sample more of each class, as one that happens to be
    # missing among the real ones would make the divergence infinite
    reference = torch.bincount(case.real.judged, minlength=classes).double() + 0.5
    found = metrics.class_balance(case.fake.judged, classes, reference=reference)
    share = {name: float(value) for name, value in zip(case.classes, found.share, strict=True)}
    return {"missing_classes": Value(float(found.missing), parts=share), "class_kl": Value(found.reverse_kl)}


def _memorisation(case: Case) -> dict[str, Value]:
    assert case.train is not None
    assert case.heldout is not None
    (_, fake), *_ = case.draws()
    found = metrics.memorisation(fake, case.train.features, case.heldout.features)
    return {"closer_to_train": Value(found.closer_to_train, parts={"ratio": found.ratio, "copies": found.copies})}


def _over_draws(values: Sequence[float]) -> Value:
    x = torch.tensor(values, dtype=torch.float64)
    return Value(float(x.mean()), float(x.std()) if len(values) > 1 else None)


MEASURES: tuple[Measure, ...] = (
    Measure({"modes": "higher", "high_quality": "higher", "mode_kl": "lower"}, _modes, 1, "known modes"),
    Measure(
        {"frechet": "lower"},
        _frechet,
        2,
        usual=10_000,
        below="it is biased upwards, more so the fewer samples: compare it at equal n only",
    ),
    Measure(
        {"kernel": "lower"}, _kernel, 4, usual=2 * KERNEL_SIZE, below="its subsets have less than 1,000 samples each"
    ),
    Measure(
        {"classifier_score": "higher"},
        _score,
        2 * SPLITS,
        "probabilities",
        usual=50_000,
        below="published scores are of 50,000 samples, and fewer score lower",
    ),
    Measure({"precision": "higher", "recall": "higher", "density": "higher", "coverage": "higher"}, _prdc, 6),
    Measure({"swd": "lower"}, _swd, 2, "images"),
    Measure({"w1": "lower"}, _w1, 2, offered="points"),
    Measure({"w2": "lower"}, _w2, 2, offered="points"),
    Measure({"sliced": "lower"}, _sliced, 2, offered="points"),
    Measure({"missing_classes": "lower", "class_kl": "lower"}, _balance, 1, "judge"),
    Measure({"closer_to_train": "lower"}, _memorisation, 2, "train and held-out data"),
)
