"""`hf:` on parquet files made here: no network is touched."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wgan.data import Images, load
from wgan.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def datasets() -> Any:
    return pytest.importorskip("datasets", reason="needs the extra 'hub'")


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def write(datasets: Any, path: Path, images: list[bytes], labels: list[int | None] | None = None) -> Path:
    """A parquet file as the hub has them: `image`, a decoy column, and `label` when there are some."""
    columns: dict[str, Any] = {"text": ["x"] * len(images), "image": [{"bytes": b, "path": None} for b in images]}
    kinds = {"text": datasets.Value("string"), "image": datasets.Image()}
    if labels is not None:
        columns["label"] = labels
        kinds["label"] = datasets.ClassLabel(names=["cat", "dog", "owl"])
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(columns, features=datasets.Features(kinds)).to_parquet(path)
    return path


def read(name: str, root: Path, size: int | None = None, split: str = "train", allow_bad: bool = False) -> Images:
    data = load(name, root=root, size=size, split=split, allow_bad=allow_bad, quiet=True)
    assert isinstance(data, Images)
    return data


def test_a_parquet_file_with_labels(datasets: Any, tmp_path: Path) -> None:
    labels: list[int | None] = [0, 1, 2] * 4
    path = write(datasets, tmp_path / "a.parquet", [png(p) for p in PIXELS], labels)
    data = read(f"hf:{path}", tmp_path)
    assert np.array_equal(data.array, PIXELS.transpose(0, 3, 1, 2))
    assert isinstance(data.array, np.memmap)
    assert data.classes == ("cat", "dog", "owl")
    assert data.labels is not None
    assert data.labels.tolist() == labels


def test_the_second_start_does_without_the_library(
    datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(datasets, tmp_path / "a.parquet", [png(p) for p in PIXELS])
    first = read(f"hf:{path}", tmp_path)
    assert first.labels is None
    monkeypatch.setattr("wgan.data.hub._library", lambda: pytest.fail("asked for the library"))
    assert read(f"hf:{path}", tmp_path).fingerprint == first.fingerprint
    monkeypatch.undo()
    write(datasets, path, [png(p ^ 1) for p in PIXELS])
    assert read(f"hf:{path}", tmp_path).fingerprint != first.fingerprint


def test_splits_and_columns_of_a_folder(datasets: Any, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(datasets, folder / "data" / "train-00000-of-00001.parquet", [png(p) for p in PIXELS])
    write(datasets, folder / "data" / "test-00000-of-00001.parquet", [png(p) for p in PIXELS[:5]])
    assert read(f"hf:{folder}", tmp_path).count == 12
    assert read(f"hf:{folder}", tmp_path, split="test").count == 5
    assert read(f"hf:{folder}:test:image", tmp_path).count == 5
    with pytest.raises(UserError, match="no column 'img'; it has: text, image"):
        read(f"hf:{folder}:test:img", tmp_path)
    with pytest.raises(UserError, match=r"cannot open data .*nope") as error:
        read(f"hf:{folder}:nope", tmp_path)
    assert "\n" not in str(error.value)


def test_sets_saved_to_disk(datasets: Any, tmp_path: Path) -> None:
    table = datasets.Dataset.from_parquet(str(write(datasets, tmp_path / "a.parquet", [png(p) for p in PIXELS])))
    table.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": table, "test": table.select(range(3))}).save_to_disk(tmp_path / "two")
    assert np.array_equal(read(f"hf:{tmp_path / 'one'}", tmp_path).array, PIXELS.transpose(0, 3, 1, 2))
    assert read(f"hf:{tmp_path / 'two'}:test", tmp_path).count == 3


def test_a_column_of_bytes_will_do(datasets: Any, tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"n": [1] * 12, "file": [png(p) for p in PIXELS]}).to_parquet(tmp_path / "b.parquet")
    assert np.array_equal(read(f"hf:{tmp_path / 'b.parquet'}", tmp_path).array, PIXELS.transpose(0, 3, 1, 2))
    datasets.Dataset.from_dict({"n": [1]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(UserError, match="no column of images; it has: n"):
        read(f"hf:{tmp_path / 'c.parquet'}", tmp_path)


def test_the_first_column_of_images_unless_named(datasets: Any, tmp_path: Path) -> None:
    columns = {name: [{"bytes": png(p ^ flip), "path": None} for p in PIXELS] for name, flip in (("a", 0), ("b", 255))}
    kinds = datasets.Features({"a": datasets.Image(), "b": datasets.Image()})
    path = tmp_path / "two.parquet"
    datasets.Dataset.from_dict(columns, features=kinds).to_parquet(path)
    assert np.array_equal(read(f"hf:{path}", tmp_path).array, PIXELS.transpose(0, 3, 1, 2))
    assert np.array_equal(read(f"hf:{path}:train:b", tmp_path).array, PIXELS.transpose(0, 3, 1, 2) ^ 255)


def test_labels_are_part_of_the_fingerprint(datasets: Any, tmp_path: Path) -> None:
    images = [png(p) for p in PIXELS]
    sets = [write(datasets, tmp_path / f"{i}.parquet", images, [i] * 12) for i in range(2)]
    sets.append(write(datasets, tmp_path / "none.parquet", images))
    assert len({read(f"hf:{path}", tmp_path).fingerprint for path in sets}) == 3


def test_sizes_and_modes(datasets: Any, tmp_path: Path) -> None:
    gray = write(datasets, tmp_path / "gray.parquet", [png(p[..., 0]) for p in PIXELS])
    assert np.array_equal(read(f"hf:{gray}", tmp_path).array, PIXELS[:, None, :, :, 0])
    mixed = write(datasets, tmp_path / "mixed.parquet", [png(PIXELS[0]), png(PIXELS[1, ..., 0]), png(PIXELS[2, :6])])
    assert read(f"hf:{mixed}", tmp_path, size=16).array.shape == (3, 3, 16, 16)
    with pytest.raises(UserError, match="2 sizes, from 8x6 to 8x8 px: say which size"):
        read(f"hf:{mixed}", tmp_path)
    flat = write(datasets, tmp_path / "flat.parquet", [png(p[:6]) for p in PIXELS])
    with pytest.raises(UserError, match="not square: give --size"):
        read(f"hf:{flat}", tmp_path)


def test_damaged_images_are_left_out_up_to_a_point(datasets: Any, tmp_path: Path) -> None:
    good = [png(p) for p in np.concatenate([PIXELS, PIXELS])]
    few = write(datasets, tmp_path / "few.parquet", [*good[:5], good[5][:60], *good[6:]], [*[0] * 5, 2, *[1] * 18])
    data = read(f"hf:{few}", tmp_path)
    assert data.count == 23
    assert data.labels is not None
    assert 2 not in data.labels
    assert data.notes == ("1 of 24 images cannot be read and are left out",)
    many = write(datasets, tmp_path / "many.parquet", [b"x", b"y", *good[2:]])
    with pytest.raises(UserError, match=r"2 of 24 images .* cannot be read, the first: row 0, .*--allow-bad"):
        read(f"hf:{many}", tmp_path)
    assert read(f"hf:{many}", tmp_path, allow_bad=True).count == 22
    none = write(datasets, tmp_path / "none.parquet", [b"x"])
    with pytest.raises(UserError, match="1 of 1 images"):
        read(f"hf:{none}", tmp_path, allow_bad=True)


@pytest.mark.parametrize("value", [-1, None])
def test_labels_held_back_are_no_labels(value: int | None, datasets: Any, tmp_path: Path) -> None:
    path = write(datasets, tmp_path / "a.parquet", [png(p) for p in PIXELS], [value] * 12)
    assert read(f"hf:{path}", tmp_path).labels is None


def test_more_rows_than_fit_one_round(datasets: Any, tmp_path: Path) -> None:
    many = [png(np.full((8, 8), i % 256, np.uint8)) for i in range(600)]
    many[400] = b"x"
    path = write(datasets, tmp_path / "a.parquet", many, [i % 3 for i in range(600)])
    data = read(f"hf:{path}", tmp_path)
    kept = [i for i in range(600) if i != 400]
    assert data.labels is not None
    assert data.array[:, 0, 3, 3].tolist() == [i % 256 for i in kept]
    assert data.labels.tolist() == [i % 3 for i in kept]
    with pytest.raises(UserError, match="row 400"):
        read(f"hf:{write(datasets, tmp_path / 'b.parquet', [*many[:400], *[b'x'] * 200])}", tmp_path)


@pytest.mark.parametrize("name", ["hf", "hf:", "hf:mnist", "hf:a/b/c"])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="give 'hf:owner/name'"):
        load(name)


def test_a_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"no such file or folder 'nope\.parquet'"):
        load("hf:nope.parquet")


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    for stand_in in (missing, lambda name: io):  # not there; only a folder ./datasets, imported as an empty package
        monkeypatch.setattr(importlib, "import_module", stand_in)
        with pytest.raises(UserError, match=r"pip install 'wgan\[hub\]'"):
            load("hf:owner/name", root=tmp_path)


def test_a_hub_out_of_reach_is_one_line(datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub (LocalEntryNotFoundError)")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(UserError, match="can't reach the hub for 'owner/name'") as error:
        load("hf:owner/name", root=tmp_path, quiet=True)
    assert "HF_HUB_OFFLINE=1" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_hub_set_is_asked_for_once(datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = datasets.Dataset.from_parquet(str(write(datasets, tmp_path / "a.parquet", [png(p) for p in PIXELS])))
    calls = []

    def hub(name: str, split: str) -> Any:
        calls.append((name, split))
        return table

    monkeypatch.setattr(datasets, "load_dataset", hub)
    first = read("hf:owner/name", tmp_path, split="test")
    assert read("hf:owner/name:test", tmp_path).fingerprint == first.fingerprint
    assert calls == [("owner/name", "test")]
