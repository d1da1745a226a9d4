"""The documents tell what the program does: commands parse, names exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

import wgan
from wgan.cli import app
from wgan.networks import NETWORKS
from wgan.objectives import CONSTRAINTS, PAIRINGS
from wgan.parts import parse
from wgan.presets import PRESETS
from wgan.run import OBJECTIVE_PARTS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every line of a shell block that calls `wgan`, without its comment."""
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
            found += [line for line in block.splitlines() if line.startswith("wgan ")]
    return found


def test_there_are_commands() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("command", commands())
def test_commands_parse(command: str) -> None:
    tokens = shlex.split(command, comments=True)[1:]
    _, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    run = bound.arguments.get("run")
    if getattr(run, "objective", None):
        parse("objective", run.objective, OBJECTIVE_PARTS)
    if bound.arguments.get("preset"):
        assert bound.arguments["preset"] in PRESETS


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"(?:`|^)make (\w+)", README, re.MULTILINE)
    assert {"train", "test", "check"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#\s]+)", text):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_objectives_table_is_complete() -> None:
    table = README[README.index("## Objectives") : README.index("## As a library")]
    for name in [*CONSTRAINTS, *PAIRINGS]:
        assert f"`{name}" in table, name
    for name, fields in re.findall(r"^\|.*?`(\w+)\(([\w, ]+)\)`", table, re.MULTILINE):
        for field in fields.split(", "):
            assert field in CONSTRAINTS[name].__dataclass_fields__, f"{name}({field})"


def test_the_changelog_names_every_preset_and_constraint() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in changelog for name in PRESETS)
    assert f"## {wgan.__version__}" in changelog


def test_python_in_the_readme_uses_names_that_exist() -> None:
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        compile(block, "README", "exec")
        for name in re.findall(r"wgan\.(\w+)", block):
            assert hasattr(wgan, name), name


def test_layout_names_files_that_exist() -> None:
    layout = README[README.index("## Layout") :]
    for name in re.findall(r"wgan/\S+", layout[: layout.index("Imports go")]):
        assert (ROOT / name).exists(), name


def test_every_public_name_is_there() -> None:
    assert set(NETWORKS) == {"dcgan", "mlp", "resnet", "points"}
    for name in wgan._HOME:
        assert getattr(wgan, name) is not None


def test_dependencies_are_justified() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    wanted = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    for group in project["dependency-groups"].values():
        wanted += group
    for requirement in wanted:
        name = re.split(r"[<>=!\[ ]", requirement)[0]
        assert name in text, f"docs/dependencies.md does not say why {name}"


def test_nothing_large_is_committed() -> None:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    for name in listing.stdout.splitlines():
        path = ROOT / name
        assert not path.exists() or path.stat().st_size < 600_000, f"{name} is larger than 600 kB"
