"""How good samples are, told with the protocol that each figure depends on.

    report = wgan.evaluate("results/a", n=10_000)
    print(report["precision_classifier-cifar10"])

`evaluate` measures a run or anyone's images; `Report` and `Row` are what it finds; `NAMES` are the metrics.
"""

from __future__ import annotations

from wgan.evaluation.evaluating import evaluate
from wgan.evaluation.plan import NAMES
from wgan.evaluation.report import Report, Row

__all__ = ["NAMES", "Report", "Row", "evaluate"]
