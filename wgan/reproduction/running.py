"""Runs the jobs of figures over the cores, and judges a figure when its jobs are done."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

import wgan
from wgan.data import load
from wgan.data.cache import progress
from wgan.devices import find_device
from wgan.errors import Stopped, UserError, at_least
from wgan.reproduction.catalogue import Figure
from wgan.reproduction.check import Check
from wgan.reproduction.results import Results, Scale
from wgan.reproduction.store import CPU_SECONDS, SECONDS, Task, collect, remove
from wgan.results import locked, saying, whole
from wgan.signals import StopSignals


@dataclass(frozen=True)
class Outcome:
    """A figure that was run. passes: every check with bounds held. seconds, cpu_seconds: of all its jobs."""

    figure: Figure
    checks: list[Check]
    seeds: tuple[int, ...]
    full: bool
    seconds: float
    cpu_seconds: float
    folder: Path

    @property
    def passes(self) -> bool:
        return all(check.passes is not False for check in self.checks)

    def row(self) -> dict[str, Any]:
        """result.json: of the first check `ours`, `control` and `paper` once more, for who wants one number."""
        first = self.checks[0].row()
        return {
            "name": self.figure.name,
            "title": self.figure.title,
            **{word.lower(): text for word, text in self.figure.parts.items()},
            "passes": self.passes,
            "ours": first["ours"],
            "control": first["control"],
            "paper": first["paper"],
            "checks": [check.row() for check in self.checks],
            "seeds": list(self.seeds),
            "scale": "full" if self.full else "default",
            "seconds": round(self.seconds, 1),
            "cpu_seconds": round(self.cpu_seconds, 1),
            "wgan": wgan.__version__,
            "torch": torch.__version__,
            "machine": f"{os.cpu_count()} x {_processor()}",
        }


def reproduce(
    figures: Sequence[Figure],
    *,
    out: Path = Path("results/reproduce"),
    scale: Scale | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    jobs: int = 0,
    fresh: bool = False,
    quiet: bool = True,
) -> Iterator[Outcome]:
    """Run `figures` and yield each when it is done; jobs whose results lie in `out`/NAME are not run again.

    At full scale the folder is `out`/NAME-full. jobs: processes at once, 0 for one a core on the CPU and one on a GPU.
    fresh: remove earlier results of these figures first.
    Errors: UserError before the first job for data that can't be opened, a folder that can't be written or is in use
    and results of another setting; Stopped after SIGINT or SIGTERM, with what is done kept.
    """
    scale = scale or Scale()
    at_least(0, "jobs", jobs)
    if not seeds:
        raise UserError("seeds is 0: must be at least 1")
    on_cpu = find_device(scale.device).type == "cpu"
    jobs = jobs or ((os.cpu_count() or 1) if on_cpu else 1)
    _check_data(figures, scale, quiet)
    with ExitStack() as stack:
        plan = {}
        for figure in figures:
            folder = out / (figure.name + ("-full" if scale.full else ""))
            stack.enter_context(_held(folder))
            if fresh:
                remove(folder)
            module = figure.load()
            plan[figure.name] = [
                Task(folder, name, seed, job) for seed in seeds for name, job in module.runs(seed, scale).items()
            ]
        todo = {name: [task for task in tasks if not task.done()] for name, tasks in plan.items()}
        by_name = {figure.name: figure for figure in figures}
        # on a CPU one each, whatever --jobs is: the order of sums, so the bits, would follow the number of threads
        threads = 1 if on_cpu else max(1, (os.cpu_count() or 1) // jobs)
        total = sum(map(len, plan.values()))
        with progress("jobs", total, quiet) as advance, StopSignals() as signals:
            advance(total - sum(map(len, todo.values())))
            for name in _finished(todo, min(jobs, max(1, sum(map(len, todo.values())))), threads, signals, advance):
                yield _judge(by_name[name], plan[name], tuple(seeds), scale)


def _check_data(figures: Sequence[Figure], scale: Scale, quiet: bool) -> None:
    for figure in figures:
        for need in figure.needs:
            try:
                load(scale.data(need), root=scale.data_root, quiet=quiet)
            except UserError as error:
                raise UserError(f"{figure.name}: {error}") from None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """`folder` made and locked. Errors: UserError when it holds other things, is in use or can't be written."""
    with saying(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = locked(folder, "reproduction")
    try:
        yield
    finally:
        if handle is not None:
            handle.close()


def _finished(
    todo: dict[str, list[Task]], jobs: int, threads: int, signals: StopSignals, advance: Any
) -> Iterator[str]:
    """Run the tasks; yield each figure's name when none of its tasks is left."""
    left = {name: len(tasks) for name, tasks in todo.items()}
    for name, count in left.items():
        if not count:
            yield name
    if not any(left.values()):
        return
    with _pool(jobs, threads) as pool:
        waiting: dict[Future[None], str] = {
            pool.submit(run_task, task): name for name, tasks in todo.items() for task in tasks
        }
        while waiting:
            # a short wait, so that a signal is heard soon
            ended, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            if (number := signals.heard()) is not None:
                raise Stopped(number, "stopped; the same command goes on from there")
            for future in ended:
                name = waiting.pop(future)
                future.result()
                advance(1)
                left[name] -= 1
                if not left[name]:
                    yield name


@contextmanager
def _pool(jobs: int, threads: int) -> Iterator[ProcessPoolExecutor]:
    """`jobs` processes of `threads` threads each, forked from one that has imported torch and done nothing else."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    context.set_forkserver_preload([__name__])
    # nothing is ever sent: the end of this process, however it comes, is the end of the pipe
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(threads, reader))
    try:
        yield pool
    except BrokenProcessPool:
        raise UserError(
            "a job was killed, perhaps for want of memory: fewer --jobs need less; the same command goes on from there"
        ) from None
    finally:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        writer.close()


def _start_worker(threads: int, parent: Connection) -> None:
    # Ctrl-C goes to all processes of a terminal; the first one decides what happens
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    with suppress(EOFError):
        parent.recv()
    os._exit(1)


def run_task(task: Task) -> None:
    """Run one job and keep its result."""
    wall, cpu = time.monotonic(), time.process_time()
    task.home.mkdir(parents=True, exist_ok=True)
    with open(task.home / "log.txt", "a", encoding="utf-8") as log, redirect_stderr(log):
        # what trainings say, such as warnings of runs that are meant to fail
        numbers = task.job(task.home)
    task.write(numbers, time.monotonic() - wall, time.process_time() - cpu)
    log_file = task.home / "log.txt"
    if not log_file.stat().st_size:
        log_file.unlink()
    if not any(task.home.iterdir()):
        task.home.rmdir()


def _judge(figure: Figure, tasks: list[Task], seeds: tuple[int, ...], scale: Scale) -> Outcome:
    """Draw and check a figure whose jobs are done; write figure.png and result.json."""
    module, results, folder = figure.load(), collect(tasks), tasks[0].folder
    outcome = Outcome(
        figure,
        module.passes(results),
        seeds,
        scale.full,
        _total(results, SECONDS),
        _total(results, CPU_SECONDS),
        folder,
    )
    picture: Any = module.draw(results)
    with whole(folder / "figure.png") as aside:
        picture.savefig(aside, format="png")
    with whole(folder / "result.json") as aside:
        aside.write_text(json.dumps(outcome.row(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return outcome


def _total(results: Results, key: str) -> float:
    return float(np.sum([each[key] for found in results.values() for each in found]))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
