"""`--evaluate-every`: the metric in the log, the best checkpoint kept, and a training that does not notice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import POINTS, QUIET, bits, rows_of, saved, tiny, train_to

import wgan
from wgan import checkpoint, metrics
from wgan.cli import main
from wgan.data import load
from wgan.errors import UserError
from wgan.evaluation.during import Score, Scores, open_scores
from wgan.evaluation.streams import as_read, real_stream
from wgan.features.pixels import Pixels
from wgan.pictures import fakes
from wgan.sample import load as load_run
from wgan.seeds import draw
from wgan.watch import Options

KEY = "frechet_pixels"
# small networks learn fast enough for the metric to go up and down
RUN = tiny("wgan-gp", steps=12)
WATCHED = replace(
    QUIET, evaluate_every=2, evaluate_metric="frechet", evaluate_n=60, evaluate_features="pixels", log_every=3
)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WGAN_DATASETS", str(tmp_path / "datasets"))


def best_of(out: Path) -> tuple[int, float, dict[str, tuple[str, bytes]]]:
    tensors, header = checkpoint.load(out / "checkpoints" / "best.safetensors")
    assert header["metric"] == KEY
    return header["step"], header["value"], bits(tensors)


@pytest.fixture
def ups_and_downs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metric gets better, worse, and as good as its best once more."""
    values = {2: 5.0, 4: 1.0, 6: 3.0, 8: 2.0, 10: 1.0, 12: 4.0}
    monkeypatch.setattr(Scores, "measure", lambda self, state: Score(KEY, values[state.step], "lower"))


def test_the_metric_is_logged_and_the_best_checkpoint_kept(tmp_path: Path) -> None:
    train_to(RUN, tmp_path / "run", options=replace(WATCHED, save_every=1, keep=1))
    rows = rows_of(tmp_path / "run")
    assert [row["step"] for row in rows] == [2, 3, 4, 6, 8, 9, 10, 12]
    values = {row["step"]: row[KEY] for row in rows if KEY in row}
    assert list(values) == [2, 4, 6, 8, 10, 12]
    step, value, weights = best_of(tmp_path / "run")
    assert value == min(values.values())
    assert step == min(values, key=lambda at: values[at])
    # the weights are those of that step, and pruning left them alone
    assert weights == train_to(RUN, tmp_path / "again", last=step)[0]
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "best.safetensors",
        "step-000012.safetensors",
    ]
    sampler = load_run(tmp_path / "run" / "checkpoints" / "best.safetensors")
    assert sampler.step == step
    assert load_run(tmp_path / "run").step == 12


@pytest.mark.parametrize("fields", [{}, {"ema": 0.5}, {"conditional": True}])
def test_the_value_is_that_of_the_metric(fields: dict[str, object]) -> None:
    run = tiny("wgan-gp", **fields)
    steps = wgan.steps(run, None, replace(WATCHED, evaluate_n=200))
    _, (state, found) = next(steps), next(steps)
    z = draw(torch.device("cpu"), run.seed, "evaluation z").normal(200, run.z_dim)
    pixels, stream = Pixels((1, 8, 8)), real_stream(load("digits"), 200)
    labels = torch.from_numpy(stream.labels) if run.conditional and stream.labels is not None else None
    fake = pixels(as_read(fakes(state.sampler, z, labels), "")).features
    truth = metrics.frechet_distance(pixels(stream.read(0, 200)).features, fake)
    # batches of another size round elsewhere, now and then to the next byte
    assert found.evaluation == {KEY: pytest.approx(truth, rel=1e-4)}
    assert found.row()[KEY] == found.evaluation[KEY]
    assert "evaluation" not in found.row()


@pytest.mark.parametrize("fields", [{}, {"ema": 0.9}, {"conditional": True}, {"dequantize": True}])
def test_training_does_not_notice(fields: dict[str, object], tmp_path: Path) -> None:
    run = tiny("wgan-gp", steps=6, **fields)
    torch.manual_seed(7)
    plain, rows = train_to(run)
    state = torch.get_rng_state()
    torch.manual_seed(7)
    watched, seen = train_to(run, options=WATCHED)
    assert plain == watched
    assert torch.equal(state, torch.get_rng_state())
    assert [row.wasserstein for row in rows] == [row.wasserstein for row in seen]


@pytest.mark.parametrize("last", [1, 2, 3, 6, 7, 11])
def test_a_stopped_run_ends_as_one_in_one_go(last: int, tmp_path: Path, ups_and_downs: None) -> None:
    options = replace(WATCHED, save_every=3)
    train_to(RUN, tmp_path / "whole", options=options)
    train_to(RUN, tmp_path / "stopped", last=last, options=options)
    train_to(RUN, tmp_path / "stopped", options=options)
    assert rows_of(tmp_path / "stopped") == rows_of(tmp_path / "whole")
    assert best_of(tmp_path / "stopped") == best_of(tmp_path / "whole")
    assert saved(tmp_path / "stopped") == saved(tmp_path / "whole")
    assert best_of(tmp_path / "stopped")[:2] == (4, 1.0)


@pytest.mark.parametrize("at", [3, 5, 9])
def test_a_killed_run_too(at: int, tmp_path: Path, ups_and_downs: None) -> None:
    """A kill leaves the log and the best checkpoint ahead of the newest one; the steps between come again."""
    options = replace(WATCHED, save_every=4)
    train_to(RUN, tmp_path / "whole", options=options)
    loop = wgan.steps(RUN, tmp_path / "killed", options)
    for state, _ in loop:
        if state.step == at:
            break
    # nothing that comes after a kill is done
    folder = tmp_path / "killed" / "checkpoints"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    loop.close()
    for path in folder.iterdir():
        if path.name not in before:
            path.unlink()
    (folder / ".best.safetensors.123.part").write_bytes(b"half")
    train_to(RUN, tmp_path / "killed", options=options)
    assert rows_of(tmp_path / "killed") == rows_of(tmp_path / "whole")
    assert best_of(tmp_path / "killed") == best_of(tmp_path / "whole")
    assert not list(folder.glob(".*"))


def test_another_metric_starts_its_own_contest(tmp_path: Path) -> None:
    train_to(RUN, tmp_path / "run", last=6, options=WATCHED)
    train_to(RUN, tmp_path / "run", options=replace(WATCHED, evaluate_metric="recall"))
    _, header = checkpoint.load(tmp_path / "run" / "checkpoints" / "best.safetensors")
    assert (header["metric"], header["step"] > 6) == ("recall_pixels", True)
    logged = [row["recall_pixels"] for row in rows_of(tmp_path / "run") if "recall_pixels" in row]
    assert header["value"] == max(logged)
    assert len(logged) == 3


@pytest.mark.parametrize(
    ("better", "value", "earlier", "wins"),
    [
        ("lower", 1.0, [], True),
        ("lower", 1.0, [2.0, 1.5], True),
        ("lower", 1.0, [1.0], False),
        ("lower", 1.0, [0.5, 9.0], False),
        ("higher", 1.0, [0.5, 0.9], True),
        ("higher", 1.0, [1.0], False),
        ("lower", float("nan"), [], False),
        ("lower", float("inf"), [], False),
        ("higher", float("inf"), [], False),
        ("lower", 1.0, [float("nan"), float("inf")], True),
        ("higher", 1.0, [float("inf")], True),
    ],
)
def test_which_value_is_better(better: str, value: float, earlier: list[float], wins: bool) -> None:
    assert Score("x", value, better).beats(earlier) is wins


def test_toys_are_watched_by_a_distance_of_points(tmp_path: Path) -> None:
    run = tiny("wgan-gp", data="8gaussians", networks=POINTS, steps=2)
    train_to(run, tmp_path / "run", options=replace(QUIET, evaluate_every=1, evaluate_n=100))
    assert [list(row)[-1] for row in rows_of(tmp_path / "run")] == ["sliced", "sliced"]
    for metric in ("modes", "w1"):
        out = tmp_path / metric
        train_to(run, out, options=replace(QUIET, evaluate_every=1, evaluate_n=100, evaluate_metric=metric))
        assert metric in rows_of(out)[0]


def test_seconds_are_of_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    measure = Scores.measure

    def slow(self: Scores, state: wgan.State) -> Score:
        time.sleep(1.0)
        return measure(self, state)

    monkeypatch.setattr(Scores, "measure", slow)
    seen = train_to(RUN, options=WATCHED)[1]
    assert seen[-1].seconds < 4.5  # before the last step, five evaluations slept for 5 s


def test_weights_that_are_no_numbers_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wgan.State, "finite", property(lambda self: self.step < 2))
    with pytest.raises(UserError, match="weights are no longer finite after step 2"):
        train_to(RUN, tmp_path / "run", options=WATCHED)
    assert not (tmp_path / "run" / "checkpoints" / "best.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"evaluate_metric": "fdi"}, "unknown metric 'fdi'; did you mean 'fid'?"),
        ({"evaluate_metric": "modes"}, "modes: needs data whose modes are known"),
        ({"evaluate_metric": "closer_to_train"}, "needs a train and a test split"),
        ({"evaluate_metric": "fid", "evaluate_features": "pixels"}, "fid is defined by the official Inception weights"),
        ({"evaluate_metric": "density", "evaluate_n": 5}, "density: needs at least 6 samples"),
        ({"evaluate_features": "pixle"}, "unknown features 'pixle'"),
    ],
)
def test_what_cannot_be_watched_is_told_before_a_folder_is_made(
    options: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        train_to(RUN, tmp_path / "run", options=replace(WATCHED, **options))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "value"), [("evaluate_every", -1), ("evaluate_n", 1)])
def test_options_out_of_range(name: str, value: int) -> None:
    with pytest.raises(UserError, match=f"{name} is {value}"):
        Options(**{name: value})  # type: ignore[arg-type]


def test_only_the_reference_is_taken() -> None:
    scores = open_scores(RUN, load("digits"), torch.device("cpu"), WATCHED)
    assert scores is not None
    assert (scores.bench.real.n, scores.bench.spare) == (60, None)


def test_no_metric_no_cost() -> None:
    assert open_scores(RUN, load("digits"), torch.device("cpu"), QUIET) is None


def test_the_command_tells_the_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    networks = ["--networks", "dcgan(filters=4, critic_norm='none')", "--batch-size", "8", "--n-critic", "1"]
    watched = [
        "--evaluate-every",
        "2",
        "--evaluate-metric",
        "kernel",
        "--evaluate-n",
        "50",
        "--evaluate-features",
        "pixels",
    ]
    main(["train", "digits", *networks, *watched, "--steps", "4", "--device", "cpu", "--out", str(out)])
    told = capsys.readouterr()
    assert f"best     {out}/checkpoints/best.safetensors\n" in told.out
    assert "step 2: kernel_pixels " in told.err
    assert "the best so far" in told.err
    main(
        [
            "evaluate",
            str(out / "checkpoints" / "best.safetensors"),
            "--n",
            "50",
            "--features",
            "pixels",
            "--json",
            "--metrics",
            "kernel",
        ]
    )
    report = json.loads(capsys.readouterr().out)
    assert report["protocol"]["samples"]["step"] in (2, 4)
    assert np.isfinite(report["rows"][0]["value"])
