"""`wgan reproduce`: jobs over processes, going on after a stop, results on disk, the command's words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quick_figure import measure, quick

import wgan
from wgan.cli import main
from wgan.errors import UserError
from wgan.reproduction import Scale, catalogue, find
from wgan.reproduction.report import read_rows, summary, write_page
from wgan.reproduction.running import Outcome, reproduce
from wgan.reproduction.store import Task, read


def run(out: Path, **fields: object) -> list[Outcome]:
    return list(reproduce([quick()], out=out / "all", **fields))  # type: ignore[arg-type]


def wish(out: Path, text: str) -> None:
    (out / "all").mkdir(exist_ok=True)
    (out / "all" / "wish.txt").write_text(text)


def calls(out: Path) -> list[str]:
    return sorted((out / "all" / "calls.txt").read_text().splitlines())


def test_results_lie_in_the_folder(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, jobs=2)
    folder = tmp_path / "all" / "quick-figure"
    assert outcome.passes
    assert outcome.folder == folder
    row = json.loads((folder / "result.json").read_text())
    assert (row["claim"], row["passes"], row["seeds"]) == ("Claim of it.", True, [0, 1, 2])
    assert (row["ours"], row["control"], row["paper"]) == ([10, 11, 12], [0, 1, 2], "no number")
    assert row["checks"][0]["threshold"] == "median ≥ 10.5"
    assert row["checks"][1]["passes"] is None
    assert row["scale"] == "default"
    assert row["seconds"] >= 0
    with Image.open(folder / "figure.png") as picture:
        assert picture.size[0] > 300
    assert len(list((folder / "runs").glob("*.npz"))) == 6
    assert not [path for path in (folder / "runs").iterdir() if path.is_dir()]
    assert (tmp_path / "all" / "calls.txt").exists()


def test_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    run(tmp_path, seeds=[0, 1])
    assert len(calls(tmp_path)) == 4
    (outcome,) = run(tmp_path, seeds=[0, 1, 2])
    assert calls(tmp_path) == [f"{name} {seed}" for name in ("control", "ours") for seed in (0, 1, 2)]
    assert outcome.checks[0].ours == [10, 11, 12]
    (again,) = run(tmp_path, fresh=True)
    assert len(calls(tmp_path)) == 12
    assert again.checks == outcome.checks


def test_a_damaged_result_is_made_again(tmp_path: Path) -> None:
    run(tmp_path)
    files = sorted((tmp_path / "all" / "quick-figure" / "runs").glob("*.npz"))
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].write_bytes(b"")
    whole = files[2].read_bytes()
    files[2].write_bytes(whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    assert run(tmp_path)[0].checks[0].ours == [10, 11, 12]
    assert len(calls(tmp_path)) >= 8


def test_a_failing_claim_says_so(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path, seeds=[0])
    assert not outcome.passes
    assert "**fail** (1 of 2 checks)" in summary([outcome.row()])


def test_killed_and_started_again(tmp_path: Path) -> None:
    """A SIGKILL takes the first process; its children end by themselves, and the second goes on."""
    out = tmp_path / "all"
    wish(tmp_path, "wait 1")
    command = [sys.executable, str(Path(__file__).parent / "quick_figure.py"), str(out)]
    process = subprocess.Popen(command)
    waiting = out / "quick-figure" / "runs" / "seed-1-ours" / "waiting"
    until(waiting.exists)
    process.kill()
    process.wait()
    until(lambda: not running(str(out)))
    assert len(calls(tmp_path)) == 3
    wish(tmp_path, "")
    (outcome,) = run(tmp_path)
    assert outcome.checks[0].ours == [10, 11, 12]
    assert calls(tmp_path).count("ours 0") == 1
    assert calls(tmp_path).count("ours 1") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_all_processes(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "all"
    wish(tmp_path, "wait 0")
    command = [sys.executable, str(Path(__file__).parent / "quick_figure.py"), str(out)]
    process = subprocess.Popen(command, start_new_session=True)
    until((out / "quick-figure" / "runs" / "seed-0-ours" / "waiting").exists)
    time.sleep(0.7)
    os.killpg(process.pid, number)  # as Ctrl-C does
    assert process.wait(20) == 128 + number
    until(lambda: not running(str(out)))


def until(what: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def running(text: str) -> bool:
    """Whether a process beside this one works in a folder named so, or was started with that text."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
            parent = int((path.parent / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
        if (text in line or ("multiprocessing" in line and parent == 1)) and path.parent.name != str(os.getpid()):
            return True
    return False


def test_a_job_that_refuses(tmp_path: Path) -> None:
    wish(tmp_path, "refuse 1")
    with pytest.raises(UserError, match="this seed is refused"):
        run(tmp_path, jobs=1)
    wish(tmp_path, "")
    assert run(tmp_path)[0].passes


def test_a_job_that_is_killed(tmp_path: Path) -> None:
    wish(tmp_path, "die 2")
    with pytest.raises(UserError, match="a job was killed, perhaps for want of memory"):
        run(tmp_path, jobs=1)


def test_a_job_returns_numbers(tmp_path: Path) -> None:
    wish(tmp_path, "object")
    with pytest.raises(TypeError, match="returned value, which is no number"):
        run(tmp_path, jobs=1)


def test_results_of_another_setting_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    monkeypatch.setattr(wgan, "__version__", "9.9.9")
    with pytest.raises(UserError, match=r"seed-0-ours.npz is of another setting or version .*--fresh"):
        run(tmp_path)
    assert len(calls(tmp_path)) == 6
    assert run(tmp_path, fresh=True)[0].passes


def test_arguments_make_another_result(tmp_path: Path) -> None:
    from functools import partial

    task = Task(tmp_path, "ours", 0, partial(measure, "ours", 0, Scale()))
    task.write({"value": 1.5}, 1.0, 1.0)
    assert task.done()
    with pytest.raises(UserError, match="another setting"):
        Task(tmp_path, "ours", 0, partial(measure, "ours", 3, Scale())).done()
    found = read(task.file)
    assert found is not None
    assert found["value"] == 1.5


def test_where_data_lie_makes_no_other_result(tmp_path: Path) -> None:
    run(tmp_path, scale=Scale(data_root=tmp_path))
    run(tmp_path, scale=Scale(photographs="x", device="cpu"))
    assert len(calls(tmp_path)) == 6
    assert repr(Scale(data_root=tmp_path, photographs="x")) == repr(Scale()) != repr(Scale(full=True))


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    from wgan.results import locked

    folder = tmp_path / "all" / "quick-figure"
    folder.mkdir(parents=True)
    with locked(folder, "reproduction"), pytest.raises(UserError, match="in use by another reproduction"):  # type: ignore[union-attr]
        run(tmp_path)


def test_bad_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="jobs is -1: must be at least 0"):
        run(tmp_path, jobs=-1)
    with pytest.raises(UserError, match="seeds is 0"):
        run(tmp_path, seeds=[])
    assert not (tmp_path / "all").exists()


def test_photographs_are_asked_for_first(tmp_path: Path) -> None:
    figures = [quick(), quick(needs=("photographs",))]
    with pytest.raises(UserError, match="quick-figure: this figure is of photographs: give a folder"):
        list(reproduce(figures, out=tmp_path / "all"))
    with pytest.raises(UserError, match=r"quick-figure: .*no such"):
        list(reproduce(figures, out=tmp_path / "all", scale=Scale(photographs=str(tmp_path / "none"))))
    assert not (tmp_path / "all").exists()


def test_the_page_shows_what_there_is(tmp_path: Path) -> None:
    run(tmp_path)
    page = write_page([quick()], tmp_path / "all").read_text()
    assert "![A quick figure](quick-figure/figure.png)" in page
    assert "11 (10 to 12) | 1 (0 to 2) the other | no number | median ≥ 10.5 | pass |" in page
    assert read_rows([quick()], tmp_path / "all", full=True) == []


# --- the command ------------------------------------------------------------------------------------------------------


def failing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    main(["reproduce"])
    told = capsys.readouterr().out
    for name in catalogue():
        assert f"  {name}" in told
    assert told.index("Wasserstein GAN") < told.index("figure-2 ") < told.index("Improved Training")


def test_the_command_runs_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["reproduce", "bilinear-game", "--out", str(tmp_path), "--jobs", "1", "--quiet"])
    told = capsys.readouterr().out
    assert "PASS  bilinear-game" in told
    row = json.loads((tmp_path / "bilinear-game" / "result.json").read_text())
    assert row["seeds"] == [0, 1, 2]
    assert row["passes"] is True


def test_mistakes_are_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "unknown figure 'figure-22'; did you mean 'figure-2'?" in failing(["figure-22"], capsys)
    assert "either names or --all" in failing(["figure-2", "--all"], capsys)
    assert "seeds is 0" in failing(["bilinear-game", "--seeds", "0", "--out", str(tmp_path)], capsys)
    assert "has no small version: give --full" in failing(["gp-table-3"], capsys)
    file = tmp_path / "file"
    file.write_text("")
    assert "can't write" in failing(["bilinear-game", "--out", str(file)], capsys)
    assert list(tmp_path.iterdir()) == [file]


def test_also_names() -> None:
    assert find("figure-8").name == "figure-4"


def test_every_result_is_an_array(tmp_path: Path) -> None:
    (outcome,) = run(tmp_path)
    found = read(outcome.folder / "runs" / "seed-0-ours.npz")
    assert found is not None
    assert all(isinstance(value, np.ndarray) for value in found.values())
