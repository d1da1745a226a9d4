"""Imports go one way: a module may import what stands before it in LAYERS, and nothing that stands after."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wgan

PACKAGE = Path(__file__).parent.parent / "wgan"

# each line may import the lines above it; names of one line may not import each other
LAYERS = [
    ["errors", "flags", "spans"],
    ["fast"],
    ["objectives", "networks", "data", "metrics"],
    ["seeds", "distributed", "parts", "optimizers", "devices", "checkpoint", "log", "signals"],
    ["features", "run"],
    ["presets", "state"],
    ["heldout", "results"],
    ["watch"],
    ["pictures", "curve", "userfile"],
    ["algorithm", "sample"],
    ["evaluation", "doctor", "graphs"],
    ["transport", "record"],
    ["training", "dry", "bench"],
    ["reproduction"],
    ["paper"],
    ["commands_bench", "commands_evaluate", "commands_distance", "commands_doctor", "commands_reproduce"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
TORCH_ONLY = {"fast", "objectives", "networks"}


def part_of(path: Path) -> str:
    """`data` for wgan/data/folder.py, `run` for wgan/run.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Every module that a file imports at run time, also inside functions; `wgan` alone is the lazy package itself."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), set()
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            base = node.module or ""
            # `from wgan import Run` is of the module that Run is in
            names = {wgan._HOME.get(alias.name, f"wgan.{alias.name}") for alias in node.names}
            found |= names if base == "wgan" else {base}
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    mine = part_of(path)
    assert mine in LEVEL, f"{mine} has no place in LAYERS"
    for module in imports(path):
        top, _, rest = module.partition(".")
        if top == "wgan" and rest:
            theirs = rest.split(".")[0]
            assert theirs == mine or LEVEL[theirs] < LEVEL[mine], f"{mine} may not import {theirs}"
        elif mine in TORCH_ONLY and top != "wgan":
            assert top == "torch" or top in sys.stdlib_module_names, f"{mine} may not import {top}"


def loaded_by(statement: str) -> set[str]:
    """Modules in memory after a statement, in a new process."""
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_wgan_is_light() -> None:
    assert not loaded_by("import wgan, wgan.cli") & {"torch", "numpy", "PIL", "matplotlib"}


def test_training_leaves_heavy_libraries_out() -> None:
    loaded = loaded_by("import wgan.training, wgan.sample")
    assert "torch" in loaded
    assert not loaded & {"matplotlib", "datasets", "tensorboard", "pandas", "scipy", "sklearn"}
