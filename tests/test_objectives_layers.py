"""Spectral norm, orthonormal layers and GroupSort, against exact linear algebra."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import fold, unfold

from wgan.errors import UserError
from wgan.objectives import R1, Drift, GroupSort, Objective, Orthonormal, SpectralNorm, gradient_norms, wasserstein
from wgan.objectives.orthonormal import OrthonormalWeight, orthonormalise, overlap


def operator_norm(layer: nn.Module, shape: tuple[int, ...], iterations: int = 200) -> float:
    """The largest singular value of the layer's map on inputs `[1, *shape]`, by power iteration on the map itself."""
    x = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    offset = layer(torch.zeros_like(x)).detach()
    norm = 0.0
    for _ in range(iterations):
        x = (x / x.norm()).requires_grad_()
        y = layer(x) - offset
        norm = y.norm().item()
        (x,) = torch.autograd.grad(y, x, grad_outputs=y.detach())  # adjoint of the map, applied to y
    return norm


def conv_critic() -> nn.Sequential:
    """Scores 3x8x8 images; one activation object stands in two places."""
    act = nn.LeakyReLU(0.2)
    layers = [nn.Conv2d(3, 8, 4, 2, 1), act, nn.Conv2d(8, 16, 3, padding=1), act, nn.Flatten(), nn.Linear(256, 1)]
    return nn.Sequential(*layers, nn.Flatten(0))


# ---------------------------------------------------------------- GroupSort


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 9),
    axes=st.lists(st.integers(1, 3), max_size=3),
    group=st.integers(2, 5),
    seed=st.integers(0, 100),
)
def test_group_sort_sorts_channels_in_groups(n: int, channels: int, axes: list[int], group: int, seed: int) -> None:
    x = torch.randn(n, channels, *axes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x.requires_grad_()
    y = GroupSort(group)(x)
    assert y.shape == x.shape
    columns = x.detach().reshape(n, channels, -1).transpose(1, 2).reshape(-1, channels).tolist()
    whole = channels // group * group
    for column, row in zip(
        columns, y.detach().reshape(n, channels, -1).transpose(1, 2).reshape(-1, channels), strict=True
    ):
        expected = [sorted(column[i : i + group], reverse=True) for i in range(0, whole, group)]
        assert row.tolist() == [*itertools.chain(*expected), *column[whole:]]
    # A permutation keeps the norm of every gradient
    (gradient,) = torch.autograd.grad(y, x, grad_outputs=torch.full_like(y, 2.0))
    assert (gradient == 2).all()


def test_group_sort_keeps_the_gradient_norm_at_ties() -> None:
    x = torch.zeros(1, 4, requires_grad=True)
    weights = torch.tensor([[1.0, -2.0, 3.0, 5.0]])
    (gradient,) = torch.autograd.grad((GroupSort(2)(x) * weights).sum(), x)
    assert gradient.norm() == weights.norm()


def test_group_sort_rejects_a_group_of_one() -> None:
    with pytest.raises(UserError, match="group must be an integer >= 2"):
        GroupSort(1)


# ---------------------------------------------------------------- spectral norm


def test_spectral_norm_brings_the_largest_singular_value_to_one() -> None:
    torch.manual_seed(0)
    critic = conv_critic()
    with torch.no_grad():
        for w in critic.parameters():
            w.mul_(7)
    SpectralNorm().prepare(critic)
    for _ in range(50):
        critic(torch.randn(2, 3, 8, 8))
    for i in (0, 2, 5):
        assert torch.linalg.matrix_norm(critic[i].weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-4)
    assert isinstance(critic[1], nn.LeakyReLU)


def test_power_iterations_are_passed_on() -> None:
    leftover = []
    for iterations in (1, 40):
        torch.manual_seed(0)
        layer = nn.Sequential(nn.Linear(64, 64))
        SpectralNorm(power_iterations=iterations).prepare(layer)
        with torch.no_grad():
            layer[0].parametrizations.weight.original.normal_()  # forget the iterations made in prepare
        layer(torch.zeros(1, 64))
        leftover.append(abs(torch.linalg.matrix_norm(layer.eval()[0].weight, 2).item() - 1))
    assert leftover[1] < 0.3 * leftover[0]


def test_a_critic_loss_takes_one_power_iteration() -> None:
    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))
    objective = Objective(wasserstein, SpectralNorm(), R1(), Drift())
    objective.prepare(first)
    second = copy.deepcopy(first)
    x = torch.randn(4, 8)
    objective.critic_loss(first, x, 2 * x, draw=None).loss.backward()  # type: ignore[arg-type]
    second(x)
    for (name, one), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert all(w.grad is not None for w in first.parameters())


def test_spectral_norm_is_computed_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(128, 64)).eval()
    SpectralNorm().prepare(critic)
    exact = critic[0].weight.detach()
    seen = []
    # The CPU's autocast leaves matrix-vector products alone, others' do not: look at the switch, not at the result only
    (inner,) = (m for m in critic.modules() if "_u" in dict(m.named_buffers(recurse=False)))
    inner.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(critic[0].weight, exact, rtol=1e-6, atol=0)
    assert seen == [False]


def test_spectral_norm_state_survives_a_round_trip() -> None:
    torch.manual_seed(0)
    first, second = conv_critic(), conv_critic()
    for critic in (first, second):
        SpectralNorm(maxmin=True).prepare(critic)
    x = torch.randn(4, 3, 8, 8)
    first(x)
    second.load_state_dict(first.state_dict())
    for _ in range(3):  # power iteration moves on equally from the same state
        torch.testing.assert_close(first(x), second(x), rtol=0, atol=0)


def test_maxmin_takes_the_place_of_every_activation() -> None:
    critic = conv_critic()
    Objective(wasserstein, SpectralNorm(maxmin=True)).prepare(critic)
    assert [type(critic[i]) for i in (1, 3)] == [GroupSort, GroupSort]
    assert critic[1].group == 2
    critic(torch.randn(2, 3, 8, 8)).sum().backward()
    with pytest.raises(UserError, match="no activation"):
        SpectralNorm(maxmin=True).prepare(nn.Sequential(nn.Linear(2, 1)))


def test_one_weight_takes_one_norm() -> None:
    for first, second in itertools.product([SpectralNorm(), Orthonormal()], repeat=2):
        critic = conv_critic()
        first.prepare(critic)
        with pytest.raises(UserError, match="layer '0' is already parametrised"):
            second.prepare(critic)


def test_spectral_norm_needs_a_layer() -> None:
    with pytest.raises(UserError, match="no linear"):
        SpectralNorm().prepare(nn.Sequential(nn.Flatten(0)))
    with pytest.raises(UserError, match="maxmin must be true or false"):
        SpectralNorm(maxmin=1)  # type: ignore[arg-type]


# ---------------------------------------------------------------- orthonormal


def singular_values(matrix: Tensor) -> Tensor:
    return torch.linalg.svdvals(matrix.detach())


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 24), n=st.integers(1, 24), scale=st.floats(1e-4, 1e4), seed=st.integers(0, 1000))
def test_bjorck_finds_the_polar_factor(m: int, n: int, scale: float, seed: int) -> None:
    matrix = torch.randn(m, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * scale
    for few in (1, 3, 8):  # unfinished, yet never above 1
        assert singular_values(orthonormalise(matrix, few)).max() <= 1 + 1e-12
    w = orthonormalise(matrix, 60)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    if s[-1] > 1e-6 * s[0]:
        torch.testing.assert_close(w, u @ vh, atol=1e-8, rtol=0)


def test_bjorck_gradient_agrees_with_finite_differences() -> None:
    for shape in [(3, 5), (5, 3), (2, 2, 4)]:
        matrix = torch.randn(
            *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
        )
        assert torch.autograd.gradcheck(lambda w: orthonormalise(w, 6), (matrix,))
    assert orthonormalise(torch.zeros(2, 3), 5).isfinite().all()


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)], ids=str)
def test_linear_layers_have_orthonormal_rows_or_columns(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(shape[1], shape[0])).double()
    polar = torch.linalg.svd(critic[0].weight.detach(), full_matrices=False)
    Orthonormal().prepare(critic)
    torch.testing.assert_close(critic[0].weight, polar[0] @ polar[2])  # the nearest one to the network's own weight
    values = singular_values(critic[0].parametrizations.weight.original)
    torch.testing.assert_close(values, torch.ones_like(values))  # where the iteration converges fastest
    with torch.no_grad():  # as an optimiser would move it
        critic[0].parametrizations.weight.original.add_(0.1 * torch.randn(*shape, dtype=torch.float64))
    w = critic[0].weight
    product = w @ w.T if shape[0] <= shape[1] else w.T @ w
    torch.testing.assert_close(product, torch.eye(min(shape), dtype=torch.float64), atol=1e-6, rtol=0)


CONVOLUTIONS = [
    (nn.Conv2d(3, 8, 4, 2, 1), (3, 12, 12)),
    (nn.Conv2d(3, 8, 3, padding=1), (3, 10, 10)),
    (nn.Conv2d(1, 1, 3, padding=1), (1, 12, 12)),
    (nn.Conv2d(1, 40, 3, 2, 1), (1, 11, 11)),
    (nn.Conv2d(2, 4, 3, 2, 2, dilation=2), (2, 12, 12)),
    (nn.Conv2d(4, 8, 3, padding=1, groups=2), (4, 8, 8)),
    (nn.Conv2d(4, 8, 1, groups=4), (4, 5, 5)),
    (nn.Conv2d(2, 4, (1, 5), (1, 3)), (2, 6, 14)),
    (nn.Conv2d(2, 6, 2, 3), (2, 9, 9)),
    (nn.Conv1d(2, 4, 7, 2, 3), (2, 30)),
    (nn.Conv3d(1, 3, 3, padding=1), (1, 6, 6, 6)),
    (nn.ConvTranspose2d(4, 3, 4, 2, 1), (4, 6, 6)),
    (nn.ConvTranspose2d(4, 6, 3, 1, 1, groups=2), (4, 6, 6)),
]


@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=[str(layer) for layer, _ in CONVOLUTIONS])
def test_convolutions_are_1_lipschitz_as_operators(layer: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(layer.__class__(**_arguments(layer))).double()
    Orthonormal(iterations=25).prepare(critic)
    norm = operator_norm(critic[0], shape)
    assert norm <= 1 + 1e-9
    assert norm >= overlap(critic[0]) ** -0.5 - 1e-9  # nothing was divided by more than the root
    w = critic[0].weight
    values = singular_values(w.reshape(layer.groups, len(w) // layer.groups, -1) * overlap(critic[0]) ** 0.5)
    torch.testing.assert_close(values, torch.ones_like(values))  # within each group


def _arguments(layer: nn.Module) -> dict[str, object]:
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    return {name: getattr(layer, name) for name in names}


def test_the_overlap_bound_is_attained_by_a_mean_filter() -> None:
    # On a constant image a 1 -> 1 channel kernel of ones is orthonormal up to scale, and its patches agree
    critic = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)).double()
    with torch.no_grad():
        critic[0].weight.fill_(5.0)
    Orthonormal().prepare(critic)
    assert 0.97 < operator_norm(critic[0], (1, 32, 32)) <= 1


@pytest.mark.parametrize(("k", "stride", "dilation"), [*itertools.product([1, 2, 3, 4, 5], [1, 2, 3, 4], [1, 2, 3])])
def test_overlap_counts_the_patches_that_share_a_pixel(k: int, stride: int, dilation: int) -> None:
    geometry = {"kernel_size": k, "stride": stride, "dilation": dilation}
    ones = torch.ones(1, 1, 40, 40)
    patches = fold(unfold(ones, **geometry), (40, 40), **geometry)
    assert overlap(nn.Conv2d(1, 1, k, stride, dilation=dilation)) == patches.max()


@pytest.mark.parametrize("group", [2, 4])
def test_an_orthonormal_critic_is_1_lipschitz(group: int) -> None:
    torch.manual_seed(0)
    critic = conv_critic().double()
    Orthonormal(group=group).prepare(critic)
    assert [critic[i].group for i in (1, 3)] == [group, group]
    x, y = torch.randn(2, 200, 3, 8, 8, dtype=torch.float64)
    ratio = (critic(x) - critic(y)).abs() / (x - y).flatten(1).norm(dim=1)
    assert ratio.max() <= 1
    assert gradient_norms(critic, x).max() <= 1


def test_a_linear_orthonormal_critic_has_slope_one() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
    critic.double()
    Orthonormal().prepare(critic)
    slopes = gradient_norms(critic, torch.randn(500, 4, dtype=torch.float64))
    assert slopes.max() <= 1
    # rows of 32 -> 32 -> 1 keep the norm backwards; only 32 -> 4 may lose some
    assert slopes.min() > 0


def test_the_bias_is_scaled_with_its_weight() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(1, 16), nn.Linear(16, 4, bias=False), GroupSort(2), nn.Linear(4, 1)).double()
    weight, bias = critic[0].weight.detach().clone(), critic[0].bias.detach().clone()
    Orthonormal().prepare(critic)
    # One input: the layer's columns only change length, so kinks -bias / weight stay where they were
    torch.testing.assert_close(critic[0].bias / critic[0].weight[:, 0], bias / weight[:, 0])


def test_orthonormal_weights_ignore_autocast_and_keep_their_dtype() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(64, 32))
    Orthonormal().prepare(critic)
    with torch.autocast("cpu", torch.bfloat16):
        w = critic[0].weight
        assert critic(torch.randn(2, 64)).dtype == torch.bfloat16
    torch.testing.assert_close(w @ w.T, torch.eye(32), atol=1e-5, rtol=0)
    assert OrthonormalWeight(15)(torch.randn(4, 8).bfloat16()).dtype == torch.bfloat16


def test_orthonormal_state_survives_a_round_trip() -> None:
    torch.manual_seed(0)
    first, second = conv_critic(), conv_critic()
    for critic in (first, second):
        Orthonormal().prepare(critic)
    second.load_state_dict(first.state_dict())
    x = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(first(x), second(x), rtol=0, atol=0)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x))).flatten()


@pytest.mark.parametrize(
    ("critic", "complaint"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), r"layer '1' \(BatchNorm2d\)"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.ReLU()), "without normalisation"),
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU()), "LayerNorm"),
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Embedding(3, 4)), "Embedding"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")), "padding_mode='reflect'"),
        (Functional(), "nn.Module children"),
    ],
)
def test_orthonormal_refuses_what_it_cannot_bound(critic: nn.Module, complaint: str) -> None:
    before = {name: w.clone() for name, w in critic.state_dict().items()}
    with pytest.raises(UserError, match=complaint):
        Orthonormal().prepare(critic)
    after = critic.state_dict()
    assert before.keys() == after.keys()  # refused before anything was changed


@pytest.mark.slow
def test_maxmin_reaches_w_where_relu_stops_at_half() -> None:
    # Fake points at 0, real ones at -1 and 1: W1 = 1, attained by f = |x| only
    real = torch.tensor([[-1.0], [1.0]])
    fake = torch.zeros(2, 1)
    estimates = {}
    for name, constraint in {
        "relu": SpectralNorm(),
        "maxmin": SpectralNorm(maxmin=True),
        "orthonormal": Orthonormal(iterations=10),
    }.items():
        torch.manual_seed(0)
        layers = [nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0)]
        critic = nn.Sequential(*layers)
        objective = Objective(wasserstein, constraint)
        objective.prepare(critic)
        adam = torch.optim.Adam(critic.parameters(), lr=1e-2)
        for _ in range(200):
            scores = critic(torch.cat([real, fake]))
            loss = scores[2:].mean() - scores[:2].mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        estimates[name] = -loss.item()
    assert estimates["relu"] < 0.7
    assert 0.95 < estimates["maxmin"] < 1.02
    assert 0.95 < estimates["orthonormal"] <= 1 + 1e-5
