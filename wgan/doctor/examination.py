"""The whole examination of a run: open it, probe its newest checkpoint, check, draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from wgan import seeds
from wgan.doctor.checks import diagnose
from wgan.doctor.evidence import Evidence, Log
from wgan.doctor.findings import Finding
from wgan.doctor.patient import Patient, open_patient
from wgan.doctor.plot import draw
from wgan.doctor.probes import (
    CLIMB,
    Batches,
    climbs,
    probe_coupling,
    probe_estimate,
    probe_gain,
    probe_gap,
    probe_layers,
    probe_push,
    probe_weights,
)
from wgan.doctor.variety import probe_variety
from wgan.errors import UserError
from wgan.log import Reporter
from wgan.networks import has_batch_norm, parameter_count

# before that a run has hardly begun
YOUNG = 100


@dataclass(frozen=True)
class Diagnosis:
    """findings: worst first, none when healthy. plots: what was drawn, by the part of the evidence that it shows."""

    path: Path
    evidence: Evidence
    findings: tuple[Finding, ...]
    plots: dict[str, Path]

    @property
    def healthy(self) -> bool:
        return not self.findings


def examine(
    path: str | Path,
    *,
    held_out: str = "auto",
    data_root: Path | None = None,
    device: str = "auto",
    out: Path | None = None,
    quiet: bool = True,
) -> Diagnosis:
    """Diagnose the run at `path`, a folder of `wgan train` (its newest checkpoint) or one of its checkpoint files.

    held_out: data that the critic was not trained on: a name, "none", or "auto" for the test split or a fresh stream.
    out: folder for the plots, RUN/doctor unless given. The run itself is neither changed nor locked.

    Errors: UserError when there is no run or no checkpoint, it is damaged, or its data or networks are not to be had.
    """
    patient = open_patient(Path(path), held_out=held_out, data_root=data_root, device=device, quiet=quiet)
    reporter = Reporter(quiet=quiet)
    total, done = CLIMB * len(climbs(patient)), 0
    with reporter.running(total, 0):

        def tick() -> None:
            nonlocal done
            done += 1
            reporter.update(done, "more critic updates on a copy")

        # dropout and layers of a user's own draw from the global generator
        with seeds.scope(patient.run.seed, "doctor"):
            evidence = gather(patient, tick)
    plots = draw(evidence, out or patient.folder / "doctor")
    findings = [replace(each, plot=plots.get(PLOT_OF.get(each.name, ""))) for each in diagnose(evidence)]
    return Diagnosis(Path(path), evidence, tuple(findings), plots)


# the picture that shows a finding best
PLOT_OF = {
    "critic-not-converged": "gain",
    "generator-too-fast": "log",
    "slope-far-from-1": "log",
    "clip-too-small": "layers",
    "clip-too-large": "layers",
    "critic-overfits": "held-out",
    "dead-generator": "variety",
    "mode-collapse": "variety",
    "divergence": "log",
}


def gather(patient: Patient, tick: Callable[[], None] = lambda: None) -> Evidence:
    """All probes of a checkpoint; `tick` is called after each of the many critic updates."""
    state = patient.state()
    weights = [*state.critic.parameters(), *state.generator.parameters()]
    if not all(bool(torch.isfinite(w).all()) for w in weights):
        raise UserError(f"{patient.folder}: weights of the newest checkpoint are not finite: examine an earlier one")
    batches = Batches(patient, state, patient.data, "train")
    estimate = probe_estimate(patient, state, batches)
    return Evidence(
        run=patient.run,
        step=state.step,
        batch_norm=has_batch_norm(state.critic),
        log=Log(patient.rows),
        generator_weights=parameter_count(state.generator),
        estimate=estimate,
        gain=probe_gain(patient, batches, tick),
        gap=probe_gap(patient, state, batches),
        layers=probe_layers(state, batches),
        weights=probe_weights(patient, state),
        variety=probe_variety(patient),
        push=probe_push(patient, estimate.scale),
        coupling=probe_coupling(state, batches),
        notes=tuple(_notes(patient, state.step)),
    )


def _notes(patient: Patient, step: int) -> list[str]:
    notes = list(patient.notes)
    if step < YOUNG:
        notes.append(f"only {step} steps: a run so young shows what a sick one shows; look again later")
    if not patient.rows:
        notes.append("no log: judged by the checkpoint alone")
    if patient.held_out is None:
        notes.append("no held-out data, so overfitting of the critic was not checked: give --held-out DATA")
    return notes
