"""The examples run, stay short, and need no edit of the package."""

from __future__ import annotations

import ast
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import wgan
from wgan.cli import main
from wgan.results import read_metrics
from wgan.userfile import run_of_file

EXAMPLES = Path(__file__).parent.parent / "examples"
PARTS = ["my_objective.py", "my_networks.py", "my_data.py", "my_run.py"]


def statements(path: Path) -> int:
    """Lines of code, without blank lines, comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    docs = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            docs |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return sum(bool(line) and not line.startswith("#") and i not in docs for i, line in enumerate(lines, 1))


@pytest.mark.parametrize("name", PARTS)
def test_under_twenty_lines(name: str) -> None:
    assert statements(EXAMPLES / name) < 20


@pytest.mark.parametrize("name", PARTS)
def test_trains(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", str(EXAMPLES / name), "--steps", "3", "--out", str(tmp_path / "run"), "--quiet"]
    main(arguments)
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [3]
    # goes on with the objects of the file, whose text in run.toml holds no addresses
    main([*arguments[:3], "5", *arguments[4:]])
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == 5
    assert len(wgan.load(tmp_path / "run").sample(7)) == 7


def test_a_file_that_has_changed_is_no_silent_other_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, out = tmp_path / "my_objective.py", tmp_path / "run"
    text = (EXAMPLES / "my_objective.py").read_text(encoding="utf-8")
    mine.write_text(text, encoding="utf-8")
    main(["train", str(mine), "--steps", "1", "--out", str(out), "--quiet"])
    again = ["train", "--config", str(out / "run.toml"), "--seed", "1", "--quiet", "--out"]
    main([*again, str(tmp_path / "same")])
    mine.write_text(text.replace("ScoreDecay(0.1)", "ScoreDecay(0.2)"), encoding="utf-8")
    with pytest.raises(SystemExit):
        main([*again, str(tmp_path / "other")])
    told = capsys.readouterr().err
    assert "ScoreDecay(weight=0.1)'" in told
    assert "ScoreDecay(weight=0.2)' now" in told
    assert not (tmp_path / "other").exists()


def test_own_objective_changes_the_loss(tmp_path: Path) -> None:
    own = run_of_file(EXAMPLES / "my_objective.py")
    without = wgan.preset("wgan-gp", data="digits", objective="wasserstein", steps=200)
    (_, mine), (_, plain) = (next(wgan.steps(run)) for run in (own, without))
    assert mine.critic_loss != plain.critic_loss


def test_networks_as_objects_need_the_object_to_load(tmp_path: Path) -> None:
    run = run_of_file(EXAMPLES / "my_networks.py")
    run = replace(run, steps=2)
    wgan.train(run, tmp_path / "run", wgan.Options(quiet=True))
    with pytest.raises(wgan.UserError, match="networks="):
        wgan.load(tmp_path / "run")
    assert wgan.load(tmp_path / "run", networks=run.networks).sample(2).shape == (2, 1, 8, 8)


@pytest.mark.slow
def test_the_loop_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    source = (EXAMPLES / "my_loop.py").read_text(encoding="utf-8").replace("steps=2000", "steps=20")
    (tmp_path / "my_loop.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["my_loop.py"])
    runpy.run_path(str(tmp_path / "my_loop.py"))
    assert "mean" in capsys.readouterr().out
