"""The files and folders that a recipe names: where they are looked for, and which of them a run read.

A run folder keeps a list of what its run read, `inputs.json`, so that its recipe can be run again from there; a push
sends these files along. The recipe of a dataset on the Hub is a stranger's: it reads what came with it, and no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth_llm.errors import InputError
from synth_llm.library import file_hash

INPUTS = "inputs.json"
_BESIDE = re.compile(r"(?:prompts|filters)(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+")


@dataclass
class Reads:
    """What is read while a run is planned and works."""

    within: Path | None = None
    """The only folder that may be read from; None: any."""
    found: dict[str, tuple[Path, set[str]]] = field(default_factory=dict)
    """By the path as written: where it is, and the files read in it; of a file the empty name alone."""


_reads: ContextVar[Reads | None] = ContextVar("reads", default=None)


@contextmanager
def reading(within: Path | None = None) -> Iterator[Reads]:
    """Note what is read in the block, and let nothing be read outside of a folder if one is given, here or around."""
    outer = _reads.get()
    reads = Reads(within or (outer.within if outer else None))
    token = _reads.set(reads)
    try:
        yield reads
    finally:
        _reads.reset(token)


def resolve(path: str, base: Path) -> Path:
    """The file or folder that a recipe in folder `base` names.

    It is looked for in the list of inputs of `base`, in `base`, in the project around it when `base` is named
    `recipes`, and in the current folder. Raises InputError that names what was tried.
    """
    found = located(path, base)
    if found is None and _only() is not None:
        raise InputError(
            f"'{path}' did not come with this recipe, and one from the Hub reads no other files: pull it, look at it, "
            "and run it from its folder"
        )
    if found is None:
        raise InputError(f"no file or folder '{path}'; tried {', '.join(map(str, _places(path, base)))}")
    return found


def located(path: str, base: Path) -> Path | None:
    """As `resolve`; None when there is none."""
    found = next((place for place in _places(path, base) if place.exists()), None)
    if found is not None and found.is_file():
        note(path, found, ("",))
    return found


def note(path: str, place: Path, names: tuple[str, ...] | list[str]) -> None:
    """Say which files of a folder are read; its path as written."""
    if (reads := _reads.get()) is not None:
        reads.found.setdefault(path, (place.resolve(), set()))[1].update(names)


def _places(path: str, base: Path) -> list[Path]:
    if not path or "\0" in path:
        raise InputError("the path of a file or folder is empty or holds the character NUL")
    places = [base, base.parent] if base.absolute().name == "recipes" else [base]
    tried = [place / Path(path).expanduser() for place in (*places, Path())]
    if listed := read(base).get(path):
        tried.insert(0, base / listed["at"])
    if (only := _only()) is not None:
        tried = [place for place in tried if place.resolve().is_relative_to(only)]
    return list(dict.fromkeys(tried))


def _only() -> Path | None:
    """The one folder that may be read from now."""
    reads = _reads.get()
    return reads.within.resolve() if reads is not None and reads.within is not None else None


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The files in the list of a folder: by the path as written, `at` (where) and `files` (name: SHA-256).

    Empty when there is no list; raises InputError when it is none of ours.
    """
    files: dict[str, dict[str, Any]] = _list(folder)["files"]
    return files


def library(folder: Path) -> dict[str, str]:
    """The prompts and filters that a run used, by their paths such as `prompts/judge/label.jinja`."""
    found = _list(folder)
    beside = [path for path in found["beside"] if (folder / path).is_file()]
    texts: dict[str, str] = found["library"]
    return texts | {path: (folder / path).read_text(encoding="utf-8") for path in beside}


def _list(folder: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"files": {}, "library": {}, "beside": []}
    try:
        found: dict[str, Any] = empty | json.loads((folder / INPUTS).read_text(encoding="utf-8"))
        whole = all(isinstance(one["at"], str) and isinstance(one["files"], dict) for one in found["files"].values())
        if whole and all(map(_BESIDE.fullmatch, found["beside"])):
            return found
    except (FileNotFoundError, NotADirectoryError):
        return empty
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise InputError("is not a list of inputs as a run writes it; run again to write it anew", folder / INPUTS)


def listing(reads: Reads, used: Mapping[str, str]) -> str:
    """The list that a run folder keeps: what was read, with hashes, and the texts of prompts and filters used."""
    files = {
        path: {
            "at": str(place),
            "files": {name: file_hash(place / name) for name in sorted(names) if (place / name).is_file()},
        }
        for path, (place, names) in sorted(reads.found.items())
    }
    return _text({"files": files, "library": dict(sorted(used.items()))})


def repository_list(files: Mapping[str, Any], beside: Sequence[str]) -> str:
    """The list of a repository: prompts and filters lie there as files, at these paths."""
    return _text({"files": files, "beside": sorted(beside)})


def _text(found: Mapping[str, Any]) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
