"""Steps that shape a distribution, on rows made up here: texts are angles, and their vectors points of a circle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth_llm import Recipe, Row, Source
from synth_llm.encoders import EncoderEntry
from synth_llm.steps import Rejected
from synth_llm.steps.context import Context, Resources


def circle(texts: Sequence[str]) -> list[list[float]]:
    """The encoder: a text such as `30` is the point at 30 degrees."""
    return [[math.cos(math.radians(float(text))), math.sin(math.radians(float(text)))] for text in texts]


def rows_of(*columns: dict[str, Any]) -> list[Row]:
    return [{"_id": f"id{at}", "_parent": None, "_lineage": [], **values} for at, values in enumerate(columns)]


def at_angles(*angles: float, **columns: Any) -> list[Row]:
    return rows_of(*({"text": f"{angle:g}", **columns} for angle in angles))


def context(step: Any, *, examples: Sequence[float] = (), seed: int = 0, **source: Any) -> Context:
    given: Any = [{"text": f"{angle:g}"} for angle in examples] or None
    recipe = Recipe(
        source=Source(**(source or {"rows": [{"text": "0"}]}), examples=given),
        steps=[step],
        seed=seed,
        encoders={"circle": EncoderEntry(engine="function", function=circle)},
    )
    return Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: ())


class Outcome:
    """What a step made of rows; checks that every row came out once, in order."""

    def __init__(self, step: Any, rows: list[Row], **about: Any) -> None:
        self.context = context(step, **about)
        self.items = list(step.split(rows, self.context))
        assert len(self.items) == len(rows)
        for row, item in zip(rows, self.items, strict=True):
            if isinstance(item, list):
                assert {child["_parent"] for child in item} == {row["_id"]}
            else:
                assert (item.row if isinstance(item, Rejected) else item)["_id"] == row["_id"]
        self.kept: list[Row] = [
            row
            for item in self.items
            if not isinstance(item, Rejected)
            for row in (item if isinstance(item, list) else [item])
        ]
        ids = [row["_id"] for row in self.kept]
        assert len(set(ids)) == len(ids)
        self.rejects = {item.row["_id"]: item.reject for item in self.items if isinstance(item, Rejected)}
        self.report = self.context.notes.report

    def values(self, column: str = "text") -> list[Any]:
        return [row[column] for row in self.kept]
