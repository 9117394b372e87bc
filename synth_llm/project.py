"""A user's project: the folders that `init` makes, and built-in files copied into it to edit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from synth_llm import strict_yaml
from synth_llm.catalogue import named
from synth_llm.errors import InputError
from synth_llm.library import SUFFIX

STARTER = Path(__file__).resolve().parent / "starter"


def init(folder: Path) -> list[Path]:
    """Make a project with a small example; returns the files. Raises InputError rather than overwrite one."""
    copies = [(path, folder / path.relative_to(STARTER)) for path in _files(STARTER)]
    return _copy(copies, "give another folder")


def eject(name: str) -> list[Path]:
    """Copy a prompt, recipe or filter into the current folder, a recipe with the data files that lie beside it.

    Returns the new files. Raises InputError when the name is unknown, a step's, or a file would be overwritten.
    """
    kind, plain, path = named(name)
    if kind == "steps" or path is None:  # a step has no file
        raise InputError(f"'{name}' is a step, which is code: a package adds steps (entry point synth_llm.steps)")
    copies = [(path, Path(kind, plain + SUFFIX[kind]))]
    if kind == "recipes":
        copies += _data(path, Path(kind, plain).parent)
    return _copy(copies, "it is yours to edit already, or move it away")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _data(recipe: Path, into: Path) -> Iterator[tuple[Path, Path]]:
    """The files in the recipe's folder that its source names, and where they go."""
    value = strict_yaml.load(recipe).value
    source = value.get("source") if isinstance(value, dict) else None
    for key in ("file", "examples", "texts", "dataset", "run"):
        given = source.get(key) if isinstance(source, dict) else None
        if not isinstance(given, str) or Path(given).is_absolute() or ".." in Path(given).parts:
            continue
        found = recipe.parent / given
        for path in _files(found) if found.is_dir() else [found] if found.is_file() else []:
            yield path, into / path.relative_to(recipe.parent)


def _copy(copies: list[tuple[Path, Path]], hint: str) -> list[Path]:
    """Copy all files, or none when one is there already."""
    for _, to in copies:
        if to.exists():
            raise InputError(f"is there already; {hint}", to)
    try:
        for path, to in copies:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", error.filename) from None
    return [to for _, to in copies]
