"""Pairings, penalties, clipping, Objective: against closed forms, naive formulas and finite differences, in float64."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from wgan.errors import UserError
from wgan.objectives import (
    CONSTRAINTS,
    PAIRINGS,
    R1,
    R2,
    Clip,
    Consistency,
    Constraint,
    Critic,
    Divergence,
    Dragan,
    Draw,
    Drift,
    GradientPenalty,
    LipschitzPenalty,
    Objective,
    OneSidedPenalty,
    gradient_norms,
    hinge,
    interpolate,
    jensen_shannon,
    logistic,
    minimax,
    relativistic,
    slope,
    wasserstein,
)

SHAPES = [(7, 3), (7, 1), (4, 9), (3, 2, 5, 4), (2, 2, 3, 4, 5)]
GRADIENT_PENALTIES = [GradientPenalty(), LipschitzPenalty(), OneSidedPenalty(), Dragan(), R1(), R2(), Divergence()]


@dataclasses.dataclass
class SeededDraw:
    """float32 numbers as a training loop draws them; remembers them, so that a test can compute with the same."""

    seed: int = 0

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        self.drawn: list[Tensor] = []

    def spread(self, real: Tensor) -> Tensor:
        return real.std(correction=0)

    def uniform(self, *shape: int) -> Tensor:
        self.drawn.append(torch.rand(*shape, generator=self.generator))
        return self.drawn[-1]

    def normal(self, *shape: int) -> Tensor:
        self.drawn.append(torch.randn(*shape, generator=self.generator))
        return self.drawn[-1]


def batch(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(2, *shape, generator=generator, dtype=torch.float64).to(dtype)
    return real, fake


def linear(a: Tensor) -> Critic:
    """f(x) = a.x: |grad f| = |a| everywhere."""
    return lambda x: (x * a).flatten(1).sum(1)


def quadratic(x: Tensor) -> Tensor:
    """f(x) = |x|^2 / 2: |grad f(x)| = |x|."""
    return x.square().flatten(1).sum(1) / 2


def norm(x: Tensor) -> Tensor:
    """f(x) = |x|: |grad f| = 1 off the origin."""
    return x.flatten(1).norm(dim=1)


def smooth_mlp(inputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()


# What each penalty is for gradient norms g [n]
FORMULAS: list[tuple[Constraint, Callable[[Tensor], Tensor]]] = [
    (GradientPenalty(), lambda g: 10 * ((g - 1) ** 2).mean()),
    (GradientPenalty(3.0, 2.5), lambda g: 3 / 2.5**2 * ((g - 2.5) ** 2).mean()),
    (LipschitzPenalty(), lambda g: 10 * ((g - 1).clamp(min=0) ** 2).mean()),
    (OneSidedPenalty(), lambda g: 5 * (g - 1).clamp(min=0).mean()),
    (Dragan(4.0), lambda g: 4 * ((g - 1) ** 2).mean()),
    (R1(), lambda g: 5 * (g**2).mean()),
    (R2(3.0), lambda g: 1.5 * (g**2).mean()),
    (Divergence(), lambda g: 2 * (g**6).mean()),
    (Divergence(0.5, 3.0), lambda g: 0.5 * (g**3).mean()),
]


def points_seen(constraint: Constraint, real: Tensor, fake: Tensor, drawn: list[Tensor]) -> Tensor:
    """Where the penalty takes its gradients, computed anew from the numbers that it drew."""
    if isinstance(constraint, R1 | R2):
        return real if isinstance(constraint, R1) else fake
    if isinstance(constraint, Dragan):
        std = ((real - real.mean()) ** 2).mean().sqrt()
        return real + drawn[0] * constraint.noise * std * drawn[1]
    return drawn[0] * real + (1 - drawn[0]) * fake


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("constraint", "formula"), FORMULAS, ids=[repr(c) for c, _ in FORMULAS])
def test_penalty_equals_its_closed_form(constraint: Constraint, formula, shape: tuple[int, ...]) -> None:
    real, fake = batch(*shape)
    for size in (0.3, 1.0, 4.0):
        a = torch.ones(shape[1:], dtype=torch.float64)
        a = a * size / a.norm()
        penalty = constraint.penalty(linear(a), real, fake, SeededDraw())
        assert penalty.shape == ()
        torch.testing.assert_close(penalty, formula(torch.full(shape[:1], size, dtype=torch.float64)))
    draw = SeededDraw(1)
    penalty = constraint.penalty(quadratic, real, fake, draw)
    radii = points_seen(constraint, real, fake, draw.drawn).flatten(1).norm(dim=1)
    torch.testing.assert_close(penalty, formula(radii))
    at_one = constraint.penalty(norm, real, fake, SeededDraw())
    torch.testing.assert_close(at_one, formula(torch.ones(shape[0], dtype=torch.float64)), atol=1e-12, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 1000),
    index=st.integers(0, len(FORMULAS) - 1),
)
def test_penalty_holds_for_any_shape_and_scale(shape: list[int], scale: float, seed: int, index: int) -> None:
    constraint, formula = FORMULAS[index]
    real, fake = (x * scale for x in batch(*shape, seed=seed))
    draw = SeededDraw(seed)
    penalty = constraint.penalty(quadratic, real, fake, draw)
    radii = points_seen(constraint, real, fake, draw.drawn).flatten(1).norm(dim=1)
    torch.testing.assert_close(penalty, formula(radii), rtol=1e-9, atol=0)


def test_one_eps_for_each_sample() -> None:
    draw = SeededDraw()
    x = interpolate(torch.ones(6, 2, 3, dtype=torch.float64), torch.zeros(6, 2, 3, dtype=torch.float64), draw)
    assert draw.drawn[0].shape == (6, 1, 1)
    torch.testing.assert_close(x, draw.drawn[0].double().expand_as(x))  # eps multiplies real
    assert x[:, 0, 0].unique().numel() == 6


def test_dragan_perturbs_real_data_upwards_only() -> None:
    real, _ = batch(50, 4)
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x)
        return x.sum(1)

    Dragan(noise=0.5).penalty(critic, real, real + 100, SeededDraw())
    moved = (seen[0] - real).detach()
    assert moved.min() >= 0
    assert moved.max() <= 0.5 * real.std()
    assert moved.max() > 0.3 * real.std()


@pytest.mark.parametrize("constraint", [*GRADIENT_PENALTIES, Drift(0.5)], ids=repr)
def test_weight_gradients_agree_with_finite_differences(constraint: Constraint) -> None:
    critic, (real, fake) = smooth_mlp(), batch(6, 3)
    with torch.no_grad():
        for w in critic.parameters():
            w.mul_(4)  # slopes on both sides of 1, so that the one-sided penalties are alive
    constraint.penalty(critic, real, fake, SeededDraw()).backward()
    step, largest = 1e-6, 0.0
    for w in critic.parameters():
        flat = w.data.view(-1)
        gradient = torch.zeros_like(w) if w.grad is None else w.grad
        for i in range(flat.numel()):
            kept = flat[i].item()
            values = []
            for shifted in (kept + step, kept - step):
                flat[i] = shifted
                values.append(constraint.penalty(critic, real, fake, SeededDraw()).item())
            flat[i] = kept
            numeric = (values[0] - values[1]) / (2 * step)
            assert gradient.view(-1)[i].item() == pytest.approx(numeric, rel=1e-5, abs=1e-5)
            largest = max(largest, abs(numeric))
    assert largest > 1e-3


@pytest.mark.parametrize("constraint", GRADIENT_PENALTIES, ids=repr)
def test_zero_gradients_give_no_nan(constraint: Constraint) -> None:
    real = torch.zeros(4, 3)
    scale = torch.zeros((), requires_grad=True)  # f(x) = scale |x|^2 / 2 has gradient 0 for two reasons
    penalty = constraint.penalty(lambda x: scale * quadratic(x), real, real, SeededDraw())
    (first,) = torch.autograd.grad(penalty, scale, create_graph=True)
    assert penalty.isfinite()
    assert first.isfinite()


def test_gradient_norms_can_be_differentiated_twice_at_zero() -> None:
    a = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    norms = gradient_norms(lambda x: (x * a).sum(1), torch.ones(2, 2, dtype=torch.float64))
    torch.testing.assert_close(norms, torch.tensor([0.0, 5.0], dtype=torch.float64))
    (first,) = torch.autograd.grad(norms.sum(), a, create_graph=True)
    torch.testing.assert_close(first, torch.tensor([[0.0, 0.0], [0.6, 0.8]], dtype=torch.float64))
    (second,) = torch.autograd.grad(first.sum(), a)
    assert second.isfinite().all()


@pytest.mark.parametrize("constraint", GRADIENT_PENALTIES, ids=repr)
def test_batch_and_weights_are_left_alone(constraint: Constraint) -> None:
    critic, (real, fake) = smooth_mlp(), batch(6, 3)
    before = real.clone(), fake.clone()
    constraint.penalty(critic, real, fake, SeededDraw())
    torch.testing.assert_close((real, fake), before, rtol=0, atol=0)
    assert not real.requires_grad
    assert not fake.requires_grad
    assert all(w.grad is None for w in critic.parameters())


@pytest.mark.parametrize("constraint", [*GRADIENT_PENALTIES, Drift(1.0)], ids=repr)
def test_bf16_inputs_and_autocast_stay_close_with_norms_in_float32(constraint: Constraint) -> None:
    torch.manual_seed(0)
    # Large enough a gradient that its square sum would lose digits in bfloat16
    critic = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1), nn.Flatten(0))
    with torch.no_grad():
        critic[2].weight.mul_(8)
    real, fake = batch(32, 64, dtype=torch.float32)
    exact = constraint.penalty(critic, real, fake, SeededDraw())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = constraint.penalty(critic, real, fake, SeededDraw())
    low = constraint.penalty(lambda x: critic(x.float()), real.bfloat16(), fake.bfloat16(), SeededDraw())
    assert mixed.dtype == low.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, rtol=0.1, atol=0.02)
    torch.testing.assert_close(low, exact, rtol=0.1, atol=0.02)
    mixed.backward()
    assert all(w.grad is None or w.grad.isfinite().all() for w in critic.parameters())


def test_norms_of_bf16_gradients_are_summed_in_float32() -> None:
    # 1 + 4095 * 2^-9 = 8.998: in bfloat16 the running sum stalls, and 9 has neighbours 0.06 away
    a = torch.full((4096,), 2**-4.5, dtype=torch.float64).bfloat16()
    expected = a.double().norm()
    x = torch.zeros(2, 4096, dtype=torch.bfloat16)
    norms = gradient_norms(lambda x: (x * a).sum(1), x)
    assert norms.dtype == torch.float32
    torch.testing.assert_close(norms.double(), expected.expand(2), rtol=1e-6, atol=0)


def test_float64_stays_float64() -> None:
    real, fake = batch(4, 3)
    for constraint in [*GRADIENT_PENALTIES, Drift()]:
        assert constraint.penalty(quadratic, real, fake, SeededDraw()).dtype == torch.float64


# ---------------------------------------------------------------- drift, consistency, slope


def test_drift_is_the_mean_square_of_real_scores() -> None:
    real, fake = batch(9, 3)
    expected = 0.25 * (quadratic(real) ** 2).mean()
    torch.testing.assert_close(Drift(0.25).penalty(quadratic, real, fake, SeededDraw()), expected)


class TwoFaces:
    """Scores and features that differ by a known amount between calls, as two draws of dropout would."""

    def __init__(self) -> None:
        self.calls = self.looks = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x.sum(1) + (0.5 if self.calls % 2 else 0.0) * x[:, 0]

    def features(self, x: Tensor) -> Tensor:
        self.looks += 1
        return x + (3.0 if self.looks % 2 else 1.0)


def test_consistency_equals_its_closed_form() -> None:
    real, fake = batch(5, 4)
    distance = (0.5 * real[:, 0]) ** 2
    penalty = Consistency(2.0, 0.1).penalty(TwoFaces().__call__, real, fake, SeededDraw())
    torch.testing.assert_close(penalty, 2 * (distance - 0.1).clamp(min=0).mean())
    with_features = Consistency(2.0, 0.5).penalty(TwoFaces(), real, fake, SeededDraw())
    torch.testing.assert_close(with_features, 2 * (distance + 0.1 * 2.0**2 - 0.5).clamp(min=0).mean())


def test_consistency_needs_dropout() -> None:
    with pytest.raises(UserError, match="dropout"):
        Consistency().prepare(nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)))
    with pytest.raises(UserError, match="dropout"):
        Consistency().prepare(nn.Sequential(nn.Linear(2, 1), nn.Dropout(0.0)))
    critic = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1), nn.Flatten(0))
    Consistency().prepare(critic)
    real, fake = batch(6, 2, dtype=torch.float32)
    penalty = Consistency().penalty(critic, real, fake, SeededDraw())
    assert penalty > 0
    penalty.backward()
    assert critic[0].weight.grad is not None


def test_slope_is_the_mean_norm_without_a_graph() -> None:
    real, fake = batch(20, 3)
    a = torch.tensor([3.0, 0.0, 4.0], dtype=torch.float64, requires_grad=True)
    value = slope(linear(a), real, fake, SeededDraw())
    torch.testing.assert_close(value, torch.tensor(5.0, dtype=torch.float64))
    assert not value.requires_grad
    draw = SeededDraw(2)
    with torch.no_grad():  # as a loop that logs would call it
        value = slope(quadratic, real, fake, draw)
    eps = draw.drawn[0]
    torch.testing.assert_close(value, (eps * real + (1 - eps) * fake).norm(dim=1).mean())
    assert a.grad is None


# ---------------------------------------------------------------- pairings


def naive(name: str, r: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    real, fake = torch.sigmoid(r), torch.sigmoid(g)
    if name == "wasserstein":
        return g.mean() - r.mean(), -g.mean()
    if name == "hinge":
        return (1 - r).clamp(min=0).mean() + (1 + g).clamp(min=0).mean(), -g.mean()
    if name == "relativistic":
        return -torch.sigmoid(r - g).log().mean(), -torch.sigmoid(g - r).log().mean()
    critic = -(real.log().mean() + (1 - fake).log().mean())
    return critic, ((1 - fake).log().mean() if name == "minimax" else -fake.log().mean())


@pytest.mark.parametrize("name", PAIRINGS)
def test_pairing_equals_the_naive_formula(name: str) -> None:
    pairing = PAIRINGS[name]
    assert pairing.name == name
    for seed in range(5):
        r, g = (3 * scores[:, 0] for scores in batch(40, 1, seed=seed))
        critic, generator = naive(name, r, g)
        torch.testing.assert_close(pairing.critic_loss(r, g), critic, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(pairing.generator_loss(r if pairing.pairs_real else None, g), generator)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", PAIRINGS)
def test_extreme_scores_stay_finite(name: str, dtype: torch.dtype) -> None:
    pairing = PAIRINGS[name]
    for a, b in [(1e4, -1e4), (-1e4, 1e4), (1e4, 1e4), (-1e4, -1e4)]:
        r = torch.full((3,), a, dtype=dtype, requires_grad=True)
        g = torch.full((3,), b, dtype=dtype, requires_grad=True)
        for loss in (pairing.critic_loss(r, g), pairing.generator_loss(r, g)):
            gradients = torch.autograd.grad(loss, (r, g), allow_unused=True)
            assert loss.isfinite()
            assert all(x is None or x.isfinite().all() for x in gradients)
    # A discriminator that is wrong by 1e4 pays 1e4, not the 100 or so at which a clamped logarithm ends
    if name in ("minimax", "logistic"):
        wrong = pairing.critic_loss(torch.full((3,), -1e4, dtype=dtype), torch.full((3,), -1e4, dtype=dtype))
        assert wrong.item() == pytest.approx(1e4)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(PAIRINGS)), seed=st.integers(0, 10_000), scale=st.floats(0.01, 0.9))
def test_losses_push_the_scores_the_right_way(name: str, seed: int, scale: float) -> None:
    pairing = PAIRINGS[name]
    r, g = ((scale * torch.tanh(x[:, 0])).requires_grad_() for x in batch(8, 1, seed=seed))  # hinge is flat beyond 1
    real, fake = torch.autograd.grad(pairing.critic_loss(r, g), (r, g))
    assert (real < 0).all()  # a higher real score lowers the critic's loss
    assert (fake > 0).all()
    (fake,) = torch.autograd.grad(pairing.generator_loss(r if pairing.pairs_real else None, g), g)
    assert (fake < 0).all()


def test_minimax_saturates_where_logistic_does_not() -> None:
    g = torch.full((1,), -20.0, dtype=torch.float64, requires_grad=True)
    (small,) = torch.autograd.grad(minimax.generator_loss(None, g), g)
    (large,) = torch.autograd.grad(logistic.generator_loss(None, g), g)
    assert abs(small.item()) < 1e-8
    assert large.item() == pytest.approx(-1, abs=1e-6)


def test_relativistic_needs_real_scores() -> None:
    assert relativistic.pairs_real
    with pytest.raises(UserError, match="real scores"):
        Objective(relativistic).generator_loss(None, torch.zeros(3))


def test_jensen_shannon_at_the_optimal_discriminator() -> None:
    # Two laws on three points; f* = log p/q, and means over repeated points are exact expectations
    p, q = torch.tensor([6, 2, 2]), torch.tensor([1, 4, 5])
    f = (p / q).double().log()
    r, g = f.repeat_interleave(p), f.repeat_interleave(q)
    a, b = p.double() / 10, q.double() / 10
    m = (a + b) / 2
    exact = ((a * (a / m).log()).sum() + (b * (b / m).log()).sum()) / 2
    for pairing in (logistic, minimax):
        torch.testing.assert_close(jensen_shannon(pairing.critic_loss(r, g)), exact)
        assert jensen_shannon(pairing.critic_loss(1.3 * r, 1.3 * g)) < exact
    assert jensen_shannon(0.0) == math.log(2)  # a perfect discriminator
    assert jensen_shannon(2 * math.log(2)) == pytest.approx(0)  # one that says 1/2


# ---------------------------------------------------------------- clip


def test_clip_clamps_every_parameter_exactly() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 1))
    critic[3].bias.requires_grad_(False)  # frozen, perhaps for the generator's turn: clipped all the same
    before = [w.detach().clone() for w in critic.parameters()]
    buffers = {name: b.clone() for name, b in critic.named_buffers()}
    Objective(wasserstein, Clip(0.05)).constrain(critic)
    for w, old in zip(critic.parameters(), before, strict=True):
        assert torch.equal(w, old.clamp(-0.05, 0.05))
    assert (critic[1].weight == 0.05).all()  # batch norm's gamma was 1
    assert all(torch.equal(b, buffers[name]) for name, b in critic.named_buffers())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_clipped_share(dtype: torch.dtype) -> None:
    layer = nn.Linear(4, 2).to(dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.02, -0.02, 0.0, 0.005], [1.0, -0.0098, 0.003, -7.0]]))
        layer.bias.copy_(torch.tensor([0.0, 0.5]))
    Clip(0.01).constrain(layer)
    assert Clip(0.01).share(layer) == pytest.approx(5 / 10)
    assert Clip(0.01).share(nn.ReLU()) == 0.0


# ---------------------------------------------------------------- Objective


@dataclasses.dataclass(frozen=True)
class Recorder(Constraint):
    """A user's own constraint: every hook, one field."""

    weight: float = 1.0

    def prepare(self, critic: nn.Module) -> None:
        critic.register_buffer("prepared", torch.ones(()))

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, draw: Draw) -> Tensor:
        return self.weight * (critic(real) - critic(fake)).abs().mean()

    def constrain(self, critic: nn.Module) -> None:
        critic.register_buffer("constrained", torch.ones(()))


def test_objective_adds_up() -> None:
    critic, (real, fake) = smooth_mlp(), batch(6, 3)
    objective = Objective(hinge, GradientPenalty(2.0), Drift(0.5), Recorder(0.25))
    loss, real_scores, fake_scores, penalty = result = objective.critic_loss(critic, real, fake, SeededDraw())
    gp = GradientPenalty(2.0).penalty(critic, real, fake, SeededDraw())
    expected = gp + 0.5 * critic(real).square().mean() + 0.25 * (critic(real) - critic(fake)).abs().mean()
    torch.testing.assert_close(penalty, expected.detach())
    torch.testing.assert_close(loss, expected + hinge.critic_loss(critic(real), critic(fake)))
    torch.testing.assert_close((real_scores, fake_scores), (critic(real).detach(), critic(fake).detach()))
    torch.testing.assert_close(result.wasserstein, real_scores.mean() - fake_scores.mean())
    assert loss.requires_grad
    assert not any(x.requires_grad for x in (real_scores, fake_scores, penalty))


def test_wasserstein_is_positive_when_the_critic_is_right() -> None:
    real, fake = torch.ones(4, 1), torch.zeros(4, 1)
    result = Objective(wasserstein).critic_loss(lambda x: x.sum(1), real, fake, SeededDraw())
    assert result.wasserstein == 1
    assert result.loss == -1
    assert Objective(wasserstein).generator_loss(None, torch.full((4,), 3.0)) == -3


def test_critic_loss_sends_no_gradient_to_the_generator() -> None:
    source = torch.ones(4, 3, requires_grad=True)
    critic = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    Objective(wasserstein, R2()).critic_loss(critic, torch.zeros(4, 3), source * 2, SeededDraw()).loss.backward()
    assert source.grad is None
    assert critic[0].weight.grad is not None


def test_objective_is_a_value() -> None:
    one, same = (
        Objective(wasserstein, GradientPenalty(), Drift()),
        Objective(wasserstein, GradientPenalty(10.0), Drift()),
    )
    assert one == same
    assert hash(one) == hash(same)
    assert one != Objective(wasserstein, GradientPenalty(9.0), Drift())
    assert one != Objective(hinge, GradientPenalty(), Drift())
    assert repr(one) == "Objective(wasserstein, GradientPenalty(weight=10.0, target=1.0), Drift(weight=0.001))"
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.pairing = hinge  # type: ignore[misc]


def test_objective_calls_every_hook() -> None:
    critic = nn.Linear(2, 1)
    objective = Objective(wasserstein, Recorder())
    objective.prepare(critic)
    objective.constrain(critic)
    assert {name for name, _ in critic.named_buffers()} == {"prepared", "constrained"}


def test_per_sample_names_the_penalties_that_batch_norm_breaks() -> None:
    coupled = {name for name, part in CONSTRAINTS.items() if part.per_sample}
    assert coupled == {"gp", "lp", "one_sided", "dragan", "r1", "r2", "div"}
    assert Objective(wasserstein, Drift(), R1()).per_sample
    assert not Objective(wasserstein, Clip(), Drift()).per_sample


def test_bf16_scores_are_averaged_in_float32() -> None:
    scores = torch.full((1000,), 1.0, dtype=torch.bfloat16)
    scores[0] = 2.0
    loss = Objective(wasserstein).critic_loss(lambda x: scores, scores[:, None], scores[:, None], SeededDraw())
    assert loss.loss.dtype == loss.real_scores.dtype == loss.penalty.dtype == torch.float32
    generator = Objective(wasserstein).generator_loss(None, scores)
    assert generator.item() == pytest.approx(-1.001, abs=1e-6)


def test_scores_of_a_wrong_shape_are_refused() -> None:
    real, fake = batch(4, 3)
    with pytest.raises(UserError, match=r"\[4\], got \[4, 1\]"):
        Objective(wasserstein).critic_loss(lambda x: x[:, :1], real, fake, SeededDraw())


@pytest.mark.parametrize(
    "wrong", [lambda: Objective(Clip()), lambda: Objective("wasserstein"), lambda: Objective(wasserstein, Clip)]
)
def test_objective_of_wrong_parts_is_refused(wrong: Callable[[], Objective]) -> None:
    with pytest.raises(UserError, match="an objective"):
        wrong()


BAD_FIELDS = [
    (name, field.name, value)
    for name, part in CONSTRAINTS.items()
    for field in dataclasses.fields(part)
    for value in (-1.0, math.nan, math.inf, "1", None)
]


@pytest.mark.parametrize(("name", "field", "value"), BAD_FIELDS)
def test_fields_out_of_range_name_themselves(name: str, field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"^{name}: {field} must be .*got "):
        CONSTRAINTS[name](**{field: value})


@pytest.mark.parametrize(("name", "field"), [("clip", "c"), ("gp", "target"), ("dragan", "noise"), ("div", "p")])
def test_fields_that_cannot_be_zero(name: str, field: str) -> None:
    with pytest.raises(UserError, match=f"{name}: {field}"):
        CONSTRAINTS[name](**{field: 0.0})


def test_every_part_is_a_frozen_dataclass_of_plain_fields() -> None:
    for part in CONSTRAINTS.values():
        assert part() == part()
        assert hash(part()) == hash(part())
        for field in dataclasses.fields(part):
            assert type(getattr(part(), field.name)).__name__ == field.type
        with pytest.raises(dataclasses.FrozenInstanceError):
            part().weight = 2.0
