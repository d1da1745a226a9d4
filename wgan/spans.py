"""Where the time of a step goes: named spans, which cost next to nothing while nobody measures.

    with span("data"):
        ...

`measured(device)` is a context; inside, the seconds of each name add up in what it gives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

_IDLE: AbstractContextManager[None] = nullcontext()
# the sums of the measurement that is going on, and what waits for the device
_sums: dict[str, float] | None = None
_wait: Callable[[], None] = lambda: None  # noqa: E731  one of several


def span(name: str) -> AbstractContextManager[None]:
    """A context whose seconds count for `name`. Spans don't contain each other."""
    return _IDLE if _sums is None else _timed(_sums, name)


@contextmanager
def _timed(sums: dict[str, float], name: str) -> Iterator[None]:
    _wait()
    begin = time.perf_counter()
    try:
        yield
    finally:
        _wait()
        sums[name] = sums.get(name, 0.0) + time.perf_counter() - begin


@contextmanager
def measured(wait: Callable[[], None] = lambda: None) -> Iterator[dict[str, float]]:
    """Inside, spans add up in the dict that is given. wait: returns when the device has done its work."""
    global _sums, _wait
    found: dict[str, float] = {}
    _sums, _wait = found, wait
    try:
        yield found
    finally:
        _sums, _wait = None, lambda: None
