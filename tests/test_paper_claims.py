"""The cheap figures of the papers, on one seed each: a claim that no longer holds turns a test red.

And the other way around: without the penalty, without the clip, or with the sign of the generator's loss turned, some
claim must fail.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wgan.objectives import Clip, GradientPenalty
from wgan.objectives.objective import Objective
from wgan.reproduction import Check, Results, Scale, find

CHEAP = ["bilinear-game", "dirac-gan", "two-time-scales", "lipschitz-architectures", "figure-1", "figure-2"]
SEED = 0


def checks_of(name: str, here: Path) -> list[Check]:
    """The figure's checks on SEED alone, its jobs run in this process."""
    module, results = find(name).load(), Results()
    for job_name, job in module.runs(SEED, Scale()).items():
        results[job_name] = [{key: np.asarray(value) for key, value in job(here).items()}]
    module.draw(results)
    return module.passes(results)


def failed(checks: list[Check]) -> list[str]:
    return [f"{check.what}: {list(check.ours)}, {check.threshold}" for check in checks if check.passes is False]


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_the_claim_holds(name: str, tmp_path: Path) -> None:
    checks = checks_of(name, tmp_path)
    assert any(check.passes for check in checks)
    assert failed(checks) == []


def without_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GradientPenalty, "penalty", lambda self, critic, real, fake, draw: torch.zeros(()))


def without_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clip, "constrain", lambda self, critic: None)


def with_the_sign_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Objective.generator_loss
    monkeypatch.setattr(Objective, "generator_loss", lambda self, real, fake: -right(self, real, fake))


@pytest.mark.slow
@pytest.mark.parametrize("broken", [without_penalty, without_clip, with_the_sign_turned])
def test_a_broken_objective_is_noticed(broken: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    assert failed(checks_of("dirac-gan", tmp_path))
