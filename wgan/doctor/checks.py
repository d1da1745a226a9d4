"""All checks, causes before what they cause."""

from __future__ import annotations

from collections.abc import Callable

from wgan.doctor import critic_checks as critic
from wgan.doctor import generator_checks as generator
from wgan.doctor.evidence import Evidence
from wgan.doctor.findings import Finding

CHECKS: tuple[Callable[[Evidence], Finding | None], ...] = (
    critic.batch_norm_in_penalised_critic,
    critic.clip_too_small,
    critic.clip_too_large,
    generator.generator_too_fast,
    critic.critic_not_converged,
    critic.slope_far_from_1,
    critic.critic_overfits,
    generator.dead_generator,
    generator.mode_collapse,
    generator.divergence,
)


def diagnose(evidence: Evidence) -> list[Finding]:
    """What the checks find, worst first; among equally bad ones, causes first."""
    found = [finding for check in CHECKS if (finding := check(evidence)) is not None]
    return sorted(found, key=lambda finding: -finding.severity)
