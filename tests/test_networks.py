"""Networks against the published ones: independent transcriptions with the same weights, and counts by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from wgan.fast.mlp import End
from wgan.networks import DCGAN, MLP, NETWORKS, Points, ResNet, multiply_adds, parameter_count
from wgan.networks.checks import SIZES


def published_dcgan_generator(size: int, nz: int, nc: int, ngf: int, batch_norm: bool) -> nn.Sequential:
    """models/dcgan.py of the WGAN authors, layer by layer: 4x4 grid first, filters halve while the side doubles."""
    width, side = ngf // 2, 4
    while side != size:
        width, side = width * 2, side * 2
    layers: list[nn.Module] = [nn.ConvTranspose2d(nz, width, 4, 1, 0, bias=False)]
    layers += [nn.BatchNorm2d(width)] if batch_norm else []
    layers += [nn.ReLU()]
    side = 4
    while side < size // 2:
        layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(width // 2)] if batch_norm else []
        layers += [nn.ReLU()]
        width, side = width // 2, side * 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, nc, 4, 2, 1, bias=False), nn.Tanh())


def published_dcgan_critic(size: int, nc: int, ndf: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(nc, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    side, width = size // 2, ndf
    while side > 4:
        layers += [nn.Conv2d(width, width * 2, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(width * 2)] if batch_norm else []
        layers += [nn.LeakyReLU(0.2)]
        width, side = width * 2, side // 2
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 0, bias=False))


def copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of one network to another that has the same ones, in the same order, up to a reshape."""
    pairs = list(zip(source.parameters(), target.parameters(), strict=True))
    with torch.no_grad():
        for a, b in pairs:
            assert a.numel() == b.numel()
            b.copy_(torch.randn_like(a).mul_(0.1).reshape(b.shape))
            a.copy_(b.reshape(a.shape))


@pytest.mark.parametrize("size", [8, 32, 64])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_dcgan_equals_the_authors_code(size: int, channels: int, norm: str) -> None:
    torch.manual_seed(size + channels)
    generator, critic = DCGAN(filters=4, norm=norm, critic_norm=norm)((channels, size, size), 7)
    theirs = published_dcgan_generator(size, 7, channels, 4, norm == "batch").double()
    copy_in_order(generator.double(), theirs)
    z = torch.randn(3, 7, dtype=torch.float64)
    x = generator(z)
    torch.testing.assert_close(x, theirs(z[:, :, None, None]), atol=1e-6, rtol=0)
    assert x.std() > 1e-3

    theirs = published_dcgan_critic(size, channels, 4, norm == "batch").double()
    copy_in_order(critic.double(), theirs)
    scores = critic(x)
    torch.testing.assert_close(scores, theirs(x).flatten(), atol=1e-6, rtol=0)
    assert scores.std() > 1e-9
    # the running statistics of both have moved alike
    torch.testing.assert_close(critic.eval()(x), theirs.eval()(x).flatten(), atol=1e-6, rtol=0)
    last_input = theirs[:-1](x).flatten(1)
    torch.testing.assert_close(critic.features(x), last_input, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("size", "generator_count", "critic_count"),
    [
        # convolutions and batch norms of models/dcgan.py, added up by hand for 64 filters and z_dim 100
        (
            64,
            (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) * 16 + 2 * (512 + 256 + 128 + 64),
            (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1) * 16 + 2 * (128 + 256 + 512),
        ),
        (
            32,
            (100 * 256 + 256 * 128 + 128 * 64 + 64 * 3) * 16 + 2 * (256 + 128 + 64),
            (3 * 64 + 64 * 128 + 128 * 256 + 256 * 1) * 16 + 2 * (128 + 256),
        ),
    ],
)
def test_dcgan_counts(size: int, generator_count: int, critic_count: int) -> None:
    generator, critic = DCGAN()((3, size, size), 100)
    assert (parameter_count(generator), parameter_count(critic)) == (generator_count, critic_count)


def test_figure_6_generator() -> None:
    plain, critic = DCGAN()((3, 64, 64), 100)
    crippled, same_critic = DCGAN(norm="none", constant_filters=True)((3, 64, 64), 100)
    assert parameter_count(crippled) == (100 * 64 + 3 * 64 * 64 + 64 * 3) * 16
    # "a bit more than an order of magnitude" fewer parameters (WGAN section 4.3)
    assert 10 < parameter_count(plain) / parameter_count(crippled) < 15
    assert parameter_count(critic) == parameter_count(same_critic)
    kinds = [type(layer) for layer in crippled.body]
    middle = [nn.ReLU, nn.ConvTranspose2d]
    assert kinds == [nn.Unflatten, nn.ConvTranspose2d, *middle * 4, nn.Tanh]


class PublishedResNet:
    """gan_cifar_resnet.py of the WGAN-GP authors on the weights of our modules, each taken once."""

    def __init__(self, module: nn.Module) -> None:
        self.weights = dict(module.named_parameters())

    def take(self, name: str) -> tuple[Tensor, Tensor]:
        return self.weights.pop(f"{name}.weight"), self.weights.pop(f"{name}.bias")

    def conv(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.take(name)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def normalised(self, x: Tensor, name: str, kind: str) -> Tensor:
        if kind == "none":
            return x
        axes = (0, 2, 3) if kind == "batch" else (1, 2, 3)
        mean, var = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, unbiased=False)
        scale, offset = self.take(name)
        return (x - mean) / torch.sqrt(var + 1e-5) * scale[:, None, None] + offset[:, None, None]

    @staticmethod
    def up(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x[:, :, :, None, :, None].expand(n, c, h, 2, w, 2).reshape(n, c, 2 * h, 2 * w)

    @staticmethod
    def pool(x: Tensor) -> Tensor:
        return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4

    def block(self, x: Tensor, name: str, resample: str, kind: str) -> Tensor:
        # positions of the layers in our module: [norm] relu [up] conv [norm] relu conv [pool]
        n, u = int(kind != "none"), int(resample == "up")
        conv1, norm2, conv2 = 1 + n + u, 2 + n + u, 3 + 2 * n + u
        shortcut = x
        if resample == "up":
            shortcut = self.conv(self.up(x), f"{name}.shortcut.0")
        elif resample == "down":
            shortcut = self.pool(self.conv(x, f"{name}.shortcut.1"))
        y = F.relu(self.normalised(x, f"{name}.residual.0", kind))
        y = self.conv(self.up(y) if resample == "up" else y, f"{name}.residual.{conv1}")
        y = F.relu(self.normalised(y, f"{name}.residual.{norm2}", kind))
        y = self.conv(y, f"{name}.residual.{conv2}")
        return shortcut + (self.pool(y) if resample == "down" else y)

    def generate(self, z: Tensor, blocks: int, width: int) -> Tensor:
        weight, bias = self.take("body.0")
        x = (z @ weight.T + bias).reshape(-1, width, 4, 4)
        for i in range(blocks):
            x = self.block(x, f"body.{2 + i}", "up", "batch")
        x = F.relu(self.normalised(x, f"body.{2 + blocks}", "batch"))
        return torch.tanh(self.conv(x, f"body.{4 + blocks}"))

    def judge(self, x: Tensor, resamples: list[str], kind: str) -> Tensor:
        shortcut = self.conv(self.pool(x), "body.0.shortcut.1")
        y = self.conv(F.relu(self.conv(x, "body.0.residual.0")), "body.0.residual.2")
        x = shortcut + self.pool(y)
        for i, resample in enumerate(resamples):
            x = self.block(x, f"body.{1 + i}", resample, kind)
        weight, bias = self.take("head")
        return (F.relu(x).mean((2, 3)) @ weight.T + bias).flatten()


@pytest.mark.parametrize(
    ("size", "blocks", "resamples"), [(32, 3, ["down", "none", "none"]), (64, 4, ["down"] * 2 + ["none"] * 2)]
)
@pytest.mark.parametrize("critic_norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_resnet_equals_the_authors_code(
    size: int, blocks: int, resamples: list[str], critic_norm: str, channels: int
) -> None:
    torch.manual_seed(size)
    generator, critic = ResNet(filters=6, critic_norm=critic_norm)((channels, size, size), 5)
    for network in (generator.double(), critic.double()):
        with torch.no_grad():
            for p in network.parameters():
                p.add_(0.1 * torch.randn_like(p))
    z = torch.randn(2, 5, dtype=torch.float64)
    x = generator(z)
    theirs = PublishedResNet(generator)
    torch.testing.assert_close(x, theirs.generate(z, blocks, 6), atol=1e-6, rtol=0)
    assert not theirs.weights, "weights the published generator does not have"
    theirs = PublishedResNet(critic)
    torch.testing.assert_close(critic(x), theirs.judge(x, resamples, critic_norm), atol=1e-6, rtol=0)
    assert not theirs.weights, "weights the published critic does not have"


def test_resnet_counts() -> None:
    generator, critic = ResNet()((3, 32, 32), 128)
    conv3, conv1 = 128 * 128 * 9 + 128, 128 * 128 + 128
    up_block = 2 * conv3 + conv1 + 2 * 2 * 128
    assert parameter_count(generator) == 129 * 2048 + 3 * up_block + 2 * 128 + (128 * 3 * 9 + 3)
    first = (3 * 128 * 9 + 128) + conv3 + (3 * 128 + 128)
    assert parameter_count(critic) == first + (2 * conv3 + conv1) + 2 * (2 * conv3) + 129
    _, layered = ResNet(critic_norm="layer")((3, 32, 32), 128)
    assert parameter_count(layered) == parameter_count(critic) + 3 * 2 * 2 * 128


@pytest.mark.parametrize("depth", [3, 4])
def test_mlp_equals_its_formula(depth: int) -> None:
    generator, critic = MLP(width=16, depth=depth, tanh=depth == 4, critic="mlp")((3, 5, 6), 7)
    z = torch.randn(4, 7)
    weights = list(generator.parameters())
    assert len(weights) == 2 * (depth + 1)
    x = z
    for i in range(depth):
        x = F.relu(x @ weights[2 * i].T + weights[2 * i + 1])
    x = x @ weights[-2].T + weights[-1]
    x = (torch.tanh(x) if depth == 4 else x).reshape(4, 3, 5, 6)
    torch.testing.assert_close(generator(z), x)
    expected = x.flatten(1)
    weights = list(critic.body.parameters())
    assert len(weights) == 2 * depth
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        expected = F.relu(expected @ weight.T + bias)
    torch.testing.assert_close(critic(x), (expected @ critic.head.weight.T + critic.head.bias).flatten())


def test_mlp_of_figure_7() -> None:
    generator, critic = MLP()((3, 64, 64), 100)
    _, dcgan_critic = DCGAN()((3, 64, 64), 100)
    assert parameter_count(generator) == 101 * 512 + 3 * 513 * 512 + 513 * 3 * 64 * 64
    assert str(critic) == str(dcgan_critic)


def test_points_of_the_toy_code() -> None:
    generator, critic = Points()((2,), 2)
    assert parameter_count(generator) == 3 * 512 + 2 * 513 * 512 + 513 * 2
    assert parameter_count(critic) == 3 * 512 + 2 * 513 * 512 + 513
    assert [type(layer) for layer in critic.body] == [End, nn.ReLU, *[nn.Linear, nn.ReLU] * 2]
    _, tanh = Points(activation="tanh", dropout=0.5)((2,), 2)
    assert [type(layer) for layer in tanh.body] == [End, nn.Tanh, nn.Dropout, *[nn.Linear, nn.Tanh, nn.Dropout] * 2]
    _, leaky = Points(activation="leaky_relu")((2,), 2)
    assert leaky.body[1](torch.tensor(-1.0)) == pytest.approx(-0.2)


@pytest.mark.parametrize("size", SIZES)
def test_every_size(size: int) -> None:
    for network in (DCGAN(filters=1), ResNet(filters=2), MLP(width=4, depth=1, filters=1)):
        generator, critic = network((1, size, size), 3)
        x = generator(torch.randn(2, 3))
        assert x.shape == (2, 1, size, size)
        assert x.abs().max() <= 1
        assert critic(x).shape == (2,)
        assert critic.features(x).ndim == 2


def test_sizes_are_those_promised() -> None:
    assert SIZES == (8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(NETWORKS)),
    channels=st.integers(1, 4),
    size=st.sampled_from(SIZES[:10]),
    z_dim=st.integers(1, 5),
    classes=st.integers(0, 3),
    n=st.integers(2, 3),
    norm=st.sampled_from(["batch", "layer", "none"]),
    rate=st.sampled_from([0.0, 0.5]),
)
def test_any_combination_keeps_the_contract(
    name: str, channels: int, size: int, z_dim: int, classes: int, n: int, norm: str, rate: float
) -> None:
    shape: tuple[int, ...] = (channels, size, size)
    network: DCGAN | ResNet | MLP | Points = DCGAN(filters=2, norm=norm, critic_norm=norm, dropout=rate)
    if name == "resnet":
        network = ResNet(filters=2, norm=norm, critic_norm=norm, dropout=rate)
    elif name == "mlp":
        network = MLP(width=3, depth=2, filters=2, critic_norm=norm, dropout=rate)
    elif name == "points":
        network, shape = Points(width=3, depth=2, dropout=rate), (size,)
    generator, critic = network(shape, z_dim, classes)
    labels = torch.arange(n) % classes if classes else None
    x = generator(torch.randn(n, z_dim), labels)
    scores = critic(x, labels)
    assert x.shape == (n, *shape)
    assert scores.shape == (n,)
    assert torch.isfinite(scores).all()
    assert name == "points" or x.abs().max() <= 1
    (scores.sum()).backward()
    unused = [k for m in (generator, critic) for k, p in m.named_parameters() if p.grad is None]
    assert unused == []
    critic.eval()
    torch.testing.assert_close(critic(x, labels), critic.score(critic.features(x), labels))


def test_multiply_adds() -> None:
    generator, critic = DCGAN()((3, 64, 64), 100)
    z = torch.randn(1, 100)
    # a transposed convolution meets each of its inputs with each of its weights: 16 * in * out * (side of the input)^2
    by_hand = 16 * (100 * 512 + 512 * 256 * 4**2 + 256 * 128 * 8**2 + 128 * 64 * 16**2 + 64 * 3 * 32**2)
    assert multiply_adds(generator, z) == by_hand
    x = torch.zeros(2, 3, 64, 64)
    by_hand = 16 * (3 * 64 * 32**2 + 64 * 128 * 16**2 + 128 * 256 * 8**2 + 256 * 512 * 4**2 + 512)
    assert multiply_adds(critic, x) == 2 * by_hand


def test_multiply_adds_changes_nothing() -> None:
    generator, critic = DCGAN(filters=2, dropout=0.5)((1, 8, 8), 3)
    critic.body[1].eval()
    before = {k: v.clone() for k, v in [*generator.state_dict().items(), *critic.state_dict().items()]}
    modes = [m.training for m in critic.modules()]
    state = torch.get_rng_state()
    multiply_adds(generator, torch.ones(2, 3))
    multiply_adds(critic, torch.ones(2, 1, 8, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in critic.modules()] == modes
    after = dict([*generator.state_dict().items(), *critic.state_dict().items()])
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert not any(m._forward_hooks for m in critic.modules())


def test_initial_weights() -> None:
    torch.manual_seed(0)
    generator, critic = DCGAN()((3, 32, 32), 100, 10)
    for module in [*generator.modules(), *critic.modules()]:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            n = module.weight.numel()
            assert abs(module.weight.mean()) < 5 * 0.02 / math.sqrt(n)
            assert abs(module.weight.std() / 0.02 - 1) < 5 / math.sqrt(2 * n)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            assert abs(module.weight.mean() - 1) < 5 * 0.02 / math.sqrt(len(module.weight))
            assert abs(module.weight.std() / 0.02 - 1) < 5 / math.sqrt(2 * len(module.weight))
            assert not module.bias.any()
    scales = [m for k, m in generator.named_parameters() if "scale" in k]
    assert len(scales) == 3
    assert all(abs(s.std() / 0.02 - 1) < 0.2 and abs(s.mean() - 1) < 0.005 for s in scales)

    generator, critic = ResNet(filters=64)((3, 32, 32), 100)
    for module in [*generator.modules(), *critic.modules()]:
        if isinstance(module, nn.Conv2d | nn.Linear):
            area = math.prod(module.weight.shape[2:])
            fans = (module.weight.shape[0] + module.weight.shape[1]) * area
            # tflib/ops/conv2d.py: He's 4 / (fan_in + fan_out) inside the blocks, Glorot's 2 / ... at shortcuts and ends
            glorot = area == 1 or module.weight.shape[0] == 3
            std = math.sqrt((2 if glorot else 4) / fans)
            assert module.weight.abs().max() <= std * math.sqrt(3) * (1 + 1e-6)
            assert abs(module.weight.std() / std - 1) < 5 / math.sqrt(module.weight.numel())
            assert not module.bias.any()

    generator, critic = Points()((2,), 2)
    for layers, last in ((generator.body[:-1], generator.body[-1]), (critic.body, critic.head)):
        for layer in (layer for layer in layers if isinstance(layer, nn.Linear)):
            # gan_toy.py: initialization='he', uniform with variance 2 / fan_in
            std = math.sqrt(2 / layer.in_features)
            assert abs(layer.weight.std() / std - 1) < 5 / math.sqrt(layer.weight.numel())
            assert layer.weight.abs().max() <= std * math.sqrt(3) * (1 + 1e-6)
        assert last.weight.abs().max() <= math.sqrt(6 / (last.in_features + last.out_features)) * (1 + 1e-6)
        assert abs(last.weight.std() / math.sqrt(2 / (last.in_features + last.out_features)) - 1) < 0.2


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_seed_decides_the_weights(name: str) -> None:
    shape = (2,) if name == "points" else (1, 8, 8)

    def build(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        generator, critic = NETWORKS[name]()(shape, 3)
        return [*generator.state_dict().values(), *critic.state_dict().values()]

    assert all(map(torch.equal, build(1), build(1)))
    assert not all(map(torch.equal, build(1), build(2)))


def test_bfloat16_puts_no_points_on_a_grid() -> None:
    """Points go in and come out with the digits of float32: they would have 8 bits."""
    generator, critic = Points(width=32)((2,), 4)
    seen: list[Tensor] = []
    critic.body[0].register_forward_hook(lambda layer, x, y: seen.append(y))
    points = torch.rand(50, 2) + 1
    with torch.autocast("cpu", torch.bfloat16):
        made = generator(torch.randn(50, 4))
        critic(points)
    assert made.dtype == torch.float32
    assert not torch.equal(made, made.bfloat16().float())
    assert torch.equal(seen[0], torch.nn.functional.linear(points, critic.body[0].weight, critic.body[0].bias))
