"""The same numbers from independent programs: torchmetrics and torch-fidelity, fed the same features."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wgan.metrics import (
    Moments,
    density_coverage,
    frechet_distance,
    frechet_of_moments,
    inception_score,
    kernel_distance,
    mmd2,
    precision_recall,
)

# torchmetrics keeps some of its sums in float32, and returns all of its results in it
SINGLE = 1e-6
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics")  # that features fill its memory
REAL, FAKE = (
    torch.from_numpy(np.random.default_rng(seed).gamma(2, 1 + 0.1 * seed, (400, 24)) @ np.tri(24)) for seed in range(2)
)


class Given(nn.Module):
    """A feature network for features that are there already."""

    num_features = REAL.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        return x


KEPT: list[torch.library.Library] = []  # declarations end with their library


def make_torchvision_importable() -> None:
    """torchvision, which torch-fidelity needs and torchmetrics uses if it is there, beside a torch without CUDA.

    It registers shapes for two operators that only its own CUDA library defines, so that its import fails where that
    library can't be loaded, unless they are declared before.
    """
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        KEPT.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                KEPT[-1].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@pytest.fixture(scope="module")
def fidelity() -> Any:
    make_torchvision_importable()
    package = pytest.importorskip("torch_fidelity")
    for name in ("fid", "isc", "kid", "prc"):
        importlib.import_module(f"torch_fidelity.metric_{name}")
    return package


@pytest.fixture(scope="module")
def torchmetrics_image() -> Any:
    make_torchvision_importable()
    return pytest.importorskip("torchmetrics.image")


# torch-fidelity: NumPy in float64


def test_frechet_as_torch_fidelity(fidelity: Any) -> None:
    a, b = (fidelity.metric_fid.fid_features_to_statistics(x) for x in (REAL, FAKE))
    true = fidelity.metric_fid.fid_statistics_to_metric(a, b, False)["frechet_inception_distance"]
    assert frechet_distance(REAL, FAKE) == pytest.approx(true, rel=1e-9)
    kept = [Moments.restored(400, torch.from_numpy(x["mu"]), torch.from_numpy(x["sigma"])) for x in (a, b)]
    assert frechet_of_moments(*kept) == pytest.approx(true, rel=1e-9)


def test_kernel_distance_as_torch_fidelity(fidelity: Any) -> None:
    options = {"kid_subsets": 4, "kid_subset_size": 400, "rng_seed": 0, "verbose": False}
    true = fidelity.metric_kid.kid_features_to_metric(REAL, FAKE, **options)["kernel_inception_distance_mean"]
    assert kernel_distance(REAL, FAKE, subsets=4, size=400).mean == pytest.approx(true, rel=1e-9)
    assert mmd2(REAL, FAKE) == pytest.approx(true, rel=1e-9)


def test_kernel_distance_over_the_same_subsets(fidelity: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # both draw real, fake, real, fake ... without replacement: given the same generator they see the same subsets
    monkeypatch.setattr(np.random, "default_rng", np.random.RandomState)
    options = {"kid_subsets": 20, "kid_subset_size": 50, "rng_seed": 3, "verbose": False}
    true = fidelity.metric_kid.kid_features_to_metric(REAL, FAKE, **options)
    found = kernel_distance(REAL, FAKE, subsets=20, size=50, seed=3)
    assert found.mean == pytest.approx(true["kernel_inception_distance_mean"], rel=1e-9)
    assert found.std == pytest.approx(true["kernel_inception_distance_std"], rel=1e-9)


@pytest.mark.parametrize("splits", [1, 7, 10])
def test_inception_score_as_torch_fidelity(fidelity: Any, splits: int) -> None:
    true = fidelity.metric_isc.isc_features_to_metric(REAL, splits, shuffle=False)
    found = inception_score(REAL.softmax(1), splits, seed=None)
    assert found.mean == pytest.approx(true["inception_score_mean"], rel=1e-9)
    assert found.std == pytest.approx(true["inception_score_std"], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_precision_recall_as_torch_fidelity(fidelity: Any, k: int) -> None:
    options = {"prc_neighborhood": k, "prc_batch_size": 64, "save_cpu_ram": False, "verbose": False}
    true = fidelity.metric_prc.prc_features_to_metric(FAKE, REAL, **options)
    assert 0 < true["precision"] < 1 or k == 10
    assert precision_recall(REAL, FAKE, k) == pytest.approx((true["precision"], true["recall"]), rel=1e-6)


# torchmetrics: the accumulators with a feature network of one's own


def test_frechet_as_torchmetrics(torchmetrics_image: Any) -> None:
    metric = torchmetrics_image.FrechetInceptionDistance(feature=Given())
    for part in REAL.split(90):
        metric.update(part, real=True)
    for part in FAKE.split(70):
        metric.update(part, real=False)
    assert frechet_distance(REAL, FAKE) == pytest.approx(metric.compute().item(), rel=SINGLE)


def test_kernel_distance_as_torchmetrics(torchmetrics_image: Any) -> None:
    metric = torchmetrics_image.KernelInceptionDistance(feature=Given(), subsets=3, subset_size=400)
    metric.set_dtype(torch.float64)
    metric.update(REAL, real=True)
    metric.update(FAKE, real=False)
    mean, _ = metric.compute()
    assert kernel_distance(REAL, FAKE, subsets=3, size=400).mean == pytest.approx(mean.item(), rel=SINGLE)


def test_inception_score_as_torchmetrics(torchmetrics_image: Any) -> None:
    metric = torchmetrics_image.InceptionScore(feature=Given(), splits=1)
    metric.update(REAL)
    assert inception_score(REAL.softmax(1), 1).mean == pytest.approx(metric.compute()[0].item(), rel=SINGLE)


# Where no program is at hand: the published closed form on the same features


def test_density_is_precision_where_balls_do_not_overlap() -> None:
    # far apart real pairs, k = 1: each ball holds its own pair's fakes alone
    centres = 100 * torch.arange(20, dtype=torch.float64)[:, None]
    real = torch.cat([centres, centres + 1])
    fake = torch.cat([centres[:15] - 0.5, centres[:5] + 50])
    precision, _ = precision_recall(real, fake, 1)
    density, coverage = density_coverage(real, fake, 1)
    assert (precision, density, coverage) == (0.75, 0.75, 15 / 40)
