"""A run on points of a plane: texts are coordinates, a class lies on each side, and what a step drops is known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth_llm import Recipe, Row, Source, run
from synth_llm.encoders import EncoderEntry
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.settings import Evaluate
from synth_llm.steps.context import Resources


def plane(texts: Sequence[str]) -> list[list[float]]:
    """The encoder: the text `0.5 -1` is that point, with a constant beside it."""
    return [[*map(float, text.split()), 0.5] for text in texts]


def points(count: int, seed: int, *, spread: float = 1.0, **columns: Any) -> list[Row]:
    """Rows of two classes, `left` and `right` of a slanted border, about evenly many."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        x, y = draw.gauss(0, spread), draw.gauss(0, spread)
        label = "right" if x + 0.5 * y + draw.gauss(0, 0.3) > 0 else "left"
        rows.append({"text": f"{x:.3f} {y:.3f}", "label": label, **columns})
    return rows


def flipped(rows: Sequence[Row]) -> list[Row]:
    """The rows with the other label."""
    return [{**row, "label": "left" if row["label"] == "right" else "right"} for row in rows]


def recipe(rows: Sequence[Row], steps: Sequence[Any] = ()) -> Recipe:
    return Recipe.model_validate(
        {
            "source": Source(rows=list(rows)),
            "steps": list(steps) or [{"filter": {"if": "true"}}],
            "encoders": {"plane": EncoderEntry(engine="function", function=plane)},
        }
    )


def data_of(
    made: Sequence[Row], test: Sequence[Row], *, run: Path | None = None, store: Path | None = None, **settings: Any
) -> Data:
    """An evaluation of rows with texts and labels."""
    return Data(
        Evaluate(encoder="plane", **settings),
        Resources(recipe([{"text": "0 0"}]), Path()),
        Side("made", list(made), ["text"], "label"),
        test=Side("test", list(test), ["text"], "label"),
        run=run,
        store=store,
    )


def run_data(folder: Path, rows: Sequence[Row], steps: Sequence[Any], test: Sequence[Row], **settings: Any) -> Data:
    """An evaluation of a run of steps over rows."""
    result = run(recipe(rows, steps), out=folder)
    return data_of(list(result.kept), test, run=folder, **settings)
