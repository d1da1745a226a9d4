"""Which way each metric moves when real images get worse: docs/metrics.md says what it sees, and is held to it here.

Real MNIST in the features of a classifier (briefly trained), real CIFAR-10 in those of random filters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from wgan.data import Images, load
from wgan.evaluation.bench import Bench, Setting, open_bench
from wgan.evaluation.choice import Choice
from wgan.evaluation.measures import MEASURES
from wgan.evaluation.reference import Reference
from wgan.evaluation.report import Row
from wgan.evaluation.streams import Stream, real_stream
from wgan.features import Extracted
from wgan.features.classifier import classifier
from wgan.features.pixels import Pixels

ROOT = Path(__file__).parents[1]
N = 400
BETTER = {name: way for measure in MEASURES for name, way in measure.rows.items()}
Damage = Callable[[np.ndarray, Images, float], np.ndarray]


def table() -> dict[str, dict[str, str]]:
    """Metric -> damage -> sees, blind or partly, as docs/metrics.md has it."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    found = {}
    for first, *kinds in cells[2:]:
        match = re.match(r"`(\w+)`", first)
        assert match
        found[match[1]] = dict(zip(cells[0][1:], kinds, strict=True))
    return found


TABLE = table()


def as_bytes(x: np.ndarray) -> np.ndarray:
    return np.rint(x).clip(0, 255).astype(np.uint8)


def blur(real: np.ndarray, _: Images, sigma: float) -> np.ndarray:
    return as_bytes(ndimage.gaussian_filter(real.astype(float), (0, 0, sigma, sigma))) if sigma else real


def noise(real: np.ndarray, _: Images, deviation: float) -> np.ndarray:
    return as_bytes(real + deviation * np.random.default_rng(0).standard_normal(real.shape))


def dropped(_: np.ndarray, test: Images, classes: float) -> np.ndarray:
    assert test.labels is not None
    kept = np.random.default_rng(1).permutation(np.flatnonzero(test.labels < classes))[:N]
    return np.ascontiguousarray(test.array[kept])


def repeated(real: np.ndarray, _: Images, times: float) -> np.ndarray:
    return np.tile(real[: -(-N // int(times))], (int(times), 1, 1, 1))[:N]


def collapsed(real: np.ndarray, test: Images, times: float) -> np.ndarray:
    """Each sample is one of N / times images, plus the little that a collapsed generator still varies."""
    return noise(repeated(real, test, times), test, 8.0) if times > 1 else real


DAMAGES: dict[str, tuple[Damage, tuple[float, ...]]] = {
    "blur": (blur, (0, 1.0, 2.4)),
    "noise": (noise, (0, 50, 100)),
    "dropped classes": (dropped, (10, 4, 1)),
    "duplicates": (repeated, (1, 8, 64)),
    "collapse": (collapsed, (1, 8, 64)),
}


class Filters:
    """ReLU of 64 random 5 x 5 filters, averaged over each quarter of the image: textures and where they are."""

    name, dim, fingerprint = "filters", 256, "filters"
    protocol: dict[str, str | int | float] = {}  # noqa: RUF012

    def __init__(self, channels: int) -> None:
        weight = torch.randn(64, channels, 5, 5, generator=torch.Generator().manual_seed(0))
        weight = weight - 0.7 * weight.mean((2, 3), keepdim=True)
        self.weight = weight / weight.flatten(1).norm(dim=1)[:, None, None, None]

    def __call__(self, images: Tensor) -> Extracted:
        x = torch.conv2d(images.float() / 127.5 - 1, self.weight, stride=2).relu()
        return Extracted(torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1), None)


def stream(x: np.ndarray) -> Stream:
    return Stream("damaged", x.shape[1:], len(x), lambda first, m: torch.from_numpy(x[first : first + m]))


class Bed:
    """A data set, a bench, and what each metric says of every damage at every level."""

    def __init__(self, name: str, choose: Callable[[Images], Choice], cache: Path) -> None:
        train, test = (load(name, root=ROOT / "datasets", split=split) for split in ("train", "test"))
        assert isinstance(train, Images)
        assert isinstance(test, Images)
        self.test = test
        bench, _ = open_bench(Reference(train, "train", test, "test"), choose(train), None, Setting(n=N, cache=cache))
        # patches of 60 images tell the direction as well as those of 400
        self.bench: Bench = replace(bench, facts=replace(bench.facts, swd_images=60))
        self.real = real_stream(test, 2 * N).read(N, N).numpy()
        self.found = {damage: self._levels(*DAMAGES[damage]) for damage in DAMAGES}
        # images of the reference itself take the place of more and more unseen ones
        seen = bench.real.stream.read(0, N).numpy()
        mixed = [np.concatenate([seen[: N * k // 2], self.real[N * k // 2 :]]) for k in range(3)]
        self.found["copies of training images"] = self._of(mixed)

    def _levels(self, damage: Damage, levels: tuple[float, ...]) -> dict[str, list[float]]:
        return self._of([damage(self.real, self.test, level) for level in levels])

    def _of(self, sets: list[np.ndarray]) -> dict[str, list[float]]:
        rows: list[list[Row]] = [self.bench.rows(self.bench.take(stream(x)), floors=False) for x in sets]
        suffix = f"_{self.bench.features.name}"
        names = [re.sub(r"_\d+$", "", row.key.removesuffix(suffix)) for row in rows[0]]
        return {name: [row[i].value for row in rows] for i, name in enumerate(names)}


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    if not (ROOT / "datasets" / "mnist").is_dir():
        pytest.skip("no MNIST under datasets/")
    root = tmp_path_factory.mktemp("mnist")

    def choose(train: Images) -> Choice:
        # 30 steps are enough for 92 % of the test digits
        own = classifier(train, root=root, steps=30, quiet=True)
        assert own.protocol["accuracy"] > 0.85
        return Choice(own, own, False, "")

    return Bed("mnist", choose, root)


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    if not (ROOT / "datasets" / "cifar-10-batches-py").is_dir():
        pytest.skip("no CIFAR-10 under datasets/")
    return Bed("cifar10", lambda train: Choice(Filters(3), None, False, ""), tmp_path_factory.mktemp("cifar10"))


def test_the_table_has_every_metric_of_images() -> None:
    of_points = {"modes", "high_quality", "mode_kl", "w1", "w2", "sliced"}
    assert set(TABLE) == set(BETTER) - of_points
    for kinds in TABLE.values():
        assert list(kinds) == [*DAMAGES, "copies of training images"]
        assert set(kinds.values()) <= {"sees", "blind", "partly"}


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*DAMAGES, "copies of training images"])
@pytest.mark.parametrize("metric", TABLE)
def test_digits(metric: str, damage: str, mnist: Bed) -> None:
    check(metric, damage, mnist.found[damage][metric])


@pytest.mark.slow
@pytest.mark.parametrize("damage", [*DAMAGES, "copies of training images"])
@pytest.mark.parametrize("metric", ["frechet", "kernel", "precision", "recall", "density", "coverage", "swd"])
def test_photographs(metric: str, damage: str, cifar10: Bed) -> None:
    check(metric, damage, cifar10.found[damage][metric])


def check(metric: str, damage: str, values: list[float]) -> None:
    """values: of undamaged images first, then at rising damage."""
    badness = [value if BETTER[metric] == "lower" else -value for value in values]
    if TABLE[metric][damage] == "sees":
        # a share that has reached 0 can't fall further
        assert all(a < b or a == b == 0 for a, b in pairwise(badness)), values
        assert badness[0] < badness[-1], values
    elif TABLE[metric][damage] == "blind":
        # not worse than chance moves it, at moderate damage
        scale = max(abs(values[0]), 0.05)
        assert badness[1] < badness[0] + 0.15 * scale, values


@pytest.mark.slow
def test_a_planted_collapse_is_seen_by_recall_coverage_and_classes(mnist: Bed, cifar10: Bed) -> None:
    for bed in (mnist, cifar10):
        collapse = bed.found["collapse"]
        assert collapse["recall"][-1] < 0.05 < 0.8 < collapse["recall"][0]
        assert collapse["coverage"][-1] < 0.25 < 0.9 < collapse["coverage"][0]
        # while what remains looks as real as before
        assert collapse["precision"][-1] > 0.8
    classes = mnist.found["dropped classes"]
    assert classes["class_kl"][0] < 0.05 < 1.5 < classes["class_kl"][-1]
    assert classes["missing_classes"][0] == 0


@pytest.mark.slow
def test_pixels_take_blur_for_precision(tmp_path: Path, mnist: Bed) -> None:
    """What docs/metrics.md warns of."""
    choice = Choice(Pixels((1, 28, 28)), None, False, "")
    bench, _ = open_bench(mnist.bench.reference, choice, ["precision", "density"], Setting(n=N, cache=tmp_path))
    values = [
        {
            row.key: row.value
            for row in bench.rows(bench.take(stream(blur(mnist.real, mnist.test, sigma))), floors=False)
        }
        for sigma in (0, 1.0, 2.4)
    ]
    assert values[0]["precision_pixels"] < 0.93 < 0.98 < values[1]["precision_pixels"]
    assert values[0]["density_pixels"] < 1.2 < 5 < values[1]["density_pixels"] < values[2]["density_pixels"]


def test_modes_of_toys_fall_with_each_mode_that_is_lost(tmp_path: Path) -> None:
    from wgan.evaluation.sides import AsTheyAre

    toy = load("25gaussians")
    choice = Choice(AsTheyAre(2), None, False, "")
    names = ["modes", "high_quality", "mode_kl", "w1", "w2", "sliced", "recall", "coverage"]
    setting = Setting(n=500, draws=2, cache=tmp_path)
    bench, _ = open_bench(Reference(toy, "train"), choice, names, setting)
    centres, std = np.asarray(toy.centres), toy.std  # type: ignore[attr-defined]

    def drawn(modes: int, spread: float) -> dict[str, float]:
        rng = np.random.default_rng(0)
        x = centres[rng.integers(0, modes, 1000)] + spread * std * rng.standard_normal((1000, 2))
        rows = bench.rows(bench.take(stream(x.astype(np.float32))), floors=False)
        return {row.key.removesuffix("_points"): row.value for row in rows}

    fewer = [drawn(modes, 1.0) for modes in (25, 20, 10, 1)]
    assert [each["modes"] for each in fewer] == [25, 20, 10, 1]
    for name in ("mode_kl", "w1", "w2", "sliced", "recall", "coverage"):
        check_rising([each[name] for each in fewer], BETTER[name])
    # a mode is lost with all that are near it, or it is not lost: quality stays
    assert min(each["high_quality"] for each in fewer) > 0.97
    wider = [drawn(25, spread) for spread in (1.0, 2.0, 4.0, 8.0)]
    check_rising([each["high_quality"] for each in wider], "higher")


def check_rising(values: list[float], better: str) -> None:
    badness = [value if better == "lower" else -value for value in values]
    assert badness == sorted(set(badness)), values
