"""The Laplacian-pyramid distance: against SciPy's filters, patches cut one by one, and images with one patch each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from torch import Tensor

from wgan.metrics import laplacian, laplacian_swd, mean_swd
from wgan.metrics.sliced import unit_directions

BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def pictures(n: int, c: int, h: int, w: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, c, h, w), dtype=np.uint8))


def down(x: np.ndarray) -> np.ndarray:
    return scipy.ndimage.convolve(x, BINOMIAL[None, None], mode="mirror")[:, :, ::2, ::2]


def up(x: np.ndarray) -> np.ndarray:
    sparse = np.zeros((*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]))
    sparse[:, :, ::2, ::2] = x
    return scipy.ndimage.convolve(sparse, 4 * BINOMIAL[None, None], mode="mirror")


def pyramid(images: Tensor, count: int) -> list[np.ndarray]:
    levels = [images.double().numpy()]
    for _ in range(count - 1):
        levels.append(down(levels[-1]))
        levels[-2] = levels[-2] - up(levels[-1])
    return levels


@pytest.mark.parametrize("shape", [(3, 3, 64, 64), (70, 1, 32, 32), (2, 2, 48, 80)], ids=str)
def test_pyramid_as_scipy_filters_it(shape: tuple[int, int, int, int]) -> None:
    images = pictures(*shape)
    mine = laplacian._pyramid(images)
    theirs = pyramid(images, len(mine))
    assert len(mine) > 1
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=2e-5)
    # and back: nothing is lost
    whole = theirs[-1]
    for level in theirs[-2::-1]:
        whole = up(whole) + level
    np.testing.assert_allclose(whole, images, atol=1e-9)


@pytest.mark.parametrize(
    ("size", "resolutions"),
    [
        ((128, 128), [128, 64, 32, 16]),
        ((32, 32), [32, 16]),
        ((31, 31), [31]),
        ((28, 28), [28]),
        ((48, 48), [48, 24]),
        ((66, 66), [66, 33]),
        ((64, 32), [32, 16]),
        ((33, 64), [33]),
        ((64, 67), [64]),
        ((16, 16), [16]),
        ((8, 9), [8]),
        ((7, 7), [7]),
    ],
    ids=str,
)
def test_levels_of_any_size(size: tuple[int, int], resolutions: list[int]) -> None:
    found = laplacian_swd(pictures(2, 1, *size), pictures(2, 1, *size, seed=1), patches=3, directions=2)
    assert list(found) == resolutions
    assert all(np.isfinite(value) and value > 0 for value in found.values())
    assert mean_swd(found) == pytest.approx(np.mean(list(found.values())))


def reference(real: Tensor, fake: Tensor, seed: int, patches: int, directions: int) -> list[float]:
    """The protocol with plain loops: patches cut one by one, SciPy's filters and its distance on a line."""
    count, values = laplacian._levels(*real.shape[2:]), []
    for number, levels in enumerate(zip(pyramid(real, count), pyramid(fake, count), strict=True)):
        rng, sets = np.random.default_rng((seed, number)), []
        for level in levels:
            n, _, h, w = level.shape
            tops = rng.integers(0, h - 6, n * patches)
            lefts = rng.integers(0, w - 6, n * patches)
            cut = np.stack(
                [level[i // patches, :, y : y + 7, x : x + 7] for i, (y, x) in enumerate(zip(tops, lefts, strict=True))]
            )
            cut = cut - cut.mean((0, 2, 3), keepdims=True)
            deviation = cut.std((0, 2, 3), keepdims=True)
            sets.append((cut / np.where(deviation > 0, deviation, 1)).reshape(len(cut), -1))
        drawn = unit_directions(sets[0].shape[1], directions, rng).numpy()
        values.append(1000 * np.mean([wasserstein_distance(sets[0] @ v, sets[1] @ v) for v in drawn]))
    return values


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 40),
    st.sampled_from([(3, 32, 32), (1, 28, 28), (2, 7, 9), (1, 32, 48)]),
    st.integers(1, 2000),
)
def test_distance_as_plain_loops_have_it(seed: int, n: int, shape: tuple[int, int, int], at_once: int) -> None:
    real, fake = pictures(n, *shape, seed=seed), pictures(n, *shape, seed=seed + 1) // 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laplacian, "_AT_ONCE", at_once)
        found = laplacian_swd(real, fake, seed=seed, patches=5, directions=6)
    assert list(found.values()) == pytest.approx(reference(real, fake, seed, 5, 6), rel=2e-6)


def test_images_with_one_patch_each() -> None:
    # of 7x7 pixels every patch is the whole image: no chance but that of the directions
    real, fake = pictures(50, 2, 7, 7), pictures(50, 2, 7, 7, seed=1)
    assert laplacian_swd(real, real) == {7: 0}
    assert laplacian_swd(real, real.flip(0), patches=2) == {7: pytest.approx(0, abs=1e-10)}
    first = laplacian_swd(real, fake, patches=1)[7]
    assert laplacian_swd(real, fake, patches=4)[7] == pytest.approx(first, rel=0.1)
    assert laplacian_swd(fake, real, patches=1)[7] == pytest.approx(first, rel=1e-9)


def test_contrast_and_colour_do_not_count() -> None:
    real = pictures(30, 3, 7, 7) // 4
    assert laplacian_swd(real, 2 * real + torch.tensor([1, 50, 90]).byte()[:, None, None])[7] < 1e-9


def test_flat_images_have_a_distance() -> None:
    # a generator that collapsed to one colour: all its patches become 0
    real, flat = pictures(40, 3, 32, 32), torch.full((40, 3, 32, 32), 90, dtype=torch.uint8)
    found = laplacian_swd(real, flat, patches=20)
    # a unit direction of noise of variance 1 has a mean absolute value of sqrt(2 / pi)
    assert found[32] == pytest.approx(1000 * (2 / np.pi) ** 0.5, rel=0.1)
    assert laplacian_swd(flat, flat) == {32: 0, 16: 0}


def test_seed_decides_places_and_directions() -> None:
    real, fake = pictures(5, 1, 32, 32), pictures(5, 1, 32, 32, seed=1)
    first = laplacian_swd(real, fake, patches=4, directions=8)
    assert laplacian_swd(real, fake, patches=4, directions=8) == first
    assert laplacian_swd(real, fake, patches=4, directions=8, seed=1) != first


def test_the_protocol_is_the_default() -> None:
    # 128 patches of each image and 4 x 128 directions
    real, fake = pictures(3, 1, 16, 16), pictures(3, 1, 16, 16, seed=1)
    assert laplacian_swd(real, fake) == laplacian_swd(real, fake, seed=0, patches=128, directions=4 * 128)


@pytest.mark.slow
def test_blur_shows_in_fine_levels_and_grows() -> None:
    folder = Path(__file__).parent.parent / "datasets"
    if not (folder / "cifar-10-batches-py").exists():
        pytest.skip("CIFAR-10 is not under datasets/")
    from wgan.data import Images, load

    data = load("cifar10", root=folder, split="test")
    assert isinstance(data, Images)
    images = torch.from_numpy(np.array(data.array[:600]))
    real, other = images[:300], images[300:]
    blurred = [
        torch.from_numpy(scipy.ndimage.gaussian_filter(other.numpy(), (0, 0, s, s))) if s else other
        for s in (0, 0.5, 1, 2)
    ]
    values = [laplacian_swd(real, fake, patches=32, directions=128) for fake in blurred]
    fine = [value[32] for value in values]
    assert fine == sorted(fine)
    assert fine[-1] > 3 * fine[0]
