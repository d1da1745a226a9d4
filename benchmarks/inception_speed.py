"""Inception features: images per second and peak memory beside torch-fidelity's network, and what faster modes move.

    python benchmarks/inception_speed.py [--n 32] [--batch 16] [--rounds 5] [--weights FILE] [--moved 0] [--json]

All networks have the same weights and take turns on the same CIFAR-10 images in one process; a busy machine then
slows each alike. Without a file of weights they are random ones with activations of a plausible size.
--moved N measures how far features and FID of N images a set move in each mode, against torch-fidelity's network.
Peak memory is of a process of its own for each. torch-fidelity is left out where it can't be imported.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import wgan
from wgan.features.inception import FrozenNorm, Inception, InceptionFeatures
from wgan.features.resize import resize_tf1
from wgan.features.weights import read_weights

REFERENCE = "torch-fidelity"
MODES = ("plain", "folded", "float32", "bfloat16")
# of modules that torchvision must find declared; kept for as long as the process lives
_LIBRARIES: list[torch.library.Library] = []


def torch_fidelity_network(path: Path) -> nn.Module:
    """torch-fidelity's network with weights from a file; uint8 [n, 3, h, w] -> (pool3, logits without bias).

    ImportError: torch-fidelity, or torchvision that it needs, is not here or does not load.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        # built for another torch: it declares two operators whose code then is missing; nothing here calls them
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
    module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    network: nn.Module = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
    )
    return network


def random_weights(images: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the official names that behave like trained ones: He's initialisation, batch norms with
    the statistics of `images` (uint8 [n, 3, h, w]), scales and shifts in [0.5, 1.5].

    The shifts matter: with mean zero such a network is chaotic, and doubles rounding errors every few layers.
    """
    network, generator = Inception(), torch.Generator().manual_seed(seed)

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, FrozenNorm)
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3)))

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.normal_(0.0, (2.0 / module.weight[0].numel()) ** 0.5, generator=generator)
            elif isinstance(module, FrozenNorm):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(0.5, 1.5, generator=generator)
                module.register_forward_pre_hook(measure)
        network.fc.weight.normal_(0.0, 0.1, generator=generator)
        network.fc.bias.normal_(generator=generator)
        network(resize_tf1(images.float(), 299).sub_(128).div_(128))
    return network.state_dict()


def extractor(mode: str, path: Path) -> Callable[[Tensor], Tensor]:
    """What turns images uint8 [n, 3, h, w] into pool3 [n, 2048] in this mode."""
    if mode == REFERENCE:
        network = torch_fidelity_network(path)
        return lambda images: network(images)[0]
    features = InceptionFeatures(
        read_weights(path), torch.device("cpu"), "bfloat16" if mode == "bfloat16" else "float32"
    )
    if mode in ("plain", "folded"):  # steps on the way to the default: as defined; with batch norms folded
        own = Inception()
        own.load_state_dict(read_weights(path).tensors)
        own = (own.fold() if mode == "folded" else own).to(memory_format=torch.contiguous_format)
        return lambda images: own(features.prepared(images).contiguous())
    return lambda images: features(images).features


def speeds(found: dict[str, Callable[[Tensor], Tensor]], images: Tensor, batch: int, rounds: int) -> dict[str, object]:
    """Images per second of each mode over `rounds`, in turns: median and both ends."""
    seconds: dict[str, list[float]] = {mode: [] for mode in found}
    for turn in range(rounds + 1):
        for mode, extract in found.items():
            begin = time.perf_counter()
            for start in range(0, len(images), batch):
                extract(images[start : start + batch])
            if turn:  # the first prepares kernels
                seconds[mode].append(time.perf_counter() - begin)
    n = len(images)
    return {
        mode: {"median": n / statistics.median(times), "slowest": n / max(times), "fastest": n / min(times)}
        for mode, times in seconds.items()
    }


def own_peak() -> float:
    """Peak memory of this process in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts the parent's memory as well, which a child has before it starts a program
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_memory(mode: str, path: Path, told: argparse.Namespace) -> float:
    """Peak memory in MiB of a process that extracts features of one batch in this mode."""
    arguments = ["--only", mode, "--weights", path, "--batch", told.batch, "--data", told.data]
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def movements(found: dict[str, Callable[[Tensor], Tensor]], images: Tensor, batch: int) -> dict[str, object]:
    """What each mode changes: features relative to their spread, and two FIDs, of real images against real ones (as
    small as an FID gets) and against blurred ones (of a size that GANs have).
    """
    from wgan.metrics import frechet_distance

    half = len(images) // 2
    blurred = torch.nn.functional.avg_pool2d(images[half:].float(), 3, 1, 1, count_include_pad=False).round().byte()
    results: dict[str, dict[str, float]] = {}
    truth: list[Tensor] = []
    for mode, extract in found.items():
        sets = [torch.cat([extract(part) for part in some.split(batch)]) for some in (*images.split(half), blurred)]
        truth = truth or sets
        results[mode] = {
            "features_moved": float((sets[0] - truth[0]).norm() / (truth[0] - truth[0].mean(0)).norm()),
            "fid_real": frechet_distance(sets[0], sets[1]),
            "fid_blurred": frechet_distance(sets[0], sets[2]),
        }
    first = next(iter(results.values()))
    for result in results.values():
        for name in ("fid_real", "fid_blurred"):
            result[f"{name}_moved"] = result[name] / first[name] - 1
    return dict(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--n", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--moved", type=int, default=0)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--modes", nargs="+", default=[REFERENCE, *MODES])
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    data = wgan.data.load(told.data, quiet=True)
    images = torch.from_numpy(data.array[: max(told.n, told.batch, 2 * told.moved)].copy())
    images = images.expand(-1, 3, -1, -1)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        if told.only:
            extract = extractor(told.only, told.weights)
            extract(images[: told.batch])
            print(own_peak())
            return
        path = told.weights or Path(folder) / "random.pth"
        if not told.weights:
            torch.save(random_weights(images[:8]), path)
        result = measured(told, path, images)
    if told.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name}: {json.dumps(value)}")


def measured(told: argparse.Namespace, path: Path, images: Tensor) -> dict[str, object]:
    """All that is printed, by name."""
    found = {}
    for mode in told.modes:
        try:
            found[mode] = extractor(mode, path)
        except ImportError as error:
            print(f"without {mode}: {error}", file=sys.stderr)
    result: dict[str, object] = {
        "images_per_second": speeds(found, images[: told.n], told.batch, told.rounds),
        "peak_memory_mib": {mode: peak_memory(mode, path, told) for mode in found},
        "weights": "random" if not told.weights else read_weights(path).sha256,
        "threads": torch.get_num_threads(),
        "batch": told.batch,
    }
    if told.moved:
        result["moved"] = movements(found, images[: 2 * told.moved], told.batch)
    return result


if __name__ == "__main__":
    main()
