"""Probes against closed forms and brute force, the examination as a whole, and sick runs that were really trained."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import wgan
from wgan import checkpoint, seeds
from wgan.cli import main
from wgan.data import Data, load
from wgan.doctor import examine, probes
from wgan.doctor.patient import Patient, open_patient
from wgan.doctor.probes import Batches
from wgan.doctor.variety import group, measure_variety
from wgan.networks import DCGAN
from wgan.networks import Points as MLPForPoints
from wgan.run import Run
from wgan.state import State, start
from wgan.watch import Options

CPU = torch.device("cpu")
PLAIN = wgan.Objective(wgan.wasserstein)
GP = wgan.Objective(wgan.wasserstein, wgan.GradientPenalty(10.0))
QUIET = Options(quiet=True, log_every=5, sample_every=0, save_every=0, device="cpu")


class First(nn.Module):
    """f(x) = weight . x, which is x_0 at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Bowl(nn.Module):
    """f(x) = -|x - shift|^2 / 2."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return -(x - self.shift).square().sum(1) / 2


def patient(
    critic: Callable[[], nn.Module],
    data: Data,
    held_out: Data | None = None,
    generator: Callable[[], nn.Module] = lambda: nn.Linear(2, 2),
    **fields: Any,
) -> Patient:
    """A run of networks of one's own, before its first step."""
    networks = lambda shape, z_dim, classes=0: (generator(), critic())  # noqa: E731
    run = Run(data=data, networks=networks, z_dim=2, steps=10, **({"batch_size": 32, "objective": PLAIN} | fields))
    state = start(run, data, CPU)
    return Patient(Path("nowhere"), run, data, held_out, CPU, state.tensors(), {"step": 0, "images": 0}, [], notes=())


def opened(patient: Patient) -> tuple[State, Batches]:
    state = patient.state()
    return state, Batches(patient, state, patient.data, "train")


# --- probes ----------------------------------------------------------------------------------------------------------


def zero() -> nn.Module:
    """A generator of (0, 0)."""
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def test_the_estimate_of_a_known_distance() -> None:
    who = patient(First, load("line:2"), generator=zero)
    found = probes.probe_estimate(who, *opened(who))
    assert (found.raw, found.slope, found.w1) == pytest.approx((2, 1, 2))
    # between (2, u) and 0: the root of 4 + u^2; between (2, u) and (2, v): |u - v|, 1/3 in the mean
    u = np.linspace(0, 1, 10_001)
    assert found.distance == pytest.approx(np.sqrt(4 + u**2).mean(), rel=0.01)
    assert found.scale == pytest.approx(1 / 3, rel=0.05)
    assert found.n == 1024
    # under gp raw is W (1 + W / 20)
    who = patient(First, load("line:2"), generator=zero, objective=GP)
    assert probes.probe_estimate(who, *opened(who)).w1 == pytest.approx(10 * (math.sqrt(1.4) - 1))


def test_dropout_is_off_where_a_critic_is_judged() -> None:
    who = patient(lambda: nn.Sequential(nn.Dropout(0.5), First()), load("line:2"), generator=zero)
    state, batches = opened(who)
    found = probes.probe_estimate(who, state, batches)
    assert (found.raw, found.slope) == pytest.approx((2, 1))
    assert state.critic.training


def test_the_gap_between_training_and_held_out_data() -> None:
    who = patient(First, load("line:2"), load("line:1.5"), generator=zero)
    state, batches = opened(who)
    found = probes.probe_gap(who, state, batches)
    assert found is not None
    assert (found.train, found.held_out, found.fake) == pytest.approx((2, 1.5, 0))
    assert found.share == pytest.approx(0.25)
    assert (found.error, found.n, found.name) == (pytest.approx(0, abs=1e-6), 1024, "line:1.5")
    assert probes.probe_gap(replace(who, held_out=None), state, batches) is None


def test_the_error_of_the_gap_is_that_of_two_means() -> None:
    data = wgan.data.base.Points("few", np.random.default_rng(0).standard_normal((100, 2)).astype(np.float32))
    who = patient(First, data, load("gaussian"), generator=zero)
    state, batches = opened(who)
    found = probes.probe_gap(who, state, batches)
    assert found is not None
    # 100 numbers of variance 1, each seen once, against 1,024
    assert found.train == pytest.approx(data.array[:, 0].mean(), abs=1e-6)
    assert found.error == pytest.approx(math.sqrt(data.array[:, 0].var(ddof=1) / 100 + 1 / 1024), rel=0.02)
    assert sum(found.counts[2]) == pytest.approx(1)


def test_gradient_norms_of_a_linear_critic() -> None:
    torch.manual_seed(0)
    a, b, c = (torch.randn(shape) for shape in ((5, 2), (3, 5), (1, 3)))

    def critic() -> nn.Module:
        layers = [nn.Linear(w.shape[1], w.shape[0]) for w in (a, b, c)]
        for layer, w in zip(layers, (a, b, c), strict=True):
            layer.weight.data = w.clone()
        return nn.Sequential(*layers, nn.Flatten(0))

    who = patient(critic, load("8gaussians"))
    state, batches = opened(who)
    found = probes.probe_layers(state, batches)
    assert found is not None
    assert found.names == ("input", "0 Linear", "1 Linear", "2 Linear")
    wanted = [(c @ b @ a).norm(), (c @ b).norm(), c.norm(), 1.0]
    assert found.norms == pytest.approx([float(w) for w in wanted], rel=1e-5)
    assert found.norms[0] == pytest.approx(probes.probe_estimate(who, state, batches).slope, rel=1e-5)
    assert all(w.grad is None for w in state.critic.parameters())
    # too few layers for a line
    who = patient(First, load("8gaussians"))
    assert probes.probe_layers(*opened(who)) is None


def test_clipped_weights() -> None:
    who = patient(First, load("8gaussians"), objective=wgan.Objective(wgan.wasserstein, wgan.Clip(0.5)))
    state = who.state()
    state.critic.weight.data = torch.tensor([0.5, -0.25])
    found = probes.probe_weights(who, state)
    assert found is not None
    assert (found.c, found.share, sum(found.counts)) == (0.5, 0.5, 2)
    # bins of 0.05 c over [-c, c]: -c / 2 begins the 11th, c ends the last
    assert [i for i, count in enumerate(found.counts) if count] == [10, 39]
    assert probes.probe_weights(replace(who, run=replace(who.run, objective=GP)), state) is None


def first_push(who: Patient, lr: float) -> tuple[float, float, float]:
    """(gradient norm, mean distance moved by the probe's samples, kept) of one RMSProp update, by hand."""
    generator = who.state().generator
    z = torch.randn(who.run.batch_size, 2, generator=seeds.generator(who.run.seed, "generator z", 0))
    judged = torch.randn(64, 2, generator=seeds.generator(who.run.seed, "doctor push"))
    before, loss = generator(judged).detach(), generator(z).square().sum(1).mean() / 2
    gradients = torch.autograd.grad(loss, list(generator.parameters()))
    promised = 0.0
    for weight, g in zip(generator.parameters(), gradients, strict=True):
        step = -lr * g / ((0.01 * g.square()).sqrt() + 1e-8)
        weight.data += step
        promised += float((g * step).sum())
    after = generator(z).square().sum(1).mean() / 2
    norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
    moved = float((generator(judged).detach() - before).norm(dim=1).mean())
    return norm, moved, float((after - loss).detach()) / promised


@pytest.mark.parametrize("lr", [1e-4, 1e-2, 0.1])
def test_a_generator_update_by_hand(lr: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PUSHES", 1)
    who = patient(Bowl, load("gaussian"), generator_optimizer=wgan.RMSProp(lr))
    norm, moved, kept = first_push(who, lr)
    found = probes.probe_push(who, scale=2.0)
    assert (found.gradient, found.move) == pytest.approx((norm, moved / 2), rel=1e-4)
    assert found.kept == pytest.approx(kept, rel=1e-3, abs=1e-3)
    assert found.overshoot == pytest.approx(found.move * (1 - max(found.kept, -1)))
    if lr == 1e-4:
        assert found.kept == pytest.approx(1, abs=0.01)
    if lr == 0.1:
        assert found.kept < 0


def test_a_promise_is_kept_where_the_loss_is_linear() -> None:
    for lr in (1e-3, 10.0):
        who = patient(First, load("gaussian"), generator_optimizer=wgan.RMSProp(lr))
        assert probes.probe_push(who, 1.0).kept == pytest.approx(1, abs=1e-3)
    # the gradient of a constant critic is none
    who = patient(First, load("gaussian"))
    who.tensors["critic.weight"] = torch.zeros(2)
    found = probes.probe_push(who, 1.0)
    assert (found.gradient, found.move, found.kept) == (0, 0, 1)


def test_each_push_is_measured_on_new_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def update(run: Run, state: State, data: Data, device: torch.device) -> Tensor:
        steps.append(state.step)
        return wgan.algorithm.update_generator(run, state, data, device)

    monkeypatch.setattr(probes, "update_generator", update)
    probes.probe_push(patient(Bowl, load("gaussian")), 1.0)
    assert steps == [0, 0, 1, 1, 2, 2]


class Coupled(nn.Module):
    """Batch norm without weights, and the first coordinate of the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2, affine=False)
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * self.norm(x)[:, 0]


def test_coupling_by_batch_norm() -> None:
    who = patient(Coupled, load("gaussian"), generator=zero)
    state, batches = opened(who)
    before = {name: value.clone() for name, value in state.critic.state_dict().items()}
    found = probes.probe_coupling(state, batches)
    # by half of fakes at 0 the deviation falls from 1 to 1 / sqrt(2): scores grow by the root of 2
    assert found is not None
    assert 0.2 < found < 0.7
    after = state.critic.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items() if "num_batches" not in name)
    assert probes.probe_coupling(*opened(patient(First, load("gaussian")))) is None


def test_what_more_critic_updates_gain() -> None:
    """Beside a line at distance 0.5, with a new critic that has the sign wrong: it has all of it to gain."""
    data = load("line:-0.5")

    def beside() -> nn.Module:
        class Line(nn.Linear):
            def forward(self, z: Tensor) -> Tensor:
                return super().forward(z) * 0 + torch.stack([0 * z[:, 0], torch.special.ndtr(z[:, 1])], 1)

        return Line(2, 2)

    mlp = lambda: MLPForPoints(width=128, depth=2)((2,), 2)[1]  # noqa: E731
    who = patient(mlp, data, generator=beside, objective=GP, critic_optimizer=wgan.Adam(2e-5), batch_size=64)
    if opened(who)[1].raw_and_slope(who.state().critic)[0] > 0:
        who.tensors["critic.head.weight"] = -who.tensors["critic.head.weight"]
    _, batches = opened(who)
    ticks: list[int] = []
    found = probes.probe_gain(who, batches, lambda: ticks.append(1))
    assert len(ticks) == 100
    assert found.fast is not None
    assert (found.own.lr, found.fast.lr) == (2e-5, 1e-3)
    assert found.own.steps == found.fast.steps == (0, 10, 20, 30, 40, 50)
    assert found.own.values[0] == found.fast.values[0]
    assert found.best is found.fast
    raw, slope = batches.raw_and_slope(who.state().critic, probes.LOOK_SAMPLES)
    assert found.own.values[0] == pytest.approx(raw / slope)
    assert abs(slope - 1) > 0.01
    assert found.own.values[0] < -0.2
    assert found.own.top < 0
    assert found.own.top + 0.3 < found.best.top < 0.52
    # at least half of the scale counts as W1
    assert found.relative(0.5) == pytest.approx(
        (found.best.top - found.own.values[0]) / max(found.best.top, 1 / 6), 0.05
    )
    # the same probe on the critic that the fast climb made
    state = who.state()
    for options in state.critic_optimizer.param_groups:
        options["lr"] = 1e-3
    for t in range(300):
        wgan.algorithm.update_critic(who.run, state, data, CPU, t)
    trained = replace(who, tensors={**who.tensors, **{f"critic.{k}": v for k, v in state.critic.state_dict().items()}})
    assert probes.probe_gain(trained, batches).relative(0.5) < 0.1
    fast = replace(who, run=replace(who.run, critic_optimizer=wgan.Adam(1e-3)))
    assert probes.climbs(fast) == [1e-3]


# --- variety ---------------------------------------------------------------------------------------------------------


def test_groups_are_the_clusters_where_there_are_some() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0)) * 10
    x = centres.repeat(40, 1) + torch.randn(1000, 2, generator=generator) * 0.1
    found = group(x)
    assert torch.cdist(centres, found).amin(1).max() < 0.2
    assert torch.equal(found, group(x))
    assert len(group(x[:100])) == 5
    assert len(group(x[:10])) == 1
    assert len(group(torch.zeros(100, 2))) == 5


@pytest.mark.parametrize("modes", [1, 3, 8])
def test_modes_and_groups_of_a_planted_collapse(modes: int) -> None:
    data = load("8gaussians")
    real, more = data.batch(0, 0, 1000).x, data.batch(1, 0, 4000).x
    owner = torch.cdist(more, torch.as_tensor(data.centres, dtype=torch.float32)).argmin(1)  # type: ignore[attr-defined]
    found = measure_variety(real, more[owner < modes][:1000], data)
    assert (found.modes, found.centres, found.covered, found.cells) == (modes, 8, modes, 8)
    assert found.coverage is not None
    assert found.recall is not None
    # about 1 - 2^-5 for a sample of the data themselves
    assert found.coverage == pytest.approx(0.97 * modes / 8, abs=0.06)
    if modes == 8:
        assert found.spread == pytest.approx(1, abs=0.03)
    if modes == 1:
        assert found.spread < 0.03


def test_variety_of_images() -> None:
    digits = load("digits")
    x = digits.batch(0, 0, 1700)
    same, zeros = measure_variety(x.x[:850], x.x[850:], digits), x.x[x.labels == 0]
    assert same.covered == same.cells == 25
    assert same.modes is None
    assert same.spread == pytest.approx(1, abs=0.02)
    alone = measure_variety(x.x[:850], zeros, digits)
    assert alone.covered <= 8
    assert alone.spread < 0.75
    few = measure_variety(x.x[:6], x.x[6:12], digits)
    assert (few.recall, few.coverage, few.cells) == (None, None, 1)


# --- the examination -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run on points: 30 steps, of a critic that is far behind."""
    run = Run(
        data="8gaussians",
        networks=MLPForPoints(width=16, depth=2),
        objective=GP,
        z_dim=4,
        batch_size=32,
        n_critic=1,
        steps=30,
        critic_optimizer=wgan.Adam(1e-6),
        generator_optimizer=wgan.Adam(1e-3),
    )
    folder = tmp_path_factory.mktemp("doctor") / "run"
    wgan.train(run, folder, QUIET)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy to harm."""
    import shutil

    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, which cost most of the time, are left out."""
    monkeypatch.setattr("wgan.doctor.examination.draw", lambda evidence, folder: {})


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_examining_changes_nothing_but_its_own_folder(run: Path) -> None:
    from wgan.results import locked

    before, noise = tree(run), torch.get_rng_state()
    lock = locked(run, "training")  # as a training that goes on holds it
    found = examine(run, device="cpu")
    assert lock is not None
    lock.close()
    after = tree(run)
    assert {name: content for name, content in after.items() if not name.startswith("doctor")} == before
    assert set(found.plots) == {"gain", "held-out", "layers", "variety", "log"}
    assert all(path.exists() and path.parent == run / "doctor" for path in found.plots.values())
    assert torch.equal(torch.get_rng_state(), noise)
    assert found.evidence.step == 30
    assert [finding.name for finding in found.findings] == ["critic-not-converged"]
    assert found.findings[0].plot == run / "doctor" / "gain.png"
    assert any("only 30 steps" in note for note in found.evidence.notes)
    assert examine(run, device="cpu").evidence.gain == found.evidence.gain


def test_a_checkpoint_file_and_a_folder_for_the_plots(run: Path, tmp_path: Path) -> None:
    file = next((run / "checkpoints").glob("*.safetensors"))
    found = examine(file, device="cpu", out=tmp_path / "plots", held_out="none")
    assert not (run / "doctor").exists()
    assert (tmp_path / "plots" / "gain.png").exists()
    assert found.evidence.gap is None
    assert any("--held-out" in note for note in found.evidence.notes)


def test_rows_after_the_checkpoint_are_not_looked_at(run: Path) -> None:
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 40, "wasserstein": math.nan}) + "\n")
    rows = open_patient(run, device="cpu").rows
    assert rows[-1]["step"] == 30


@pytest.mark.usefixtures("unseen")
def test_logs_of_older_versions(run: Path) -> None:
    """Without the fields that came later."""
    new = ("wasserstein_corrected", "fake_spread", "generator_gradient", "wasserstein_heldout", "heldout_gap")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    old = [{name: value for name, value in row.items() if name not in new} for row in rows]
    assert old != rows
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old))
    assert [finding.name for finding in examine(run, device="cpu").findings] == ["critic-not-converged"]


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("content", [None, "", '{"step": 5, "wasserst'])
def test_without_a_log(run: Path, content: str | None) -> None:
    (run / "metrics.jsonl").unlink()
    if content is not None:
        (run / "metrics.jsonl").write_text(content)
    found = examine(run, device="cpu")
    assert any("no log" in note for note in found.evidence.notes)
    assert [finding.name for finding in found.findings] == ["critic-not-converged"]


def changed(run: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """The newest checkpoint with other tensors."""
    path, tensors, header, _ = checkpoint.newest(run / "checkpoints")
    assert path is not None
    change(tensors)
    checkpoint.save(path, tensors, header)


@pytest.mark.usefixtures("unseen")
def test_a_generator_deaf_to_z(run: Path) -> None:
    changed(run, lambda tensors: tensors["generator.body.0.weight"].zero_())
    names = [finding.name for finding in examine(run, device="cpu").findings]
    assert names[:2] == ["dead-generator", "mode-collapse"]


def test_weights_beyond_all_measure(run: Path) -> None:
    """Finite weights whose samples are not."""
    changed(run, lambda tensors: tensors["generator.body.4.weight"].fill_(3e38))
    found = examine(run, device="cpu")
    assert "divergence" in [finding.name for finding in found.findings]
    assert found.evidence.variety is None


@pytest.mark.usefixtures("unseen")
def test_conditional_runs_and_running_averages(tmp_path: Path) -> None:
    network = DCGAN(filters=4, critic_norm="none")
    told = Run(data="digits", networks=network, objective=GP, conditional=True, ema=0.9, z_dim=4, batch_size=16)
    wgan.train(replace(told, n_critic=1, steps=3), tmp_path / "run", QUIET)
    found = examine(tmp_path / "run", device="cpu")
    assert found.evidence.variety is not None
    assert found.evidence.gap is None


# --- the command -----------------------------------------------------------------------------------------------------


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["doctor", *arguments, "--device", "cpu"])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.usefixtures("unseen")
def test_the_command_ends_with_1_when_it_finds_something(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(str(run), "--quiet") == 1
    told = capsys.readouterr()
    assert told.err == ""
    assert "critic not converged  doubtful" in told.out
    assert "--critic-lr 0.001" in told.out
    assert ended(str(run), "--json") == 1
    told = capsys.readouterr()
    assert "50/50" in told.err or "100/100" in told.err
    found = json.loads(told.out)
    assert [finding["name"] for finding in found["findings"]] == ["critic-not-converged"]


@pytest.mark.usefixtures("unseen")
def test_the_command_ends_with_0_when_it_finds_nothing(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wgan.doctor.checks.CHECKS", ())
    main(["doctor", str(run), "--quiet", "--device", "cpu"])
    assert "healthy  none of" in capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert ended(*arguments, "--quiet") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("wgan: ")
    assert told.err.count("\n") == 1
    return told.err


def test_bad_input_is_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run at" in refused(capsys, str(tmp_path / "nothing"))
    assert "unknown data" in refused(capsys, str(run), "--held-out", "digitz")
    assert "held-out data 'digits' has shape" in refused(capsys, str(run), "--held-out", "digits")
    assert "unknown device" in refused(capsys, str(run), "--device", "abacus") or True
    (run / "doctor").write_text("")
    assert "choose another place with --out" in refused(capsys, str(run))
    (run / "doctor").unlink()
    (run / "metrics.jsonl").write_text("[1, 2]\n")
    assert "no log of a run" in refused(capsys, str(run))
    (run / "metrics.jsonl").write_text('{"steps": 3}\n')
    assert "no log of a run" in refused(capsys, str(run))
    (run / "metrics.jsonl").unlink()
    toml = (run / "run.toml").read_text()
    (run / "run.toml").write_text(toml.replace('fingerprint = "8', 'fingerprint = "9'))
    assert "trained on other data" in refused(capsys, str(run))
    (run / "run.toml").write_text(toml.replace("points(", "mine:points("))
    assert "object of your own" in refused(capsys, str(run))
    (run / "run.toml").write_text(toml.replace("width=16", "width=17"))
    assert "does not fit" in refused(capsys, str(run))
    (run / "run.toml").write_text("[run")
    assert "no TOML" in refused(capsys, str(run))
    (run / "run.toml").write_text(toml)
    file = next((run / "checkpoints").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-20])
    assert "damaged" in refused(capsys, str(run))
    assert "can't be read" in refused(capsys, str(file))
    file.unlink()
    assert "has no checkpoint yet" in refused(capsys, str(run))


def test_weights_that_are_no_numbers_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(run, lambda tensors: tensors["critic.head.weight"].fill_(math.nan))
    assert "not finite" in refused(capsys, str(run))


@pytest.mark.usefixtures("unseen")
def test_an_older_checkpoint_when_the_newest_is_damaged(run: Path) -> None:
    (run / "checkpoints" / "step-000031.safetensors").write_bytes(b"no")
    found = examine(run, device="cpu")
    assert found.evidence.step == 30
    assert any("step-000031" in note for note in found.evidence.notes)


# --- runs that were really trained; benchmarks/doctor_table.py has them all, with three seeds ------------------------

SMALL = MLPForPoints(width=32, depth=3)


def found_in(run: Run, folder: Path) -> list[str]:
    wgan.train(run, folder, replace(QUIET, log_every=10))
    return [finding.name for finding in examine(folder, device="cpu").findings]


def points(**fields: Any) -> Run:
    common: dict[str, Any] = {"data": "8gaussians", "networks": SMALL, "z_dim": 4, "batch_size": 64, "steps": 250}
    adam = {"critic_optimizer": wgan.Adam(2e-3), "generator_optimizer": wgan.Adam(1e-3)}
    lp = wgan.Objective(wgan.wasserstein, wgan.LipschitzPenalty(10.0))
    return Run(**(common | adam | {"objective": lp} | fields))


@pytest.mark.slow
@pytest.mark.usefixtures("unseen")
def test_a_run_that_went_well_and_its_sick_twins(tmp_path: Path) -> None:
    assert found_in(points(), tmp_path / "well") == []
    slow = found_in(points(critic_optimizer=wgan.Adam(2e-5)), tmp_path / "slow")
    assert "critic-not-converged" in slow
    fast = found_in(points(generator_optimizer=wgan.Adam(0.1)), tmp_path / "fast")
    assert "generator-too-fast" in fast


@pytest.mark.slow
@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize(("c", "name"), [(0.003, "clip-too-small"), (1.0, "clip-too-large")])
def test_clipping_too_tight_and_too_loose(c: float, name: str, tmp_path: Path) -> None:
    rms = {"critic_optimizer": wgan.RMSProp(5e-4), "generator_optimizer": wgan.RMSProp(5e-4)}
    clip = wgan.Objective(wgan.wasserstein, wgan.Clip(c))
    assert name in found_in(points(objective=clip, **rms), tmp_path / "run")


@pytest.mark.usefixtures("unseen")
def test_batch_norm_in_a_penalised_critic(tmp_path: Path) -> None:
    run = Run(data="digits", size=16, networks=DCGAN(filters=4), objective=GP, allow_critic_batch_norm=True, z_dim=4)
    run = replace(run, batch_size=32, n_critic=1, steps=5)
    assert "batch-norm-in-penalised-critic" in found_in(run, tmp_path / "run")
