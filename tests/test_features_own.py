"""Features by a function of the user's own: found, tried before use, and refused with one line that helps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import wgan
from wgan.errors import UserError
from wgan.features import Features, find_features

GOOD = """
from dataclasses import dataclass
import torch

@dataclass
class Scale:
    by: float = 255.0

def mean_and_std(images):
    x = images.float() / Scale().by
    return torch.stack([x.mean((1, 2, 3)), x.std((1, 2, 3))], 1)

def double(images):
    return mean_and_std(images).double().numpy()
"""

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data() -> wgan.Data:
    return wgan.data.load("digits", quiet=True)


def write(code: str, name: str = "mine.py") -> None:
    Path(name).write_text(code)


def function(body: str, before: str = "") -> None:
    """mine.py with a function `f(images)` of this body."""
    write(f"import torch, numpy as np\n{before}\ndef f(images):\n    {body}\n")


def images(n: int = 5) -> Tensor:
    return torch.randint(0, 256, (n, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))


def wanted(x: Tensor) -> np.ndarray:
    y = x.numpy().reshape(len(x), -1) / 255.0
    return np.stack([y.mean(1), y.std(1, ddof=1)], 1)


@pytest.mark.parametrize("name", ["mine.py:mean_and_std", "mine:mean_and_std", "sub/mine.py:double"])
def test_a_function_by_file_and_by_module(data: wgan.Data, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    Path("sub").mkdir()
    for file in ("mine.py", "sub/mine.py"):
        write(GOOD, file)
    path = list(sys.path)
    found = find_features(name, data)
    assert isinstance(found, Features)
    assert (found.name, found.dim) == (name, 2)
    features, probabilities = found(images())
    assert probabilities is None
    assert features.dtype == torch.float32
    np.testing.assert_allclose(features.numpy(), wanted(images()), rtol=1e-5)
    assert found(images(0)).features.shape == (0, 2)
    assert sys.path == path
    assert not Path("__pycache__").exists() or name.startswith("mine:")


def test_a_path_anywhere_with_files_beside_it(data: wgan.Data, tmp_path: Path) -> None:
    Path("far").mkdir()
    write("from beside_it import width\ndef f(images):\n    return images.flatten(1).float()[:, :width]\n", "far/a.py")
    write("width = 3\n", "far/beside_it.py")
    assert find_features(f"{tmp_path / 'far' / 'a.py'}:f", data).dim == 3
    assert "a" not in sys.modules  # it hides no module of that name


def test_gradients_stay_out_and_the_images_stay_theirs(data: wgan.Data) -> None:
    function(
        "assert not torch.is_grad_enabled()\n    return (images.zero_().flatten(1).float() + weight)[:, :4]",
        before="weight = torch.ones(64, requires_grad=True)",
    )
    some = images()
    features = find_features("mine.py:f", data)(some).features
    assert not features.requires_grad
    assert torch.equal(features, torch.ones(5, 4))
    assert torch.equal(some, images())


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("mine.py:", "must be 'module:function' or 'path/file.py:function'"),
        (":f", "must be 'module:function'"),
        ("none.py:f", "cannot read 'none.py': No such file"),
        ("no_such_module:f", "there is no module 'no_such_module' here or installed"),
        ("wgan.no_such:f", "there is no module 'wgan.no_such'"),
        ("mine.py:g", "'mine.py' has no 'g'; it has .*mean_and_std"),
        ("mine.py:SIZE", "'SIZE' is int, not a function of images"),
        ("needs:f", "importing 'needs' fails: No module named 'never_heard_of'"),
        ("needs.py:f", r"needs.py fails at needs.py, line 2: ModuleNotFoundError: No module named 'never_heard_of'"),
        ("wrong.py:f", "wrong.py fails: SyntaxError: "),
        ("leaves.py:f", "leaves.py fails at leaves.py, line 1: SystemExit: 0"),
        ("leaves:f", "importing 'leaves' fails at leaves.py, line 1: SystemExit: 0"),
        (".:f", "importing '.' fails|no module"),
    ],
)
def test_names_that_lead_nowhere(data: wgan.Data, name: str, match: str) -> None:
    write(GOOD + "\nSIZE = 3\n")
    write("\nimport never_heard_of\n", "needs.py")
    write("def f(:\n", "wrong.py")
    write("raise SystemExit(0)\n", "leaves.py")
    path = list(sys.path)
    with pytest.raises(UserError, match=match) as error:
        find_features(name, data)
    assert "\n" not in str(error.value)
    assert name in str(error.value)
    assert sys.path == path


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("return images.float().mean()", r"must return \[n, d\].*for 4 images they returned \[\]"),
        ("return images.flatten().float()", r"for 4 images they returned \[256\]"),
        ("return images.float()", r"returned \[4, 1, 8, 8\]"),
        ("return images.flatten(1).float()[:2]", r"returned \[2, 64\]"),
        ("return images.flatten(1).float()[:, :0]", r"returned \[4, 0\]"),
        ("return images.flatten(1)", r"must return floats \[n, d\], not uint8 \[4, 64\]"),
        ("return {'features': images}", r"must return a tensor \[n, d\], not dict"),
        ("pass", r"must return a tensor \[n, d\], not NoneType"),
        (
            "x = images.flatten(1).float()\n    x[1:3, 0] = float('nan')\n    return x",
            "NaN or infinite for 2 of 4 images",
        ),
        ("return images.flatten(1).double() * 1e300", "NaN or infinite for 4 of 4 images"),
        ("return images.flatten(1).float() @ torch.ones(3, 3)", r"'mine.py:f' fail at mine.py, line 4: RuntimeError: "),
        (r"raise ValueError('one\ntwo')", "fail at mine.py, line 4: ValueError: one two"),
        ("raise SystemExit('enough')", "fail at mine.py, line 4: SystemExit: enough"),
        ("return torch.randn(len(images), 3)", r"different each time for the same images: .*eval\(\)"),
        (
            "x = images.flatten(1).float()\n    return x - x.mean(0)",
            r"depend on the other images of the batch: .*eval\(\)",
        ),
    ],
)
def test_functions_that_will_not_do(data: wgan.Data, body: str, match: str) -> None:
    function(body)
    with pytest.raises(UserError, match=match) as error:
        find_features("mine.py:f", data)
    assert "\n" not in str(error.value)


def test_a_network_in_training_mode_is_told(data: wgan.Data) -> None:
    net = "torch.manual_seed(0)\nnet = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.{}).{}()"
    for layer in ("Dropout(0.5)", "BatchNorm1d(64)"):
        function("return net(images.float())", before=net.format(layer, "train"))
        with pytest.raises(UserError, match=r"call its eval\(\) first"):
            find_features("mine.py:f", data)
        function("return net(images.float())", before=net.format(layer, "eval"))
        assert find_features("mine.py:f", data).dim == 64


def test_later_batches_are_checked_too(data: wgan.Data) -> None:
    function("x = images.flatten(1).float()\n    return x if len(x) < 5 else x[:, :7]")
    found = find_features("mine.py:f", data)
    with pytest.raises(UserError, match="returned 7 numbers an image, before 64"):
        found(images(5))
    function("x = images.flatten(1).float()\n    return x / (x.sum(1, keepdim=True) != 0)")
    with pytest.raises(UserError, match="NaN or infinite for 1 of 3 images"):
        find_features("mine.py:f", data)(torch.cat([images(2), torch.zeros(1, 1, 8, 8, dtype=torch.uint8)]))
    with pytest.raises(UserError, match="not float32"):
        found(images().float())


def test_rounding_is_no_randomness(data: wgan.Data) -> None:
    function("return images.flatten(1) * (1 + 1e-6 * torch.randn(64))")
    assert find_features("mine.py:f", data).dim == 64


def test_no_images_never_reach_the_function(data: wgan.Data) -> None:
    function("return images.flatten(1) / images.max()")
    assert find_features("mine.py:f", data)(images(0)).features.shape == (0, 64)


def test_the_function_sees_images_of_the_datas_shape(here: Path) -> None:
    data = wgan.data.load(np.zeros((3, 3, 12, 10), np.uint8))
    function(
        "assert images.shape[1:] == (3, 12, 10) and images.dtype == torch.uint8\n    return images.flatten(1) / 2.0"
    )
    assert find_features("mine.py:f", data).dim == 360


def test_the_fingerprint_follows_the_numbers(data: wgan.Data) -> None:
    def of(code: str) -> str:
        write(code)
        return find_features("mine.py:mean_and_std", data).fingerprint

    first = of(GOOD)
    assert of(GOOD) == first
    assert of(GOOD.replace("255.0", "254.0")) != first
    assert of(GOOD + "\n# a branch that the trial does not reach\n") != first
    # weights that lie in another file
    code = "import torch\nw = torch.load('w.pt')\ndef mean_and_std(images):\n    return images.flatten(1).float() @ w\n"
    w = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    torch.save(w, "w.pt")
    weighted = of(code)
    torch.save(w * (1 + 1e-7), "w.pt")  # rounding of another machine
    assert of(code) == weighted
    w[3, 2] += 0.05
    torch.save(w, "w.pt")
    assert of(code) != weighted
    assert find_features("mine.py:mean_and_std", data).protocol["source_sha256"]


def test_a_line_of_the_users_in_a_users_error(data: wgan.Data) -> None:
    write("from wgan.errors import UserError\ndef f(images):\n    raise UserError('the weights are missing')\n")
    with pytest.raises(UserError, match=r"^the weights are missing$"):
        find_features("mine.py:f", data)
