"""What a check says when it has found something."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any


class Severity(IntEnum):
    """DOUBTFUL: figures or samples can't be trusted. LOST: nor does training come back from it by itself."""

    DOUBTFUL = 1
    LOST = 2


@dataclass(frozen=True)
class Measured:
    """A number with its unit, and the range that it has in a healthy run; value None where it was not measured."""

    what: str
    value: float | None
    unit: str = ""
    healthy: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return self.what
        usual = f" (healthy: {self.healthy})" if self.healthy else ""
        return f"{self.what} {number(self.value)}{self.unit and ' ' + self.unit}{usual}"


def number(value: float) -> str:
    """Two digits or all before the point: no more is known, or needed."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    size = abs(value)
    if size >= 1e6 or 0 < size < 0.0995:
        return f"{value:.2g}"
    digits = 0 if size >= 9.95 or value == int(value) else 1 if size >= 0.995 else 2
    return f"{value:,.{digits}f}"


def flag(value: float) -> str:
    """A step size or a bound as one would type it: two digits, 5e-5, 0.01."""
    return f"{value:.2g}".replace("e-0", "e-")


@dataclass(frozen=True)
class Finding:
    """name: of the sickness, such as "critic-not-converged". evidence: what was measured. why: what it does to the run.

    remedy: what to do, with the flags of wgan train. plot: a picture of the evidence, None without.
    """

    name: str
    severity: Severity
    evidence: tuple[Measured, ...]
    why: str
    remedy: str
    plot: Path | None = None

    @property
    def title(self) -> str:
        """The name as people read it."""
        return self.name.replace("-", " ")

    @property
    def line(self) -> str:
        """All of it but the why, for a warning during training."""
        return f"{self.title}: {'; '.join(map(str, self.evidence))}. What helps: {self.remedy}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = asdict(self) | {"severity": self.severity.name.lower(), "plot": str(self.plot) if self.plot else None}
        return plain | {"evidence": [asdict(each) for each in self.evidence]}
