"""Checks of the generator and of the game: `Evidence -> Finding | None`, as in `critic_checks`."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

from wgan.doctor.critic_checks import FIRST_STEP, RECENT, slope_free
from wgan.doctor.evidence import Evidence
from wgan.doctor.findings import Finding, Measured, Severity, flag

# how far one generator update throws a sample (in distances of two real samples), times the share of the promised
# decrease that does not come: 0.04 at most where training goes well, 0.2 and more at 100 times the step size
OVERSHOOT = 0.09

# mean distance of two fakes over that of two real samples, and groups of real samples that get fakes
SPREAD, COVERED = 0.4, 0.4
# in the log: after this step, or when it was twice as much before; young generators begin with little
SPREAD_LOGGED, SETTLED = 0.25, 1000

# all fakes alike to the eye, or an update that moves nothing
ALIKE, STILL = 0.02, 1e-5
# below this part of the optimiser's eps a gradient is no longer scaled up, and weights stay where they are
BELOW_EPS = 0.1

# distance of fakes from real over that between real samples; about 1 in any run that learns
AWAY = 3.0
# mean change of the estimate from one logged row to the next, over its mean: 0.05 to 0.4 in runs that learn
SWING = 0.75
SWING_FLOOR = 0.1  # of the log's highest estimate: where the distance is nearly 0, noise is all there is

NUMBERS = ("wasserstein", "critic_loss", "generator_loss", "critic_slope")


def dead_generator(evidence: Evidence) -> Finding | None:
    """No gradient arrives, nothing moves, or the samples don't depend on z."""
    spread, now = evidence.variety.spread if evidence.variety else settled_spread(evidence), evidence.push
    gradients = evidence.log.column("generator_gradient", RECENT)
    gradient = now.gradient if now else median(gradients) if len(gradients) >= RECENT else None
    root = math.sqrt(evidence.generator_weights or 1)
    eps = evidence.run.generator_optimizer.eps
    faint = gradient is not None and gradient / root < BELOW_EPS * eps
    alike, still = spread is not None and spread < ALIKE, now is not None and now.move < STILL
    if not (faint or alike or still):
        return None
    measured = []
    if spread is not None:
        measured.append(Measured("spread of the fakes", 100 * spread, "% of the real samples'", "about 100"))
    if gradient is not None:
        healthy = f"above {BELOW_EPS * eps:.0e}"
        measured.append(Measured("gradient of a weight", gradient / root, "", healthy))
    if now is not None:
        measured.append(
            Measured("a generator update moves samples by", 100 * now.move, "% of the data's spread", "1 to 10")
        )
    lr = evidence.run.generator_optimizer.lr
    return Finding(
        "dead-generator",
        Severity.LOST,
        tuple(measured),
        "The generator makes the same whatever z is." if alike else "The generator no longer learns.",
        f"start again with --generator-lr {flag(lr / 10)} (now {flag(lr)}) and a critic that is ahead of it: "
        f"--n-critic {2 * evidence.run.n_critic}; no update brings these weights back",
    )


def mode_collapse(evidence: Evidence) -> Finding | None:
    """Much less variety among fakes than among real samples."""
    found, measured = evidence.variety, []
    if found is not None:
        sick = found.spread < SPREAD or found.covered < COVERED * found.cells
        measured = [
            Measured("spread of the fakes", 100 * found.spread, "% of the real samples'", "about 100"),
            Measured(f"of {found.cells} groups of real samples fakes reach", found.covered, "", f"{found.cells}"),
        ]
        if found.coverage is not None:
            measured.append(Measured("coverage", found.coverage))
    else:
        spread = settled_spread(evidence)
        sick = spread is not None and spread < SPREAD_LOGGED
        measured = [Measured("spread of the fakes", 100 * (spread or 0), "% of the real samples'", "about 100")]
    if not sick:
        return None
    run = evidence.run
    wgan = run.objective.pairing.name == "wasserstein"
    better = f"--n-critic {2 * run.n_critic} (now {run.n_critic})" if wgan else "--preset wgan-gp"
    return Finding(
        "mode-collapse",
        Severity.LOST,
        tuple(measured),
        "The generator makes a small part of what there is. A critic that is nearly optimal would punish that: this "
        "one was behind, or the run is too young.",
        f"{better}, --generator-lr {flag(run.generator_optimizer.lr / 4)}; take an earlier checkpoint (--keep-every)",
    )


def settled_spread(evidence: Evidence) -> float | None:
    """The recent median of fake_spread, when the run is old enough or had twice as much before; else None."""
    spreads = evidence.log.column("fake_spread")
    if len(spreads) < RECENT or evidence.step < FIRST_STEP:
        return None
    now = median(spreads[-RECENT:])
    before = max(median(spreads[i : i + 3]) for i in range(len(spreads) - 2))
    return now if evidence.step >= SETTLED or before > 2 * now else None


def generator_too_fast(evidence: Evidence) -> Finding | None:
    """Updates so long that the gradient no longer holds along them."""
    push = evidence.push
    if push is None or push.overshoot <= OVERSHOOT:
        return None
    lr = evidence.run.generator_optimizer.lr
    slower = max(OVERSHOOT / 5 / push.overshoot, 1e-3)
    kept = Measured("of the decrease that the gradient promised comes", 100 * push.kept, "%", "50 to 100")
    return Finding(
        "generator-too-fast",
        Severity.DOUBTFUL,
        (Measured("one generator update moves samples by", 100 * push.move, "% of the data's spread", "1 to 13"), kept),
        "The generator has gone before the critic has seen where it was: it is thrown about, and the critic never "
        "converges.",
        f"--generator-lr {flag(float(f'{lr * slower:.0e}'))} (now {flag(lr)})",
    )


def divergence(evidence: Evidence) -> Finding | None:
    """Numbers that are none, fakes that run away from the data, or an estimate that swings about."""
    measured = []
    broken = next((row for row in evidence.log.rows if any(_broken(row.get(name)) for name in NUMBERS)), None)
    if broken is not None:
        name = next(name for name in NUMBERS if _broken(broken.get(name)))
        measured.append(Measured(f"{name} at step {broken.get('step')}", float(broken[name])))
    estimate = evidence.estimate
    if estimate and not estimate.distance <= AWAY * estimate.scale:
        away = Measured("fakes are away from real samples", estimate.distance / estimate.scale, "spreads", "about 1")
        measured.append(away)
    swing = swings(evidence)
    if swing is not None and swing > SWING:
        healthy = f"below {100 * SWING:.0f}"
        measured.append(Measured("from one logged row to the next the estimate moves by", 100 * swing, "%", healthy))
    if not measured:
        return None
    critic, generator = evidence.run.critic_optimizer, evidence.run.generator_optimizer
    momentum = ", no momentum on the critic (beta1=0.0)" if getattr(critic, "beta1", 0.0) > 0 else ""
    return Finding(
        "divergence",
        Severity.LOST,
        tuple(measured),
        "The two networks drive each other away from the data instead of towards it.",
        f"--generator-lr {flag(generator.lr / 10)} (now {flag(generator.lr)}), a critic that keeps up (--critic-lr at "
        f"least as high, --n-critic {2 * evidence.run.n_critic}){momentum}; go on from an earlier checkpoint",
    )


def _broken(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def swings(evidence: Evidence) -> float | None:
    """Mean change of the recent logged estimates, over their mean size; None while the log is short."""
    estimates = [value for value in slope_free(evidence) if math.isfinite(value)]
    if len(estimates) < RECENT or evidence.step < FIRST_STEP:
        return None
    recent = estimates[-RECENT:]
    size = max(sum(map(abs, recent)) / RECENT, SWING_FLOOR * max(map(abs, estimates)))
    change = sum(abs(b - a) for a, b in pairwise(recent)) / (RECENT - 1)
    return change / size if size > 0 else 0.0
