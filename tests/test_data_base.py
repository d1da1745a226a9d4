"""Batches by position: every epoch each sample once, nothing depends on how the stream is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wgan.data import Data, Images, Points, Toy, load, order
from wgan.data.base import Request
from wgan.errors import UserError


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 200), epoch=st.integers(0, 1000))
def test_every_epoch_is_a_permutation(seed: int, count: int, epoch: int) -> None:
    index = order(seed, epoch * count, count, count)
    assert sorted(index.tolist()) == list(range(count))


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 100),
    start=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 90), min_size=1, max_size=8),
)
def test_the_stream_does_not_depend_on_the_batch_size(seed: int, count: int, start: int, cuts: list[int]) -> None:
    whole, pieces, at = order(seed, start, sum(cuts), count), [], start
    for n in cuts:
        pieces.append(order(seed, at, n, count))
        at += n
    assert len(whole) == sum(cuts)
    assert np.array_equal(np.concatenate(pieces), whole)


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    orders = [tuple(order(seed, epoch * 100, 100, 100)) for seed in range(4) for epoch in range(4)]
    assert len(set(orders)) == 16


def test_order_is_uniform() -> None:
    # where sample 0 lands: 4000 permutations of 5, each place 800 +- 5 sigma (25 each)
    places = [int(order(seed, 0, 5, 5).argmin()) for seed in range(4000)]
    assert all(abs(places.count(place) - 800) < 127 for place in range(5))


def test_images_come_in_minus_one_to_one_with_their_labels() -> None:
    array = np.array([0, 51, 102, 255], np.uint8).reshape(4, 1, 1, 1)
    data = Images("four", array, np.arange(4, dtype=np.int64), tuple("abcd"))
    batch = data.batch(seed=3, start=2, n=9)
    assert batch.labels is not None
    assert batch.x.dtype == torch.float32
    assert batch.labels.dtype == torch.int64
    truth = torch.tensor([-1.0, -0.6, -0.2, 1.0])
    torch.testing.assert_close(batch.x.flatten(), truth[batch.labels])
    assert batch.labels.tolist() == order(3, 2, 9, 4).tolist()
    assert isinstance(data, Data)


def test_points_are_used_as_they_are() -> None:
    array = np.array([[1e6, -3.0], [0.25, 7.0]], np.float32)
    data = Points("two", array, np.array([1, 0]), ("a", "b"))
    batch = data.batch(0, 0, 2)
    assert batch.labels is not None
    assert {(*x, label) for x, label in zip(batch.x.tolist(), batch.labels.tolist(), strict=True)} == {
        (1e6, -3.0, 1),
        (0.25, 7.0, 0),
    }
    assert data.shape == (2,)
    assert isinstance(data, Data)


def test_a_batch_never_aliases_the_data() -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    Points("p", array).batch(0, 0, 3).x.zero_()
    assert array.sum() == 15


def test_a_transposed_array_gives_contiguous_batches() -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
    x = Images("nhwc", array.transpose(0, 3, 1, 2)).batch(0, 0, 5).x
    assert x.is_contiguous()
    expected = array[order(0, 0, 5, 5)].transpose(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(x, torch.from_numpy(np.ascontiguousarray(expected, np.float32)))


@settings(deadline=None, max_examples=30)
@given(start=st.integers(0, 3000), n=st.integers(1, 700), cut=st.integers(0, 700))
def test_a_toy_stream_does_not_depend_on_the_batch_size(start: int, n: int, cut: int) -> None:
    toy = load("25gaussians")
    cut = min(cut, n)
    whole = toy.batch(5, start, n).x
    assert whole.shape == (n, 2)
    parts = [toy.batch(5, start, cut).x, toy.batch(5, start + cut, n - cut).x]
    assert torch.equal(torch.cat(parts), whole)


def test_toy_points_are_fresh_in_every_block_and_seed() -> None:
    toy = load("gaussian")
    assert isinstance(toy, Toy)
    values = torch.cat([toy.batch(seed, 0, 1000).x for seed in (0, 1)]).flatten()
    assert len(set(values.tolist())) == len(values)


@pytest.mark.parametrize(
    ("array", "labels", "classes", "says"),
    [
        (np.zeros((2, 3, 4, 4)), None, (), "float64 [2, 3, 4, 4]"),
        (np.zeros((2, 4, 4), np.uint8), None, (), "uint8 [2, 4, 4]"),
        (np.zeros((0, 3, 4, 4), np.uint8), None, (), "holds no images"),
        (np.zeros((2, 5, 4, 4), np.uint8), None, (), "5 channels"),
        (np.zeros((2, 3, 4, 4), np.uint8), np.array([0]), ("a",), "each of 2"),
        (np.zeros((2, 3, 4, 4), np.uint8), np.array([0, 1]), ("a",), "0..0"),
        (np.zeros((2, 3, 4, 4), np.uint8), np.array([0, -1]), ("a",), "0..0"),
        (np.zeros((2, 3, 4, 4), np.uint8), np.array([0.0, 0.5]), ("a",), "whole label"),
    ],
)
def test_wrong_images_are_refused(
    array: np.ndarray, labels: np.ndarray | None, classes: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UserError, match="data 'mine'") as error:
        Images("mine", array, labels, classes)
    assert says in str(error.value)


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros(2, np.float32), np.zeros((0, 2), np.float32)])
def test_wrong_points_are_refused(array: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"must be float32 \[n, d\]"):
        Points("mine", array)


def test_a_request_says_which_splits_there_are() -> None:
    with pytest.raises(UserError, match="no split 'val'; it has: train, test"):
        Request("mnist", split="val").check(("train", "test"))
    with pytest.raises(UserError, match="takes nothing after a colon"):
        Request("mnist:3", "3").check(("train",))
