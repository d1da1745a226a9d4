"""Which figures there are. A file of `wgan.paper` is a figure; its docstring is what is told about it."""

from __future__ import annotations

import ast
import importlib
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from wgan.errors import UserError, did_you_mean
from wgan.reproduction.check import Check
from wgan.reproduction.results import Job, Results, Scale

FOLDER = Path(__file__).parent.parent / "paper"
PARTS = ("Claim", "Source", "Expected", "Here", "Thresholds", "Cost")
# in this order they are told; what is from neither paper comes last
PAPERS = {"WGAN,": "Wasserstein GAN", "WGAN-GP,": "Improved Training of Wasserstein GANs"}
OTHERS = "Why training is hard"


class Module(Protocol):
    """What a file of `wgan.paper` holds, next to its docstring."""

    def runs(self, seed: int, scale: Scale) -> Mapping[str, Job]:
        """The jobs of one seed by name, the same names for each seed; a job must be picklable."""
        ...

    def draw(self, results: Results) -> object:
        """The matplotlib Figure in the paper's form."""
        ...

    def passes(self, results: Results) -> list[Check]:
        """The claim as numbers; the first is the one for tables."""
        ...


@dataclass(frozen=True)
class Figure:
    """name: as the command line has it. title: the docstring's first line, without the number of the figure.

    parts: the docstring's paragraphs `Claim: ...` by word. needs: data that must be there. also: other names that it
    goes by. full_only: has no default scale.
    """

    name: str
    title: str
    parts: dict[str, str]
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    full_only: bool = False

    def load(self) -> Module:
        """Import the file."""
        return cast(Module, importlib.import_module(f"wgan.paper.{self.name.replace('-', '_')}"))


def catalogue() -> dict[str, Figure]:
    """All figures by name, in the order of the papers. Nothing is imported, so it is quick."""
    found = [read(path) for path in FOLDER.glob("[!_]*.py")]
    return {figure.name: figure for figure in sorted(found, key=_order)}


def read(path: Path) -> Figure:
    """The figure of one file. Errors: UserError for a docstring without its parts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    title, _, rest = (ast.get_docstring(tree) or "").partition("\n")
    paragraphs = re.findall(r"^([A-Z][a-z]+): (.*?)(?=\n[A-Z][a-z]+: |\Z)", rest, re.DOTALL | re.MULTILINE)
    parts = {word: " ".join(text.split()) for word, text in paragraphs}
    missing = [word for word in PARTS if word not in parts]
    if missing or not title:
        raise UserError(f"{path}: its docstring needs a title and the paragraphs {', '.join(PARTS)}; no {missing[0]}")
    constants: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("NEEDS", "ALSO", "FULL_ONLY"):
                constants[name.lower()] = ast.literal_eval(node.value)
    # the name says already which figure of which paper it is
    title = re.sub(r"^(WGAN-GP, )?(Figures?|Table|Claim)\b[^:]*: ", "", title).rstrip(".")
    title = title[0].upper() + title[1:]
    return Figure(path.stem.replace("_", "-"), title, parts, **constants)  # type: ignore[arg-type]


def find(name: str) -> Figure:
    """The figure of that name. Errors: UserError for an unknown one."""
    figures = catalogue()
    for figure in figures.values():
        if name == figure.name or name in figure.also:
            return figure
    known = [*figures, *(other for figure in figures.values() for other in figure.also)]
    raise UserError(did_you_mean("figure", name, known))


def heading(source: str) -> str:
    """The paper that a figure's Source begins with, as a heading."""
    return next((title for start, title in PAPERS.items() if source.startswith(start)), OTHERS)


def listing(figures: Iterable[Figure], width: int = 100) -> list[str]:
    """Names and titles under their papers, for `wgan reproduce` without a name."""
    lines: list[str] = []
    last = ""
    for figure in figures:
        if (paper := heading(figure.parts["Source"])) != last:
            lines += ([""] if lines else []) + [paper]
            last = paper
        title = figure.title + (" (--full only)" if figure.full_only else "")
        names = ", ".join([figure.name, *figure.also])
        lines += textwrap.wrap(
            f"  {names:<26} {title}", max(60, width), subsequent_indent=" " * 29, break_on_hyphens=False
        )
    return [*lines, "", "wgan reproduce NAME runs one, --all every one; --full takes the paper's own setting."]


def _order(figure: Figure) -> tuple[int, list[tuple[int, str]]]:
    source = figure.parts["Source"]
    paper = next((i for i, start in enumerate(PAPERS) if source.startswith(start)), len(PAPERS))
    # figure-2 before figure-10; figures and tables before claims
    kind = 0 if re.search(r"(figure|example|table)-\d", figure.name) else 1
    words = [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", figure.name)]
    return paper, [(kind, ""), *words]
