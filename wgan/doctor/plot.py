"""Pictures of the evidence, one PNG each."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wgan.doctor.evidence import Evidence
from wgan.doctor.findings import flag
from wgan.results import whole

BLUE, LIGHT, ORANGE, GREY = "#08519c", "#9ecae1", "#d95f02", "0.55"


def draw(evidence: Evidence, folder: Path) -> dict[str, Path]:
    """Draw what there is evidence for into `folder`; name -> file. Errors: UserError when it can't be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = {}
    for name, (wanted, paint, size) in PICTURES.items():
        if not wanted(evidence):
            continue
        figure = Figure(figsize=size, layout="constrained", dpi=110)
        FigureCanvasAgg(figure)
        paint(evidence, figure)
        for axes in figure.axes:
            axes.spines[["top", "right"]].set_visible(False)
        drawn[name] = folder / f"{name}.png"
        with whole(drawn[name]) as aside:
            figure.savefig(aside, format="png")
    return drawn


def gain(evidence: Evidence, figure: Any) -> None:
    """What more critic updates gain."""
    axes, found = figure.add_subplot(), evidence.gain
    assert found is not None
    before = found.own.values[0]
    for climb, colour, what in ((found.own, BLUE, "the run's own lr"), (found.fast, ORANGE, "a faster lr")):
        if climb is not None:
            axes.plot(climb.steps, climb.values, "o-", color=colour, markersize=4, label=f"{what}, {flag(climb.lr)}")
    axes.axhline(before, color=GREY, linewidth=0.8, linestyle="--", label="the checkpoint's critic")
    values = [value for climb in (found.own, found.fast) if climb for value in climb.values if math.isfinite(value)]
    # a gain that is small beside the data shall look small
    low, high = min([0.0, *values]), max([0.25 * found.scale, *values])
    axes.set_ylim(low - (0.05 * (high - low) if low < 0 else 0), high + 0.05 * (high - low))
    axes.set_xlim(0, 1.02 * found.own.steps[-1])
    axes.set_xlabel("more critic updates, the generator held fixed")
    axes.set_ylabel("estimate / slope, on samples held aside")
    axes.set_title("What does the critic still gain?", loc="left", fontsize=11)
    axes.legend(frameon=False, loc="best")


def held_out(evidence: Evidence, figure: Any) -> None:
    """Scores of training, held-out and fake samples; and the logged estimates on both where there are some."""
    found = evidence.gap
    assert found is not None
    steps, values = evidence.log.points("wasserstein_heldout")
    axes = figure.add_subplot(1, 2, 1) if len(steps) > 1 else figure.add_subplot()
    width = (found.high - found.low) / len(found.counts[0])
    edges = [found.low + i * width for i in range(len(found.counts[0]) + 1)]
    what = (("training data", BLUE, found.train), (f"held-out: {found.name}", ORANGE, found.held_out))
    for counts, (name, colour, mean) in zip(found.counts, (*what, ("fakes", GREY, found.fake)), strict=True):
        axes.stairs(
            counts,
            edges,
            color=colour,
            label=name,
            linewidth=1.6,
            fill=colour == GREY,
            alpha=0.35 if colour == GREY else 1,
        )
        axes.axvline(mean, color=colour, linewidth=1, linestyle="--")
    axes.set_xlabel("score of the critic (dashed: means)")
    axes.set_ylabel("share of the samples")
    axes.set_title("Does it know its samples by heart?", loc="left", fontsize=11)
    axes.legend(frameon=False, loc="best", fontsize=8)
    if len(steps) > 1:
        axes = figure.add_subplot(1, 2, 2)
        key = "wasserstein_corrected" if evidence.log.column("wasserstein_corrected") else "wasserstein"
        axes.plot(*evidence.log.points(key), color=LIGHT, linewidth=1.2, label="on training data")
        axes.plot(steps, values, "o-", color=ORANGE, markersize=3, linewidth=1.4, label="on held-out data")
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.set_xlabel("generator steps")
        axes.set_title("Wasserstein estimate", loc="left", fontsize=11)
        axes.legend(frameon=False, loc="best", fontsize=8)


def layers(evidence: Evidence, figure: Any) -> None:
    """The gradient's norm through the critic, as in Figure 1b of WGAN-GP."""
    axes, found = figure.add_subplot(), evidence.layers
    assert found is not None
    places = range(len(found.norms))
    axes.semilogy(places, [max(norm, 1e-30) for norm in found.norms], "o-", color=BLUE)
    axes.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
    low, high = min(found.norms), max(found.norms)
    axes.set_ylim(min(low / 2, 0.05), max(high * 2, 20))
    axes.set_xticks(
        list(places), [name.removeprefix("body.") for name in found.names], rotation=30, ha="right", fontsize=8
    )
    axes.set_xlabel("from the input to the score")
    axes.set_ylabel("mean norm of d score / d activation")
    axes.set_title(f"Gradient through the critic: {found.decades:+.2f} decades a layer", loc="left", fontsize=11)


def weights(evidence: Evidence, figure: Any) -> None:
    """Where a clipped critic's weights lie."""
    axes, found = figure.add_subplot(), evidence.weights
    assert found is not None
    total, bins = sum(found.counts), len(found.counts)
    edges = [found.c * (2 * i / bins - 1) for i in range(bins + 1)]
    axes.stairs([count / total for count in found.counts], edges, color=BLUE, fill=True)
    for end in (-found.c, found.c):
        axes.axvline(end, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_xticks([found.c * part for part in (-1, -0.5, 0, 0.5, 1)])
    axes.set_xlabel(f"weight of the critic, clipped to ±{found.c:g}")
    axes.set_ylabel("share of the weights")
    axes.set_title(f"{100 * found.share:.0f} % of the weights lie at ±c", loc="left", fontsize=11)


def variety(evidence: Evidence, figure: Any) -> None:
    """Share of real samples and of fakes in each group of real samples."""
    axes, found = figure.add_subplot(), evidence.variety
    assert found is not None
    pairs = sorted(zip(*found.shares, strict=True), key=lambda pair: -pair[1] / max(pair[0], 1e-9))
    places = range(1, len(pairs) + 1)
    axes.bar(places, [100 * fake for _, fake in pairs], color=ORANGE, width=0.8, label="fakes")
    axes.step(
        [0.5, *(place + 0.5 for place in places)],
        [100 * real for real, _ in [pairs[0], *pairs]],
        where="pre",
        color=BLUE,
        linewidth=1.4,
        label="real samples",
    )
    axes.set_xlabel("modes of the mixture" if found.modes is not None else "groups of real samples (k-means)")
    axes.set_ylabel("% of the samples")
    axes.set_title(
        f"Fakes reach {found.covered} of {found.cells} groups; spread {100 * found.spread:.0f} % of the real samples'",
        loc="left",
        fontsize=11,
    )
    axes.legend(frameon=False, loc="best")


def log(evidence: Evidence, figure: Any) -> None:
    """Estimate, slope and the fakes' spread over the steps."""
    names = {"wasserstein": "E f(real) - E f(fake)", "critic_slope": "critic's slope", "fake_spread": "fakes' spread"}
    shown = {name: title for name, title in names.items() if len(evidence.log.column(name)) > 1}
    above = None
    for i, (name, title) in enumerate(shown.items()):
        axes = above = figure.add_subplot(len(shown), 1, i + 1, sharex=above)
        steps, values = evidence.log.points(name)
        axes.plot(steps, values, color=BLUE, linewidth=1.2)
        axes.axhline(0 if name == "wasserstein" else 1, color=GREY, linewidth=0.8, linestyle="--")
        finite = [value for value in values if math.isfinite(value)]
        if name == "critic_slope" and finite and (min(finite) > 0 and max(finite) > 30 * min(finite)):
            axes.set_yscale("log")
        axes.set_ylabel(title, fontsize=9)
        if i < len(shown) - 1:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("generator steps")


# name of the file -> (is there evidence for it, what paints it, inches)
PICTURES: dict[str, tuple[Callable[[Evidence], object], Callable[[Evidence, Any], None], tuple[float, float]]] = {
    "gain": (lambda evidence: evidence.gain, gain, (6.5, 4)),
    "held-out": (lambda evidence: evidence.gap and evidence.gap.counts, held_out, (9, 4)),
    "layers": (lambda evidence: evidence.layers, layers, (6.5, 4)),
    "weights": (lambda evidence: evidence.weights, weights, (6.5, 4)),
    "variety": (lambda evidence: evidence.variety and evidence.variety.shares[0], variety, (6.5, 4)),
    "log": (lambda evidence: len(evidence.log.column("wasserstein")) > 1, log, (6.5, 6)),
}
