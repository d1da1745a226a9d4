"""An evaluation tells the metrics of `wgan.metrics` for the samples that were given, with their protocol."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import POINTS, QUIET, tiny, train_to
from torch import Tensor

import wgan
from wgan import metrics
from wgan.data import Batch, Images, load
from wgan.data.grid import as_bytes
from wgan.data.stacked_mnist import CLASSES as STACKED
from wgan.errors import UserError
from wgan.evaluation.bench import Setting, open_bench
from wgan.evaluation.choice import Choice, Known, _best, facts_of
from wgan.evaluation.measures import MEASURES, Case
from wgan.evaluation.plan import NAMES, Facts, key_of, planned
from wgan.evaluation.reference import Reference, default_n, open_reference
from wgan.evaluation.report import Report, Row, merged, read_report, shown, write_report
from wgan.evaluation.sides import Side, take, take_real
from wgan.evaluation.streams import ORDER, Stream, real_stream
from wgan.features import Extracted
from wgan.features.pixels import Pixels
from wgan.sample import load as load_run

FAST = ["frechet", "kernel", "precision", "recall", "density", "coverage"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits with a test split: train 1,000, test 700, at their 8 x 8 pixels."""
    data = load("digits")
    assert isinstance(data, Images)
    assert data.labels is not None
    order = np.random.default_rng(0).permutation(1700)
    x, y = data.array[order], data.labels[order]
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, x_train=x[:1000], y_train=y[:1000], x_test=x[1000:], y_test=y[1000:])
    return path


@pytest.fixture(scope="module")
def run(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on these digits."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_to(tiny("wgan-gp", data=str(digits)), folder, options=replace(QUIET, data_root=folder.parent / "datasets"))
    return folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of data sets, and nothing from elsewhere."""
    monkeypatch.setenv("WGAN_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "datasets"


def pixels(path: Path, split: str, n: int) -> Tensor:
    """The features of the first n real samples in the order of all evaluations."""
    return Pixels((1, 8, 8))(
        torch.from_numpy(load(path, split=split, root=path.parent).array[order(split, n)])
    ).features  # type: ignore[attr-defined]


def order(split: str, n: int) -> np.ndarray:
    from wgan.data import order as positions

    return positions(ORDER, 0, n, 1000 if split == "train" else 700)


# --- the numbers -----------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_metrics(run: Path, digits: Path, root: Path) -> None:
    report = wgan.evaluate(run, n=300, metrics=[*FAST, "w1", "w2", "sliced"], features="pixels", data_root=root, seed=5)
    real, test = pixels(digits, "train", 300), pixels(digits, "test", 300)
    fake = Pixels((1, 8, 8))(torch.from_numpy(as_bytes(load_run(run).sample(300, seed=5)))).features
    for side, told in ((fake, lambda row: row.value), (test, lambda row: row.floor)):
        balls = metrics.precision_recall(real, side, 3)
        shares = metrics.density_coverage(real, side, 5)
        truth = {
            "frechet": metrics.frechet_distance(real, side),
            "kernel": metrics.kernel_distance(real, side, subsets=100, size=150, seed=5).mean,
            "precision": balls.precision,
            "recall": balls.recall,
            "density": shares.density,
            "coverage": shares.coverage,
            "w1": metrics.transport_distance(real, side, 1),
            "w2": metrics.transport_distance(real, side, 2),
            "sliced": metrics.sliced_wasserstein(real, side, seed=5),
        }
        found = {row.key.removesuffix("_pixels"): told(row) for row in report.rows}
        assert found == pytest.approx(truth, rel=1e-9)
    assert {row.key: row.better for row in report.rows}["recall_pixels"] == "higher"
    assert {row.key: row.better for row in report.rows}["frechet_pixels"] == "lower"


def test_patches_and_memorisation(run: Path, digits: Path, root: Path) -> None:
    report = wgan.evaluate(run, n=60, metrics=["swd", "closer_to_train"], features="pixels", data_root=root)
    train, test = load(digits, split="train", root=digits.parent), load(digits, split="test", root=digits.parent)
    assert isinstance(train, Images)
    assert isinstance(test, Images)
    made = torch.from_numpy(as_bytes(load_run(run).sample(60)))
    real = [
        torch.from_numpy(np.ascontiguousarray(data.array[order(split, 60)]))
        for data, split in ((train, "train"), (test, "test"))
    ]
    swd = metrics.laplacian_swd(real[0], made)
    rows = {row.key: row for row in report.rows}
    assert rows["swd_60"].value == pytest.approx(metrics.mean_swd(swd))
    assert rows["swd_60"].parts == pytest.approx({"8 px": swd[8]})
    assert rows["swd_60"].floor == pytest.approx(metrics.mean_swd(metrics.laplacian_swd(*real)))
    flat = [Pixels((1, 8, 8))(x).features for x in (made, *real)]
    truth = metrics.memorisation(*flat)
    assert rows["closer_to_train_pixels"].value == truth.closer_to_train
    assert rows["closer_to_train_pixels"].parts == {"ratio": truth.ratio, "copies": truth.copies}
    # thirty unseen images in place of samples, against thirty of either split
    unseen = metrics.memorisation(flat[2][30:], flat[1][:30], flat[2][:30])
    assert rows["closer_to_train_pixels"].floor == unseen.closer_to_train


def test_copies_of_training_images_are_found(digits: Path, root: Path) -> None:
    train, test = (load(digits, split=split, root=digits.parent).array for split in ("train", "test"))  # type: ignore[attr-defined]

    def closer(samples: np.ndarray) -> float:
        asked = {"metrics": ["closer_to_train"], "features": "pixels", "n": 600, "data_root": root}
        return wgan.evaluate(samples=samples, against=digits, **asked)["closer_to_train_pixels"]

    assert closer(train[order("train", 600)]) == 1
    assert closer(test[order("test", 600)]) == 0
    assert closer(np.random.default_rng(0).integers(0, 256, (600, 1, 8, 8), np.uint8)) == pytest.approx(0.5, abs=0.2)


def test_real_samples_score_as_the_floor_does(digits: Path, root: Path) -> None:
    test = load(digits, split="test", root=digits.parent)
    assert isinstance(test, Images)
    report = wgan.evaluate(
        samples=test.array[order("test", 60)], against=digits, features="pixels", n=60, data_root=root
    )
    for row in report.rows:
        if row.key != "closer_to_train_pixels":  # its floor needs three sets
            assert (row.value, row.spread) == (row.floor, row.floor_spread), row.key


def test_without_a_test_split_the_floor_is_of_what_is_spare(tmp_path: Path, root: Path) -> None:
    train_to(tiny("wgan-gp"), tmp_path / "run")
    asked: dict[str, Any] = {"metrics": ["frechet"], "features": "pixels", "data_root": root}
    by_default = wgan.evaluate(tmp_path / "run", **asked)
    assert by_default.protocol["samples"]["n"] == 1797 // 2
    assert by_default.protocol["floor"] == {"data": "digits train, others", "n": 898}
    assert by_default.rows[0].floor == pytest.approx(0.3032, rel=1e-3)
    # all digits: nothing is spare, and two halves stand against each other
    everything = wgan.evaluate(tmp_path / "run", n=1797, **asked)
    assert everything.protocol["floor"] == {"data": "halves of digits train", "n": 898}
    halves = Pixels((1, 8, 8))(real_stream(load("digits"), 1797).read(0, 1796)).features.split(898)
    assert everything.rows[0].floor == pytest.approx(metrics.frechet_distance(*halves))
    assert any("no split 'test'" in note for note in everything.notes)
    # of the images for patches each half has its own, also where only a few are kept
    bench, _ = open_bench(
        Reference(load("digits"), "train"),
        Choice(Pixels((1, 8, 8)), None, False, ""),
        ["swd"],
        Setting(n=1797, cache=root / "cache"),
    )
    few = replace(bench, facts=replace(bench.facts, swd_images=40))
    images = bench.real.stream.read(0, 1796)
    truth = metrics.mean_swd(metrics.laplacian_swd(images[:40], images[898:938]))
    assert few._floor(few.plan[0][0])["swd"].value == pytest.approx(truth)
    data = load("digits")
    held = wgan.evaluate(tmp_path / "run", n=500, held_out=data, **asked)
    assert held.protocol["floor"] == {"data": "digits held out", "n": 500}


def test_against_test_compares_with_test(run: Path, digits: Path, root: Path) -> None:
    asked: dict[str, Any] = {
        "metrics": ["kernel", "closer_to_train"],
        "features": "pixels",
        "n": 300,
        "data_root": root,
    }
    train, test = wgan.evaluate(run, **asked), wgan.evaluate(run, against="test", **asked)
    assert test.protocol["reference"]["split"] == "test"
    assert test.protocol["floor"]["data"].endswith("train")
    assert train["kernel_pixels"] != test["kernel_pixels"]
    # what is seen and what is unseen stays the same
    assert train["closer_to_train_pixels"] == test["closer_to_train_pixels"]
    other = wgan.evaluate(run, against=digits, split="test", **asked)
    assert other.rows == test.rows


def test_the_same_call_gives_the_same_numbers_whatever_the_batch(run: Path, root: Path) -> None:
    asked: dict[str, Any] = {"features": "pixels", "n": 50, "data_root": root, "metrics": ["frechet", "swd", "recall"]}
    state = torch.get_rng_state()
    first = wgan.evaluate(run, **asked)
    assert torch.equal(state, torch.get_rng_state())
    again = wgan.evaluate(run, batch_size=17, **asked)
    for mine, theirs in zip(first.rows, again.rows, strict=True):
        assert mine.key == theirs.key
        assert mine.value == pytest.approx(theirs.value, rel=1e-3)  # batches of another size round elsewhere
    assert wgan.evaluate(run, **asked) == first
    assert wgan.evaluate(run, seed=1, **asked).rows != first.rows


# --- points and toys -------------------------------------------------------------------------------------------------


def test_toys_are_measured_in_ten_draws(tmp_path: Path, root: Path) -> None:
    train_to(tiny("wgan-gp", data="8gaussians", networks=POINTS, conditional=False), tmp_path / "run")
    asked = ["modes", "high_quality", "mode_kl", "sliced", "precision"]
    report = wgan.evaluate(tmp_path / "run", metrics=asked, data_root=root)
    assert (report.protocol["samples"]["n"], report.protocol["samples"]["draws"]) == (2500, 10)
    points = load_run(tmp_path / "run").sample(25_000).split(2500)
    toy = load("8gaussians")
    found = [metrics.modes(part, torch.from_numpy(toy.centres), toy.std) for part in points]  # type: ignore[attr-defined]
    rows = {row.key: row for row in report.rows}
    assert rows["modes"].value == np.mean([each.captured for each in found])
    assert rows["mode_kl"].value == pytest.approx(np.mean([each.reverse_kl for each in found]))
    assert rows["mode_kl"].spread == pytest.approx(np.std([each.reverse_kl for each in found], ddof=1))
    assert (rows["modes"].floor, rows["modes"].floor_spread) == (8, 0)
    # of a Gaussian in the plane, exp(-9/2) lies beyond three deviations
    assert rows["high_quality"].floor == pytest.approx(1 - math.exp(-4.5), abs=2e-3)
    assert rows["mode_kl"].floor == pytest.approx(7 / 5000, rel=0.6)
    assert rows["precision_points"].floor == pytest.approx(0.977, abs=0.01)


def test_points_of_anyone_in_as_many_draws_as_there_are(root: Path) -> None:
    centres = load("25gaussians").centres  # type: ignore[attr-defined]
    asked: dict[str, Any] = {"against": "25gaussians", "metrics": ["modes", "mode_kl"], "data_root": root}
    half = wgan.evaluate(samples=np.tile(centres[:12], (500, 1)), n=3000, **asked)
    assert half.protocol["samples"]["draws"] == 2
    assert half["modes"] == 12
    assert half.rows[0].spread == 0
    assert half["mode_kl"] == pytest.approx(math.log(25 / 12))
    one = wgan.evaluate(samples=np.tile(centres[:1], (30, 1)).astype(np.float32), **asked)
    assert one["modes"] == 1
    assert one.rows[0].spread is None


def test_tables_of_points(tmp_path: Path, root: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "real.npy", rng.standard_normal((400, 3)))
    far = wgan.evaluate(samples=rng.standard_normal((200, 3)) + 5, against=tmp_path / "real.npy", data_root=root)
    keys = {row.key for row in far.rows}
    assert {"w1", "w2", "sliced", "frechet_points", "kernel_points", "precision_points"} <= keys
    assert not any("modes" in key or "swd" in key for key in keys)
    assert far["w1"] == pytest.approx(5 * math.sqrt(3), rel=0.05)
    assert far["precision_points"] == 0
    assert far.picture == ""


# --- features --------------------------------------------------------------------------------------------------------


def test_classifier_features_are_named_by_their_data_and_give_classes(
    run: Path, digits: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wgan.features.classifier.default_steps", lambda *_: 60)
    report = wgan.evaluate(run, n=100, data_root=root)
    name = f"classifier-{digits.name}"
    assert [row.key for row in report.rows] == [
        f"frechet_{name}",
        f"kernel_{name}",
        f"classifier_score_{name}",
        *(f"{key}_{name}" for key in ("precision", "recall", "density", "coverage")),
        "swd_100",
        f"missing_classes_{name}",
        f"class_kl_{name}",
        f"closer_to_train_{name}",
    ]
    rows = {row.key: row for row in report.rows}
    shares = rows[f"missing_classes_{name}"].parts
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares) == list("0123456789")
    assert rows[f"missing_classes_{name}"].floor == 0
    score = rows[f"classifier_score_{name}"]
    assert score.floor is not None
    assert 10 > score.floor > 2 > score.value > 1
    assert report.protocol["features"]["accuracy"] > 0.7
    with pytest.raises(UserError, match="class probabilities"):
        wgan.evaluate(run, n=100, features="pixels", metrics=["classifier_score"], data_root=root)
    with pytest.raises(KeyError, match="fid; this report has frechet_"):
        report["fid"]


def test_features_of_ones_own_and_the_cache(run: Path, digits: Path, tmp_path: Path, root: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        f"log = r'{tmp_path / 'calls'}'\n"
        "def halves(images):\n"
        "    with open(log, 'a') as file:\n"
        "        file.write(f'{len(images)}\\n')\n"
        "    return images.float().unflatten(2, (2, -1)).mean((1, 3, 4))\n"
    )

    def calls() -> int:
        """Images that the function saw in the last evaluation, but for the probes that it is tried on."""
        seen = [int(line) for line in (tmp_path / "calls").read_text().split()]
        (tmp_path / "calls").unlink()
        return sum(seen) - sum(n for n in seen if n <= 4)

    asked: dict[str, Any] = {"features": f"{tmp_path}/mine.py:halves", "metrics": ["frechet"], "data_root": root}
    first = wgan.evaluate(run, n=100, **asked)
    assert [row.key for row in first.rows] == ["frechet_mine.py:halves"]
    assert calls() == 300
    again = wgan.evaluate(run, n=100, seed=1, **asked)
    assert calls() == 100  # train and test are kept
    assert again.rows[0].floor == first.rows[0].floor
    # other content under the same name, another function: nothing is taken for what it isn't
    data, mine = np.load(digits), tmp_path / "mine.npz"
    for change in (0, 255):
        np.savez(mine, x_train=change ^ data["x_train"], x_test=change ^ data["x_test"])
        wgan.evaluate(run, against=mine, n=100, **asked)
        assert calls() == 300
    text = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(text.replace("mean((1, 3, 4))", "mean((1, 3, 4)) * 2"))
    assert wgan.evaluate(run, n=100, **asked).rows[0].value == pytest.approx(4 * first.rows[0].value)
    assert calls() == 300


class Bad:
    """Features that turn bad at one image."""

    name, dim, fingerprint = "bad", 2, "bad"
    protocol: dict[str, str | int | float] = {}  # noqa: RUF012

    def __call__(self, images: Tensor) -> Extracted:
        x = images.float().flatten(1)[:, :2]
        return Extracted(torch.where(x == 77, torch.nan, x), None)


def test_features_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    array = np.zeros((40, 1, 8, 8), np.uint8)
    array[23, 0, 0, 1] = 77
    stream = Stream("mine", (1, 8, 8), 40, lambda a, m: torch.from_numpy(array[a : a + m]), "print")
    with pytest.raises(UserError, match="features 'bad' of mine are NaN or infinite, first of sample 23"):
        take_real(stream, Bad(), cache=tmp_path, batch_size=7)
    assert not list(tmp_path.glob("*/*/*"))  # no half entry
    wrong = type("Wrong", (Bad,), {"dim": 3})()
    with pytest.raises(UserError, match=r"give \[7, 2\] for 7 samples: must be \[7, 3\]"):
        take_real(stream, wrong, cache=tmp_path, batch_size=7)


def test_features_that_draw_leave_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    class Drawing(Pixels):
        """A user's own, with dropout left on."""

        def __call__(self, images: Tensor) -> Extracted:
            return Extracted(super().__call__(images).features * torch.rand(64), None)

    stream, features = real_stream(load("digits"), 50), Drawing((1, 8, 8), "drawing")
    state = torch.get_rng_state()
    sides = [take(stream, features, batch_size=20), take_real(stream, features, cache=tmp_path, batch_size=20)]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(sides[0].features, sides[1].features)


def test_no_more_images_are_kept_than_there_are(tmp_path: Path) -> None:
    class Endless:
        """A source without an end."""

        name, shape, classes, count, fingerprint = "endless", (1, 8, 8), (), None, "endless"

        def batch(self, seed: int, start: int, n: int) -> Batch:
            return Batch(torch.zeros(n, 1, 8, 8), None)

    side = take_real(real_stream(Endless(), 30), Pixels((1, 8, 8), "x"), cache=tmp_path, batch_size=8, keep=99)
    assert side.images is not None
    assert len(side.images) == 30


def test_a_second_split_must_be_of_the_same_kind_and_another(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), np.uint8)
    for test, fits in ((255 - x, True), (x, False), (np.repeat(x, 2, 2), False)):
        np.savez(tmp_path / "d.npz", x_train=x, x_test=test)
        reference = open_reference(tmp_path / "d.npz", "train", root=tmp_path)
        assert (reference.other is not None) is fits
        assert bool(reference.missing) is not fits


def test_what_is_kept_is_memory_mapped_and_equal(tmp_path: Path) -> None:
    data = load("digits")

    class Kept(Pixels):
        """Pixels under another name, which are kept."""

        def __call__(self, images: Tensor) -> Extracted:
            features, _ = super().__call__(images)
            return Extracted(features, features.softmax(1))

    features = Kept((1, 8, 8), "kept")
    sides = [take_real(real_stream(data, 100), features, features, cache=tmp_path, batch_size=9, keep=30) for _ in "ab"]
    plain = Pixels((1, 8, 8))(real_stream(data, 100).read(0, 100)).features
    for side in sides:
        assert torch.equal(side.features, plain)
        assert side.probabilities is not None
        assert side.judged is not None
        assert side.images is not None
        assert torch.equal(side.judged, plain.argmax(1))
        assert torch.equal(side.images, real_stream(data, 30).read(0, 30))
        half = side.part(40, 90)
        assert torch.equal(half.features, plain[40:90])
        assert torch.equal(half.stream.read(3, 5), side.stream.read(43, 5))
        assert half.images is None
        assert torch.equal(half.with_images(99).images, side.stream.read(40, 50))
        assert torch.equal(half.with_images(9).images, side.stream.read(40, 9))
        assert half.stream.labels is not None
        assert side.stream.labels is not None
        assert np.array_equal(half.stream.labels, side.stream.labels[40:90])
    assert len(list(tmp_path.glob("features-*/*/features.npy"))) == 1


def test_conditional_runs_draw_classes_as_often_as_the_data_do(tmp_path: Path, root: Path) -> None:
    data = load("digits")
    assert isinstance(data, Images)
    assert data.labels is not None
    # seven times as many zeros as others
    index = np.concatenate([np.tile(np.flatnonzero(data.labels == 0), 7), np.flatnonzero(data.labels > 0)])
    np.savez(tmp_path / "odd.npz", images=data.array[index], labels=data.labels[index])
    run = tiny("wgan-gp", data=str(tmp_path / "odd.npz"), conditional=True)
    train_to(run, tmp_path / "run")
    reference = open_reference(run.data, "train", root=root)
    from wgan.evaluation import evaluating
    from wgan.evaluation.subject import subject_of_run

    subject = subject_of_run(tmp_path / "run", "cpu")
    choice = Choice(Pixels((1, 8, 8)), None, False, "")
    bench, _ = open_bench(reference, choice, ["kernel"], Setting(n=400, cache=root / "cache"))
    labels = evaluating._labels(subject, bench)
    assert labels is not None
    assert np.mean(labels == 0) == pytest.approx(np.mean(data.labels[index] == 0), abs=0.08)
    # of data with other classes the labels say nothing
    assert evaluating._labels(replace(subject, classes=("x", "y")), bench) is None
    report = wgan.evaluate(tmp_path / "run", n=400, metrics=["frechet"], features="pixels", data_root=root)
    sampler = load_run(tmp_path / "run")
    mine = Pixels((1, 8, 8))(
        torch.from_numpy(as_bytes(sampler.decode(sampler.noise(400), labels=torch.from_numpy(labels))))
    ).features
    assert report.rows[0].value == pytest.approx(metrics.frechet_distance(bench.real.features, mine), rel=1e-3)
    made = subject.draw(400, 0, labels)
    zeros = int(np.flatnonzero(labels == 0)[0])
    alone = load_run(tmp_path / "run").sample(400, label=0)
    assert np.array_equal(made.read(zeros, 1)[0].numpy(), as_bytes(alone[zeros : zeros + 1])[0])


# --- what is measured, and how it is called --------------------------------------------------------------------------

IMAGES = Facts(
    "classifier-x",
    False,
    False,
    128,
    1000,
    1000,
    frozenset({"images", "probabilities", "judge", "train and held-out data"}),
)


def test_only_official_inception_gives_fid_kid_and_is() -> None:
    official = replace(IMAGES, features="inception", official=True)
    odd = replace(IMAGES, features="inception-unofficial")
    for name, key in (("frechet", "fid"), ("kernel", "kid"), ("classifier_score", "is")):
        assert key_of(name, official) == key
        assert key_of(name, IMAGES) == f"{name}_classifier-x"
        assert key_of(name, odd) == f"{name}_inception-unofficial"
        assert [rows for _, rows in planned([key], official)[0]] == [[name]]
        with pytest.raises(UserError, match=f"{key} is defined by the official Inception weights"):
            planned([key], IMAGES)
    assert key_of("precision", official) == "precision_inception"
    keys = [key_of(name, facts) for facts in (official, odd, IMAGES) for measure in MEASURES for name in measure.rows]
    assert sum(keys.count(key) > 1 for key in {*keys} - {"swd_1000"}) == 0


def test_patches_have_the_protocols_name_only_at_its_size() -> None:
    assert key_of("swd", replace(IMAGES, swd_images=8192)) == "swd"
    assert key_of("swd", replace(IMAGES, swd_images=2048)) == "swd_2048"


def test_features_of_a_path_are_called_by_its_last_part() -> None:
    assert key_of("recall", replace(IMAGES, features="classifier-/home/me/photos")) == "recall_classifier-photos"
    assert key_of("recall", replace(IMAGES, features="/home/me/nets.py:vgg")) == "recall_nets.py:vgg"


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_can_be_asked_for_or_says_what_it_needs(name: str) -> None:
    bare = replace(IMAGES, has=frozenset({"images"}), official=True)
    if name in (
        "is",
        "classifier_score",
        "modes",
        "high_quality",
        "mode_kl",
        "missing_classes",
        "class_kl",
        "closer_to_train",
    ):
        with pytest.raises(UserError, match=": needs "):
            planned([name], bare)
    else:
        ((_, rows),) = planned([name], bare)[0]
        assert len(rows) == 1


@pytest.mark.parametrize(
    ("name", "needs"),
    [(next(iter(measure.rows)), measure.fewest) for measure in MEASURES if measure.fewest > 1],
)
def test_too_few_samples_are_told_with_how_many_are_needed(name: str, needs: int) -> None:
    facts = replace(IMAGES, has=IMAGES.has | {"known modes"}, n=needs - 1)
    with pytest.raises(UserError, match=rf"needs at least {needs} samples on each side, there are {needs - 1}"):
        planned([name], facts)
    assert planned([name], replace(facts, n=needs))[0]
    # unasked, it is left out with a note
    notes = planned(None, facts)[1]
    assert any(f"needs at least {needs}" in note for note in notes)
    # what is no use here is no news
    assert planned(None, replace(IMAGES, has=frozenset({"images"})))[1] == []


@pytest.mark.parametrize("measure", [measure for measure in MEASURES if measure.needs != "known modes"])
def test_each_metric_works_at_the_fewest_samples_it_names(measure: Any, digits: Path, tmp_path: Path) -> None:
    class Sure(Pixels):
        def __call__(self, images: Tensor) -> Extracted:
            return Extracted(super().__call__(images).features, images.flatten(1).float().softmax(1)[:, :10] + 0.1)

    features = Sure((1, 8, 8), "sure")
    reference = Reference(
        load(digits, root=digits.parent), "train", load(digits, split="test", root=digits.parent), "test"
    )
    n = max(2, measure.fewest)
    bench, _ = open_bench(
        reference, Choice(features, features, False, ""), [*measure.rows], Setting(n=n, cache=tmp_path)
    )
    if "classifier_score" in measure.rows:
        pytest.skip("needs rows that sum to one; see the test of classifier features")
    rows = bench.rows(bench.take(real_stream(load("digits"), n)))
    assert [row.key.partition("_sure")[0] for row in rows] == [
        f"swd_{n}" if name == "swd" else name for name in measure.rows
    ]
    assert all(math.isfinite(row.value) for row in rows)


def test_a_large_dimension_leaves_frechet_for_those_who_ask() -> None:
    wide = replace(IMAGES, dim=12_288)
    plan, notes = planned(None, wide)
    assert not any("frechet" in measure.rows for measure, _ in plan)
    assert any("ask for it by name" in note for note in notes)
    assert planned(["frechet"], wide)[0]


def test_few_samples_are_noted_beside_the_figures_that_they_bias(run: Path, root: Path) -> None:
    report = wgan.evaluate(run, n=100, metrics=["frechet", "recall"], features="pixels", data_root=root)
    notes = {row.key: row.note for row in report.rows}
    assert notes["frechet_pixels"].startswith("of 100 samples, where 10,000 are usual: it is biased upwards")
    assert notes["recall_pixels"] == ""


# --- the report ------------------------------------------------------------------------------------------------------


def test_a_report_states_its_protocol_and_is_kept_with_its_picture(
    run: Path, digits: Path, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "report.json"
    report = wgan.evaluate(run, n=64, metrics=["recall"], features="pixels", data_root=root, seed=2, out=out)
    data = load(digits, root=digits.parent)
    protocol = report.protocol
    assert protocol["samples"] == {"run": str(run), "step": 5, "n": 64, "draws": 1, "seed": 2}
    assert protocol["reference"] == {
        "data": str(digits),
        "split": "train",
        "n": 64,
        "available": 1000,
        "shape": [1, 8, 8],
        "fingerprint": data.fingerprint,
    }
    assert protocol["floor"] == {"data": f"{digits} test", "n": 64}
    assert protocol["features"]["name"] == "pixels"
    assert protocol["features"]["resizer"] == "none"
    assert protocol["versions"] == {"wgan": wgan.__version__, "torch": torch.__version__}
    assert report.file == str(out)
    told = json.loads(out.read_text())
    assert told["protocol"] == protocol
    assert told["rows"][0]["value"] == report["recall_pixels"]
    kept = list((run / "evaluation").glob("step-000005-pixels-*train-64-seed2.json"))
    assert len(kept) == 1
    assert json.loads(kept[0].read_text())["rows"] == told["rows"]
    with Image.open(report.picture) as picture:
        assert picture.width > 400
        assert Path(report.picture).parent == run / "evaluation"
    with pytest.raises(UserError, match="is there already: choose another --out"):
        wgan.evaluate(run, n=64, metrics=["recall"], features="pixels", data_root=root, out=out)


def test_what_is_asked_for_in_two_goes_is_kept_in_one(run: Path, root: Path) -> None:
    asked: dict[str, Any] = {"n": 65, "features": "pixels", "data_root": root}
    first = wgan.evaluate(run, metrics=["recall"], **asked)
    second = wgan.evaluate(run, metrics=["kernel"], **asked)
    assert first.file == second.file
    assert [row.key for row in second.rows] == ["kernel_pixels"]
    kept = read_report(Path(second.file))
    assert kept is not None
    assert [row.key for row in kept.rows] == ["kernel_pixels", "recall_pixels"]
    # another seed is another protocol: nothing is mixed
    third = wgan.evaluate(run, metrics=["coverage"], seed=1, **asked)
    kept = read_report(Path(third.file))
    assert kept is not None
    assert [row.key for row in kept.rows] == ["coverage_pixels"]


def test_reports_survive_json(tmp_path: Path) -> None:
    rows = (Row("a", 1.5, "lower", 0.25, 0.5, None, {"b": 2.0}, "note"), Row("c", math.inf, "higher"))
    report = Report({"n": 3}, rows, ("d",), "p.png", "f.json")
    write_report(report, tmp_path / "r.json")
    back = read_report(tmp_path / "r.json")
    assert back is not None
    assert back.rows[0] == rows[0]
    assert "Infinity" not in (tmp_path / "r.json").read_text()
    assert read_report(tmp_path / "none.json") is None
    (tmp_path / "r.json").write_text("{")
    assert read_report(tmp_path / "r.json") is None
    assert merged(report, None) == report
    other = Report({"n": 3}, (Row("a", 9.0, "lower"), Row("e", 2.0, "lower")), ("d", "f"))
    assert [row.key for row in merged(report, other).rows] == ["a", "c", "e"]
    assert merged(report, other).rows[0].value == 1.5
    assert merged(report, other).notes == ("d", "f")
    assert merged(report, replace(other, protocol={"n": 4})) == report


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (12.3456, None, "12.35"),
        (0.020412, 0.00041, "0.02041 ± 0.00041"),
        (11.237, 0.0951, "11.237 ± 0.095"),
        (25.0, None, "25"),
        (24.9, 0.3162, "24.90 ± 0.32"),
        (8.0, 0.0, "8 ± 0"),
        (0.0, None, "0"),
        (1234.5678, None, "1235"),
        (-0.0000123, None, "-1.23e-05"),
        (1e-12, 2.5e-13, "1e-12 ± 2.5e-13"),
        (0.00002, 0.03, "0.000 ± 0.030"),
        (0.123456, 0.0, "0.1235 ± 0.0000"),
        (148.7, 1234.0, "149 ± 1234"),
        (math.nan, None, "not a number"),
        (math.inf, None, "inf"),
    ],
)
def test_figures_show_as_many_digits_as_they_have(value: float, spread: float | None, text: str) -> None:
    assert shown(value, spread) == text


# --- bad input, told before anything expensive ---------------------------------------------------------------------


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test when features are taken: that is the expensive part."""
    from wgan.evaluation import bench

    def taken(*_: object, **__: object) -> None:
        raise AssertionError("features were taken before the mistake was told")

    monkeypatch.setattr(bench, "take_real", taken)
    monkeypatch.setattr(bench, "take", taken)
    monkeypatch.setattr("wgan.features.classifier.fit", taken)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"metrics": ["fidd"]}, "unknown metric 'fidd'; did you mean 'fid'?"),
        ({"metrics": []}, "no metric is named"),
        ({"metrics": "fid"}, r"must be a list of names, such as \['fid'\]"),
        ({"metrics": ["fid"], "features": "pixels"}, "fid is defined by the official Inception weights"),
        ({"features": "pixel"}, "unknown features 'pixel'; did you mean 'pixels'?"),
        ({"features": "inception", "weights": Path("none.pth")}, "no file of weights at 'none.pth'"),
        ({"n": 1}, "n is 1: must be at least 2"),
        ({"n": 5, "metrics": ["density"], "features": "pixels"}, "needs at least 6 samples on each side, there are 5"),
        ({"seed": -1}, "seed is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"n": 5, "metrics": ["density"], "features": "classifier"}, "density: needs at least 6 samples"),
        ({"metrics": ["modes", "class_kl"]}, "modes: needs data whose modes are known"),
        ({"metrics": ["fid"], "features": "classifier"}, "fid is defined by the official Inception weights"),
        ({"against": "cifr10"}, "unknown data 'cifr10'; did you mean 'cifar10'"),
        (
            {"against": "8gaussians"},
            "samples are images of 1 channel, 8x8 px, the reference '8gaussians' is points of 2",
        ),
        ({"split": "dev"}, "holds"),
        ({"size": 16}, "leave --size out"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
        ({"samples": "x"}, "evaluate what?"),
    ],
)
def test_mistakes_of_a_call(asked: dict[str, Any], told: str, run: Path, root: Path, never: None) -> None:
    with pytest.raises(UserError, match=told):
        wgan.evaluate(run, **({"data_root": root, "features": "pixels"} | asked))
    assert not (run / "evaluation" / "x").exists()


@pytest.mark.parametrize(
    ("samples", "asked", "told"),
    [
        (np.zeros((9, 3, 8, 8), np.uint8), {}, "against what?"),
        (np.zeros((9, 3, 8, 8), np.uint8), {"against": "train"}, "against what?"),
        (
            np.zeros((9, 3, 8, 8), np.uint8),
            {"against": "digits"},
            "images of 3 channels, 8x8 px, the reference 'digits'",
        ),
        (
            np.zeros((9, 1, 9, 9), np.uint8),
            {"against": "digits"},
            "images of 1 channel, 9x9 px, the reference 'digits'",
        ),
        (np.zeros((9, 1, 8, 8), np.uint8), {"against": "digits", "n": 10}, "n is 10, but the array has 9 samples"),
        (np.zeros((9, 3)), {"against": "digits"}, "points of 3 numbers, the reference 'digits' is images"),
        (
            np.zeros((9, 3), np.float32),
            {"against": "8gaussians"},
            "points of 3 numbers, the reference '8gaussians' is points of 2",
        ),
        (np.zeros((9, 2)), {"against": "8gaussians", "features": "classifier"}, "points are measured as they are"),
    ],
)
def test_mistakes_of_samples(samples: np.ndarray, asked: dict[str, Any], told: str, root: Path, never: None) -> None:
    with pytest.raises(UserError, match=told):
        wgan.evaluate(samples=samples, data_root=root, **asked)


def test_a_run_without_a_checkpoint(tmp_path: Path, root: Path, run: Path) -> None:
    with pytest.raises(UserError, match="no run at"):
        wgan.evaluate(tmp_path, data_root=root)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.toml").write_text((run / "run.toml").read_text())
    with pytest.raises(UserError, match="has no checkpoint yet"):
        wgan.evaluate(tmp_path / "run", data_root=root)


def test_official_weights_that_are_missing_are_asked_for(
    run: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wgan.features import weights

    def offline(*_: object, **__: object) -> None:
        raise UserError("no connection to github.com")

    monkeypatch.setattr(weights, "fetch", offline)
    for asked in ({"metrics": ["fid"]}, {"features": "inception"}):
        with pytest.raises(UserError, match="needs its weights"):
            wgan.evaluate(run, n=50, data_root=root, **asked)


def test_data_that_are_gone_leave_a_hint(digits: Path, tmp_path: Path, root: Path) -> None:
    (tmp_path / "d.npz").write_bytes(digits.read_bytes())
    train_to(tiny("wgan-gp", data=str(tmp_path / "d.npz")), tmp_path / "run")
    (tmp_path / "d.npz").unlink()
    with pytest.raises(UserError, match=r"no such file.*run was trained on it: give other data by --against"):
        wgan.evaluate(tmp_path / "run", data_root=root)
    with pytest.raises(UserError, match=r"no such file: 'gone\.npy'$"):
        wgan.evaluate(tmp_path / "run", against="gone.npy", data_root=root)
    asked: dict[str, Any] = {"metrics": ["kernel"], "features": "pixels", "data_root": root, "n": 50}
    assert wgan.evaluate(tmp_path / "run", against=digits, **asked).protocol["reference"]["data"] == str(digits)


def test_more_samples_than_real_ones(run: Path, digits: Path, root: Path) -> None:
    names = [*FAST, "sliced", "w1", "closer_to_train"]
    report = wgan.evaluate(run, n=1200, metrics=names, features="pixels", data_root=root)
    assert report.protocol["samples"]["n"] == 1200
    assert (report.protocol["reference"]["n"], report.protocol["floor"]["n"]) == (1000, 700)
    fake = Pixels((1, 8, 8))(torch.from_numpy(as_bytes(load_run(run).sample(1200)))).features
    truth = metrics.frechet_distance(pixels(digits, "train", 1000), fake)
    assert report["frechet_pixels"] == pytest.approx(truth)
    truth = metrics.memorisation(fake, pixels(digits, "train", 700), pixels(digits, "test", 700)).closer_to_train
    assert report["closer_to_train_pixels"] == truth
    assert all(row.floor is not None for row in report.rows)


def test_a_handful_of_test_images_gives_no_floor(digits: Path, tmp_path: Path, root: Path) -> None:
    data = np.load(digits)
    np.savez(tmp_path / "few.npz", x_train=data["x_train"], x_test=data["x_test"][:5])
    asked: dict[str, Any] = {"metrics": ["recall", "swd"], "features": "pixels", "data_root": root}
    report = wgan.evaluate(samples=data["x_test"][:20], against=tmp_path / "few.npz", **asked)
    floors = {row.key: row.floor for row in report.rows}
    assert floors["recall_pixels"] is None  # needs 6
    assert floors["swd_20"] is not None


def test_held_out_data_beside_a_test_split_are_no_training_data(run: Path, root: Path) -> None:
    asked: dict[str, Any] = {"n": 60, "features": "pixels", "data_root": root, "held_out": "digits"}
    assert wgan.evaluate(run, metrics=["closer_to_train"], **asked).rows[0].floor is not None
    with pytest.raises(UserError, match="closer_to_train: needs a train and a test split"):
        wgan.evaluate(run, against="test", metrics=["closer_to_train"], **asked)


def test_a_run_that_may_not_be_written_to_loses_no_figures(run: Path, root: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "evaluation", ignore_errors=True)
    (tmp_path / "run" / "evaluation").write_text("in the way")
    report = wgan.evaluate(tmp_path / "run", n=50, metrics=["recall"], features="pixels", data_root=root)
    assert any(note.startswith("not kept: ") for note in report.notes)
    assert (report.file, report.picture) == ("", "")
    assert report.rows[0].key == "recall_pixels"


def test_a_place_that_cannot_be_is_told_first(run: Path, root: Path, tmp_path: Path, never: None) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is no folder that may be written to"):
        wgan.evaluate(run, out=tmp_path / "file" / "r.json", features="pixels", data_root=root)


def test_a_class_that_is_missing_among_real_images_makes_nothing_infinite(tmp_path: Path) -> None:
    def side(labels: list[int]) -> Side:
        stream = Stream("x", (1, 8, 8), len(labels), lambda a, m: torch.zeros(m, 1, 8, 8, dtype=torch.uint8))
        return Side(stream, torch.zeros(len(labels), 2), judged=torch.tensor(labels))

    case = Case(side([0, 0, 1, 1]), side([0, 1, 2, 2]), 4, classes=("a", "b", "c"))
    balance = next(measure for measure in MEASURES if "class_kl" in measure.rows).compute(case)
    reference = np.array([2.5, 2.5, 0.5]) / 5.5
    share = np.array([0.25, 0.25, 0.5])
    assert balance["class_kl"].value == pytest.approx((share * np.log(share / reference)).sum())
    assert balance["missing_classes"].parts == {"a": 0.25, "b": 0.25, "c": 0.5}
    assert balance["missing_classes"].value == 0


def test_the_best_features_that_are_there(root: Path, tmp_path: Path) -> None:
    def data(channels: int, classes: tuple[str, ...]) -> Reference:
        labels = np.zeros(9, np.int64) if classes else None
        return Reference(Images("mine", np.zeros((9, channels, 8, 8), np.uint8), labels, classes, "print"), "train")

    plain, labelled, two = data(3, ()), data(1, ("a", "b")), data(2, ())
    assert _best(plain, None, None, root)[0] == "pixels"
    assert _best(labelled, None, None, root)[0] == "classifier"
    assert _best(labelled, None, Path("w.pth"), root) == ("inception", "weights were given")
    assert _best(labelled, ["recall", "kid"], None, root) == ("inception", "kid is defined by them")
    (root / "weights").mkdir(parents=True)
    (root / "weights" / "pt_inception-2015-12-05-6726825d.pth").write_bytes(b"")
    assert _best(labelled, None, None, root) == ("inception", "their weights are there")
    assert _best(plain, None, None, None)[0] == "inception"  # the root that WGAN_DATASETS names
    # the network takes 1 or 3 channels
    assert _best(two, None, None, root)[0] == "pixels"


def test_patches_of_fewer_images_unless_they_are_asked_for() -> None:
    data = Images("mine", np.zeros((9000, 1, 1, 1), np.uint8), fingerprint="print")
    reference, known = Reference(data, "train", data, "test"), Known("pixels", False, 1, False, False)
    assert facts_of(known, reference, None, 9000).swd_images == 2048
    assert facts_of(known, reference, ["swd"], 9000).swd_images == 8192
    assert facts_of(known, reference, ["swd"], 100).swd_images == 100
    # of the reference there may be fewer than samples
    assert facts_of(known, reference, None, 50_000).n == 9000
    assert facts_of(known, reference, None, 50_000).has == {"images", "train and held-out data"}


def test_stacked_digits_are_modes() -> None:
    stream = Stream("x", (3, 8, 8), 4, lambda a, m: torch.zeros(m, 3, 8, 8, dtype=torch.uint8))
    side = Side(stream, torch.zeros(4, 2), judged=torch.tensor([0, 999, 999, 7]))
    found = MEASURES[0].compute(Case(side, side, 4, classes=STACKED))
    assert found["modes"].value == 3
    assert found["mode_kl"].value == pytest.approx(math.log(1000) - 1.5 * math.log(2))
    assert "high_quality" not in found
    facts = replace(IMAGES, features="classifier-stacked-mnist", has=frozenset({"images", "known modes"}))
    assert key_of("modes", facts) == "modes_classifier-stacked-mnist"
    data = Images("stacked-mnist", np.zeros((9, 3, 8, 8), np.uint8), np.arange(9), STACKED, "print")
    assert default_n(Reference(data, "train", data, "test"), None) == 9
    data = Images("stacked-mnist", np.zeros((30_000, 1, 1, 1), np.uint8), np.arange(30_000) % 1000, STACKED, "print")
    assert default_n(Reference(data, "train", data, "test"), None) == 26_000
    known = Known("classifier-stacked-mnist", False, 9, True, True)
    assert "known modes" in facts_of(known, Reference(data, "train"), None, 100).has
    assert "judge" not in facts_of(known, Reference(data, "train"), None, 100).has


@pytest.mark.parametrize(
    ("shape", "count", "other", "available", "n"),
    [
        ((3, 8, 8), 50_000, True, None, 10_000),
        ((3, 8, 8), 50_000, True, 4_000, 4_000),
        ((3, 8, 8), 6_000, True, None, 6_000),
        ((3, 8, 8), 6_001, False, None, 3_000),
        ((3, 8, 8), None, False, None, 10_000),
        ((2,), None, False, None, 2_500),
        ((2,), 900, False, None, 450),
    ],
)
def test_how_many_are_measured_when_nobody_says(
    shape: tuple[int, ...], count: int | None, other: bool, available: int | None, n: int
) -> None:
    class Any_:
        """Data of this size."""

        name, classes, fingerprint = "any", (), "print"

    data: Any = Any_()
    data.shape, data.count = shape, count
    assert default_n(Reference(data, "train", data if other else None, "test"), available) == n


def test_data_that_have_changed_are_noted(digits: Path, tmp_path: Path, root: Path) -> None:
    data = np.load(digits)
    np.savez(tmp_path / "d.npz", **data)
    train_to(tiny("wgan-gp", data=str(tmp_path / "d.npz")), tmp_path / "run")
    asked: dict[str, Any] = {"n": 50, "metrics": ["kernel"], "features": "pixels", "data_root": root}
    assert not any("have changed" in note for note in wgan.evaluate(tmp_path / "run", **asked).notes)
    np.savez(tmp_path / "d.npz", **{**data, "x_train": 255 - data["x_train"]})
    assert any("have changed" in note for note in wgan.evaluate(tmp_path / "run", **asked).notes)
