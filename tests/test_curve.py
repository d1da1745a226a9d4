"""The curve is the paper's: estimate against generator steps, filtered by a median, with samples along it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.signal import medfilt

import wgan
from wgan.curve import curve_of, limits, median_filter, save_curve, thumbnails


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60).map(np.array),
    width=st.sampled_from([1, 3, 5, 11, 101]),
)
def test_median_filter_is_scipys_away_from_the_ends(values: np.ndarray, width: int) -> None:
    got, half = median_filter(values, width), width // 2
    assert got.shape == values.shape
    assert np.isfinite(got).all()
    if len(values) > 2 * half:
        inner = slice(half, len(values) - half)
        np.testing.assert_allclose(got[inner], medfilt(values, width)[inner])
    # at the ends the window shrinks, where medfilt takes in zeros
    assert got[0] == pytest.approx(np.median(values[: half + 1]))


def rows(n: int, **more: float) -> list[dict[str, float]]:
    return [{"step": 10 * (i + 1), "wasserstein": 5.0 / (i + 1), **more} for i in range(n)]


def test_what_is_drawn_follows_the_pairing() -> None:
    label, steps, values = curve_of(wgan.preset("wgan"), rows(3))
    assert label == "Wasserstein estimate"
    assert (list(steps), list(values)) == ([10, 20, 30], [5.0, 2.5, 5 / 3])
    label, _, values = curve_of(wgan.preset("gan"), rows(3, jensen_shannon=0.6))
    assert label == "Jensen-Shannon estimate"
    assert list(values) == [0.6] * 3
    assert "no distance" in curve_of(wgan.preset("sngan"), rows(3))[0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30).map(np.array))
def test_the_axis_shows_zero_and_the_values_with_room(values: np.ndarray) -> None:
    bottom, top = limits(values)
    low, high = np.percentile(values, [0.5, 99.5])
    assert bottom <= 0 < top
    assert bottom <= low
    # a flat line is not drawn on the frame
    assert top - high >= 0.05 * (top - bottom)


@pytest.mark.parametrize("n", [0, 1, 2, 300])
def test_curve_of_any_length(n: int, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(n)))
    save_curve(wgan.preset("wgan"), tmp_path)
    if n < 2:
        assert not (tmp_path / "curve.png").exists()
    else:
        with Image.open(tmp_path / "curve.png") as image:
            assert image.width > 600


def test_thumbnails_are_spread_over_the_run_and_shown_whole(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for step in [*range(0, 101, 5), 990]:
        Image.new("RGB", (20, 20), (step % 256, 0, 0)).save(tmp_path / "samples" / f"step-{step:06d}.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "samples" / "real.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "samples" / "step-mine.png")
    shown = thumbnails(tmp_path, 100)
    assert [step for step, _ in shown] == [0, 25, 50, 75, 100]
    assert [picture[0, 0, 0] for _, picture in shown] == [0, 25, 50, 75, 100]
    (tmp_path / "samples" / "step-000100.png").write_bytes(b"")
    assert [step for step, _ in thumbnails(tmp_path, 100)] == [0, 25, 50, 75, 95]
