"""Classifier features: learnt once, kept, known again; the images they come from; the modes of stacked digits."""

from __future__ import annotations

import gzip
import math
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import wgan.features.classifier as module
from wgan import checkpoint
from wgan.data import Batch, Images, load
from wgan.data.mnist import FILES
from wgan.data.stacked_mnist import CLASSES as STACKED
from wgan.errors import UserError
from wgan.features.base import Extracted
from wgan.features.classifier import Classifier, StackedClassifier, classifier, stacked_modes
from wgan.features.labelled import Material, find_material
from wgan.features.training import LR, Network, Residual, accuracy, default_steps, fit, predict, shifted
from wgan.features.training import _set_lr as set_lr
from wgan.log import Reporter

STEPS = 60
CPU = torch.device("cpu")


def digits() -> Images:
    data = load("digits")
    assert isinstance(data, Images)
    return data


def few(count: int = 60, classes: int = 3, shape: tuple[int, ...] = (1, 8, 8), seed: int = 0) -> Images:
    """Noise with labels: for what does not depend on learning anything."""
    rng = np.random.default_rng(seed)
    labels = np.resize(np.arange(classes), count)
    return Images(
        "few", rng.integers(0, 256, (count, *shape), np.uint8), labels, tuple("abcdefgh"[:classes]), f"{seed}"
    )


def opened(data: Images, root: Path, seed: int = 0, steps: int | None = 1, quiet: bool = True) -> Classifier:
    found = classifier(data, root=root, quiet=quiet, seed=seed, steps=steps)
    assert isinstance(found, Classifier)
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def trained(root: Path) -> Classifier:
    """On the real digits of 8 x 8 pixels, for a sixth of the recipe's steps."""
    return opened(digits(), root, steps=STEPS)


# what comes out


def test_digits_are_learnt_in_seconds(trained: Classifier) -> None:
    assert trained.accuracy >= 0.92
    # the same count by hand, on the tenth that was not learnt from
    material = find_material(digits(), Path())
    images, labels = material.test.array[material.unseen], np.asarray(material.test.labels)[material.unseen]
    probabilities = trained(torch.from_numpy(images)).probabilities
    assert probabilities is not None
    assert trained.accuracy == (probabilities.argmax(1).numpy() == labels).sum() / 179


def test_features_and_probabilities(trained: Classifier) -> None:
    images = torch.from_numpy(digits().array[:50])
    features, probabilities = trained(images)
    assert features.shape == (50, trained.dim) == (50, 128)
    assert features.dtype == torch.float32
    assert probabilities is not None
    assert probabilities.shape == (50, 10)
    assert probabilities.dtype == torch.float32
    assert probabilities.sum(1).numpy() == pytest.approx(np.ones(50), abs=1e-5)
    # probabilities are the softmax of the last layer on the features
    logits = features.double() @ trained.network.head.weight.double().T + trained.network.head.bias.double()
    assert probabilities.numpy() == pytest.approx(logits.softmax(1).numpy(), abs=1e-5)
    assert not features.requires_grad
    # an image's features do not depend on the images beside it
    alone = torch.cat([trained(image[None]).features for image in images])
    assert alone.numpy() == pytest.approx(features.numpy(), rel=1e-4, abs=1e-5)
    assert trained(images[:0]).features.shape == (0, 128)
    # whatever number is asked for at once
    many = torch.from_numpy(digits().array[:300])
    parts = torch.cat([trained(part).features for part in many.split(100)])
    assert parts.numpy() == pytest.approx(trained(many).features.numpy(), rel=1e-4, abs=1e-5)


def test_it_says_what_it_is(trained: Classifier) -> None:
    assert trained.name == "classifier-digits"
    assert trained.classes == tuple("0123456789")
    told = trained.protocol
    assert told["accuracy"] == trained.accuracy
    assert told["measured_on"] == "179 held-out images"
    assert (told["steps"], told["seed"], told["torch"]) == (STEPS, 0, torch.__version__)
    assert told["train"] == digits().fingerprint
    assert told["weights"] == trained.fingerprint
    assert set(told) >= {"recipe", "resizer", "precision", "layer"}
    assert all(isinstance(value, str | int | float) for value in told.values())


# once


def test_the_second_call_learns_nothing(trained: Classifier, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fit", None)
    again = opened(digits(), root, steps=STEPS)
    images = torch.from_numpy(digits().array[:200])
    for mine, theirs in zip(trained(images), again(images), strict=True):
        assert mine is not None
        assert theirs is not None
        assert torch.equal(mine, theirs)
    assert (again.fingerprint, again.protocol) == (trained.fingerprint, trained.protocol)


def test_another_folder_gives_the_same_network(tmp_path: Path) -> None:
    first, second = (opened(few(), tmp_path / name, steps=2) for name in ("a", "b"))
    assert first.fingerprint == second.fingerprint
    torch.manual_seed(5)
    state = torch.get_rng_state()
    opened(few(), tmp_path / "c")
    assert torch.equal(torch.get_rng_state(), state)


def changed_labels() -> Images:
    data = few()
    assert data.labels is not None
    return Images(data.name, data.array, data.labels[::-1].copy(), data.classes, data.fingerprint)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: opened(few(seed=1), root),
        lambda root: opened(changed_labels(), root),
        lambda root: opened(few(), root, seed=1),
        lambda root: opened(few(), root, steps=2),
        lambda root: opened(few(classes=4), root),
    ],
    ids=["images", "labels", "seed", "steps", "classes"],
)
def test_what_changes_is_learnt_anew(change: Callable[[Path], Classifier], tmp_path: Path) -> None:
    first, second = opened(few(), tmp_path), change(tmp_path)
    assert first.fingerprint != second.fingerprint
    assert first.protocol != second.protocol
    # and the first one is still there
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert opened(few(), tmp_path).fingerprint == first.fingerprint


def test_images_without_a_fingerprint_are_known_by_content(tmp_path: Path) -> None:
    data, prints = few(), set()
    for flip in (0, 255, 0):
        images = Images("few", data.array ^ np.uint8(flip), data.labels, data.classes)
        prints.add(opened(images, tmp_path).fingerprint)
    assert len(prints) == 2


def test_another_recipe_is_learnt_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(few(), tmp_path)
    monkeypatch.setattr(module, "RECIPE", module.RECIPE + 1)
    assert opened(few(), tmp_path).protocol["recipe"] != first.protocol["recipe"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_one_is_learnt_anew(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = opened(few(), tmp_path)
    file = next((tmp_path / "cache").rglob(module.FILE))
    content = bytearray(file.read_bytes())
    if damage == "cut":
        content = content[:-1]
    elif damage == "flipped":
        content[-1] ^= 1
    else:
        content = bytearray(len(content))
    file.write_bytes(content)
    assert opened(few(), tmp_path).fingerprint == first.fingerprint
    # a shortened file is seen by its size, before it is read; the others are told, though quiet
    told = capsys.readouterr().err
    assert ("warning: the kept classifier of 'few' is trained anew" in told) == (damage != "cut")
    checkpoint.load(file)


def test_a_stop_in_between_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> Network:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "fit", stop)
        with pytest.raises(KeyboardInterrupt):
            opened(few(), tmp_path)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name != ".lock"]
    assert opened(few(), tmp_path).dim == 128


def test_it_tells_its_accuracy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = digits()
    found = opened(data, tmp_path, quiet=False, steps=4)
    told = capsys.readouterr().err
    assert "training a classifier of 'digits' for its features, once: 4 steps" in told
    assert f"{100 * found.accuracy:.2f} % of 179 held-out images right" in told
    opened(data, tmp_path, quiet=False, steps=4)
    assert capsys.readouterr().err == ""
    opened(data, tmp_path, quiet=True, steps=3)
    assert capsys.readouterr().err == ""


def test_a_useless_one_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.05).astype(np.int64)
    opened(Images("noise", rng.integers(0, 256, (400, 1, 8, 8), np.uint8), labels, ("a", "b"), "1"), tmp_path)
    assert "no better than always naming the commonest class" in capsys.readouterr().err


# what it learns from, and what it is measured on


def rows_of(material: Material) -> tuple[set[int], set[int]]:
    return set(material.rows.tolist()), set(material.unseen.tolist())


def test_a_tenth_is_held_out() -> None:
    material = find_material(digits(), Path())
    rows, unseen = rows_of(material)
    assert material.test is material.train
    assert len(unseen) == 179
    assert not rows & unseen
    assert rows | unseen == set(range(1797))
    assert rows_of(find_material(digits(), Path())) == (rows, unseen)
    # from everywhere: files are often sorted by class
    assert np.bincount(np.array(sorted(unseen)) // 180, minlength=10).min() >= 5


def test_whatever_is_learnt_from_or_measured_on_is_in_the_digest() -> None:
    rows, unseen = np.arange(40), np.arange(20)
    train, test = few(seed=1), few(seed=2)
    relabelled = [Images("few", x.array, changed_labels().labels, x.classes, x.fingerprint) for x in (train, test)]
    digests = [
        Material(train, rows, test, unseen).digest(),
        Material(train, rows, test, unseen).digest(1),
        Material(few(seed=3), rows, test, unseen).digest(),
        Material(relabelled[0], rows, test, unseen).digest(),
        Material(train, rows[1:], test, unseen).digest(),
        Material(train, rows, few(seed=3), unseen).digest(),
        Material(train, rows, relabelled[1], unseen).digest(),
        Material(train, rows, test, unseen[1:]).digest(),
    ]
    assert len(set(digests)) == len(digests)
    assert Material(few(seed=1), rows, few(seed=2), unseen).digest() == digests[0]


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """A folder of data sets with an MNIST of noise: 300 images to train on, 40 to test with."""
    rng, count = np.random.default_rng(0), {"train": 300, "test": 40}
    (tmp_path / "mnist").mkdir()
    for split, names in FILES.items():
        arrays = rng.integers(0, 256, (count[split], 28, 28), np.uint8), rng.integers(0, 10, count[split], np.uint8)
        for name, array in zip(names, arrays, strict=True):
            (tmp_path / "mnist" / f"{name}.gz").write_bytes(idx(array))
    return tmp_path


@pytest.mark.parametrize("size", [None, 16])
@pytest.mark.parametrize("split", ["train", "test"])
def test_whichever_split_is_given_it_learns_train(split: str, size: int | None, mnist: Path) -> None:
    data = load("mnist", root=mnist, split=split, size=size)
    assert isinstance(data, Images)
    material = find_material(data, mnist)
    assert material.train.fingerprint == load("mnist", root=mnist, size=size).fingerprint
    assert material.test.fingerprint == load("mnist", root=mnist, size=size, split="test").fingerprint
    assert rows_of(material) == (set(range(300)), set(range(40)))
    assert material.measured_on == "40 images of the test split"


def test_a_name_alone_proves_nothing(mnist: Path) -> None:
    data = load("mnist", root=mnist)
    assert isinstance(data, Images)
    mine = Images("mnist", data.array ^ np.uint8(255), data.labels, data.classes, "mine")
    material = find_material(mine, mnist)
    assert material.train is material.test is mine


def test_without_the_test_files_a_tenth_is_held_out(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WGAN_MIRROR", "http://127.0.0.1:9")
    (mnist / "mnist" / f"{FILES['test'][1]}.gz").unlink()
    data = load("mnist", root=mnist)
    assert rows_of(find_material(data, mnist))[1] < set(range(300))
    assert len(find_material(data, mnist).unseen) == 30


def folder(home: Path, split: str, classes: str, count: int, seed: int) -> None:
    from PIL import Image

    rng = np.random.default_rng(seed)
    for name in classes:
        (home / split / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(home / split / name / f"{i}.png")


@pytest.mark.parametrize(("other", "classes", "measured"), [("test", "ab", 6), ("val", "ab", 6), ("test", "bc", 4)])
def test_a_folder_of_splits(other: str, classes: str, measured: int, tmp_path: Path) -> None:
    home = tmp_path / "photos"
    folder(home, "train", "ab", 20, 0)
    folder(home, other, classes, 3, 1)
    train = load(home, root=tmp_path, quiet=True)
    if classes == "ab":
        for data in (train, load(home, root=tmp_path, split=other, quiet=True)):
            material = find_material(data, tmp_path)
            assert material.train.fingerprint == train.fingerprint
            assert rows_of(material) == (set(range(40)), set(range(measured)))
    else:  # labels that mean something else cannot be compared
        material = find_material(train, tmp_path)
        assert material.test is material.train
        assert len(material.unseen) == measured


def test_a_large_test_split_is_thinned_evenly(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgan.features.labelled.MEASURED_ON", 5)
    unseen = find_material(load("mnist", root=mnist), mnist).unseen
    assert unseen.tolist() == [0, 9, 19, 29, 39]


# what cannot be


class Endless:
    name, shape, count, fingerprint, classes = "endless", (1, 8, 8), None, "1", ("a", "b")

    def batch(self, seed: int, start: int, n: int) -> Batch:
        raise AssertionError


def unlabelled() -> Images:
    return Images("bare", few().array)


def one_class() -> Images:
    return Images("dull", few().array, np.ones(60, np.int64), ("cat", "dog"), "1")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (unlabelled, "data 'bare' has no labels to train classifier features on"),
        (one_class, "data 'dull' has only the class 'dog', nothing to tell apart"),
        (lambda: few(19), "data 'few' has 19 images, a classifier needs 20"),
        (lambda: few(shape=(1, 7, 8)), "8 to 256 pixels, data 'few' has 8x7: use --size"),
        (lambda: few(20, shape=(1, 8, 257)), "8 to 256 pixels, data 'few' has 257x8: use --size"),
        (lambda: load("8gaussians"), "data '8gaussians' is no set of images"),
        (lambda: load(np.zeros((20, 4), np.float32)), "is no set of images"),
        (Endless, "data 'endless' is no set of images"),
    ],
)
def test_what_cannot_be_classified_is_one_line(data: Callable[[], Images], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        classifier(data(), root=tmp_path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    if "--size" not in says:
        assert "use --features pixels, --features inception or --features MODULE:FUNCTION" in str(error.value)
    assert not (tmp_path / "cache").exists()


def test_steps_must_be_some(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="steps is 0: must be at least 1"):
        opened(few(), tmp_path, steps=0)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(2, 1, 8, 9, dtype=torch.uint8),
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(2, 1, 8, 8),
        torch.zeros(2, 64, dtype=torch.uint8),
        torch.zeros(1, 8, 8, dtype=torch.uint8),
    ],
)
def test_images_of_another_kind_are_one_line(images: Tensor, trained: Classifier) -> None:
    says = r"features .*images (uint8 )?\[n, (1, 8, 8|channels, height, width)\].* not .*\[[\d, ]+\]"
    with pytest.raises(UserError, match=says):
        trained(images)


# the network and its training


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 9, 13), (2, 17, 16), (1, 28, 28), (3, 33, 32), (4, 100, 8), (3, 64, 64), (3, 256, 255)]
)
def test_every_size_has_a_network(shape: tuple[int, ...]) -> None:
    network = Network(shape, 7).eval()
    grids: list[tuple[int, ...]] = []
    for layer in network.body:
        layer.register_forward_hook(lambda _, __, out: grids.append(tuple(out.shape[2:])))
    features, logits = network(torch.zeros(2, *shape))
    assert features.shape == (2, 128)
    assert logits.shape == (2, 7)
    # the work does not grow with the image: after the first layer it is done on 16 x 16 at most
    assert max(grids[0]) <= 32
    assert max(max(grid) for grid in grids[4:]) <= 16
    assert min(grids[-1]) >= 1


def test_residuals_are_added() -> None:
    block = Residual(6).eval()
    x = torch.randn(2, 6, 5, 4, generator=torch.Generator().manual_seed(0))
    convolution, norm = block.residual[3], block.residual[4]
    inner = block.residual[:3](x)
    expected = torch.relu(x + norm(torch.nn.functional.conv2d(inner, convolution.weight, padding=1)))
    assert torch.equal(block(x), expected)
    torch.nn.init.zeros_(norm.weight)
    assert torch.equal(block(x), torch.relu(x))


def test_pixels_are_standardised_with_the_training_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    array = np.stack([rng.integers(0, 50, (90, 8, 8)), np.full((90, 8, 8), 200)], axis=1).astype(np.uint8)
    data = Images("two", array, np.arange(90) % 2, ("a", "b"), "1")
    rows = np.arange(30, 90)
    network = fit(data, rows, steps=1, seed=0, device=CPU, half=False, reporter=Reporter(quiet=True))
    part = array[rows].astype(np.float64)
    assert network.mean.flatten().numpy() == pytest.approx(part.mean((0, 2, 3)), rel=1e-6)
    # a channel without any spread is only centred
    assert network.std.flatten().numpy() == pytest.approx([part[:, 0].std(), 1.0], rel=1e-6)
    assert not network.training


def test_it_learns_from_its_rows_alone() -> None:
    """Two data sets that agree on the rows give the same weights, whatever else they hold."""
    one, two = few(80), few(80)
    rows = np.arange(10, 60)
    other = one.array.copy()
    other[:10], other[60:] = 0, 255
    two = Images("few", other, one.labels, one.classes)
    first, second = (
        fit(data, rows, steps=2, seed=0, device=CPU, half=False, reporter=Reporter(quiet=True)) for data in (one, two)
    )
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_accuracy_is_the_share_that_is_right() -> None:
    data = few(700)
    network = Network(data.shape, 3).eval()
    rows = np.arange(50, 700)
    _, probabilities = predict(network, torch.from_numpy(data.array[rows]))
    right = (probabilities.argmax(1).numpy() == np.asarray(data.labels)[rows]).mean()
    assert accuracy(network, data, rows) == pytest.approx(right, abs=1e-12)
    assert 0 < right < 1
    _, probabilities = predict(network, torch.from_numpy(data.array))
    told = Images("told", data.array, probabilities.argmax(1).numpy(), data.classes)
    assert accuracy(network, told, rows) == 1.0


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(1, 4),
    height=st.integers(8, 40),
    width=st.integers(8, 40),
    seed=st.integers(0, 2**32),
)
def test_shifted_images_are_crops_of_the_reflected_ones(channels: int, height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (5, channels, height, width), np.uint8)
    moved = shifted(pixels, np.random.default_rng(seed))
    assert moved.shape == pixels.shape
    assert moved.dtype == np.uint8
    up, left = (max(1, round(side / 16)) for side in (height, width))
    for image, out in zip(pixels, moved, strict=True):
        padded = np.pad(image, ((0, 0), (up, up), (left, left)), mode="reflect")
        crops = [padded[:, y : y + height, x : x + width] for y in range(2 * up + 1) for x in range(2 * left + 1)]
        mirrored = [crop[:, :, ::-1] for crop in crops] if channels >= 3 else []
        assert any(np.array_equal(out, crop) for crop in crops + mirrored)


def test_shifts_and_mirrors_are_fairly_drawn() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32), np.uint8)
    moved = shifted(np.repeat(pixels, 4000, 0), np.random.default_rng(1))
    padded = np.pad(pixels[0], ((0, 0), (2, 2), (2, 2)), mode="reflect")
    seen = {}
    for y in range(5):
        for x in range(5):
            crop = padded[:, y : y + 32, x : x + 32]
            for mirror, image in enumerate((crop, crop[:, :, ::-1])):
                seen[y, x, mirror] = int((moved == image).all((1, 2, 3)).sum())
    assert sum(seen.values()) == 4000
    # 80 each, standard deviation 9; 2000 mirrored, standard deviation 32
    assert all(abs(count - 80) < 45 for count in seen.values())
    assert sum(count for (_, _, mirror), count in seen.items() if mirror) == pytest.approx(2000, abs=150)


@pytest.mark.parametrize("steps", [1, 2, 7, 400])
def test_the_learning_rate_rises_once_and_falls_once(steps: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    rates = []
    for step in range(steps):
        set_lr(optimizer, step, steps)
        rates.append(optimizer.param_groups[0]["lr"])
    assert all(0 < rate <= LR * (1 + 1e-12) for rate in rates)
    assert max(rates) == pytest.approx(LR)
    peak = int(np.argmax(rates))
    assert np.all(np.diff(rates[: peak + 1]) > 0)
    assert np.all(np.diff(rates[peak:]) < 0)
    if steps == 400:
        assert peak == 79
        assert rates[-1] == pytest.approx(LR / 321)


def test_steps_of_the_recipe() -> None:
    assert default_steps((1, 28, 28), 60_000) == 400
    assert default_steps((3, 32, 32), 50_000) == 1000
    assert default_steps((3, 128, 128), 50_000) == 1000
    assert default_steps((3, 100, 129), 50_000) == 500
    # no more than 60 passes over a small data set
    assert default_steps((3, 32, 32), 100) == math.ceil(60 * 100 / 256)


# stacked digits


class Brightness:
    """A "classifier" that reads the digit off the top left pixel."""

    name, dim, fingerprint = "brightness", 1, "1"
    protocol: dict[str, str | int | float] = {}  # noqa: RUF012

    def __init__(self, classes: int = 10) -> None:
        self.classes = classes

    def __call__(self, images: Tensor) -> Extracted:
        assert images.shape[1] == 1
        digit = images[:, 0, 0, 0].long()
        return Extracted(digit[:, None].float(), torch.nn.functional.one_hot(digit, self.classes).float())


@pytest.mark.parametrize("count", [0, 1, 7, 1203])
def test_modes_are_red_green_blue(count: int) -> None:
    digit = torch.randint(0, 10, (count, 3), generator=torch.Generator().manual_seed(0))
    images = digit.to(torch.uint8)[:, :, None, None].expand(count, 3, 28, 28)
    found = stacked_modes(images, Brightness())
    assert found.dtype == torch.int64
    assert found.tolist() == [100 * r + 10 * g + b for r, g, b in digit.tolist()]


def test_modes_of_something_else_are_one_line(trained: Classifier) -> None:
    with pytest.raises(UserError, match=r"stacked digits are uint8 \[n, 3, height, width\], not \[2, 1, 8, 8\]"):
        stacked_modes(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), trained)
    with pytest.raises(UserError, match="need a classifier of the ten digits, not brightness"):
        stacked_modes(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), Brightness(7))
    with pytest.raises(UserError, match=r"images \[n, 1, 8, 8\]"):
        stacked_modes(torch.zeros(2, 3, 9, 9, dtype=torch.uint8), trained)


def test_a_classifier_of_stacked_digits_is_one_of_digits_thrice(trained: Classifier) -> None:
    data, rng = digits(), np.random.default_rng(0)
    images = torch.from_numpy(data.array[rng.integers(0, 1797, (60, 3)), 0])
    stacked = StackedClassifier(trained)
    features, probabilities = stacked(images)
    assert features.shape == (60, stacked.dim) == (60, 384)
    assert probabilities is not None
    assert probabilities.shape == (60, 1000)
    assert probabilities.sum(1).numpy() == pytest.approx(np.ones(60), abs=1e-5)
    assert torch.equal(probabilities.argmax(1), stacked_modes(images, trained))
    for channel in range(3):
        one = trained(images[:, channel : channel + 1])
        assert features[:, 128 * channel : 128 * (channel + 1)].numpy() == pytest.approx(one.features.numpy(), abs=1e-5)
        assert one.probabilities is not None
        # summed over the other two digits
        kept = probabilities.reshape(60, 10, 10, 10).sum([d for d in (1, 2, 3) if d != channel + 1])
        assert kept.numpy() == pytest.approx(one.probabilities.numpy(), abs=1e-5)
    assert stacked.name == "classifier-stacked-mnist"
    assert stacked.fingerprint != trained.fingerprint
    assert set(stacked.protocol) == {*trained.protocol, "channels"}
    with pytest.raises(UserError, match=r"images \[n, 3, 8, 8\]"):
        stacked(images[:, :1])


def test_stacked_mnist_is_classified_by_mnist(mnist: Path) -> None:
    images = np.zeros((30, 3, 28, 28), np.uint8)
    data = Images("stacked-mnist", images, np.arange(30), STACKED, "1")
    found = classifier(data, root=mnist, quiet=True, steps=1)
    assert isinstance(found, StackedClassifier)
    assert found.digits.data == "mnist"
    assert found.digits.shape == (1, 28, 28)


@pytest.mark.slow
def test_real_mnist_and_stacks_of_it(tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "datasets" / "mnist"
    if not source.is_dir():
        pytest.skip("no MNIST under datasets/")
    (tmp_path / "mnist").symlink_to(source)
    found = classifier(load("mnist", root=tmp_path), root=tmp_path, quiet=True, steps=150)
    assert isinstance(found, Classifier)
    assert found.protocol["measured_on"] == "10000 images of the test split"
    assert found.accuracy >= 0.985
    stacks = load("stacked-mnist", root=tmp_path, split="test", quiet=True)
    assert isinstance(stacks, Images)
    assert stacks.labels is not None
    labels = stacked_modes(torch.from_numpy(np.array(stacks.array[:1000])), found)
    assert (labels.numpy() == stacks.labels[:1000]).mean() >= 0.95
    shutil.rmtree(tmp_path / "cache")
