"""The same checks while a run goes on, from its logged rows alone: each says its warning once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wgan.doctor.checks import diagnose
from wgan.doctor.critic_checks import RECENT
from wgan.doctor.evidence import Evidence, Log
from wgan.doctor.findings import Finding
from wgan.networks import has_batch_norm, parameter_count
from wgan.run import Run
from wgan.state import State

# rows that are kept; of older ones every second goes, so that a step of a long run costs what one of a short run does
MOST_ROWS = 500


class Watcher:
    """Sees the rows of metrics.jsonl as they come. `run` is resolved; rows: those logged before, after a stop."""

    def __init__(self, run: Run, state: State, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.run, self.rows = run, list(rows)
        self.batch_norm = has_batch_norm(state.critic)
        self.weights = parameter_count(state.generator)
        self.said: set[str] = set()

    def see(self, row: Mapping[str, Any]) -> list[Finding]:
        """What this row shows that was not said before."""
        self.rows.append(row)
        if len(self.rows) > MOST_ROWS:
            self.rows = self.rows[: -2 * RECENT : 2] + self.rows[-2 * RECENT :]
        log = Log(self.rows)
        evidence = Evidence(self.run, int(row["step"]), self.batch_norm, log, generator_weights=self.weights)
        new = [finding for finding in diagnose(evidence) if finding.name not in self.said]
        self.said |= {finding.name for finding in new}
        return new
