"""Types of flags that the commands share. Light: nothing here waits for torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter, Token


def whole(kind: type, tokens: Sequence[Token]) -> int:
    """A number without a fraction, 64 or 2e5; cyclopts would round 1.5."""
    text = tokens[0].value
    try:
        value = float(text)
        if value.is_integer():
            return int(text) if text.lstrip("+-").isdecimal() else int(value)
    except ValueError:
        pass
    raise ValueError(f"'{text}' is no whole number")


Whole = Annotated[int, Parameter(converter=whole)]
