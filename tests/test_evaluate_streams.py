"""What is measured is what was given: every layout and range is read as its bytes, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import tiny, train_to

from wgan.data import Images, Points, Toy, load
from wgan.data.grid import as_bytes
from wgan.errors import UserError
from wgan.evaluation.streams import Stream, chosen, generated_stream, open_samples, real_stream
from wgan.sample import load as load_run

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 3, 9, 8), np.uint8)


def all_of(stream: Stream, size: int = 7) -> np.ndarray:
    return torch.cat(list(stream.batches(size))).numpy()


@pytest.mark.parametrize("kind", ["nchw", "nhwc", "tensor", "npy", "npz"])
def test_layouts_are_read_as_the_same_bytes(kind: str, tmp_path: Path) -> None:
    last = np.ascontiguousarray(PIXELS.transpose(0, 2, 3, 1))
    np.save(tmp_path / "x.npy", last)
    np.savez(tmp_path / "x.npz", images=PIXELS)
    given = {
        "nchw": PIXELS,
        "nhwc": last,
        "tensor": torch.from_numpy(PIXELS),
        "npy": str(tmp_path / "x.npy"),
        "npz": tmp_path / "x.npz",
    }[kind]
    stream = open_samples(given, root=tmp_path)
    assert (stream.shape, stream.count) == ((3, 9, 8), 20)
    assert np.array_equal(all_of(stream), PIXELS)
    assert np.array_equal(stream.read(4, 3).numpy(), PIXELS[4:7])
    assert stream.read(0, 2).dtype == torch.uint8
    assert stream.read(0, 2).is_contiguous()


def test_gray_images_without_a_channel_axis() -> None:
    assert np.array_equal(all_of(open_samples(PIXELS[:, 0])), PIXELS[:, :1])


def test_a_folder_of_pictures_in_the_order_of_their_names(tmp_path: Path) -> None:
    square = PIXELS[:, :, :8]
    (tmp_path / "made").mkdir()
    for i, image in enumerate(square):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / "made" / f"{i:03d}.png")
    assert np.array_equal(all_of(open_samples(tmp_path / "made", root=tmp_path, quiet=True)), square)
    small = open_samples(tmp_path / "made", size=4, root=tmp_path, quiet=True)
    assert small.shape == (3, 4, 4)
    assert "resized to 4x4" in small.note


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    unit=st.booleans(),
    last=st.booleans(),
)
def test_float_images_are_rounded_to_the_bytes_they_came_from(seed: int, dtype: type, unit: bool, last: bool) -> None:
    x = np.random.default_rng(seed).integers(0, 256, (5, 2, 9, 8), np.uint8)
    x[0, 0, 0, :2] = 0, 255  # both ends are there, as in any set of images
    floats = (x / 127.5 - 1 if unit else x.astype(float)).astype(dtype)
    stream = open_samples(floats.transpose(0, 2, 3, 1) if last else floats)
    # half precision holds [-1, 1] to a tenth of a level, and whole numbers up to 2048
    assert np.array_equal(all_of(stream, 2), x)
    assert stream.note == f"float in {'[-1, 1]' if unit else '[0, 255]'}, rounded to bytes"


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (RNG.random((4, 3, 8, 8)), "could be meant in [0, 1] or [-1, 1]: give uint8"),
        (RNG.random((4, 3, 8, 8)) * 300, "fit no range: give uint8 in 0..255, or float in [-1, 1] or [0, 255]"),
        (RNG.random((4, 3, 8, 8)) * 3 - 1.5, "fit no range"),
        (np.full((4, 3, 8, 8), -2.0), "float images in [-2, -2] fit no range"),
        (np.zeros((0, 3, 8, 8)), "are empty: an array [0, 3, 8, 8]"),
        (np.zeros((0, 3, 8, 8), np.uint8), "is empty"),
        (np.zeros((4, 3, 8, 8), np.int64), "images must be uint8 in 0..255, not int64"),
        (np.zeros((4, 9, 8, 8)), "has no axis of 1 to 4 channels"),
        (np.zeros((4, 3, 8, 3)), "could be [n, c, h, w] or [n, h, w, c]"),
        (np.zeros(7), "is neither images uint8 [n, c, h, w] nor points float [n, d]"),
        (np.array([[0.0, np.nan], [1.0, 2.0]]), "1 of 2 rows hold NaN or infinity, the first is row 0"),
    ],
)
def test_what_cannot_be_read_is_refused(array: np.ndarray, told: str) -> None:
    with pytest.raises(UserError) as error:
        open_samples(array)
    assert told in str(error.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_images_that_are_no_numbers_are_named(bad: float) -> None:
    x = PIXELS / 127.5 - 1
    x[13, 1, 2, 3] = bad
    with pytest.raises(UserError, match="hold NaN or infinity, first in sample 13"):
        open_samples(x)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="holds Python objects"):
        open_samples(tmp_path / "objects.npy")
    np.save(tmp_path / "cut.npy", PIXELS)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:500])
    with pytest.raises(UserError, match=r"truncated or no \.npy file"):
        open_samples(tmp_path / "cut.npy")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images in"):
        open_samples(tmp_path / "empty", root=tmp_path)
    with pytest.raises(UserError, match=r"no such file: 'gone\.npy'"):
        open_samples("gone.npy", root=tmp_path)
    with pytest.raises(UserError, match="infinite distribution"):
        open_samples("8gaussians", root=tmp_path)


@given(n=st.integers(1, 20), seed=st.integers(0, 100), size=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_some_are_drawn_without_replacement(n: int, seed: int, size: int) -> None:
    numbered = np.zeros((20, 1, 8, 8), np.uint8) + np.arange(20, dtype=np.uint8)[:, None, None, None]
    some = chosen(open_samples(numbered), n, seed)
    found = all_of(some, size)[:, 0, 0, 0]
    assert some.count == n == len(set(found.tolist()))
    assert np.array_equal(found, all_of(chosen(open_samples(numbered), n, seed), 20)[:, 0, 0, 0])


def test_other_seeds_draw_others() -> None:
    numbered = np.zeros((20, 1, 8, 8), np.uint8) + np.arange(20, dtype=np.uint8)[:, None, None, None]
    draws = {tuple(all_of(chosen(open_samples(numbered), 5, seed))[:, 0, 0, 0].tolist()) for seed in range(9)}
    assert len(draws) > 5


def test_real_samples_come_once_each_with_their_labels() -> None:
    array = np.zeros((30, 1, 8, 8), np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None, None]
    data = Images("numbers", array, np.arange(30) % 3, ("a", "b", "c"), "print")
    first, rest = real_stream(data, 12), real_stream(data, 18, start=12)
    seen = [*all_of(first)[:, 0, 0, 0].tolist(), *all_of(rest)[:, 0, 0, 0].tolist()]
    assert sorted(seen) == list(range(30))
    assert seen != list(range(30))
    for stream in (first, rest):
        assert stream.labels is not None
        assert np.array_equal(stream.labels, all_of(stream)[:, 0, 0, 0] % 3)
    others = (real_stream(data, 12, start=1), real_stream(data, 13))
    assert len({stream.fingerprint for stream in (first, rest, *others)}) == 4


def test_points_and_infinite_data_are_streams_too() -> None:
    table = Points("table", RNG.standard_normal((9, 4)).astype(np.float32))
    assert sorted(map(tuple, all_of(real_stream(table, 9)))) == sorted(map(tuple, table.array))
    toy = load("8gaussians")
    assert isinstance(toy, Toy)
    stream = real_stream(toy, 700, start=300)
    assert np.array_equal(all_of(stream, 13), all_of(stream, 700))
    assert np.array_equal(all_of(real_stream(toy, 1000))[300:], all_of(stream))
    # no run trains on these points: they come from a stream of their own
    assert not np.array_equal(all_of(stream), toy.batch(0, 300, 700).x.numpy())


class Drawn:
    """An endless source of images of one's own."""

    name, shape, classes, count, fingerprint = "drawn", (1, 8, 8), (), None, "drawn"

    def batch(self, seed: int, start: int, n: int):  # type: ignore[no-untyped-def]
        from wgan.data import Batch

        levels = (np.arange(start, start + n) % 256).astype(np.float32)
        return Batch(torch.from_numpy(levels / 127.5 - 1)[:, None, None, None].expand(n, 1, 8, 8), None)


def test_images_of_ones_own_source_become_bytes() -> None:
    assert all_of(real_stream(Drawn(), 300))[:, 0, 0, 0].tolist() == [i % 256 for i in range(300)]


@pytest.mark.parametrize("fields", [{}, {"conditional": True}, {"ema": 0.9}])
def test_generated_are_the_samples_of_wgan_sample(fields: dict[str, object], tmp_path: Path) -> None:
    train_to(tiny("wgan-gp", **fields), tmp_path / "run")
    sampler = load_run(tmp_path / "run")
    stream = generated_stream(sampler, 25, 3, None, "run")
    assert np.array_equal(all_of(stream, 25), as_bytes(sampler.sample(25, seed=3)))
    # a batch of another size rounds elsewhere, by a level at most; another z or label does more
    some = stream.read(13, 9).numpy().astype(int)
    assert np.abs(some - as_bytes(sampler.sample(25, seed=3))[13:22]).max() <= 1
    if fields.get("conditional"):
        nines = generated_stream(sampler, 25, 3, np.full(25, 9), "run")
        assert np.array_equal(all_of(nines, 25), as_bytes(sampler.sample(25, seed=3, label=9)))


def test_a_generator_of_nan_is_named(tmp_path: Path) -> None:
    train_to(tiny("wgan-gp"), tmp_path / "run")
    sampler = load_run(tmp_path / "run")
    for weight in sampler.generator.parameters():
        weight.fill_(torch.nan)
    with pytest.raises(UserError, match="run gives NaN or infinity, first in sample 0"):
        generated_stream(sampler, 4, 0, None, "run").read(0, 4)
