"""Curating rows that are there already: the source that stands in for a recipe's own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth_llm.errors import InputError
from synth_llm.output import KEPT
from synth_llm.recipe import load_recipe


def source_of(data: str, recipe: Path, rename: Mapping[str, str], split: str | None) -> tuple[str, str]:
    """A name for the run, and the source, as JSON: `data` in place of the recipe's rows, whose examples stay.

    `data` is a file, a run folder, the folder of a dataset or its name on the Hub. Raises InputError.
    """
    source = named(data, rename, split)
    examples = load_recipe(recipe)[0].source.examples
    if examples is not None:
        source["examples"] = examples
    return plain_name(data), json.dumps(source)


def named(data: str, rename: Mapping[str, str] | None = None, split: str | None = None) -> dict[str, Any]:
    """The source, as a recipe writes it, of a file, a run folder, the folder of a dataset or its name on the Hub.

    What lies in the current folder is named by its whole path. Raises InputError.
    """
    place = Path(data).expanduser()
    kind = "file" if place.is_file() else "run" if (place / KEPT).is_file() else "dataset"
    if kind == "dataset" and not place.is_dir() and (place.suffix or data.startswith((".", "/", "~"))):
        raise InputError("no such file or folder", data)
    if split is not None and kind != "dataset":
        raise InputError(f"--split is for datasets, and {data} is a {kind}")
    source: dict[str, Any] = {kind: str(place.resolve()) if place.exists() else data}
    if split is not None:
        source["split"] = split
    if rename:
        source["rename"] = dict(rename)
    return source


def plain_name(data: str) -> str:
    """What data is called in the name of a folder."""
    place = Path(data).expanduser()
    name = place.resolve().stem if place.exists() else data
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
