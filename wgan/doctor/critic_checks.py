"""Checks of the critic: `Evidence -> Finding | None`.

Thresholds stand beside their reasons; docs/doctor.md has the table of what sick and healthy runs measured.
"""

from __future__ import annotations

from dataclasses import fields, replace
from statistics import median
from typing import Any

from wgan.doctor.evidence import Evidence
from wgan.doctor.findings import Finding, Measured, Severity, flag
from wgan.networks import NETWORKS
from wgan.objectives import Clip, GradientPenalty, LipschitzPenalty, SpectralNorm
from wgan.parts import spell

# logged rows whose median is "now": one is a batch's whim, 20 at every 10 steps are 200 steps
RECENT = 20
# a run younger than that is not judged by its log: estimate and slope begin at 0
FIRST_STEP = 200

# 50 more critic updates gain at most 0.15 of W1 in runs that learn, 0.38 and more where the critic can't follow
GAIN = 0.25
# ... where W1 counts as half the distance of two real samples at least: below, the error is small beside the data
GAIN_FLOOR = 0.5
# share of recent estimates that are clearly negative: a critic that puts fakes above real is wrong, whatever its noise
WRONG = 0.15
WRONG_DEPTH = 0.1  # of the log's highest estimate

# the slope over that of an optimal critic under the penalty, 0.86 to 1.1 in healthy runs
SLOPE_LOW, SLOPE_HIGH = 0.5, 2.0

# slopes of clipped critics that learn lie between 0.003 and 2. Below, the gradient has lost three decades or more on
# its way through the layers and nears the eps of the optimiser; above, the box holds nothing and layers multiply
CLIP_SLOPE_LOW, CLIP_SLOPE_HIGH = 5e-4, 5.0
CLIP_SLOPE_GOOD = 0.3

# the critic's preference for its own training data, in its whole estimate, and in standard errors: runs on enough data
# have fewer than 3 of these, however large it is beside an estimate near 0; with 100 images it has 4.8 and more
GAP, GAP_ERRORS = 0.2, 3.0
# in the log it comes without an error, from 512 samples: the median of five, in the estimate or a tenth of the highest
# one, below which noise is all there is; 0.1 at most in healthy runs, 0.2 and more with 100 images
GAP_LOGGED, GAP_ROWS, GAP_FLOOR = 0.15, 5, 0.1


def batch_norm_in_penalised_critic(evidence: Evidence) -> Finding | None:
    """Structure alone: a penalty on single samples' gradients, and layers that couple the samples of a batch."""
    if not (evidence.batch_norm and evidence.run.objective.per_sample):
        return None
    measured = [Measured("batch norm in the critic under a penalty on single samples", None)]
    if evidence.coupling is not None:
        share = Measured("a sample's score moves with its batch by", 100 * evidence.coupling, "% of the spread", "0")
        measured = [share]
    own = _respelled(evidence, critic_norm="layer")
    return Finding(
        "batch-norm-in-penalised-critic",
        Severity.DOUBTFUL,
        tuple(measured),
        "The penalty asks for slope 1 at each sample, but with batch norm the score of one depends on all others: the "
        "slope that is held is not the critic's, and the estimate is of no known scale (WGAN-GP, Section 4).",
        f"--networks {own} (or critic_norm='none'), without --allow-critic-batch-norm",
    )


def critic_not_converged(evidence: Evidence) -> Finding | None:
    """More critic updates would change the estimate, or the critic ranks fakes above real."""
    gain = evidence.gain.relative(GAIN_FLOOR) if evidence.gain else None
    wrong = wrong_share(evidence)
    if not ((gain is not None and gain > GAIN) or (wrong is not None and wrong > WRONG)):
        return None
    measured = []
    if evidence.gain and gain is not None:
        before, best = evidence.gain.own.values[0], max(evidence.gain.best.values)
        measured = [
            Measured("50 more critic updates gain", 100 * gain, "% of W1", f"below {100 * GAIN:.0f}"),
            Measured("the estimate is", before),
            Measured("and could be", best),
        ]
    if wrong is not None and wrong > 0:
        measured.append(Measured("estimates below 0", 100 * wrong, "% of the recent ones", "0"))
    return Finding(
        "critic-not-converged",
        Severity.DOUBTFUL,
        tuple(measured),
        "The estimate is far below the distance that it stands for, and the generator follows the gradient of a critic "
        "that does not know where the real samples are.",
        _more_critic(evidence),
    )


def _more_critic(evidence: Evidence) -> str:
    run, gain = evidence.run, evidence.gain
    lr, more = run.critic_optimizer.lr, f"--n-critic {2 * run.n_critic} (now {run.n_critic})"
    slower = f"--generator-lr {flag(run.generator_optimizer.lr / 4)}"
    if gain and gain.fast:
        own, fast = (max(climb.values) - gain.own.values[0] for climb in (gain.own, gain.fast))
        if own < 0.7 * fast:
            faster = f"--critic-lr {flag(gain.fast.lr)} (now {flag(lr)})"
            return f"{faster}, at which 50 updates gain {_times(fast, own)}; or {more}"
    return f"{more}, or {slower} (now {flag(run.generator_optimizer.lr)})"


def _times(fast: float, own: float) -> str:
    return f"{fast / own:.0f} times as much" if own > 0.001 * fast else "what its own can't"


def wrong_share(evidence: Evidence) -> float | None:
    """Share of the recent logged estimates that are clearly negative; None while the log is short."""
    estimates = slope_free(evidence)
    if len(estimates) < RECENT or evidence.step < FIRST_STEP:
        return None
    depth = WRONG_DEPTH * max(map(abs, estimates))
    return sum(value < -depth for value in estimates[-RECENT:]) / RECENT


def slope_free(evidence: Evidence) -> list[float]:
    """Logged estimates over the critic's slope: in the unit of the data, whatever the constraint makes of the slope."""
    found = []
    for row in evidence.log.rows:
        raw, slope = row.get("wasserstein"), row.get("critic_slope")
        if isinstance(raw, int | float) and isinstance(slope, int | float) and slope > 0:
            found.append(raw / slope)
    return found


def slope_far_from_1(evidence: Evidence) -> Finding | None:
    """The slope beside the one that an optimal critic would have under this penalty."""
    pair = raw_and_slope(evidence)
    if pair is None:
        return None
    raw, slope = pair
    told = slope_bounds(evidence, raw)
    if told is None:
        return None
    wanted, low, high, remedy_low, remedy_high = told
    if low <= slope / wanted <= high:
        return None
    bound = f"{low * wanted:.2g} to {high * wanted:.2g}" if low else f"below {high * wanted:.2g}"
    return Finding(
        "slope-far-from-1",
        Severity.DOUBTFUL,
        (Measured("mean slope of the critic", slope, "", bound), Measured("an optimal critic's here", wanted)),
        "The constraint does not hold the critic's slope where it is meant to be: the estimate is of no known scale.",
        remedy_low if slope < wanted else remedy_high,
    )


def slope_bounds(evidence: Evidence, raw: float) -> tuple[float, float, float, str, str] | None:
    """(an optimal critic's slope, lowest and highest multiple of it, remedies below and above); None where free."""
    objective, lr = evidence.run.objective, evidence.run.critic_optimizer.lr
    for part in objective.constraints:
        if isinstance(part, GradientPenalty | LipschitzPenalty) and part.weight > 0:
            target = part.target if isinstance(part, GradientPenalty) else 1.0
            # raw = slope * W1 at the optimum, which `corrected` undoes
            w1 = part.corrected(raw, target) or 0.0
            wanted = raw / w1 if raw > 0 and w1 > 0 else target
            name = "gp" if isinstance(part, GradientPenalty) else "lp"
            up = f"--objective '{objective.pairing.name} + {name}(weight={10 * part.weight:g})', a lower --critic-lr"
            down = f"--critic-lr {flag(10 * lr)} (now {flag(lr)}), more --n-critic"
            return wanted, SLOPE_LOW if name == "gp" else 0.0, SLOPE_HIGH, down, up
        if isinstance(part, SpectralNorm) and objective.pairing.name == "wasserstein":
            # layers of norm 1 can't exceed it, but convolutions can by the overlap of their patches
            remedy = "--objective 'wasserstein + spectral_norm(maxmin=True)': ReLU layers lose half of the slope"
            return (
                1.0,
                SLOPE_LOW,
                10.0,
                remedy,
                "--objective 'wasserstein + orthonormal', which bounds convolutions too",
            )
    return None


def raw_and_slope(evidence: Evidence) -> tuple[float, float] | None:
    """(E f(real) - E f(fake), slope) by the probe, else the medians of the recent log; None while that is short."""
    if evidence.estimate:
        return evidence.estimate.raw, evidence.estimate.slope
    raw, slope = (evidence.log.column(name, RECENT) for name in ("wasserstein", "critic_slope"))
    if len(slope) < RECENT or evidence.step < FIRST_STEP:
        return None
    return median(raw), median(slope)


def clip_too_small(evidence: Evidence) -> Finding | None:
    """A clipped critic whose gradient vanishes on its way down the layers."""
    return _clip(evidence, small=True)


def clip_too_large(evidence: Evidence) -> Finding | None:
    """A clipped critic whose box holds nothing: slopes multiply from layer to layer."""
    return _clip(evidence, small=False)


def _clip(evidence: Evidence, small: bool) -> Finding | None:
    c = next((part.c for part in evidence.run.objective.constraints if isinstance(part, Clip)), None)
    pair = raw_and_slope(evidence)
    if c is None or pair is None:
        return None
    slope = pair[1]
    if not (slope < CLIP_SLOPE_LOW if small else slope > CLIP_SLOPE_HIGH):
        return None
    bounds = f"{CLIP_SLOPE_LOW:g} to {CLIP_SLOPE_HIGH:g}"
    measured = [Measured("mean slope of the critic", slope, "", bounds)]
    shares = evidence.log.column("clipped_share", RECENT)
    share = evidence.weights.share if evidence.weights else median(shares) if shares else None
    if share is not None:
        measured.append(Measured("weights at +-c", 100 * share, "%"))
    depth = 4
    if evidence.layers:
        depth = len(evidence.layers.norms) - 1
        what = "gradient lost from layer to layer" if small else "gradient gained from layer to layer"
        measured.append(Measured(what, abs(evidence.layers.decades), "decades"))
    # each layer with weights multiplies the slope by about c
    better = c * (CLIP_SLOPE_GOOD / max(slope, 1e-12)) ** (1 / depth)
    why = (
        "Clipped so tightly, each layer passes on a fraction of the gradient: what reaches the generator is near the "
        "rounding and the eps of the optimiser, and the estimate can't be read."
        if small
        else "Weights may grow so large that layers multiply the gradient: the critic takes long to reach the bounds "
        "(WGAN, Section 3), until then its estimate means nothing, and training is rough."
    )
    pairing = evidence.run.objective.pairing.name
    remedy = f"--objective '{pairing} + clip(c={better:.1g})' (now {flag(c)}), or gp in place of clip"
    return Finding(f"clip-too-{'small' if small else 'large'}", Severity.DOUBTFUL, tuple(measured), why, remedy)


def critic_overfits(evidence: Evidence) -> Finding | None:
    """The critic scores its own training data above data that it has not seen (WGAN-GP, Figure 5b)."""
    gap = evidence.gap
    if gap:
        error = gap.error / (abs(gap.train - gap.fake) or 1.0)
        share, sick = gap.share, gap.share > max(GAP, GAP_ERRORS * error)
        measured = [
            Measured("of the estimate, training data are preferred by", 100 * share, "%", f"below {100 * GAP:.0f}"),
            Measured("give or take", 100 * error, "%"),
            Measured("estimate on training data", gap.train - gap.fake),
            Measured("on held-out data", gap.held_out - gap.fake),
        ]
    else:
        shares = logged_gaps(evidence)[-GAP_ROWS:]
        if len(shares) < GAP_ROWS:
            return None
        share, sick = median(shares), median(shares) > GAP_LOGGED
        healthy = f"below {100 * GAP_LOGGED:.0f}"
        measured = [Measured("of the estimate, training data are preferred by", 100 * share, "%", healthy)]
    if not sick:
        return None
    best = best_heldout_step(evidence)
    stop = f"; stop near step {best:,}, where the held-out estimate was lowest" if best else ""
    own = _respelled(evidence, dropout=0.3)
    return Finding(
        "critic-overfits",
        Severity.DOUBTFUL,
        tuple(measured),
        "The critic knows its training samples by heart. Its estimate counts that as distance, and the generator is "
        "taught to copy them.",
        f"more data; --networks {own}{stop}",
    )


def logged_gaps(evidence: Evidence) -> list[float]:
    """heldout_gap where it was logged, of an estimate that counts as a tenth of the highest at least."""
    raws = [abs(raw) for raw in evidence.log.column("wasserstein")]
    floor = GAP_FLOOR * max(raws, default=0.0)
    found = []
    for row in evidence.log.rows:
        gap, raw = row.get("heldout_gap"), row.get("wasserstein")
        if isinstance(gap, int | float) and isinstance(raw, int | float):
            found.append(gap * abs(raw) / (max(abs(raw), floor) or 1.0))
    return found


def best_heldout_step(evidence: Evidence) -> int | None:
    """The step of the lowest held-out estimate, when that was in the first two thirds of the log."""
    steps, values = evidence.log.points("wasserstein_heldout")
    # while the critic is new its estimate is low for no good reason
    pairs = [(value, step) for step, value in zip(steps, values, strict=True) if step >= FIRST_STEP]
    step = min(pairs)[1] if pairs else 0
    return step if 0 < step < 2 * evidence.step / 3 else None


def _respelled(evidence: Evidence, **changes: Any) -> str:
    """The networks' text with other fields, in quotes; their own name where they don't have them."""
    networks: Any = evidence.run.networks
    known = type(networks) in NETWORKS.values() and {f.name for f in fields(networks)} >= set(changes)
    if not known:
        return " ".join(f"of yours with {name}={value!r}" for name, value in changes.items())
    text = spell(replace(networks, **changes), NETWORKS, brief=True)
    return f'"{text}"'
