"""The files of `wgan.paper`: each is told, short and runnable at both scales; and how a check decides and prints."""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wgan.errors import UserError
from wgan.reproduction import Check, Figure, Scale, catalogue, find
from wgan.reproduction.catalogue import FOLDER, PARTS, read
from wgan.reproduction.check import number, spread

FILES = sorted(FOLDER.glob("[!_]*.py"))
FIGURES = [pytest.param(figure, id=figure.name) for figure in catalogue().values()]
LARGEST = 80
# that all of wgan.paper can be run is worth more than any one file of it
SCALES = [Scale(photographs="x"), Scale(full=True, photographs="x")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_told_and_short(path: Path) -> None:
    figure = read(path)
    assert all(figure.parts[part] for part in PARTS)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LARGEST
    # which seeds they were set on, never those of the results; what nobody ran says so
    told = figure.parts["Thresholds"]
    assert re.match(r"Fixed on .*seeds? 10\d.*, before seeds 0-2 were run", told) or "never run here" in told
    assert not figure.title.endswith(".")


@pytest.mark.parametrize("figure", FIGURES)
def test_names_lead_to_the_file(figure: Figure) -> None:
    assert all(find(name) == figure for name in (figure.name, *figure.also))


def test_no_two_figures_share_a_name() -> None:
    names = [name for figure in catalogue().values() for name in (figure.name, *figure.also)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("figure", FIGURES)
def test_jobs_are_the_same_for_each_seed_and_can_be_sent_to_another_process(figure: Figure) -> None:
    module = figure.load()
    for scale in SCALES[1:] if figure.full_only else SCALES:
        jobs = module.runs(0, scale)
        assert jobs
        assert list(jobs) == list(module.runs(1, scale))
        for seed in (0, 1):
            for name, job in module.runs(seed, scale).items():
                again = pickle.loads(pickle.dumps(job))
                assert callable(again), name
                # a name is part of a folder's
                assert name == Path(name).name


def test_seeds_make_different_jobs() -> None:
    for figure in catalogue().values():
        if not figure.full_only:
            module = figure.load()
            jobs, other = module.runs(0, SCALES[0]), module.runs(1, SCALES[0])
            assert all(pickle.dumps(jobs[name]) != pickle.dumps(other[name]) for name in jobs), figure.name


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown figure 'dirac-gna'; did you mean 'dirac-gan'\? Known: "):
        find("dirac-gna")


@pytest.mark.parametrize("missing", PARTS)
def test_a_docstring_without_a_part_is_refused(missing: str, tmp_path: Path) -> None:
    told = "\n".join(f"{part}: something." for part in PARTS if part != missing)
    path = tmp_path / "new_figure.py"
    path.write_text(f'"""A title.\n\n{told}\n"""\n')
    with pytest.raises(UserError, match=f"new_figure.py: its docstring needs .*; no {missing}"):
        read(path)


def test_a_file_is_read_without_running_it(tmp_path: Path) -> None:
    told = "\n".join(f"{part}: one\ntwo: {part}." for part in PARTS)
    path = tmp_path / "new_figure.py"
    path.write_text(f'"""A title.\n\n{told}\n"""\nNEEDS = ("mnist",)\nALSO = ("other",)\nraise SystemExit\n')
    figure = read(path)
    assert (figure.name, figure.title, figure.needs, figure.also) == ("new-figure", "A title", ("mnist",), ("other",))
    assert figure.parts["Claim"] == "one two: Claim."


# --- checks ----------------------------------------------------------------------------------------------------------

FINITE = st.floats(-1e9, 1e9)
QUICK = settings(max_examples=100, deadline=None)


@given(ours=st.lists(FINITE, min_size=1, max_size=5), low=FINITE, high=FINITE)
@QUICK
def test_bounds_hold_for_the_median_or_for_each(ours: list[float], low: float, high: float) -> None:
    median = float(np.median(ours))
    assert Check(what="", ours=ours, at_least=low, at_most=high).passes == (low <= median <= high)
    assert Check(what="", ours=ours, at_least=low).passes == (low <= median)
    assert Check(what="", ours=ours, at_most=high).passes == (median <= high)
    assert Check(what="", ours=ours, at_least=low, at_most=high, every=True).passes == all(
        low <= x <= high for x in ours
    )
    assert Check(what="", ours=ours).passes is None


def test_bounds_are_included() -> None:
    assert Check(what="", ours=[1.0], at_least=1.0, at_most=1.0).passes
    assert not Check(what="", ours=[1.0, 3.0, 1.0], at_most=2.0, every=True).passes
    assert Check(what="", ours=[1.0, 3.0, 1.0], at_most=2.0).passes


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("bounds", [{"at_least": -1e9}, {"at_most": 1e9}, {"at_least": -1e9, "at_most": 1e9}])
def test_what_is_no_number_never_passes(bounds: dict[str, float], every: bool) -> None:
    assert Check(what="", ours=[1.0, math.nan, 2.0], every=every, **bounds).passes is False  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ({"at_least": 0.2}, "median ≥ 0.2"),
        ({"at_most": 1e-7}, "median ≤ 1e-07"),
        ({"at_least": 0.5, "at_most": 2.0}, "median in [0.5, 2]"),
        ({"at_most": 25.0, "every": True}, "each ≤ 25"),
        ({"at_least": 1.0, "at_most": 1234.0, "every": True}, "each in [1, 1234]"),
        ({}, "reported only"),
    ],
)
def test_thresholds_are_told(bounds: dict[str, float], text: str) -> None:
    check = Check(what="", ours=[1.0], **bounds)  # type: ignore[arg-type]
    assert check.threshold == check.row()["threshold"] == text


def test_a_row_is_plain_json() -> None:
    check = Check(what="a", ours=[np.float32(0.5)], control=np.array([2.0]), control_name="b", paper="c", at_most=1.0)
    row = check.row()
    assert row == {
        "what": "a",
        "ours": [0.5],
        "control": [2.0],
        "control_name": "b",
        "paper": "c",
        "threshold": "median ≤ 1",
        "passes": True,
    }
    assert all(type(x) is float for x in [*row["ours"], *row["control"]])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (3, "3"), (1234, "1,234"), (-25.0, "-25"), (0.0123, "0.0123"), (0.61234, "0.612"), (12.34, "12.3")),
        *((1234.5, "1,234"), (1.23e-7, "1.23e-7"), (3e7, "3.00e7"), (1e-10, "1.00e-10")),
        *((math.nan, "nan"), (math.inf, "inf")),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(-1e300, 1e300))
@QUICK
def test_numbers_are_told_to_three_figures(value: float) -> None:
    told = float(number(value).replace(",", ""))
    assert told == pytest.approx(value, rel=0.0051)
    assert len(number(value)) <= 10


@given(st.lists(FINITE, min_size=1, max_size=5))
@QUICK
def test_spread_is_the_median_between_the_least_and_the_largest(values: list[float]) -> None:
    middle, low, high = map(number, (float(np.median(values)), min(values), max(values)))
    assert spread(values) == (middle if middle == low == high else f"{middle} ({low} to {high})")


def test_spread_of_nothing_is_empty() -> None:
    assert spread([]) == ""
