"""The checks on evidence made by hand: each names its sickness, just beyond its bound, and nothing just before it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_
from hypothesis import strategies as st
from rich.console import Console

import wgan
from wgan.doctor import CHECKS, Diagnosis, Evidence, Finding, Log, Measured, Severity, Watcher, diagnose
from wgan.doctor import critic_checks as critic
from wgan.doctor import generator_checks as generator
from wgan.doctor.evidence import Climb, Estimate, Gain, Gap, Layers, Push, Variety, Weights
from wgan.doctor.findings import number
from wgan.doctor.plot import draw
from wgan.doctor.report import as_json, print_diagnosis
from wgan.networks import DCGAN
from wgan.networks import Points as MLPForPoints
from wgan.run import Run
from wgan.state import start

GP = wgan.Objective(wgan.wasserstein, wgan.GradientPenalty(10.0))
CLIP = wgan.Objective(wgan.wasserstein, wgan.Clip(0.1))
RUN = Run(data="digits", networks=DCGAN(filters=8, critic_norm="none"), objective=GP, steps=1000, n_critic=5)


def row(step: int, raw: float = 1.0, slope: float = 1.05, **more: float) -> dict[str, Any]:
    told = {"step": step, "wasserstein": raw, "critic_loss": -raw, "generator_loss": 0.1, "critic_slope": slope}
    return told | {"fake_spread": 1.0, "generator_gradient": 1.0} | more


def rows(n: int = 40, change: Callable[[int], dict[str, float]] = lambda i: {}) -> list[dict[str, Any]]:
    """A healthy log, or one changed at each row."""
    return [row(10 * (i + 1), **change(i)) for i in range(n)]


def healthy(run: Run = RUN, **changes: Any) -> Evidence:
    """What a healthy run measures, with changes."""
    clip = any(isinstance(part, wgan.Clip) for part in run.objective.constraints)
    found = Evidence(
        run=run,
        step=400,
        batch_norm=False,
        log=Log(rows()),
        generator_weights=10_000,
        estimate=Estimate(raw=1.0, slope=1.05, w1=0.95, distance=6.0, scale=6.0, n=1024),
        gain=Gain(Climb(1e-3, (0, 25, 50), (0.95, 0.97, 1.0)), None, scale=6.0),
        gap=Gap(train=1.0, held_out=0.95, fake=0.0, error=0.05, n=1024, name="held", counts=((0.5, 0.5),) * 3),
        layers=Layers(("input", "0 Conv2d", "head Linear"), (1.05, 2.0, 1.0)),
        weights=Weights(0.1, 0.5, (1,) * 40) if clip else None,
        variety=Variety(1.0, 24, 25, 0.4, 0.3, None, None, 1000, ((0.5, 0.5), (0.4, 0.6))),
        push=Push(gradient=2.0, move=0.08, kept=0.8),
    )
    return replace(found, **changes)


def names(evidence: Evidence) -> list[str]:
    return [finding.name for finding in diagnose(evidence)]


def named(evidence: Evidence, name: str) -> Finding:
    """The only finding, which must be `name`."""
    found = diagnose(evidence)
    assert [finding.name for finding in found] == [name]
    return found[0]


@pytest.mark.parametrize("objective", [GP, CLIP, wgan.Objective(wgan.logistic), wgan.Objective(wgan.hinge)])
def test_healthy_evidence_has_no_finding(objective: wgan.Objective) -> None:
    run = replace(RUN, objective=objective)
    assert names(healthy(run)) == []
    assert names(Evidence(run, 400, False, Log(rows()))) == []
    assert names(Evidence(run, 0, False, Log())) == []


def test_batch_norm_matters_under_a_penalty_only() -> None:
    finding = named(healthy(batch_norm=True, coupling=0.25), "batch-norm-in-penalised-critic")
    assert finding.evidence[0].value == 25
    assert "critic_norm='layer'" in finding.remedy
    assert "dcgan(filters=8" in finding.remedy
    assert names(healthy(replace(RUN, objective=CLIP), batch_norm=True)) == []
    # without the probe, as during training
    assert "batch norm" in named(Evidence(RUN, 10, True, Log()), "batch-norm-in-penalised-critic").line


def climbed(before: float, own: float, fast: float | None = None, scale: float = 6.0) -> Gain:
    first = Climb(1e-5, (0, 50), (before, own))
    return Gain(first, None if fast is None else Climb(1e-3, (0, 50), (before, fast)), scale)


def test_gain_is_relative_to_the_best_of_both_climbs() -> None:
    assert climbed(1.0, 2.0, 4.0).relative(0.5) == pytest.approx(3 / 4)
    assert climbed(1.0, 5.0, 4.0).relative(0.5) == pytest.approx(4 / 5)
    # never below half of the scale, here 3
    assert climbed(1.0, 1.5, None).relative(0.5) == pytest.approx(0.5 / 3)
    assert climbed(-2.0, -1.0).relative(0.5) == pytest.approx(1 / 3)
    assert climbed(1.0, math.nan).relative(0.5) == 0
    assert math.isnan(climbed(math.nan, 2.0).relative(0.5))


def test_critic_not_converged() -> None:
    finding = named(healthy(gain=climbed(3.0, 3.2, 6.0)), "critic-not-converged")
    assert finding.evidence[0].value == pytest.approx(50)
    assert "--critic-lr 0.001 (now 5e-5)" in finding.remedy
    assert "15 times as much" in finding.remedy
    # the run's own step size does as well: more of the same
    finding = named(healthy(gain=climbed(3.0, 6.0, 6.0)), "critic-not-converged")
    assert finding.remedy.startswith("--n-critic 10 (now 5)")
    assert names(healthy(gain=climbed(4.0, 5.2))) == []
    assert names(healthy(gain=climbed(4.0, 5.4))) == ["critic-not-converged"]


@pytest.mark.parametrize(("wrong", "sick"), [(3, False), (4, True)])
def test_estimates_below_zero(wrong: int, sick: bool) -> None:
    log = Log(rows(40, lambda i: {"raw": -0.5 if i >= 40 - wrong else 1.0}))
    assert critic.wrong_share(healthy(log=log)) == wrong / 20
    assert (critic.critic_not_converged(healthy(log=log)) is not None) == sick
    # noise around 0 is no sign
    log = Log(rows(40, lambda i: {"raw": 1.0 if i < 20 else 0.05 * (-1) ** i}))
    assert critic.wrong_share(healthy(log=log)) == 0


def test_a_young_log_says_nothing() -> None:
    sick = rows(19, lambda i: {"raw": -1.0, "slope": 9.0, "fake_spread": 0.0})
    assert names(Evidence(RUN, 190, False, Log(sick))) == []
    # as many rows as you like, but few steps
    sick = [each | {"step": i + 1} for i, each in enumerate(rows(150, lambda i: {"raw": -1.0, "slope": 9.0}))]
    assert names(Evidence(RUN, 150, False, Log(sick))) == []


@pytest.mark.parametrize(("slope", "sick"), [(0.5, True), (0.56, False), (2.05, False), (2.3, True)])
def test_slope_under_gp_is_compared_with_the_optimal_one(slope: float, sick: bool) -> None:
    # raw = W (1 + W / 20) = 1.05 at W = 1, where the optimal slope is 1.05
    estimate = Estimate(1.05, slope, 1.0, 6.0, 6.0, 1024)
    finding = critic.slope_far_from_1(healthy(estimate=estimate))
    assert (finding is not None) == sick
    if finding:
        assert finding.evidence[1].value == pytest.approx(1.05)
        assert ("--critic-lr" if slope < 1 else "gp(weight=100)") in finding.remedy


def test_a_weak_penalty_is_allowed_its_steep_slope() -> None:
    # W = 0.5 under weight 0.1: slope 3.5, raw 1.75
    weak = replace(RUN, objective=wgan.Objective(wgan.wasserstein, wgan.GradientPenalty(0.1)))
    assert names(healthy(weak, estimate=Estimate(1.75, 3.5, 0.5, 1.8, 1.8, 1024))) == []
    assert names(healthy(RUN, estimate=Estimate(1.75, 3.5, 0.5, 1.8, 1.8, 1024))) == ["slope-far-from-1"]
    # lp leaves slopes below 1 alone
    lp = replace(RUN, objective=wgan.Objective(wgan.wasserstein, wgan.LipschitzPenalty(10.0)))
    assert names(healthy(lp, estimate=Estimate(0.1, 0.1, 0.1, 6.0, 6.0, 1024))) == []
    assert names(healthy(lp, estimate=Estimate(0.1, 2.2, 0.1, 6.0, 6.0, 1024))) == ["slope-far-from-1"]


def test_slope_of_spectral_norm_matters_where_it_measures() -> None:
    low = Estimate(0.4, 0.4, 1.0, 6.0, 6.0, 1024)
    sn = replace(RUN, objective=wgan.Objective(wgan.wasserstein, wgan.SpectralNorm()))
    assert "maxmin=True" in named(healthy(sn, estimate=low), "slope-far-from-1").remedy
    hinge = replace(RUN, objective=wgan.Objective(wgan.hinge, wgan.SpectralNorm()))
    assert names(healthy(hinge, estimate=low)) == []


def test_slope_from_the_log_alone() -> None:
    flat = Log(rows(40, lambda i: {"slope": 0.1}))
    assert names(Evidence(RUN, 400, False, flat)) == ["slope-far-from-1"]
    # half of the rows is not the median
    mixed = Log(rows(40, lambda i: {"slope": 0.1 if i % 20 < 9 else 1.0}))
    assert names(Evidence(RUN, 400, False, mixed)) == []


@pytest.mark.parametrize(
    ("slope", "name"), [(4e-4, "clip-too-small"), (6e-4, None), (4.9, None), (5.2, "clip-too-large")]
)
def test_clipping(slope: float, name: str | None) -> None:
    run = replace(RUN, objective=CLIP)
    found = healthy(run, estimate=Estimate(slope, slope, 1.0, 6.0, 6.0, 1024))
    assert names(found) == ([name] if name else [])
    if name:
        assert "(now 0.1)" in diagnose(found)[0].remedy
        assert [each.value for each in diagnose(found)[0].evidence[:2]] == [slope, 50]
    logged = Log(rows(40, lambda i: {"slope": slope, "clipped_share": 0.5}))
    assert names(Evidence(run, 400, False, logged)) == ([name] if name else [])
    assert "clip-too-small" not in names(healthy(RUN, estimate=Estimate(slope, slope, 1.0, 6.0, 6.0, 1024)))


def test_the_better_c_brings_the_slope_where_it_should_be() -> None:
    """Slope = c^layers, as in a deep linear critic of one unit a layer: the remedy is exact."""
    run = replace(RUN, objective=wgan.Objective(wgan.wasserstein, wgan.Clip(0.01)))
    layers = Layers(("input", "0", "2", "4", "head"), (1e-8, 1e-6, 1e-4, 1e-2, 1.0))
    assert layers.decades == pytest.approx(2)
    found = healthy(run, estimate=Estimate(1e-8, 1e-8, 1.0, 6.0, 6.0, 1024), layers=layers)
    # 0.3^(1/4) = 0.74
    assert "clip(c=0.7)" in named(found, "clip-too-small").remedy
    assert named(found, "clip-too-small").evidence[2].value == pytest.approx(2)


@pytest.mark.parametrize(
    ("held", "error", "sick"), [(0.6, 0.13, True), (0.6, 0.14, False), (0.81, 0.0, False), (0.79, 0.0, True)]
)
def test_overfitting_counts_beyond_its_noise(held: float, error: float, sick: bool) -> None:
    gap = Gap(2.0, 2 * held, 0.0, 2 * error, 1024, "held")
    assert gap.share == pytest.approx(1 - held)
    found = healthy(gap=gap)
    assert names(found) == (["critic-overfits"] if sick else [])
    if sick:
        assert "dcgan(filters=8, critic_norm='none', dropout=0.3)\"" in diagnose(found)[0].remedy


def test_overfitting_in_the_log() -> None:
    def gaps(*values: float) -> Log:
        return Log([each | {"heldout_gap": v} for each, v in zip(rows(len(values)), values, strict=True)])

    assert names(Evidence(RUN, 400, False, gaps(0.5, 0.5, 0.5, 0.5))) == []
    assert names(Evidence(RUN, 400, False, gaps(0.1, 0.2, 0.2, 0.1, 0.2))) == ["critic-overfits"]
    assert names(Evidence(RUN, 400, False, gaps(0.1, 0.2, 0.9, 0.1, 0.1))) == []
    # the last five
    assert names(Evidence(RUN, 400, False, gaps(0.5, 0.5, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1))) == []
    # a large share of next to nothing
    rest = [each | {"wasserstein": 0.01, "heldout_gap": 0.9} for each in rows(5)]
    assert names(Evidence(RUN, 400, False, Log([*rows(30), *rest]))) == []
    assert critic.logged_gaps(Evidence(RUN, 400, False, Log([*rows(30), *rest]))) == pytest.approx([0.09] * 5)


def test_where_to_stop_an_overfitting_run() -> None:
    log = Log([each | {"wasserstein_heldout": abs(each["step"] - 500) + 1.0} for each in rows(100)])
    found = healthy(log=log, step=1000, gap=Gap(2.0, 1.0, 0.0, 0.01, 1024, "held"))
    assert critic.best_heldout_step(found) == 500
    assert "stop near step 500" in named(found, "critic-overfits").remedy
    # while the critic is new, its estimate is low for no good reason
    young = Log([{"step": 100, "wasserstein_heldout": 0.1}, *log.rows[20:]])
    assert critic.best_heldout_step(healthy(log=young, step=1000)) == 500
    log = Log([each | {"wasserstein_heldout": 1000.0 - each["step"]} for each in rows(99)])
    assert critic.best_heldout_step(healthy(log=log, step=1000)) is None


@pytest.mark.parametrize(
    ("move", "kept", "sick"),
    [(0.3, 0.72, False), (0.3, 0.69, True), (0.05, -0.9, True), (0.04, -9.0, False), (0.9, 3.0, False)],
)
def test_generator_too_fast(move: float, kept: float, sick: bool) -> None:
    found = healthy(push=Push(2.0, move, kept))
    assert names(found) == (["generator-too-fast"] if sick else [])
    if sick:
        assert "--generator-lr" in diagnose(found)[0].remedy


@pytest.mark.parametrize(
    ("spread", "covered", "sick"), [(0.45, 24, False), (0.35, 24, True), (0.9, 10, False), (0.9, 9, True)]
)
def test_mode_collapse(spread: float, covered: int, sick: bool) -> None:
    variety = Variety(spread, covered, 25, 0.0, 0.0, None, None, 1000)
    assert names(healthy(variety=variety)) == (["mode-collapse"] if sick else [])


def test_collapse_in_the_log_is_told_from_a_young_generator() -> None:
    young = Log(rows(40, lambda i: {"fake_spread": 0.1}))
    assert names(Evidence(RUN, 400, False, young)) == []
    assert names(Evidence(RUN, 1000, False, young)) == ["mode-collapse"]
    fell = Log(rows(40, lambda i: {"fake_spread": 0.6 if i < 20 else 0.2}))
    assert names(Evidence(RUN, 400, False, fell)) == ["mode-collapse"]
    fell = Log(rows(40, lambda i: {"fake_spread": 0.9 if i < 20 else 0.3}))
    assert names(Evidence(RUN, 400, False, fell)) == []


def test_dead_generator() -> None:
    alike = Variety(0.01, 1, 25, 0.0, 0.0, None, None, 1000)
    found = diagnose(healthy(variety=alike))
    assert [finding.name for finding in found] == ["dead-generator", "mode-collapse"]
    assert found[0].severity is Severity.LOST
    assert "whatever z is" in found[0].why
    assert names(healthy(push=Push(1.0, 1e-6, 1.0))) == ["dead-generator"]
    # 10,000 weights: a norm of 1e-7 is 1e-9 a weight, a tenth of Adam's and RMSProp's eps
    assert names(healthy(push=Push(0.9e-7, 0.05, 1.0))) == ["dead-generator"]
    assert names(healthy(push=Push(1.1e-7, 0.05, 1.0))) == []
    faint = Log(rows(40, lambda i: {"generator_gradient": 0.9e-7}))
    assert names(Evidence(RUN, 400, False, faint, generator_weights=10_000)) == ["dead-generator"]


def test_divergence() -> None:
    away = healthy(estimate=Estimate(20.0, 1.9, 11.0, 19.0, 6.0, 1024))
    assert named(away, "divergence").evidence[0].value == pytest.approx(19 / 6)
    assert names(healthy(estimate=Estimate(20.0, 1.9, 11.0, 17.0, 6.0, 1024))) == []
    broken = named(healthy(log=Log([*rows(5), row(60, critic_loss=math.nan)])), "divergence")
    assert "critic_loss at step 60" in broken.evidence[0].what
    assert "divergence" in names(healthy(estimate=Estimate(math.nan, 1.0, math.nan, math.nan, 6.0, 1024)))
    momentum = replace(RUN, critic_optimizer=wgan.Adam(beta1=0.5))
    assert "beta1=0.0" in named(replace(away, run=momentum), "divergence").remedy


@pytest.mark.parametrize(("depth", "sick"), [(0.35, False), (0.4, True)])
def test_swings(depth: float, sick: bool) -> None:
    # from 1 + depth to 1 - depth and back: the estimate changes by 2 depth
    log = Log(rows(40, lambda i: {"raw": 1 + depth * (-1) ** i, "slope": 1.0}))
    swing = generator.swings(healthy(log=log))
    assert swing == pytest.approx(2 * depth)
    assert names(healthy(log=log)) == (["divergence"] if sick else [])
    # what swings with the slope is no swing of the distance
    log = Log(rows(40, lambda i: {"raw": 2.0 + (-1) ** i, "slope": 2.0 + (-1) ** i}))
    assert generator.swings(healthy(log=log)) == 0
    # a run of few steps is not judged
    log = Log([each | {"step": i + 1} for i, each in enumerate(rows(150, lambda i: {"raw": (-1.0) ** i}))])
    assert generator.swings(healthy(log=log, step=150)) is None
    # near 0, where only noise is left of a run that went well
    log = Log(rows(40, lambda i: {"raw": 1.0 if i < 20 else 0.03 * (-1) ** i, "slope": 1.0}))
    assert names(healthy(log=log)) == []


def test_every_check_has_a_name_of_its_own_and_worst_comes_first() -> None:
    run = replace(RUN, objective=wgan.Objective(wgan.wasserstein, wgan.GradientPenalty(10.0), wgan.Clip(0.1)))
    sick = healthy(
        run,
        batch_norm=True,
        estimate=Estimate(1.0, 6.0, 0.9, 99.0, 6.0, 1024),
        gain=climbed(0.0, 6.0),
        gap=Gap(1.0, 0.0, 0.0, 0.0, 1024, "held"),
        variety=Variety(0.0, 1, 25, 0.0, 0.0, None, None, 1000),
        push=Push(1.0, 0.5, 0.0),
    )
    found = diagnose(sick)
    assert len({finding.name for finding in found}) == len(CHECKS) - 1  # c is too small or too large
    assert [f.severity for f in found] == sorted((f.severity for f in found), reverse=True)
    for finding in found:
        assert finding.evidence
        assert finding.why.endswith(".")
        assert "\n" not in finding.line
        assert finding.title in finding.line


# --- the log, and the watcher ----------------------------------------------------------------------------------------


def test_columns_of_the_log() -> None:
    log = Log([{"step": 1, "a": 1}, {"step": 2, "a": None}, {"step": 3}, {"step": 4, "a": 2.5}])
    assert log.column("a") == [1.0, 2.5]
    assert log.column("a", 2) == [2.5]
    assert log.points("a") == ([1, 4], [1.0, 2.5])
    assert len(log) == 4
    assert log.column("b") == []


@given_(st.lists(st.floats(0.01, 100), min_size=3, max_size=12), st.floats(0.1, 10))
def test_decades_are_the_slope_of_a_straight_line(norms: list[float], factor: float) -> None:
    import numpy as np

    layers = Layers(tuple(map(str, range(len(norms)))), tuple(norms))
    assert layers.decades == pytest.approx(np.polyfit(range(len(norms)), np.log10(norms), 1)[0], abs=1e-9)
    line = Layers(("a",) * 5, tuple(factor**i for i in range(5)))
    assert line.decades == pytest.approx(math.log10(factor), abs=1e-9)


@pytest.fixture(scope="module")
def watcher() -> Callable[..., Watcher]:
    """Of a tiny run on points."""
    import torch

    data = wgan.data.load("8gaussians")
    run = replace(RUN, data="8gaussians", networks=MLPForPoints(width=8, depth=1), z_dim=2)
    state = start(run, data, torch.device("cpu"))
    return lambda **more: Watcher(run, state, **more)


def test_the_watcher_warns_once(watcher: Callable[..., Watcher]) -> None:
    watch = watcher()
    seen = [(each["step"], f.name) for each in rows(60, lambda i: {"slope": 0.1}) for f in watch.see(each)]
    assert seen == [(200, "slope-far-from-1")]
    watch = watcher()
    assert [f for each in rows(200) for f in watch.see(each)] == []


def test_the_watcher_goes_on_from_an_earlier_log(watcher: Callable[..., Watcher]) -> None:
    sick = rows(60, lambda i: {"slope": 0.1})
    watch = watcher(rows=sick[:50])
    assert [f.name for f in watch.see(sick[50])] == ["slope-far-from-1"]
    assert watch.see(sick[51]) == []


def test_the_watcher_forgets_slowly(watcher: Callable[..., Watcher]) -> None:
    from wgan.doctor.watcher import MOST_ROWS

    watch = watcher()
    for i in range(3000):
        assert watch.see(row(10 * (i + 1))) == []
    assert MOST_ROWS / 2 < len(watch.rows) <= MOST_ROWS
    assert watch.rows[0]["step"] == 10
    steps = [each["step"] for each in watch.rows]
    assert steps == sorted(steps)
    assert steps[-40:] == list(range(29_610, 30_001, 10))


def test_the_watcher_knows_the_weights(watcher: Callable[..., Watcher]) -> None:
    # 2 -> 8 -> 2: 42 weights; at 1e-9 each the norm is 6.5e-9
    assert watcher().weights == 42
    faint = rows(30, lambda i: {"generator_gradient": 6.4e-9})
    watch = watcher()
    assert [f.name for each in faint for f in watch.see(each)] == ["dead-generator"]


# --- what is shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[
            (0.0, "0"),
            (1.0, "1"),
            (12.4, "12"),
            (1234.5, "1,234"),
            (3.14159, "3.1"),
            (0.5, "0.50"),
            (0.01234, "0.012"),
        ],
        *[(0.0001, "0.0001"), (2.5e7, "2.5e+07"), (-0.72, "-0.72"), (math.nan, "nan"), (math.inf, "inf")],
    ],
)
def test_numbers_as_people_write_them(value: float, text: str) -> None:
    assert number(value) == text


def test_measured_as_text() -> None:
    assert str(Measured("gain", 12.0, "%", "below 25")) == "gain 12 % (healthy: below 25)"
    assert str(Measured("slope", 0.5)) == "slope 0.50"
    assert str(Measured("batch norm", None)) == "batch norm"


def shown(diagnosis: Diagnosis, width: int = 80) -> str:
    buffer = io.StringIO()
    print_diagnosis(diagnosis, Console(file=buffer, width=width, highlight=False))
    return buffer.getvalue()


def test_a_healthy_report_gives_the_figures() -> None:
    text = shown(Diagnosis(Path("results/mine"), healthy(notes=("no log",)), (), {}))
    assert "healthy  none of 10 checks found anything" in text
    assert "results/mine  step 400 of 1,000  digits  wasserstein + gp" in text
    for figure in ("0.95, 16 % of the spread", "slope of the critic", "gain 1.7 % of W1", "24 of 25 reached", "no log"):
        assert figure in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_sick_report_has_evidence_reason_and_remedy() -> None:
    evidence = healthy(variety=Variety(0.01, 1, 25, 0.0, 0.0, 1, 8, 1000))
    finding = replace(diagnose(evidence)[0], plot=Path("x/variety.png"))
    text = shown(Diagnosis(Path("run"), evidence, (finding,), {"variety": Path("x/variety.png")}))
    for part in (
        "dead generator  lost",
        "seen",
        "why",
        "do ",
        "--generator-lr",
        "x/variety.png",
        "1 of 8 with a sample",
    ):
        assert part in text
    assert "healthy  none" not in text


def test_json_holds_plain_numbers() -> None:
    evidence = healthy(estimate=Estimate(math.nan, math.inf, math.nan, math.nan, 6.0, 1024), coupling=None)
    told = json.loads(as_json(Diagnosis(Path("run"), evidence, tuple(diagnose(evidence)), {"log": Path("log.png")})))
    assert set(told) == {"run", "step", "healthy", "findings", "measured", "notes", "plots"}
    assert told["healthy"] is False
    assert told["measured"]["estimate"]["slope"] is None
    assert told["measured"]["push"] == {"gradient": 2.0, "move": 0.08, "kept": 0.8}
    assert told["measured"]["weights"] is None
    assert "counts" not in told["measured"]["gap"]
    finding = told["findings"][0]
    assert set(finding) == {"name", "severity", "evidence", "why", "remedy", "plot"}
    assert finding["severity"] == "lost"
    assert set(finding["evidence"][0]) == {"what", "value", "unit", "healthy"}
    assert told["plots"] == {"log": "log.png"}


def test_plots_of_all_that_was_measured(tmp_path: Path) -> None:
    from PIL import Image

    log = Log([each | {"wasserstein_heldout": 0.9} for each in rows(20)])
    evidence = healthy(replace(RUN, objective=CLIP), log=log)
    drawn = draw(evidence, tmp_path / "doctor")
    assert set(drawn) == {"gain", "held-out", "layers", "weights", "variety", "log"}
    for path in drawn.values():
        with Image.open(path) as image:
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10
    assert sorted(p.name for p in (tmp_path / "doctor").iterdir()) == sorted(p.name for p in drawn.values())
    assert draw(Evidence(RUN, 0, False, Log()), tmp_path / "none") == {}
    assert not (tmp_path / "none").exists()


def test_plots_of_numbers_that_are_none(tmp_path: Path) -> None:
    nan = Climb(1e-5, (0, 50), (math.nan, math.nan))
    log = Log(rows(20, lambda i: {"raw": math.inf if i > 10 else 1.0, "slope": math.nan}))
    evidence = healthy(gain=Gain(nan, nan, 6.0), log=log, gap=Gap(math.nan, 0, 0, math.nan, 10, "x"))
    assert "held-out" not in draw(evidence, tmp_path)
