"""Bad input of each metric: one line that names the metric, what is wrong with what, and how many it needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from wgan import metrics
from wgan.errors import UserError

X, IMAGES = torch.randn(30, 4), torch.zeros(3, 3, 32, 32, dtype=torch.uint8)

# How each metric of features is called with two sets, and how many of either it needs
PAIRS: dict[str, tuple[Callable[[Tensor, Tensor], object], int, int]] = {
    "frechet_distance": (metrics.frechet_distance, 2, 2),
    "kernel_distance": (lambda a, b: metrics.kernel_distance(a, b, subsets=2, size=20), 20, 20),
    "mmd2": (metrics.mmd2, 2, 2),
    "precision_recall": (metrics.precision_recall, 4, 4),
    "density_coverage": (metrics.density_coverage, 6, 1),
    "prdc": (metrics.prdc, 6, 4),
    "sliced_wasserstein": (metrics.sliced_wasserstein, 1, 1),
    "transport_distance": (metrics.transport_distance, 1, 1),
    "transport_plan": (metrics.transport_plan, 1, 1),
    "nearest": (lambda a, b: metrics.nearest(b, a, 3), 3, 0),
    "memorisation of train": (lambda a, b: metrics.memorisation(b, a, a), 1, 1),
    "memorisation of heldout": (lambda a, b: metrics.memorisation(b, a, X), 1, 1),
    "modes": (lambda a, b: metrics.modes(b, a, 0.1), 1, 1),
}
EACH = pytest.mark.parametrize("name", PAIRS)


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 300
    for word in words:
        assert word in message, message


@EACH
def test_good_input_passes(name: str) -> None:
    call, _, _ = PAIRS[name]
    call(X, X + 1)
    call(X.bfloat16(), X.double() + 1)


@EACH
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e60])
def test_numbers_that_are_none(name: str, bad: float) -> None:
    call, _, _ = PAIRS[name]
    spoilt = X.double()
    spoilt[[3, 17], [0, 2]] = bad
    refused(lambda: call(spoilt, X), "2 of 30", "NaN, infinite or huge")
    refused(lambda: call(X, spoilt), "2 of 30", "NaN, infinite or huge")


@EACH
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (X[0], ["float32 [4]", "[n, d]"]),
        (X[None], ["float32 [1, 30, 4]", "[n, d]"]),
        (X.long(), ["int64 [30, 4]", "floating-point"]),
        (X > 0, ["bool [30, 4]"]),
        (X[:, :0], ["float32 [30, 0]"]),
        (X.numpy(), ["not ndarray", "torch.from_numpy"]),
        (None, ["not NoneType"]),
    ],
    ids=["1-d", "3-d", "integers", "bool", "no columns", "numpy", "none"],
)
def test_what_is_no_table_of_features(name: str, bad: Tensor, words: list[str]) -> None:
    call, _, _ = PAIRS[name]
    refused(lambda: call(bad, X), *words)
    refused(lambda: call(X, bad), *words)


@EACH
def test_features_of_different_networks(name: str) -> None:
    call, _, _ = PAIRS[name]
    refused(lambda: call(X, X[:, :3]), "numbers per sample differ", " 3", " 4")


@EACH
def test_too_few_samples_say_how_many_it_needs(name: str) -> None:
    call, first, second = PAIRS[name]
    least = max(first, second)
    if least > 1:
        call(X[:least], X[:least] + 1)
    for count, arguments in ((first, lambda n: (X[:n], X)), (second, lambda n: (X, X[:n]))):
        if count:
            refused(lambda: call(*arguments(count - 1)), f"needs at least {count}", f"has {count - 1}")  # noqa: B023


@pytest.mark.parametrize(
    "name", ["sliced_wasserstein", "transport_distance", "transport_plan", "memorisation of heldout"]
)
def test_sets_of_different_size(name: str) -> None:
    call, _, _ = PAIRS[name]
    refused(lambda: call(X[:20], X), "equally many", "20", "30")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: metrics.kernel_distance(X, X, size=1), ["size", "is 1", "at least 2"]),
        (lambda: metrics.kernel_distance(X, X), ["needs at least 1000 real samples, has 30", "smaller size"]),
        (lambda: metrics.kernel_distance(X, X, size=9, subsets=0), ["subsets", "is 0"]),
        (lambda: metrics.kernel_distance(X, X, size=9, seed=-1), ["seed is -1"]),
        (lambda: metrics.precision_recall(X, X, k=0), ["k of", "is 0"]),
        (lambda: metrics.density_coverage(X, X, k=30), ["needs at least 31 real"]),
        (lambda: metrics.prdc(X, X, k=0), ["k of precision", "is 0"]),
        (lambda: metrics.prdc(X, X, k_density=0), ["k_density", "is 0"]),
        (lambda: metrics.prdc(X, X, k=30, k_density=1), ["needs at least 31 real"]),
        (lambda: metrics.prdc(X, X, k=1, k_density=30), ["needs at least 31 real"]),
        (lambda: metrics.nearest(X, X, 0), ["k of", "is 0"]),
        (lambda: metrics.sliced_wasserstein(X, X, directions=0), ["directions", "is 0"]),
        (lambda: metrics.sliced_wasserstein(X, X, seed=-2), ["seed is -2"]),
        (lambda: metrics.transport_distance(X, X, 3), ["power is 3", "1 or 2"]),
        (lambda: metrics.inception_score(X), ["0 and with the sum 1", "softmax"]),
        (lambda: metrics.inception_score(torch.tensor([[1.5, -0.5]]).repeat(30, 1)), ["smallest -0.5", "softmax"]),
        (lambda: metrics.inception_score(X.softmax(1) / 2), ["0.5", "softmax"]),
        (
            lambda: metrics.inception_score(X.softmax(1)[:19]),
            ["at least 20 probability samples, has 19", "fewer splits"],
        ),
        (lambda: metrics.inception_score(X.softmax(1), 0), ["splits", "is 0"]),
        (lambda: metrics.inception_score(X.softmax(1), 2, seed=-1), ["seed is -1"]),
        (lambda: metrics.inception_score(X * torch.nan), ["30 of 30", "NaN"]),
        (lambda: metrics.inception_score(X[0].softmax(0)), ["float32 [4]"]),
        (lambda: metrics.modes(X, X, 0), ["std is 0", "positive"]),
        (lambda: metrics.modes(X, X, float("nan")), ["std is nan"]),
        (lambda: metrics.modes(X, X[:3], 1, torch.ones(4)), ["3 shares", "float32 [4]"]),
        (lambda: metrics.Moments(0), ["dim of moments is 0"]),
        (lambda: metrics.Moments(3).update(X), ["so far 3, now 4"]),
        (lambda: metrics.Moments(4).update(X / 0), ["NaN"]),
        (lambda: metrics.Moments(4).covariance, ["at least 2 samples, has 0"]),
        (
            lambda: metrics.frechet_of_moments(metrics.Moments.of(X), metrics.Moments.of(X[:, :2])),
            ["first 4", "second 2"],
        ),
        (lambda: metrics.frechet_of_moments(metrics.Moments.of(X), metrics.Moments(4)), ["at least 2"]),
        (lambda: metrics.Moments.restored(1, X[0], X[:4]), ["n of kept moments is 1"]),
        (lambda: metrics.Moments.restored(9, X[0], X), ["mean [4]", "covariance [30, 4]"]),
        (lambda: metrics.Moments.restored(9, X[0] * torch.nan, X[:4]), ["NaN"]),
        (lambda: metrics.Moments.restored(9, X[0], X[:4] / 0), ["NaN"]),
        (lambda: metrics.class_balance(torch.tensor([0, 3]), 3), ["from 0 to 3", "0..2"]),
        (lambda: metrics.class_balance(torch.tensor([-1, 2]), 3), ["from -1 to 2"]),
        (lambda: metrics.class_balance(torch.tensor([0.0]), 3), ["whole numbers", "float32 [1]"]),
        (lambda: metrics.class_balance(torch.tensor([], dtype=torch.long), 3), ["int64 [0]"]),
        (lambda: metrics.class_balance(torch.tensor([[1]]), 3), ["int64 [1, 1]"]),
        (lambda: metrics.class_balance(torch.tensor([0]), 0), ["classes", "is 0"]),
        (lambda: metrics.class_balance(torch.tensor([0]), 2, torch.ones(3)), ["2 shares", "float32 [3]"]),
        (lambda: metrics.class_balance(torch.tensor([0]), 2, torch.zeros(2)), ["2 shares"]),
        (lambda: metrics.class_balance(torch.tensor([0]), 2, torch.tensor([2, -1])), ["2 shares"]),
        (lambda: metrics.class_balance(torch.tensor([0]), 2, torch.tensor([1, torch.nan])), ["2 shares"]),
        (lambda: metrics.stacked_labels(torch.tensor([[1, 2]])), ["[n, 3]", "int64 [1, 2]"]),
        (lambda: metrics.stacked_labels(torch.tensor([[1.0, 2, 3]])), ["float32 [1, 3]"]),
        (lambda: metrics.stacked_labels(torch.tensor([[1, 2, 10]])), ["from 1 to 10", "0..9"]),
        (lambda: metrics.laplacian_swd(IMAGES.float(), IMAGES), ["real images", "uint8", "float32 [3, 3, 32, 32]"]),
        (lambda: metrics.laplacian_swd(IMAGES, IMAGES[0]), ["fake images", "uint8 [3, 32, 32]"]),
        (lambda: metrics.laplacian_swd(IMAGES, IMAGES.numpy()), ["fake images", "not ndarray"]),
        (lambda: metrics.laplacian_swd(IMAGES[:0], IMAGES[:0]), ["real images", "[0, 3, 32, 32]"]),
        (lambda: metrics.laplacian_swd(IMAGES, IMAGES[:, :1]), ["real [3, 32, 32]", "fake [1, 32, 32]"]),
        (lambda: metrics.laplacian_swd(IMAGES, IMAGES[:2]), ["equally many", "real 3", "fake 2"]),
        (lambda: metrics.laplacian_swd(IMAGES[..., :6], IMAGES[..., :6]), ["7x7", "[32, 6]"]),
        (lambda: metrics.laplacian_swd(IMAGES, IMAGES, patches=0), ["patches", "is 0"]),
        (lambda: metrics.laplacian_swd(IMAGES, IMAGES, directions=0), ["directions", "is 0"]),
        (lambda: metrics.laplacian_swd(IMAGES, IMAGES, seed=-1), ["seed is -1"]),
    ],
)
def test_other_bad_input(call: Callable[[], object], words: list[str]) -> None:
    refused(call, *words)


def test_every_public_name_is_there_and_in_the_table() -> None:
    for name in metrics.__all__:
        assert hasattr(metrics, name)
        if name[0].islower():
            assert f"`{name}`" in metrics.__doc__, name
