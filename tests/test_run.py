"""A run is what decides a result: checked when made, resolved for its data, the same after a trip through TOML."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch
from hypothesis import given
from hypothesis import strategies as st

import wgan
from wgan.data import Images, Points, load
from wgan.devices import quickest_precision
from wgan.errors import UserError
from wgan.networks import DCGAN
from wgan.networks import Points as PointNetworks
from wgan.presets import PRESETS, table
from wgan.run import PART_FIELDS, Run, from_fields, to_fields, with_lr
from wgan.state import start


def images(n: int = 100, size: int = 8, labels: bool = False) -> Images:
    return Images(
        "some",
        np.zeros((n, 1, size, size), np.uint8),
        np.zeros(n, np.int64) if labels else None,
        ("only",) if labels else (),
        "x",
    )


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_toml(name: str) -> None:
    run = wgan.preset(name, data="digits", seed=3)
    told = tomllib.loads(tomli_w.dumps({"run": to_fields(run)}))["run"]
    assert from_fields(told) == run


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_what_they_say(name: str) -> None:
    run = PRESETS[name].run
    text = "\n".join(table())
    block = text[text.index(f"\n{name}\n") if name != "wgan" else 0 :]
    block = block[: block.index("\n\n")]
    for field in dataclasses.fields(Run):
        value = getattr(run, field.name)
        if value == field.default or field.name in (*PART_FIELDS, "steps"):
            continue
        label = {"batch_size": "batch", "z_dim": "z"}.get(field.name, field.name)
        assert f", {label} {value}" in block.replace("numbers     ", ", "), field.name
    assert run.critic_optimizer.__class__.__name__.lower() in block
    if run.networks is not None:
        assert "resnet" in block or "dcgan" in block


def test_default_run_is_algorithm_1() -> None:
    run = Run()
    assert (run.critic_optimizer, run.generator_optimizer) == (wgan.RMSProp(5e-5), wgan.RMSProp(5e-5))
    assert (run.batch_size, run.n_critic) == (64, 5)
    assert run.objective == wgan.Objective(wgan.wasserstein, wgan.Clip(0.01))
    assert wgan.preset("wgan") == run


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"batch_size": -3},
        {"batch_size": 10**12},
        {"batch_size": 2.5},
        {"n_critic": 0},
        {"z_dim": 0},
        {"seed": -1},
        {"epochs": 0.0},
        {"epochs": math.nan},
        {"epochs": math.inf},
        {"steps": -1},
        {"ema": 1.0},
        {"ema": math.nan},
        {"size": 0},
        {"precision": "fp8"},
        {"constrain": "never"},
        {"lr_decay": "cosine"},
        {"batch_size": True},
        {"data": 3},
        {"data": np.zeros((3, 2), np.float32)},
        {"networks": DCGAN},
        {"networks": 3},
        {"objective": wgan.wasserstein},
        {"critic_optimizer": "adam"},
    ],
)
def test_impossible_values(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Run(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"stepz": 3}, "did you mean 'steps'"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 3, "epochs": 1.0}, "either steps or epochs"),
        ({"seed": "one"}, "of type int"),
        ({"conditional": 1}, "of type bool"),
        ({"ema": "high"}, "of type float"),
        ({"epochs": 10**400}, "epochs is inf"),
        ({"objective": "wasserstein + nothing"}, "unknown part"),
    ],
)
def test_impossible_fields(fields: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        from_fields(fields)


def test_a_path_is_kept_whole() -> None:
    assert to_fields(Run(data=Path("some/photos")))["data"] == "some/photos"


def test_naming_epochs_lets_go_of_the_presets_steps() -> None:
    assert wgan.preset("wgan-gp", epochs=2).resolved(load("digits")).steps == math.ceil(2 * 1797 / 64 / 5)
    assert wgan.preset("wgan-gp", steps=7).resolved(load("digits")).steps == 7


@given(
    count=st.integers(64, 5000),
    epochs=st.fractions(Fraction(1, 10), 20, max_denominator=5000),
    n_critic=st.integers(1, 7),
)
def test_epochs_are_the_least_steps_that_show_so_many_images(count: int, epochs: Fraction, n_critic: int) -> None:
    run = Run(epochs=float(epochs), n_critic=n_critic).resolved(images(count))
    wanted = math.ceil(epochs * count / 64)
    assert run.steps * n_critic >= wanted
    assert run.steps == 1 or (run.steps - 1) * n_critic < wanted


@given(count=st.integers(64, 3000), epochs=st.integers(1, 300))
def test_epochs_with_warm_up(count: int, epochs: int) -> None:
    run = wgan.preset("wgan-code", epochs=float(epochs)).resolved(images(count))
    seen = np.cumsum([run.n_critic_at(step) for step in range(run.steps)])
    wanted = math.ceil(epochs * count / 64)
    assert seen[-1] >= wanted
    assert len(seen) == 1 or seen[-2] < wanted


@given(
    epochs=st.fractions(Fraction(1, 100), 30, max_denominator=5000),
    warmup=st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 12)),
    n_critic=st.integers(1, 9),
)
def test_epochs_with_any_warm_up(epochs: Fraction, warmup: tuple[int, int, int], n_critic: int) -> None:
    named = dict(zip(("warmup_n_critic", "warmup_steps", "warmup_every"), warmup, strict=True))
    run = Run(epochs=float(epochs), n_critic=n_critic, batch_size=10, **named).resolved(images(100))
    wanted, step, seen = math.ceil(epochs * 10), 0, 0
    while seen < wanted:
        seen, step = seen + run.n_critic_at(step), step + 1
    assert run.steps == step


def test_epochs_are_exact_and_quick_for_any_number() -> None:
    # 0.07 * 100 is 7.000000000000001 in binary
    assert Run(epochs=0.07, n_critic=1, batch_size=1).resolved(images(100)).steps == 7
    assert wgan.preset("wgan-code", epochs=1e300).resolved(images()).steps > 10**298


def test_the_authors_warm_up() -> None:
    run = wgan.preset("wgan-code")
    assert [run.n_critic_at(step) for step in (0, 24, 25, 499, 500, 501, 1000)] == [100, 100, 5, 5, 100, 5, 100]
    assert {Run().n_critic_at(step) for step in range(600)} == {5}


def test_networks_follow_the_data_and_the_objective() -> None:
    assert Run().resolved(images()).networks == DCGAN()
    assert wgan.preset("wgan-gp").resolved(images()).networks == DCGAN(critic_norm="none")
    assert wgan.preset("wgan-gp", allow_critic_batch_norm=True).resolved(images()).networks == DCGAN()
    assert Run(steps=1).resolved(load("8gaussians")).networks == PointNetworks()
    for bounded in ("orthonormal", "spectral_norm"):
        run = wgan.preset("wgan", objective=f"wasserstein + {bounded}")
        assert run.resolved(images()).networks == DCGAN(critic_norm="none")
    mine = DCGAN(filters=8)
    assert Run(networks=mine).resolved(images()).networks is mine


def test_batch_norm_in_a_penalised_critic_is_refused_unless_named() -> None:
    data = images(size=16)
    run = wgan.preset("wgan-gp", networks="dcgan(filters=4)").resolved(data)
    with pytest.raises(UserError, match="allow-critic-batch-norm"):
        start(run, data, torch.device("cpu"))
    allowed = dataclasses.replace(run, allow_critic_batch_norm=True)
    assert start(allowed, data, torch.device("cpu")).step == 0


@pytest.mark.parametrize(
    ("run", "data", "told"),
    [
        (Run(batch_size=200), images(100), "larger than data"),
        (Run(conditional=True), images(), "no labels"),
        (Run(), load("8gaussians"), "--steps"),
        (Run(batch_size=6), Points("few", np.zeros((5, 2), np.float32)), "larger than data"),
    ],
)
def test_what_the_data_refuse(run: Run, data: wgan.data.Data, told: str) -> None:
    with pytest.raises(UserError, match=told):
        run.resolved(data)


def test_with_lr_keeps_the_other_constants() -> None:
    run = with_lr(wgan.preset("ttur"), critic=1e-3)
    assert run.critic_optimizer == wgan.Adam(1e-3, 0.0, 0.9)
    assert run.generator_optimizer == wgan.Adam(1e-4, 0.0, 0.9)


def test_lr_decays_linearly_to_zero() -> None:
    run = Run(lr_decay="linear", steps=10)
    assert [run.lr_at(step, 2.0) for step in (0, 5, 9)] == pytest.approx([2.0, 1.0, 0.2])
    assert Run(steps=10).lr_at(9, 2.0) == 2.0


def test_ema_ramps_up() -> None:
    run = Run(ema=0.99)
    assert run.ema_at(0) == pytest.approx(0.1)
    assert run.ema_at(10_000) == 0.99
    assert all(run.ema_at(step) <= run.ema_at(step + 1) for step in range(2000))


def test_precision_auto_is_of_the_machine_and_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    for found in ("bf16", "fp32"):
        monkeypatch.setattr("wgan.run.quickest_precision", lambda device, found=found: found)
        assert Run(steps=1).resolved(images(), cpu).precision == found
        assert Run(steps=1, precision="fp32").resolved(images(), cpu).precision == "fp32"
        points, run = load("8gaussians"), Run(data="8gaussians", steps=1)
        assert run.resolved(points, cpu).precision == found
        assert dataclasses.replace(run, networks=PointNetworks(256)).resolved(points, cpu).precision == found
        assert dataclasses.replace(run, networks=PointNetworks(255)).resolved(points, cpu).precision == "fp32"
        assert (
            dataclasses.replace(run, networks=lambda *told: PointNetworks()(*told)).resolved(points, cpu).precision
            == "fp32"
        )
        assert run.resolved(points, torch.device("cuda")).precision == "fp32"
        assert Run(steps=1).resolved(images()).precision == "auto"


def test_the_quicker_precision_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for fp32, wanted in ((3.0, "bf16"), (1.1, "fp32")):
        quickest_precision.cache_clear()
        times = {torch.float32: fp32, torch.bfloat16: 1.0}
        monkeypatch.setattr("wgan.devices._seconds", lambda dtype, times=times: times[dtype])
        assert quickest_precision(cpu) == wanted
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    quickest_precision.cache_clear()
    monkeypatch.setattr("wgan.devices._seconds", lambda dtype: pytest.fail("measured what is not there"))
    assert quickest_precision(cpu) == "fp32"
    quickest_precision.cache_clear()
