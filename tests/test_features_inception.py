"""Inception features: equal to torch-fidelity's on real images, resized as by brute force, safe from bad files."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import pickle
import runpy
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import wgan
from wgan.errors import UserError
from wgan.features import Features, find_features, weights
from wgan.features.inception import CHUNK, SIZE, Block, Inception, InceptionFeatures, Unit, network_of
from wgan.features.resize import resize_tf1
from wgan.features.weights import SHA256, URLS, Weights, find_weights, read_weights

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
NAMES = [url.rpartition("/")[2] for url in URLS]


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "inception_speed.py"))


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Real photographs uint8 [8, 3, 32, 32]."""
    if not (ROOT / "datasets" / "cifar-10-batches-py").is_dir():
        pytest.skip("no CIFAR-10 under datasets/")
    return torch.from_numpy(
        wgan.data.load("cifar10", split="test", root=ROOT / "datasets", quiet=True).array[:8].copy()
    )


@pytest.fixture(scope="module")
def path(benchmark: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the official one, with random weights that behave like trained ones."""
    noise = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    file = tmp_path_factory.mktemp("weights") / "random.pth"
    # the official one is a plain dict in torch's old format
    torch.save(dict(benchmark["random_weights"](noise)), file, _use_new_zipfile_serialization=False)
    return file


@pytest.fixture(scope="module")
def features(path: Path) -> InceptionFeatures:
    return InceptionFeatures(read_weights(path), CPU)


@pytest.fixture(scope="module")
def reference(benchmark: dict[str, Any], path: Path) -> nn.Module:
    """torch-fidelity's network with the same weights, which it loads strictly: no key too many or too few."""
    try:
        network: nn.Module = benchmark["torch_fidelity_network"](path)
    except ImportError as error:
        pytest.skip(f"needs torch-fidelity and torchvision: {error}")
    return network


# the network


def test_features_equal_torch_fidelitys(features: InceptionFeatures, reference: nn.Module, images: Tensor) -> None:
    pool3, logits = reference(images[:4])
    found = features(images[:4])
    assert pool3.std(0).mean() > 0.01 * pool3.max()  # the images can be told apart
    assert (found.features - pool3).abs().max() < 1e-5 * pool3.abs().max()
    own_logits = found.features @ reference.fc.weight.T
    assert (own_logits - logits).abs().max() < 1e-5 * logits.abs().max()
    assert found.probabilities is not None
    torch.testing.assert_close(found.probabilities.double(), logits.double().softmax(1), rtol=1e-4, atol=1e-7)
    # a bias that was not left out would show
    biased = (logits + reference.fc.bias).double().softmax(1)
    assert not torch.allclose(found.probabilities.double(), biased, rtol=0.1)


def test_the_graph_is_torch_fidelitys(path: Path, reference: nn.Module, images: Tensor) -> None:
    # in float64 nothing hides in rounding; at the network's own size nothing is resized
    large = resize_tf1(images[:1].float(), SIZE).round().to(torch.uint8)
    network = network_of(read_weights(path)).double()
    exact, dtype = reference.double(), reference.feature_extractor_internal_dtype
    reference.feature_extractor_internal_dtype = torch.float64
    pool3, logits = exact(large)  # handed out as float32
    reference.float().feature_extractor_internal_dtype = dtype
    own = network((large.double() - 128) / 128)
    torch.testing.assert_close(own.float(), pool3, rtol=3e-7, atol=0)
    torch.testing.assert_close((own @ network.fc.weight.T).float(), logits, rtol=3e-6, atol=1e-6)


def test_names_and_shapes_are_the_official_ones(reference: nn.Module) -> None:
    theirs = {name: x.shape for name, x in reference.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert {name: x.shape for name, x in Inception().state_dict().items()} == theirs


def test_the_official_file_is_accounted_for() -> None:
    # 94 convolutions with a weight and four numbers a channel, and the last layer: 95,541,568 of 95,628,359 bytes,
    # the rest is names and places
    state = Inception().state_dict()
    assert len(state) == 94 * 5 + 2
    assert sum(x.numel() * x.element_size() for x in state.values()) == 95_541_568
    kinds = [name.rpartition(".")[2] for name in state]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "weight": 94 * 2 + 1,
        "bias": 94 + 1,
        "running_mean": 94,
        "running_var": 94,
    }
    assert state["Conv2d_1a_3x3.conv.weight"].shape == (32, 3, 3, 3)
    assert state["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)


def test_folding_keeps_the_function(path: Path) -> None:
    network = network_of(read_weights(path)).double()
    x = torch.rand(1, 3, 75, 75, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    before = network(x)
    units = [unit for unit in network.modules() if isinstance(unit, Unit)]
    after = network.fold()(x)
    assert len(units) == 94
    assert all(isinstance(unit.bn, nn.Identity) for unit in units)
    torch.testing.assert_close(after, before, rtol=1e-10, atol=0)
    torch.testing.assert_close(network.fold()(x), after, rtol=0, atol=0)  # once is enough


@pytest.mark.parametrize(("pool", "corner"), [("average", 2.5), ("max", 5.0)])
def test_pooling_counts_only_pixels_of_the_image(pool: str, corner: float) -> None:
    block = Block(1, {}, pool)
    x = torch.tensor([[1.0, 2.0, 9.0], [2.0, 5.0, 9.0], [9.0, 9.0, 9.0]])[None, None]
    assert block._pooled(x)[0, 0, 0, 0] == corner
    assert block._pooled(-x)[0, 0, 0, 0] == (-1.0 if pool == "max" else -corner)


def test_an_image_has_its_features_in_any_batch(features: InceptionFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    some = torch.randint(0, 256, (3, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    sizes: list[int] = []
    network = features._network
    handle = network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    monkeypatch.setitem(CHUNK, "cpu", 2)
    together = features(some)
    handle.remove()
    assert sizes == [2, 1]  # memory is bounded whatever the caller asks for
    single = features(some[2:])
    scale = together.features.abs().max()
    assert (together.features[2:] - single.features).abs().max() < 1e-5 * scale
    assert (together.features[0] - together.features[2]).abs().max() > 1e-3 * scale
    assert not together.features.requires_grad
    assert together.features.dtype == torch.float32
    assert together.probabilities is not None
    torch.testing.assert_close(together.probabilities.sum(1), torch.ones(3))


def test_no_images_have_no_features(features: InceptionFeatures) -> None:
    found = features(torch.empty(0, 3, 32, 32, dtype=torch.uint8))
    assert found.features.shape == (0, 2048)
    assert found.probabilities is not None
    assert found.probabilities.shape == (0, 1008)


def test_one_channel_is_repeated(features: InceptionFeatures) -> None:
    grey = torch.randint(0, 256, (1, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(features.prepared(grey), features.prepared(grey.repeat(1, 3, 1, 1)), rtol=0, atol=0)
    assert features(grey).features.shape == (1, 2048)


def test_scaling_is_the_graphs(features: InceptionFeatures) -> None:
    x = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1).repeat(1, 3, 5, 7)
    found = features.prepared(x)
    assert found.shape == (3, 3, 299, 299)
    assert found.dtype == torch.float32
    assert [found[i].unique().tolist() for i in range(3)] == [[-1.0], [0.0], [127 / 128]]


def test_convolutions_never_round_to_tf32(features: InceptionFeatures) -> None:
    seen: list[bool] = []
    handle = features._network.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    before = torch.backends.cudnn.allow_tf32
    features(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    handle.remove()
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32 == before


def test_bfloat16_is_near_and_says_so(path: Path, features: InceptionFeatures) -> None:
    rough = InceptionFeatures(read_weights(path), CPU, "bfloat16")
    some = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    exact, found = features(some).features, rough(some).features
    assert found.dtype == torch.float32
    assert 1e-4 < (found - exact).norm() / exact.norm() < 0.1
    assert rough.fingerprint != features.fingerprint
    assert rough.protocol["arithmetic"] == "bfloat16"
    assert features.protocol["arithmetic"] == "float32"
    with pytest.raises(UserError, match="arithmetic 'float16'"):
        InceptionFeatures(read_weights(path), CPU, "float16")


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (torch.zeros(1, 3, 8, 8), r"uint8 \[n, channels, height, width\] in 0..255, not float32 \[1, 3, 8, 8\]"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"not uint8 \[3, 8, 8\]"),
        (torch.zeros(1, 3, 0, 8, dtype=torch.uint8), r"not uint8 \[1, 3, 0, 8\]"),
        (torch.zeros(1, 4, 8, 8, dtype=torch.uint8), "4 channels"),
    ],
)
def test_other_images_are_refused(features: InceptionFeatures, bad: Tensor, match: str) -> None:
    with pytest.raises(UserError, match=match):
        features(bad)


# resizing


def test_resizing_counts_from_the_first_pixel() -> None:
    x = torch.tensor([[0.0, 1.0]])[None, None]
    # half-pixel coordinates would give 0, 1/4, 3/4, 1
    assert resize_tf1(x, 4)[0, 0, 0].tolist() == [0.0, 0.5, 1.0, 1.0]
    # no antialiasing: every third pixel as it is
    y = torch.arange(9.0).expand(1, 1, 9, 9)
    assert resize_tf1(y, 3)[0, 0, 0].tolist() == [0.0, 3.0, 6.0]


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 50),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=30, deadline=None)
def test_resizing_is_bilinear(height: int, width: int, size: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.float64)
    wanted = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            # places as float32 has them: one ulp decides on which side of a pixel a place lies
            row = float(np.float32(i) * (np.float32(height) / np.float32(size)))
            column = float(np.float32(j) * (np.float32(width) / np.float32(size)))
            top, left = int(row), int(column)
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            u, v = row - top, column - left
            upper = (1 - v) * x[top, left] + v * x[top, right]
            lower = (1 - v) * x[below, left] + v * x[below, right]
            wanted[i, j] = (1 - u) * upper + u * lower
    found = resize_tf1(torch.from_numpy(x)[None, None].float(), size)
    np.testing.assert_allclose(found[0, 0].numpy(), wanted, atol=2e-4)


@pytest.mark.parametrize("shape", [(32, 32), (28, 28), (64, 48), (299, 299), (1, 5), (512, 300)])
def test_resizing_has_torch_fidelitys_bits(shape: tuple[int, int], reference: nn.Module) -> None:
    module = sys.modules["torch_fidelity.interpolate_compat_tensorflow"]
    x = torch.randint(0, 256, (1, 2, *shape), generator=torch.Generator().manual_seed(5)).float()
    before = x.clone()
    theirs = module.interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False)
    assert torch.equal(resize_tf1(x, 299), theirs)
    assert torch.equal(x, before)  # in place on copies only


def test_resizing_differs_from_todays(images: Tensor) -> None:
    today = F.interpolate(images.float(), size=(299, 299), mode="bilinear", align_corners=False)
    assert (resize_tf1(images.float(), 299) - today).abs().mean() > 1


# finding, reading and refusing weights


def saved(content: object, new: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=new)
    return file.getvalue()


SMALL = saved({"a": torch.arange(3.0)})


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of data sets on a machine where SMALL counts as the official file, and nothing is in torch's cache."""
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(SMALL).hexdigest())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("WGAN_MIRROR", "http://127.0.0.1:9")
    (tmp_path / "data" / "weights").mkdir(parents=True)
    return tmp_path / "data"


class Server(http.server.BaseHTTPRequestHandler):
    def __init__(self, files: dict[str, bytes], asked: list[str], *rest: object) -> None:
        self.files, self.asked = files, asked
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.asked.append(name)
        if name not in self.files:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.files[name])))
        self.end_headers()
        self.wfile.write(self.files[name])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, official: Path) -> Iterator[tuple[dict[str, bytes], list[str]]]:
    """What the machine at both addresses has, by name; and what it was asked for."""
    files: dict[str, bytes] = {}
    asked: list[str] = []
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, files, asked))
    thread = threading.Thread(target=partial(http_server.serve_forever, poll_interval=0.02))
    thread.start()
    monkeypatch.setenv("WGAN_MIRROR", f"http://127.0.0.1:{http_server.server_port}")
    yield files, asked
    http_server.shutdown()
    http_server.server_close()
    thread.join()


def test_the_official_checksum_names_the_file() -> None:
    assert len(SHA256) == 64
    assert all(name.endswith(f"-{SHA256[:8]}.pth") for name in NAMES)
    assert all(url.startswith("https://") for url in URLS)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_found_in_the_folder(official: Path, name: str) -> None:
    (official / "weights" / name).write_bytes(SMALL)
    found = find_weights(None, official)
    assert found.official
    assert found.tensors["a"].tolist() == [0.0, 1.0, 2.0]
    assert found.path == official / "weights" / name


def test_weights_are_found_where_other_programs_keep_them(official: Path, tmp_path: Path) -> None:
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / NAMES[0]).write_bytes(b"another")  # passed over
    (cache / NAMES[1]).write_bytes(SMALL)
    assert find_weights(None, official).path == cache / NAMES[1]


def test_weights_are_downloaded_once(official: Path, server: tuple[dict[str, bytes], list[str]]) -> None:
    files, asked = server
    files[NAMES[0]] = SMALL
    assert find_weights(None, official, quiet=True).official
    assert find_weights(None, official, quiet=True).path == official / "weights" / NAMES[0]
    assert asked == [NAMES[0]]


def test_the_second_address_helps_out(official: Path, server: tuple[dict[str, bytes], list[str]]) -> None:
    files, asked = server
    files[NAMES[1]] = SMALL
    assert find_weights(None, official, quiet=True).path == official / "weights" / NAMES[1]
    assert asked == NAMES


def test_a_damaged_download_is_not_kept(official: Path, server: tuple[dict[str, bytes], list[str]]) -> None:
    files, _ = server
    files.update(dict.fromkeys(NAMES, SMALL[:-1]))
    with pytest.raises(UserError, match=r"is damaged.*'classifier'"):
        find_weights(None, official, quiet=True)
    assert list((official / "weights").iterdir()) == []


def test_no_network_says_how_to_go_on(official: Path) -> None:
    with pytest.raises(UserError) as error:
        find_weights(None, official, quiet=True)
    text = str(error.value)
    assert "\n" not in text
    assert f"by hand and put it at {official / 'weights' / NAMES[0]}" in text
    assert "classifier" in text
    assert NAMES[1] not in text  # the other address, on the same host, was not tried


def test_a_damaged_file_in_the_folder_is_named(official: Path) -> None:
    (official / "weights" / NAMES[0]).write_bytes(SMALL[:-5])
    with pytest.raises(UserError, match=rf"{NAMES[0]}' is truncated, damaged or another network .*remove it"):
        find_weights(None, official)


def test_weights_by_path_may_be_others(official: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.pth"
    other.write_bytes(saved({"a": torch.ones(1)}))
    assert not find_weights(other, official).official
    other.write_bytes(SMALL)
    assert find_weights(other, official).official


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("evil",)


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 20))
    return file.getvalue()


BAD_FILES = {
    "code, new format": (saved({"a": Evil()}), "could run code"),
    "code, old format": (saved({"a": Evil()}, new=False), "could run code"),
    "a bare pickle": (pickle.dumps(Evil(), 0), "could run code"),
    "a bare pickle of today": (pickle.dumps(Evil()), "could run code|no file of weights"),
    "a whole network": (saved(nn.Linear(1, 1)), "could run code"),
    "a web page": (b"<html>404 not found</html>", "truncated, damaged or no file of weights"),
    "nothing": (b"", "truncated, damaged or no file of weights"),
    "truncated, new format": (SMALL[:-20], "truncated, damaged or no file of weights"),
    "truncated, old format": (saved({"a": torch.ones(9)}, new=False)[:-8], "truncated, damaged or no file of weights"),
    "a bomb": (bomb(), "unpacks to more than it holds"),
    "a list": (saved([torch.ones(1)]), "other than tensors by name"),
    "numbered": (saved({1: torch.ones(1)}), "other than tensors by name"),
    "numbers": (saved({"a": 1.0}), "other than tensors by name"),
    "sparse": (saved({"a": torch.eye(2).to_sparse()}), "other than tensors by name"),
    "a shape": (saved({"a": torch.ones(1, device="meta")}), "other than tensors by name"),
    "complex": (saved({"a": torch.ones(1, dtype=torch.complex64)}), "other than tensors by name"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_have_one_line(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.chdir(tmp_path)
    content, match = BAD_FILES[kind]
    Path("bad.pth").write_bytes(content)
    with pytest.raises(UserError, match=match) as error:
        read_weights(Path("bad.pth"))
    assert "\n" not in str(error.value)
    assert "bad.pth" in str(error.value)
    assert not Path("evil").exists()
    assert not [warning for warning in recwarn if issubclass(warning.category, UserWarning)]


def test_parameters_are_read_as_plain_tensors(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(saved({"a": nn.Parameter(torch.ones(2))}))
    found = read_weights(tmp_path / "mine.pth").tensors["a"]
    assert type(found) is Tensor
    assert not found.requires_grad


def test_files_that_are_none_have_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no file of weights at '.*none.pth'"):
        read_weights(tmp_path / "none.pth")
    with pytest.raises(UserError, match="no file of weights at"):
        read_weights(tmp_path)
    (tmp_path / "large.pth").write_bytes(SMALL)
    monkeypatch.setattr(weights, "LARGEST", len(SMALL) - 1)
    with pytest.raises(UserError, match="larger than any weights"):
        read_weights(tmp_path / "large.pth")


def test_weights_of_another_network_are_refused(path: Path) -> None:
    good = read_weights(path).tensors

    def made(**changes: Tensor | None) -> Weights:
        tensors = dict(good)
        for name, value in changes.items():
            if value is None:
                del tensors[name.replace("__", ".")]
            else:
                tensors[name.replace("__", ".")] = value
        return Weights(tensors, "0" * 64, Path("mine.pth"))

    with pytest.raises(UserError, match=r"'mine.pth' lacks tensor 'fc.bias'"):
        network_of(made(fc__bias=None))
    with pytest.raises(UserError, match=r"has an unknown tensor 'AuxLogits.fc.weight'"):
        network_of(made(AuxLogits__fc__weight=torch.ones(1)))
    with pytest.raises(UserError, match=r"'fc.weight' is \[1000, 2048\], not \[1008, 2048\]"):
        network_of(made(fc__weight=torch.ones(1000, 2048)))
    for number in (float("nan"), float("inf")):
        with pytest.raises(UserError, match=r"'fc.bias' holds numbers that no trained network has"):
            network_of(made(fc__bias=torch.full((1008,), number)))
    with pytest.raises(UserError, match="running_var' holds numbers"):
        network_of(made(Conv2d_1a_3x3__bn__running_var=-torch.ones(32)))
    # counters that some converters add are no part of the function
    network = network_of(made(Conv2d_1a_3x3__bn__num_batches_tracked=torch.tensor(0)))
    assert not any(x.is_meta or x.requires_grad for x in network.state_dict().values())


# by name


def test_inception_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = wgan.data.load("digits", quiet=True)
    found = find_features("inception", digits, weights=path)
    assert isinstance(found, Features)
    # what these weights measure must never be called FID
    assert found.name == "inception-unofficial"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.protocol["weights_sha256"] == sha256
    assert found.dim == 2048
    monkeypatch.setattr(weights, "SHA256", sha256)
    official = find_features("inception", digits, weights=path)
    assert official.name == "inception"
    assert official.fingerprint == found.fingerprint  # the numbers are the same
    assert sha256 in found.fingerprint


def test_weights_lie_in_the_folder_of_data_sets(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (official / "weights" / NAMES[0]).write_bytes(SMALL)
    monkeypatch.setenv("WGAN_DATASETS", str(official))
    with pytest.raises(UserError, match=rf"{official / 'weights' / NAMES[0]}' lacks tensor"):
        find_features("inception", wgan.data.load(np.zeros((3, 3, 8, 8), np.uint8)))


def test_the_classifier_gets_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, dict[str, object]]] = []
    made = find_features("pixels", wgan.data.load("digits", quiet=True))

    def classifier(data: object, **named: object) -> Features:
        asked.append((data, named))
        return made

    monkeypatch.setattr("wgan.features.classifier.classifier", classifier)
    digits = wgan.data.load("digits", quiet=True)
    assert find_features("classifier", digits, root=tmp_path, quiet=True) is made
    assert asked == [(digits, {"root": tmp_path, "quiet": True, "device": CPU})]


def test_names_that_will_not_do(tmp_path: Path, path: Path) -> None:
    digits = wgan.data.load("digits", quiet=True)
    with pytest.raises(UserError, match="unknown features 'incepton'; did you mean 'inception'"):
        find_features("incepton", digits)
    with pytest.raises(UserError, match="of images, and data '8gaussians' is points"):
        find_features("inception", wgan.data.load("8gaussians"))
    with pytest.raises(UserError, match="are for the features 'inception', not for 'pixels'"):
        find_features("pixels", digits, weights=path)
    two = wgan.data.load(np.zeros((3, 2, 8, 8), np.uint8))
    with pytest.raises(UserError, match="2 channels"):
        find_features("inception", two, root=tmp_path)


def test_pixels() -> None:
    digits = wgan.data.load("digits", quiet=True)
    assert isinstance(digits, wgan.data.Images)
    found = find_features("pixels", digits)
    assert isinstance(found, Features)
    assert (found.name, found.dim, found.protocol["dim"]) == ("pixels", 64, 64)
    images = torch.from_numpy(digits.array[:5].copy())
    features, probabilities = found(images)
    assert probabilities is None
    torch.testing.assert_close(features.double(), images.flatten(1).double() / 127.5 - 1, rtol=0, atol=1e-6)
    assert (features.min(), features.max()) == (-1.0, 1.0)
    assert images.dtype == torch.uint8
    assert found.fingerprint == find_features("pixels", digits).fingerprint
    with pytest.raises(UserError, match=r"pixels of \[1, 9, 8\] cannot be compared with \[1, 8, 8\]"):
        found(torch.zeros(1, 1, 9, 8, dtype=torch.uint8))
    with pytest.raises(UserError, match="float32"):
        found(torch.zeros(1, 1, 8, 8))


@pytest.mark.slow
def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    arguments = "--data digits --n 2 --batch 2 --rounds 1 --modes float32 --json --weights"
    monkeypatch.setattr(sys, "argv", ["inception_speed.py", *arguments.split(), str(path)])
    runpy.run_path(str(ROOT / "benchmarks" / "inception_speed.py"), run_name="__main__")
    told = json.loads(capsys.readouterr().out)
    speed = told["images_per_second"]["float32"]
    assert 0 < speed["slowest"] <= speed["median"] <= speed["fastest"]
    assert told["peak_memory_mib"]["float32"] > 100
    assert told["weights"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_benchmark_measures_what_a_mode_moves(benchmark: dict[str, Any]) -> None:
    some = torch.randint(0, 256, (40, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(6))

    def exact(images: Tensor) -> Tensor:
        return images.flatten(1).float()[:, :3]

    told = benchmark["movements"]({"exact": exact, "double": lambda images: 2 * exact(images)}, some, 7)
    assert told["exact"]["features_moved"] == told["exact"]["fid_real_moved"] == told["exact"]["fid_blurred_moved"] == 0
    assert told["double"]["fid_real_moved"] == pytest.approx(
        3
    )  # distances double, their squares are four times as large
    assert told["double"]["fid_blurred_moved"] == pytest.approx(3)
    features = exact(some[:20])
    moved = features.norm() / (features - features.mean(0)).norm()
    assert told["double"]["features_moved"] == pytest.approx(float(moved))
