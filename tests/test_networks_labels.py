"""Networks in use: labels, second derivatives, reduced precision, dropout, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from wgan.errors import UserError
from wgan.networks import DCGAN, MLP, Critic, Generator, Given, Points, ResNet, has_batch_norm

IMAGE = (2, 8, 8)
CRITICS = {
    "dcgan none": (DCGAN(filters=3, critic_norm="none"), (1, 16, 16)),
    "dcgan layer": (DCGAN(filters=3, critic_norm="layer"), (1, 16, 16)),
    "dcgan batch": (DCGAN(filters=3), (1, 16, 16)),
    "mlp": (MLP(width=5, depth=2, critic="mlp"), IMAGE),
    "resnet none": (ResNet(filters=3), (1, 16, 16)),
    "resnet layer": (ResNet(filters=3, critic_norm="layer"), (1, 16, 16)),
    "points": (Points(width=5, depth=2), (3,)),
    "points tanh": (Points(width=5, depth=2, activation="tanh"), (3,)),
}
CONDITIONAL = {
    "dcgan": (DCGAN(filters=2), IMAGE),
    "dcgan none": (DCGAN(filters=2, norm="none"), IMAGE),
    "dcgan layer": (DCGAN(filters=2, norm="layer"), IMAGE),
    "mlp": (MLP(width=8), IMAGE),
    "resnet": (ResNet(filters=4), IMAGE),
    "resnet none": (ResNet(filters=4, norm="none"), IMAGE),
    "points": (Points(width=8), (3,)),
}


def spread(module: nn.Module) -> None:
    """Move every weight away from its initial value, so that nothing is zero or equal by construction."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn_like(p))


@pytest.mark.parametrize("name", CONDITIONAL)
def test_labels_change_samples_and_scores(name: str) -> None:
    torch.manual_seed(0)
    network, shape = CONDITIONAL[name]
    generator, critic = network(shape, 4, 3)
    spread(generator)
    z = torch.randn(2, 4)
    zero, one = torch.tensor([0, 0]), torch.tensor([0, 1])
    x, y = generator.eval()(z, zero), generator(z, one)
    torch.testing.assert_close(x[0], y[0])
    assert (x[1] - y[1]).abs().max() > 1e-3
    scores, other = critic.eval()(x, zero), critic(x, one)
    torch.testing.assert_close(scores[0], other[0])
    assert (scores[1] - other[1]).abs() > 1e-6


@pytest.mark.parametrize("name", CONDITIONAL)
def test_projection_formula(name: str) -> None:
    network, shape = CONDITIONAL[name]
    _, critic = network(shape, 4, 3)
    critic.eval().double()
    spread(critic)
    x, labels = torch.randn(5, *shape, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0])
    features = critic.features(x)
    assert features.shape[0] == 5
    table = critic.embed.weight.T
    assert table.shape == (3, features.shape[1])
    bias = 0 if critic.head.bias is None else critic.head.bias
    # Miyato & Koyama (2018), eq. 4: psi(phi(x)) + <v_y, phi(x)>
    expected = torch.stack(
        [features[i] @ critic.head.weight[0] + bias + table[labels[i]] @ features[i] for i in range(5)]
    )
    torch.testing.assert_close(critic(x, labels), expected.flatten())


def test_conditional_batch_norm_formula() -> None:
    torch.manual_seed(0)
    generator, _ = DCGAN(filters=3)((1, 8, 8), 4, 2)
    layer = generator.body[2]
    spread(layer)
    x, labels = torch.randn(4, 3, 4, 4), torch.tensor([0, 1, 1, 0])
    normed = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
    for i, label in enumerate(labels):
        scale, shift = layer.scale.weight[label], layer.shift.weight[label]
        torch.testing.assert_close(layer(x, labels)[i], normed[i] * scale[:, None, None] + shift[:, None, None])


def test_resnet_output_norm_is_shared_by_the_classes() -> None:
    generator, _ = ResNet(filters=4)((3, 32, 32), 4, 10)
    assert sum(isinstance(m, nn.BatchNorm2d) and m.affine for m in generator.modules()) == 1
    assert sum(isinstance(m, nn.Embedding) for m in generator.modules()) == 2 * 2 * 3


def test_given_binds_labels() -> None:
    torch.manual_seed(0)
    _, critic = Points(width=32)((3,), 2, 2)
    x, labels = torch.randn(3, 3), torch.tensor([1, 0, 1])
    given = Given(critic, labels)
    assert (critic(x, labels) - critic(x, 1 - labels)).abs().min() > 1e-3
    assert (critic(x, labels) - critic(x, 0 * labels))[::2].abs().min() > 1e-3
    torch.testing.assert_close(given(x), critic(x, labels))
    torch.testing.assert_close(given.features(x), critic.features(x))
    torch.testing.assert_close(given.score(given.features(x)), critic(x, labels))


@pytest.mark.parametrize("name", CRITICS)
@pytest.mark.parametrize("classes", [0, 2])
def test_second_derivatives(name: str, classes: int) -> None:
    torch.manual_seed(1)
    network, shape = CRITICS[name]
    _, critic = network(shape, 2, classes)
    critic.double()
    spread(critic)
    labels = torch.tensor([0, 1]) if classes else None
    x = torch.randn(2, *shape, dtype=torch.float64, requires_grad=True)

    def score(x: Tensor) -> Tensor:
        return critic(x, labels)

    assert gradcheck(score, (x,), fast_mode=True)
    assert gradgradcheck(score, (x,), fast_mode=True)
    (slope,) = torch.autograd.grad(critic(x, labels).sum(), x, create_graph=True)
    assert slope.abs().sum() > 0
    slope.square().sum().backward()
    first = next(critic.body.parameters())
    assert torch.isfinite(first.grad).all()
    assert first.grad.abs().sum() > 0


@pytest.mark.parametrize("name", CRITICS)
def test_bfloat16(name: str) -> None:
    torch.manual_seed(0)
    network, shape = CRITICS[name]
    generator, critic = network(shape, 2, 3)
    labels = torch.tensor([0, 1, 2, 0])
    z = torch.randn(4, 2)
    exact = generator(z, labels)
    with torch.autocast("cpu", torch.bfloat16):
        x = generator(z, labels)
        scores = critic(x, labels)
    assert (x.float() - exact).abs().max() < 0.1
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, critic(x.float(), labels), atol=0.05, rtol=0.05)
    # the head is not rounded to 8 bits
    with torch.autocast("cpu", torch.bfloat16):
        features = critic.features(x)
        torch.testing.assert_close(critic.score(features, labels), critic.score(features.float(), labels))


@pytest.mark.parametrize(
    ("network", "shape", "layers"),
    [
        (DCGAN(filters=2, critic_norm="none", dropout=0.5), (1, 32, 32), 3),
        (ResNet(filters=4, dropout=0.5), (1, 32, 32), 3),
        (MLP(width=4, critic="mlp", dropout=0.5), IMAGE, 4),
        (MLP(width=4, critic_norm="none", dropout=0.5), IMAGE, 1),
        (Points(width=16, dropout=0.5), (3,), 3),
    ],
)
def test_dropout_is_in_the_critic_alone(network: DCGAN, shape: tuple[int, ...], layers: int) -> None:
    torch.manual_seed(0)
    generator, critic = network(shape, 2)
    assert not any(isinstance(m, nn.Dropout) for m in generator.modules())
    assert [m.p for m in critic.modules() if isinstance(m, nn.Dropout)] == [0.5] * layers
    x = torch.randn(4, *shape)
    assert not torch.equal(critic(x), critic(x))
    critic.eval()
    assert torch.equal(critic(x), critic(x))


@pytest.mark.parametrize("name", CRITICS)
def test_activations_are_modules_used_once(name: str) -> None:
    network, shape = CRITICS[name]
    _, critic = network(shape, 2)
    kinds = (nn.ReLU, nn.LeakyReLU, nn.Tanh)
    activations = [m for m in critic.modules() if isinstance(m, kinds)]
    calls: list[int] = []
    for activation in activations:
        assert not getattr(activation, "inplace", False)
        activation.register_forward_hook(lambda m, *_: calls.append(id(m)))
    critic(torch.randn(2, *shape))
    assert sorted(calls) == sorted(map(id, activations))
    # with every activation replaced by zero nothing of x is left but the ResNet's linear shortcuts
    if not name.startswith("resnet"):
        for parent in critic.modules():
            for child, module in list(parent.named_children()):
                if isinstance(module, kinds):
                    setattr(parent, child, nn.Threshold(float("inf"), 0.0))
        assert not critic.features(torch.randn(2, *shape)).any()


@pytest.mark.parametrize(
    ("network", "generator_has", "critic_has"),
    [
        (DCGAN(filters=2), True, True),
        (DCGAN(filters=2, norm="none"), False, True),
        (DCGAN(filters=2, critic_norm="layer"), True, False),
        (DCGAN(filters=2, norm="layer", critic_norm="none"), False, False),
        (ResNet(filters=2), True, False),
        (ResNet(filters=2, norm="none", critic_norm="batch"), False, True),
        (MLP(width=2), False, True),
        (MLP(width=2, critic="mlp"), False, False),
    ],
)
@pytest.mark.parametrize("classes", [0, 2])
def test_has_batch_norm(network: DCGAN, generator_has: bool, critic_has: bool, classes: int) -> None:
    generator, critic = network((1, 32, 32), 2, classes)
    assert (has_batch_norm(generator), has_batch_norm(critic)) == (generator_has, critic_has)


def test_first_critic_layer_has_no_norm() -> None:
    _, critic = DCGAN(filters=2)((1, 32, 32), 2)
    assert [type(m) for m in critic.body][:5] == [nn.Conv2d, nn.LeakyReLU, nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU]


def test_labels_where_they_belong() -> None:
    for network, shape in ((Points(width=4), (3,)), (DCGAN(filters=2), (1, 8, 8))):
        x, z, labels = torch.zeros(2, *shape), torch.zeros(2, 4), torch.tensor([0, 1])
        for player, argument in zip(network(shape, 4, 2), (z, x), strict=True):
            with pytest.raises(UserError, match=r"built for 2 classes.*with labels"):
                player(argument)
            with pytest.raises(UserError, match=r"2 samples and labels of shape \[3\]"):
                player(argument, torch.tensor([0, 1, 0]))
        for player, argument in zip(network(shape, 4), (z, x), strict=True):
            with pytest.raises(UserError, match="built without classes"):
                player(argument, labels)


def test_wrong_z() -> None:
    generator, _ = Points(width=4)((3,), 4)
    for z in (torch.zeros(2, 5), torch.zeros(2, 4, 1, 1), torch.zeros(4)):
        with pytest.raises(UserError, match=r"z of shape \[n, 4\]"):
            generator(z)


@pytest.mark.parametrize("network", [DCGAN(), ResNet(), MLP()])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2,), "points of 2 coordinates; use 'points'"),
        ((3, 8), r"shape \(channels, height, width\), not \(3, 8\)"),
        ((32, 32, 3), "32 channels; images have 1 to 4"),
        ((0, 32, 32), "not"),
        ((5, 32, 32), "5 channels; images have 1 to 4"),
        ((3, 30, 30), "size 30 is not possible; nearest: --size 28 or 32"),
        ((3, 17, 17), "nearest: --size 16 or 20"),
        ((3, 7, 7), r"nearest: --size 8 "),
        ((3, 4, 4), r"nearest: --size 8 "),
        ((3, 512, 512), r"nearest: --size 256 "),
        ((3, 64, 48), "64 x 48 are not square; .*--size 48"),
        ((3, 64, 45), "64 x 45 are not square; .*--size 40"),
        ((3, 5, 6), "not square; .*--size 8"),
    ],
)
def test_impossible_images(network: DCGAN, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        network(shape, 4)
    assert "\n" not in str(caught.value)


def test_impossible_points() -> None:
    with pytest.raises(UserError, match=r"points of shape \(d,\), but the data are \(3, 32, 32\); use 'dcgan'"):
        Points()((3, 32, 32), 4)
    with pytest.raises(UserError, match="at least one coordinate"):
        Points()((0,), 4)


def test_mlp_critic_takes_any_size() -> None:
    generator, critic = MLP(width=4, critic="mlp")((3, 17, 9), 4)
    assert critic(generator(torch.zeros(2, 4))).shape == (2,)


@pytest.mark.parametrize("network", [DCGAN(), ResNet(), MLP()])
@pytest.mark.parametrize(("z_dim", "classes", "name"), [(0, 0, "z_dim"), (-1, 0, "z_dim"), (4, -1, "classes")])
def test_impossible_counts(network: DCGAN, z_dim: int, classes: int, name: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be a whole number of at least"):
        network((3, 8, 8), z_dim, classes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DCGAN(filters=0), r"dcgan\(filters=0\): filters must be a whole number of at least 1"),
        (lambda: DCGAN(filters=1.5), "filters"),  # type: ignore[arg-type]
        (lambda: DCGAN(filters=True), "filters"),
        (lambda: DCGAN(norm="bach"), "dcgan: unknown norm 'bach'; did you mean 'batch'?"),
        (lambda: DCGAN(critic_norm="batchnorm"), "did you mean 'batch'"),
        (lambda: DCGAN(constant_filters=1), "true or false"),  # type: ignore[arg-type]
        (lambda: DCGAN(dropout=1.0), r"dropout must be a number in \[0, 1\)"),
        (lambda: DCGAN(dropout=-0.1), "dropout"),
        (lambda: DCGAN(dropout=float("nan")), "dropout"),
        (lambda: ResNet(filters=-3), "filters"),
        (lambda: ResNet(norm="x"), "norm"),
        (lambda: ResNet(critic_norm="x"), "critic_norm"),
        (lambda: ResNet(dropout="a"), "dropout"),  # type: ignore[arg-type]
        (lambda: MLP(width=0), "width"),
        (lambda: MLP(depth=0), "depth"),
        (lambda: MLP(tanh="yes"), "tanh"),  # type: ignore[arg-type]
        (lambda: MLP(critic="dcgn"), "did you mean 'dcgan'"),
        (lambda: MLP(filters=0), "filters"),
        (lambda: MLP(critic_norm="x"), "critic_norm"),
        (lambda: MLP(dropout=2), "dropout"),
        (lambda: MLP(critic="mlp", critic_norm="layer"), "has no norm"),
        (lambda: Points(width=0), "width"),
        (lambda: Points(depth=0), "depth"),
        (lambda: Points(activation="Relu"), "did you mean 'relu'"),
        (lambda: Points(dropout=-1), "dropout"),
    ],
)
def test_impossible_fields(make: type, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_a_critic_of_ones_own_body() -> None:
    torch.manual_seed(0)
    critic = Critic(nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU()), 5, classes=2)
    assert critic(torch.randn(4, 3, 2, 2), torch.tensor([0, 1, 0, 1])).shape == (4,)
    bare = Critic(nn.Identity(), 3)
    assert bare(torch.zeros(2, 3)).tolist() == [bare.head.bias.item()] * 2
    assert isinstance(Points(width=2)((2,), 2)[0], Generator)
