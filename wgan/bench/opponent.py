"""The textbook loop in a process of its own, so that neither loop has the other's memory settings and threads.

It reads a pickled task from its standard input, then takes as many steps as each line says and answers with the seconds
of one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import pickle
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import torch

from wgan.bench.ceilings import waiting
from wgan.data import load
from wgan.errors import UserError
from wgan.run import Run

# where the textbook loop is: in a clone of the repository, and in the installed package
TEXTBOOK = (Path(__file__).parents[2] / "benchmarks" / "textbook.py", Path(__file__).parent / "textbook.py")


class Task(NamedTuple):
    """The run, resolved but for its data, and where it happens."""

    run: Run
    device: str
    threads: int
    root: Path | None


class Opponent:
    """`steps(n)` does n steps of the textbook loop, and gives the seconds of one."""

    def __init__(self, task: bytes) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from wgan.bench.opponent import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        # one that is gone already is told of at its first step
        with contextlib.suppress(BrokenPipeError):
            self._write(task)

    def steps(self, n: int) -> float:
        assert self.process.stdout is not None
        try:
            self._write(b"%d\n" % n)
            return float(self.process.stdout.readline())
        except (BrokenPipeError, ValueError):
            raise UserError("the textbook loop stopped; --no-textbook leaves the comparison out") from None

    def _write(self, told: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(told)
        self.process.stdin.flush()

    def __enter__(self) -> Opponent:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def opponent(run: Run, device: torch.device, root: Path | None) -> Opponent | None:
    """The textbook loop for `run`; None where it has no such run, or the run can't be sent to a process."""
    module = textbook()
    if module is None or not module.has(run):
        return None
    try:
        task = pickle.dumps(Task(run, str(device), torch.get_num_threads(), root))
    except Exception:  # networks or data of the user's own may be anything
        return None
    return Opponent(task)


def textbook() -> ModuleType | None:
    """benchmarks/textbook.py."""
    file = next((path for path in TEXTBOOK if path.exists()), None)
    specification = file and importlib.util.spec_from_file_location("wgan_textbook", file)
    if not specification or specification.loader is None:
        return None
    module = importlib.util.module_from_spec(specification)
    # dataclasses look their module up
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def serve() -> None:
    """The other process: a task on the standard input, then as many steps as each line says."""
    asked = sys.stdin.buffer
    task: Task = pickle.load(asked)
    torch.set_num_threads(task.threads)
    module, device = textbook(), torch.device(task.device)
    assert module is not None
    training = module.Textbook(task.run, load(task.run.data, size=task.run.size, root=task.root), device)
    wait = waiting(device)
    for line in asked:
        begin = time.perf_counter()
        for _ in range(int(line)):
            training.step()
        wait()
        print((time.perf_counter() - begin) / int(line), flush=True)
