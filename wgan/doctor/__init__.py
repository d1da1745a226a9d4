"""What is wrong with a run, and what to do: `examine(path)` gathers evidence and lets the checks look at it.

evidence.py     the numbers, plain data
patient.py      a run's folder, opened for reading
probes.py       short experiments on copies of the newest checkpoint; variety.py: fakes beside real samples
*_checks.py     Evidence -> Finding | None, with thresholds and their reasons
watcher.py      the same checks on the rows of a run that goes on
plot.py, report.py: what is shown
"""

from __future__ import annotations

from wgan.doctor.checks import CHECKS, diagnose
from wgan.doctor.evidence import Evidence, Log
from wgan.doctor.examination import Diagnosis, examine
from wgan.doctor.findings import Finding, Measured, Severity
from wgan.doctor.watcher import Watcher

__all__ = [
    "CHECKS",
    "Diagnosis",
    "Evidence",
    "Finding",
    "Log",
    "Measured",
    "Severity",
    "Watcher",
    "diagnose",
    "examine",
]
