"""Wasserstein GANs in PyTorch: Algorithm 1 plus a choice of data, networks and objective.

    run = wgan.Run(data="cifar10", objective=wgan.Objective(wgan.wasserstein, wgan.Clip(0.01)))
    wgan.train(run, "results/mine")
    images = wgan.load("results/mine").sample(64)

Names are imported when first used, so that `import wgan` and `wgan --help` don't wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {
    "wgan.errors": ["UserError"],
    "wgan.objectives": [
        "Clip",
        "Consistency",
        "Constraint",
        "Divergence",
        "Dragan",
        "Drift",
        "GradientPenalty",
        "LipschitzPenalty",
        "Objective",
        "OneSidedPenalty",
        "Orthonormal",
        "Pairing",
        "R1",
        "R2",
        "SpectralNorm",
        "hinge",
        "logistic",
        "minimax",
        "relativistic",
        "wasserstein",
    ],
    "wgan.networks": ["DCGAN", "MLP", "ResNet"],
    "wgan.optimizers": ["Adam", "RMSProp"],
    "wgan.run": ["Run"],
    "wgan.presets": ["PRESETS", "preset"],
    "wgan.state": ["State"],
    "wgan.watch": ["Metrics", "Options"],
    "wgan.training": ["steps", "train"],
    "wgan.sample": ["Sampler", "load"],
    "wgan.evaluation": ["Report", "evaluate"],
    "wgan.transport": ["Distance", "distance"],
}
PACKAGES = ("data", "evaluation", "features", "metrics", "networks", "objectives")
_HOME = {name: place for place, names in _PLACES.items() for name in names}

if TYPE_CHECKING:
    from wgan.errors import (
        UserError as UserError,
    )
    from wgan.evaluation import (
        Report as Report,
    )
    from wgan.evaluation import (
        evaluate as evaluate,
    )
    from wgan.networks import (
        DCGAN as DCGAN,
    )
    from wgan.networks import (
        MLP as MLP,
    )
    from wgan.networks import (
        ResNet as ResNet,
    )
    from wgan.objectives import (
        R1 as R1,
    )
    from wgan.objectives import (
        R2 as R2,
    )
    from wgan.objectives import (
        Clip as Clip,
    )
    from wgan.objectives import (
        Consistency as Consistency,
    )
    from wgan.objectives import (
        Constraint as Constraint,
    )
    from wgan.objectives import (
        Divergence as Divergence,
    )
    from wgan.objectives import (
        Dragan as Dragan,
    )
    from wgan.objectives import (
        Drift as Drift,
    )
    from wgan.objectives import (
        GradientPenalty as GradientPenalty,
    )
    from wgan.objectives import (
        LipschitzPenalty as LipschitzPenalty,
    )
    from wgan.objectives import (
        Objective as Objective,
    )
    from wgan.objectives import (
        OneSidedPenalty as OneSidedPenalty,
    )
    from wgan.objectives import (
        Orthonormal as Orthonormal,
    )
    from wgan.objectives import (
        Pairing as Pairing,
    )
    from wgan.objectives import (
        SpectralNorm as SpectralNorm,
    )
    from wgan.objectives import (
        hinge as hinge,
    )
    from wgan.objectives import (
        logistic as logistic,
    )
    from wgan.objectives import (
        minimax as minimax,
    )
    from wgan.objectives import (
        relativistic as relativistic,
    )
    from wgan.objectives import (
        wasserstein as wasserstein,
    )
    from wgan.optimizers import (
        Adam as Adam,
    )
    from wgan.optimizers import (
        RMSProp as RMSProp,
    )
    from wgan.presets import (
        PRESETS as PRESETS,
    )
    from wgan.presets import (
        preset as preset,
    )
    from wgan.run import (
        Run as Run,
    )
    from wgan.sample import (
        Sampler as Sampler,
    )
    from wgan.sample import (
        load as load,
    )
    from wgan.state import (
        State as State,
    )
    from wgan.training import (
        steps as steps,
    )
    from wgan.training import (
        train as train,
    )
    from wgan.transport import (
        Distance as Distance,
    )
    from wgan.transport import (
        distance as distance,
    )
    from wgan.watch import (
        Metrics as Metrics,
    )
    from wgan.watch import (
        Options as Options,
    )


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    # `wgan.data`, `wgan.objectives`, ... without an import of their own
    if name in PACKAGES:
        return importlib.import_module(f"wgan.{name}")
    raise AttributeError(f"module 'wgan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *PACKAGES})
