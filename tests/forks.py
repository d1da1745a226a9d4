"""The command line in processes that a test may kill: torch is imported once, each command runs in a fork.

Forking is safe here: the server holds one thread, and runs nothing but this file.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

DEADLINE = 120.0  # seconds, for one command on a busy machine


@dataclass(frozen=True)
class Ended:
    """code: the exit code, negative for the signal that killed it. out, err: what it printed."""

    code: int
    out: str
    err: str


class Server:
    """Runs `wgan ARGUMENTS`, one at a time. A context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()  # closes its stdin, at which it ends

    def start(self, *arguments: object, file_size: int | None = None) -> Command:
        """Start the command; `file_size` bytes is the longest file it may write."""
        streams = [str(self.folder / f"{name}-{random.getrandbits(64):x}") for name in ("out", "err")]
        self._tell({"arguments": [str(a) for a in arguments], "streams": streams, "file_size": file_size})
        return Command(self, int(self._answer()), *map(Path, streams))

    def run(self, *arguments: object, file_size: int | None = None) -> Ended:
        """Run the command to its end."""
        return self.start(*arguments, file_size=file_size).wait()

    def _tell(self, request: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@dataclass
class Command:
    """One running command."""

    server: Server
    pid: int
    out: Path
    err: Path
    ended: Ended | None = None

    def poll(self, *, kill: bool = False) -> Ended | None:
        """How it ended, None while it runs. kill: with SIGKILL, unless it has ended."""
        if self.ended is None:
            self.server._tell({"wait": self.pid, "kill": kill})
            code = json.loads(self.server._answer())
            if code is not None:
                self.ended = Ended(code, self.out.read_text(), self.err.read_text())
        return self.ended

    def wait(self) -> Ended:
        until = time.monotonic() + DEADLINE
        while (ended := self.poll()) is None:
            assert time.monotonic() < until, f"the command is still running: {self.err.read_text()}"
            time.sleep(0.005)
        return ended

    def wait_for_lines(self, file: Path, n: int) -> None:
        """Until `file` has n lines more than now, or the command has ended."""
        before, until = count_lines(file), time.monotonic() + DEADLINE
        while count_lines(file) < before + n and self.poll() is None:
            assert time.monotonic() < until, f"no line comes: {self.err.read_text()}"
            time.sleep(0.002)

    def signal(self, number: int) -> None:
        """Send a signal; the server has not waited for the process, so that its id is still its own."""
        if self.poll() is None:
            os.kill(self.pid, number)


def count_lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def serve() -> None:
    # what a run imports late, so that a fork doesn't have to
    import tomli_w
    import torch
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    import wgan.cli
    import wgan.presets
    import wgan.training

    torch.set_num_threads(1)
    assert tomli_w.dumps({}) == ""
    # torch imports a good part of itself at the first update
    run = wgan.presets.preset("wgan", data="8gaussians", networks="points(width=8)", steps=1)
    assert len(list(wgan.training.steps(run))) == 1
    # matplotlib finds its fonts at the first picture
    figure = Figure()
    FigureCanvasAgg(figure)
    figure.add_subplot().set_title("")
    figure.savefig(io.BytesIO())
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1
    alive = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            if request["kill"]:
                os.kill(request["wait"], signal.SIGKILL)
            pid, status = os.waitpid(request["wait"], 0 if request["kill"] else os.WNOHANG)
            alive.discard(pid)
            print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            code = child(wgan.cli.main, request)
            os._exit(code)
        alive.add(pid)
        print(pid, flush=True)
    # a failed test leaves its commands behind
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


def child(main: object, request: dict[str, object]) -> int:
    for name, number in zip(request["streams"], (1, 2), strict=True):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdin.close()
    if request["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"], request["file_size"]))
    try:
        main(request["arguments"])
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


if __name__ == "__main__":
    serve()
