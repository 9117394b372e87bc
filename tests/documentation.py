"""The code blocks of the documentation, and what can be held against them without a model."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from synth_llm import strict_yaml
from synth_llm.recipe import Recipe, RecipeFile

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block: its place, language, title (the file that it is) and text."""

    place: str
    language: str
    title: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(f"{page.relative_to(ROOT)}:{line}", found["language"], found["title"] or "", found["text"])


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in some languages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def commands(block: Block) -> list[str]:
    """What a reader types of a console block, without comments."""
    lines = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
    return [part.strip() for line in lines for part in re.split(r"\s#\s|\s&&\s", line + " ")[:1] if part.strip()]


def parsed(command: str) -> None:
    """Read a `synth-llm` command as the command line does. Raises what is wrong with it."""
    name, *rest = shlex.split(command)[1:]
    group = _group()
    if any(name in option.opts for option in group.params):
        return
    if name not in group.commands:
        raise ValueError(f"no command {name}")
    group.commands[name].make_context(name, rest)


@cache
def _group() -> Any:
    """The commands with their options."""
    import typer

    from synth_llm.cli import app

    return typer.main.get_command(app)


def fragment(block: Block, folder: Path) -> Recipe:
    """A YAML block as a recipe, or as the part of one. Raises InputError for what no recipe can hold."""
    value = strict_yaml.parse(block.text, block.place).value
    part = {"steps": value} if isinstance(value, list) else dict(value)
    whole = {"source": {"empty": 1}, "steps": [{"map": {"drop": []}}], **part}
    import yaml

    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    return RecipeFile(path).recipe()
