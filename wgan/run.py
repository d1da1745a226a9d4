"""Run: everything that decides a result, and nothing else.

A run is Algorithm 1 plus a choice of four parts (data, networks, objective, measurement) and their numbers. Two runs
that are equal end with equal weights on one machine.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import torch

from wgan.data import Data
from wgan.devices import quickest_precision
from wgan.errors import UserError, at_least, did_you_mean
from wgan.networks import DCGAN, NETWORKS, Network, Points, ResNet
from wgan.networks.checks import pyramid
from wgan.objectives import CONSTRAINTS, PAIRINGS, Clip, Objective, Orthonormal, Pairing, SpectralNorm, wasserstein
from wgan.optimizers import OPTIMIZERS, Optimizer, RMSProp
from wgan.parts import parse, parse_one, spell

OBJECTIVE_PARTS: dict[str, Any] = {**PAIRINGS, **CONSTRAINTS}

Precision = Literal["auto", "fp32", "bf16"]
# units of a perceptron from which bf16 is quicker on a CPU: with fewer, casts take what products save
WIDE = 256

# an infinite toy distribution would fill any memory that it is asked to
LARGEST_BATCH = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that decides a result. The defaults are Algorithm 1 of Arjovsky, Chintala & Bottou (2017).

    data: a name for `wgan.data.load`, or an object of one's own (`wgan.data.Data`).
    size: images are brought to size x size pixels; None leaves them as they are.
    conditional: the labels of the data are given to both networks.
    networks: None lets the data decide: DCGAN for images (no batch norm in a critic whose constraint forbids it), an
        MLP for points.
    z_dim: numbers of N(0, 1) noise for each sample.
    objective: a pairing of scores and its constraints.
    constrain: when clipping happens, "after" each critic update (Algorithm 1, line 7) or "before" (the authors' code).
    n_critic: critic updates before each generator update.
    warmup_n_critic, warmup_steps, warmup_every: the authors' code trains the critic warmup_n_critic times instead for
        the first warmup_steps generator updates and at each multiple of warmup_every; 0 turns each off.
    batch_size: real samples (and as many fakes) in a critic update. generator_batch_size: fakes in a generator update,
        0 for as many as batch_size.
    steps: generator updates, 0 to let epochs decide. epochs: passes of the critic over the data.
    critic_optimizer, generator_optimizer: RMSProp or Adam with their constants.
    lr_decay: "none", or "linear" to zero at the last step.
    ema: decay of the generator's running average, which is then what is sampled; 0 turns it off. It ramps up:
        min(ema, (1 + step) / (10 + step)), so that early samples are not ruined by the first weights.
    dequantize: adds U[0, 1/128) to images in [-1, 1], as the WGAN-GP ResNet code does.
    precision: "fp32", or "bf16" for the networks' arithmetic (weights and norms stay fp32). "auto"
        takes bf16 where the device has it natively and is quicker in it, for images and for points by networks of
        at least 256 units on a CPU; else fp32.
    allow_critic_batch_norm: batch norm in a critic whose constraint looks at single samples, refused otherwise.
    seed: every random number follows from it.
    """

    data: str | Data = "digits"
    size: int | None = None
    conditional: bool = False
    networks: Network | None = None
    z_dim: int = 100
    objective: Objective = Objective(wasserstein, Clip(0.01))
    constrain: Literal["after", "before"] = "after"
    n_critic: int = 5
    warmup_n_critic: int = 0
    warmup_steps: int = 0
    warmup_every: int = 0
    batch_size: int = 64
    generator_batch_size: int = 0
    steps: int = 0
    epochs: float = 25.0
    critic_optimizer: Optimizer = RMSProp()
    generator_optimizer: Optimizer = RMSProp()
    lr_decay: Literal["none", "linear"] = "none"
    ema: float = 0.0
    dequantize: bool = False
    precision: Precision = "auto"
    allow_critic_batch_norm: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.data, Path):
            object.__setattr__(self, "data", str(self.data))
        for name in ("z_dim", "n_critic", "batch_size"):
            _whole_at_least(1, name, getattr(self, name))
        for name in ("warmup_n_critic", "warmup_steps", "warmup_every", "generator_batch_size", "steps", "seed"):
            _whole_at_least(0, name, getattr(self, name))
        if self.size is not None:
            _whole_at_least(1, "size", self.size)
        for name in ("batch_size", "generator_batch_size"):
            if getattr(self, name) > LARGEST_BATCH:
                raise UserError(f"{name} is {getattr(self, name):,}: must be at most {LARGEST_BATCH:,}")
        if not (_is_number(self.epochs) and 0 < self.epochs < math.inf):
            raise UserError(f"epochs is {self.epochs}: must be a number above 0")
        if not (_is_number(self.ema) and 0 <= self.ema < 1):
            raise UserError(f"ema is {self.ema}: must be a number of at least 0 and below 1")
        self._check_parts()
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"{name} is '{getattr(self, name)}': must be one of {', '.join(choices)}")

    def _check_parts(self) -> None:
        if not isinstance(self.data, str | Data):
            raise UserError(
                f"data must be a name, a path or an object with batch(), not {type(self.data).__name__}; "
                "wgan.data.load(array) makes one of an array"
            )
        if self.size is not None and (self.networks is None or isinstance(self.networks, DCGAN | ResNet)):
            # told before a large data set is brought to that size
            pyramid("networks", (1, self.size, self.size))
        if self.networks is not None and (not callable(self.networks) or isinstance(self.networks, type)):
            raise UserError(f"networks is {self.networks!r}: must be such as wgan.DCGAN(), or a function of your own")
        if not isinstance(self.objective, Objective):
            raise UserError(f"objective is {self.objective!r}: must be such as wgan.Objective(wgan.wasserstein)")
        for name in ("critic_optimizer", "generator_optimizer"):
            if not isinstance(getattr(self, name), Optimizer):
                raise UserError(f"{name} is {getattr(self, name)!r}: must be such as wgan.Adam() or wgan.RMSProp()")

    def n_critic_at(self, step: int) -> int:
        """Critic updates before generator update `step` (from 0)."""
        warm = step < self.warmup_steps or (self.warmup_every > 0 and step % self.warmup_every == 0)
        return self.warmup_n_critic if warm and self.warmup_n_critic else self.n_critic

    def lr_at(self, step: int, lr: float) -> float:
        """Step size of generator update `step` (from 0) for an optimiser that starts at `lr`."""
        return lr * (1 - step / self.steps) if self.lr_decay == "linear" else lr

    def ema_at(self, step: int) -> float:
        """Decay of the running average at generator update `step` (from 0)."""
        return min(self.ema, (1 + step) / (10 + step))

    def resolved(self, data: Data, device: torch.device | None = None) -> Run:
        """This run with its open choices made: networks and steps for `data`, and precision for `device`, when given.

        Errors: UserError for what can't be run on this data.
        """
        count = data.count
        if count is not None and self.batch_size > count:
            raise UserError(f"batch_size {self.batch_size} is larger than data '{data.name}' ({count} samples)")
        if self.conditional and not data.classes:
            raise UserError(f"conditional: data '{data.name}' has no labels; leave --conditional out")
        if not self.steps and count is None:
            raise UserError(f"data '{data.name}' is infinite and has no epochs: give --steps")
        networks = self.networks or self._networks_for(data)
        precision: Precision = self.precision
        if precision == "auto" and device is not None:
            # on a GPU a perceptron's time is that of starting its kernels, and casts are more of them
            wide = isinstance(networks, Points) and networks.width >= WIDE and device.type == "cpu"
            precision = quickest_precision(device) if wide or len(data.shape) == 3 else "fp32"
        return replace(self, networks=networks, steps=self.steps or self._steps_in(count or 0), precision=precision)

    def _networks_for(self, data: Data) -> Network:
        if len(data.shape) == 1:
            return Points()
        # batch norm would also undo the bound of layers that are normalised themselves
        bounded = any(isinstance(part, SpectralNorm | Orthonormal) for part in self.objective.constraints)
        norm = "none" if bounded or (self.objective.per_sample and not self.allow_critic_batch_norm) else "batch"
        return DCGAN(critic_norm=norm)

    def _steps_in(self, count: int) -> int:
        """The least number of generator updates in which the critic sees `epochs` times `count` real samples."""
        # the fraction that was meant, such as 7/100 or 64/1797: in binary 0.07 * 100 is above 7
        wanted = math.ceil(Fraction(self.epochs).limit_denominator(10**6) * count / self.batch_size)
        low, high = 1, max(1, wanted)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._critic_updates(middle) >= wanted else (middle + 1, high)
        return low

    def _critic_updates(self, steps: int) -> int:
        """The sum of `n_critic_at` over the first `steps` generator updates."""
        warm = min(steps, self.warmup_steps)
        if self.warmup_every:  # its multiples in [warm, steps)
            warm += -(-steps // self.warmup_every) - -(-warm // self.warmup_every)
        return steps * self.n_critic + (warm * (self.warmup_n_critic - self.n_critic) if self.warmup_n_critic else 0)


# told as text in flags and in run.toml
PART_FIELDS = ("networks", "objective", "critic_optimizer", "generator_optimizer")
CHOICES = {"constrain": ("after", "before"), "lr_decay": ("none", "linear"), "precision": ("auto", "fp32", "bf16")}


def _whole_at_least(low: int, name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{name} is {value!r}: must be a whole number")
    at_least(low, name, value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- the text of a run: flags, run.toml, tables ----------------------------------------------------------------------


def spell_objective(objective: Objective, *, brief: bool = False) -> str:
    """`wasserstein + gp(weight=10.0, target=1.0)`; brief: without fields that have their defaults."""
    return " + ".join(spell(part, OBJECTIVE_PARTS, brief=brief) for part in (objective.pairing, *objective.constraints))


def parse_objective(text: str) -> Objective:
    """The objective that `text` spells: one pairing and any number of constraints, joined by +."""
    parts = parse("objective", text, OBJECTIVE_PARTS)
    pairings = [part for part in parts if isinstance(part, Pairing)]
    if len(pairings) != 1:
        raise UserError(f"objective '{text}': needs exactly one pairing of {', '.join(PAIRINGS)}")
    return Objective(pairings[0], *(part for part in parts if not isinstance(part, Pairing)))


def to_fields(run: Run) -> dict[str, Any]:
    """The run as plain TOML values; parts become their text, None is left out, and of steps and epochs one."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(run):
        value = getattr(run, field.name)
        if field.name == "data":
            value = value if isinstance(value, str) else value.name
        elif field.name == "objective":
            value = spell_objective(value)
        elif field.name == "networks" and value is not None:
            value = spell(value, NETWORKS)
        elif field.name.endswith("_optimizer"):
            value = spell(value, OPTIMIZERS)
        if value is not None and field.name != ("epochs" if run.steps else "steps"):
            fields[field.name] = value
    return fields


def from_fields(fields: Mapping[str, Any], base: Run | None = None) -> Run:
    """`base` (default: `Run()`) with `fields`, where parts may be text. Errors: unknown names, refused values.

    steps and epochs exclude each other; naming epochs lets go of the steps of `base`.
    """
    names = [field.name for field in dataclasses.fields(Run)]
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in names:
            raise UserError(did_you_mean("field", name, names))
        values[name] = _parse_field(name, value) if isinstance(value, str) else _typed(name, value)
    if "epochs" in values:
        if "steps" in values:
            raise UserError("give either steps or epochs, not both")
        values["steps"] = 0
    elif values.get("steps") == 0:
        raise UserError("steps is 0: must be at least 1")
    return replace(base or Run(), **values)


def _parse_field(name: str, text: str) -> Any:
    if name == "objective":
        return parse_objective(text)
    if name == "networks":
        return parse_one(name, text, NETWORKS)
    if name.endswith("_optimizer"):
        return parse_one(name, text, OPTIMIZERS)
    return _typed(name, text)


def _typed(name: str, value: Any) -> Any:
    """A plain value as the field's type: whole numbers become floats where floats are meant."""
    wanted = type(getattr(Run, name, None))
    if wanted is float and type(value) is int:
        return float(value) if abs(value) < 1e300 else math.inf
    if wanted in (bool, int, float, str) and name != "data" and type(value) is not wanted:
        raise UserError(f"{name} is {value!r}: must be of type {wanted.__name__}")
    return value


def with_lr(run: Run, *, critic: float | None = None, generator: float | None = None) -> Run:
    """The run with other step sizes, its optimisers' other constants unchanged."""
    if critic is not None:
        run = replace(run, critic_optimizer=replace(run.critic_optimizer, lr=critic))
    if generator is not None:
        run = replace(run, generator_optimizer=replace(run.generator_optimizer, lr=generator))
    return run
