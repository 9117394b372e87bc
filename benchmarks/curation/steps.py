"""Runs a dataset step on rows, as a run does, without a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth_llm import Dedup, Recipe, Source
from synth_llm.row import ID, Row
from synth_llm.steps import Rejected
from synth_llm.steps.context import Context, Resources


def numbered(rows: Sequence[Row]) -> list[Row]:
    """The rows with ids."""
    return [{**row, "_id": str(at), "_parent": None, "_lineage": []} for at, row in enumerate(rows)]


def context(step: Any) -> Context:
    """What the step works with."""
    recipe = Recipe(source=Source(rows=[{"text": "any"}]), steps=[step])
    return Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: ())


def kept(rows: Sequence[Row], **settings: Any) -> list[bool]:
    """Which rows `dedup` keeps."""
    step = Dedup(**settings)
    given = rows if rows and ID in rows[0] else numbered(rows)
    return [not isinstance(one, Rejected) for one in step.split(given, context(step))]
