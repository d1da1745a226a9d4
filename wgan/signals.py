"""SIGINT and SIGTERM ask a run to finish its step; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class StopSignals:
    """A context in which `heard` tells the signal that has come, if any.

    It listens from the first call of `heard` on: before that, while data are read and nothing could be lost, signals do
    what they always do. Outside the main thread, where Python allows no handlers, it hears nothing.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.before: dict[int, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def heard(self) -> int | None:
        """The number of the first signal since the first call, or None."""
        if self.before is None:
            self.before = {}
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGINT, signal.SIGTERM):
                    self.before[number] = signal.signal(number, self._note)
        return self.number

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in (self.before or {}).items():
            signal.signal(number, handler)
        self.before = {}
