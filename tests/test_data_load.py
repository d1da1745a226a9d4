"""`load`: from names, paths, arrays and objects to data, or one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wgan.data import SOURCES, Batch, Data, Images, Points, Request, load
from wgan.errors import UserError


class Mine:
    """A user's own source: two points."""

    name, shape, count, fingerprint = "mine", (2,), None, "1"
    classes: tuple[str, ...] = ()

    def batch(self, seed: int, start: int, n: int) -> Batch:
        return Batch(torch.zeros(n, 2), None)


def test_an_object_passes_through() -> None:
    mine = Mine()
    assert load(mine) is mine


def test_an_array_becomes_images_or_points() -> None:
    images = load(np.zeros((7, 3, 16, 16), np.uint8))
    assert isinstance(images, Images)
    assert images.shape == (3, 16, 16)
    points = load(np.zeros((7, 5)))
    assert isinstance(points, Points)
    assert points.shape == (5,)


FETCHED = ("cifar10", "mnist", "fashion-mnist", "stacked-mnist", "hf")
WITH_ARGUMENT = ("line", "funnels")


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in FETCHED + WITH_ARGUMENT])
def test_built_in_names_load_without_network(name: str, tmp_path: Path) -> None:
    data = load(name, root=tmp_path)
    assert isinstance(data, Data)
    assert data.name == name
    assert data.batch(0, 0, 5).x.shape == (5, *data.shape)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cifr10", "unknown data 'cifr10'; did you mean 'cifar10'?"),
        ("fashion_mnist", "did you mean 'fashion-mnist'?"),
        ("photos", "there is no folder './photos'"),
        ("./photos", "no such folder or file: './photos'"),
        ("/no/photos", "no such folder or file: '/no/photos'"),
        ("owner/photos", "named 'hf:owner/photos'"),
        ("photos.npy", "no such file: 'photos.npy'"),
        ("", "unknown data ''"),
        ("~no-such-user/photos", "no such folder or file: '~no-such-user/photos'"),
        ("x" * 5000, "unknown data 'xxx"),
        ("a\0b", "unknown data"),
        ("digits:3", "takes nothing after a colon"),
    ],
)
def test_unknown_names_say_what_to_do(name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        load(name)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_data_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match="no known kind"):
        load(tmp_path / "a.txt")


def test_something_else_is_refused() -> None:
    with pytest.raises(UserError, match="not int"):
        load(3)  # type: ignore[arg-type]


def test_a_folder_is_opened_and_its_split_taken(tmp_path: Path) -> None:
    from PIL import Image

    for split, value in (("train", 10), ("test", 20)):
        (tmp_path / "set" / split / "cat").mkdir(parents=True)
        Image.new("RGB", (8, 8), (value,) * 3).save(tmp_path / "set" / split / "cat" / "1.png")
    for split, value in (("train", 10), ("test", 20)):
        data = load(tmp_path / "set", root=tmp_path / "root", split=split, quiet=True)
        assert isinstance(data, Images)
        assert (data.array == value).all()
        assert data.classes == ("cat",)
    with pytest.raises(UserError, match="no split 'val'"):
        load(tmp_path / "set", root=tmp_path / "root", split="val")
    one = load(tmp_path / "set" / "train", root=tmp_path / "root", quiet=True)
    assert one.count == 1


def test_a_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("digits").count == 1797
    with pytest.raises(UserError, match="no images"):
        load("./digits")


def test_the_root_is_given_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def source(request: Request) -> Data:
        seen.append(request.root)
        return Mine()

    monkeypatch.setitem(SOURCES, "digits", source)
    monkeypatch.delenv("WGAN_DATASETS", raising=False)
    load("digits")
    monkeypatch.setenv("WGAN_DATASETS", str(tmp_path))
    load("digits")
    load("digits", root=tmp_path / "other")
    assert seen == [Path("datasets"), tmp_path, tmp_path / "other"]


def test_size_resizes_images_through_the_cache(tmp_path: Path) -> None:
    data = load("digits", size=16, root=tmp_path, quiet=True)
    assert data.shape == (1, 16, 16)
    assert data.count == 1797
    assert data.classes == tuple("0123456789")
    assert (tmp_path / "cache").is_dir()
    assert load("digits", size=8, root=tmp_path / "none").fingerprint == load("digits").fingerprint
    assert not (tmp_path / "none").exists()


def test_size_of_points_is_refused() -> None:
    with pytest.raises(UserError, match="leave --size out"):
        load("8gaussians", size=32)
