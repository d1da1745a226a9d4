"""What a run says while it goes on: a bar on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from wgan.errors import UserError


class Reporter:
    """Says things to the user; while `running`, `update` shows how far the run is. When quiet only `warn` speaks.

    Plain lines come at most every `interval` seconds, and at the end.
    """

    def __init__(self, *, quiet: bool = False, interval: float = 10.0) -> None:
        self.quiet, self.interval = quiet, interval
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.bar: Progress | None = None
        self.total, self.first, self.begin, self.last = 0, 0, 0.0, float("-inf")

    @contextmanager
    def running(self, total: int, start: int) -> Iterator[None]:
        """Inside, `update` counts from `start` to `total` steps."""
        self.total, self.first, self.begin = total, start, time.monotonic()
        if self.quiet or not self.console.is_terminal:
            yield
            return
        columns = BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[text]}")
        with Progress(TextColumn("step"), *columns, console=self.console, refresh_per_second=4) as bar:
            self.bar, self.task = bar, bar.add_task("", total=total, completed=start, text="")
            try:
                yield
            finally:
                bar.refresh()
                self.bar = None

    def update(self, step: int, text: str) -> None:
        """Show that `step` steps are done; `text` says what they gave."""
        if self.quiet:
            return
        now = time.monotonic()
        left = (now - self.begin) / max(1, step - self.first) * (self.total - step)
        text = f"{text}  {duration(left)} left" if step < self.total else f"{text}  done"
        if self.bar is not None:
            self.bar.update(self.task, completed=step, text=text)
        elif now - self.last >= self.interval or step == self.total:
            self.last = now
            print(f"step {step:>{len(str(self.total))}}/{self.total}  {text}", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line for the user, left out when quiet."""
        if not self.quiet:
            self._line(text)

    def warn(self, text: str) -> None:
        """A line that is shown even when quiet."""
        self._line(f"warning: {text}")

    def _line(self, text: str) -> None:
        if self.bar is not None:
            self.bar.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """45 s, 12 min, 3 h 05 min, 2 days 4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h"


class Board:
    """TensorBoard's log of a run, a context. Errors: UserError where tensorboard is not installed."""

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError("--tensorboard needs tensorboard: pip install 'wgan[tensorboard]'") from None
        # what came after the checkpoint is written again: hidden in the page
        self.writer = SummaryWriter(str(folder), purge_step=step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    def log(self, step: int, row: Mapping[str, Any]) -> None:
        """Each number of the row as a scalar."""
        for name, value in row.items():
            if name != "step":
                self.writer.add_scalar(name, value, step)

    def picture(self, step: int, path: Path) -> None:
        """A PNG as the image `samples`."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            self.writer.add_image("samples", np.asarray(image.convert("RGB")), step, dataformats="HWC")
