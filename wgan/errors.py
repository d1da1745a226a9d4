"""What goes wrong through no fault of the program: said in one line that names the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: one line that says what is wrong, where, and what to do; the command line then exits with 2."""


class Lost(UserError):
    """Another process of this run has gone."""


def at_least(low: int, name: str, value: int) -> None:
    """UserError for a count that is below `low`."""
    if value < low:
        raise UserError(f"{name} is {value}: must be at least {low}")


class Stopped(Exception):
    """A signal (its number) ended the run after it had saved."""

    def __init__(self, signal: int, message: str) -> None:
        super().__init__(message)
        self.signal = signal


def did_you_mean(what: str, given: str, known: Iterable[str]) -> str:
    """`unknown data 'cifr10'; did you mean 'cifar10'? Known: ...`, the text for a UserError."""
    known = list(known)
    by_small = {name.lower(): name for name in known}
    close = difflib.get_close_matches(given.lower(), by_small, n=1, cutoff=0.5)
    guess = f"; did you mean '{by_small[close[0]]}'?" if close else "."
    return f"unknown {what} '{given}'{guess} Known: {', '.join(known)}"
