"""The rows of an evaluation, read: which columns are compared, which one holds the class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from synth_llm.errors import InputError, nearest
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.settings import Evaluate
from synth_llm.inputs import resolve
from synth_llm.recipe import Recipe
from synth_llm.row import Row
from synth_llm.source import Source, read_rows
from synth_llm.steps.context import Resources

TEXTS = ("instruction", "input", "output")
"""The columns of instruction data that are compared where there is no `text`."""
LABEL = "label"


def load(made: Source, recipe: Recipe, base: Path, say: Callable[[str], object] = lambda _: None) -> Data:
    """All sides of an evaluation as the recipe's section `evaluate` names them; relative paths start at `base`.

    Columns are those of the settings, or those that `made` has. `say` is told when examples have to be left out. Raises
    InputError naming the side, the column and the nearest one.
    """
    settings = recipe.evaluate or Evaluate()
    use = Resources(recipe, base)
    rows = list(read_rows(made, base))
    columns = _columns(settings, rows)
    data = Data(settings, use, _side("made", rows, columns, settings))
    for name in ("real", "test", "holdout"):
        source: Source | None = getattr(settings, name)
        if source is not None:
            try:
                rows = list(read_rows(source, base))
            except InputError as error:
                raise error if error.path is not None else InputError(f"{name}: {error.message}") from None
            setattr(data, name, _side(name, rows, columns, settings))
    if recipe.source.examples is not None:
        try:
            data.examples = _side("examples", use.examples, columns, settings)
        except InputError as error:
            say(f"the recipe's examples are left out: {error}")
    data.run = resolve(made.run, base) if made.run is not None else None
    return data


def _columns(settings: Evaluate, rows: list[Row]) -> list[str]:
    """The columns that are compared."""
    if settings.column is not None:
        return [settings.column] if isinstance(settings.column, str) else list(settings.column)
    have = {name: None for row in rows for name in row}
    if "text" in have:
        return ["text"]
    found = [name for name in TEXTS if name in have]
    if not found:
        there = ", ".join(have)
        raise InputError(
            f"made: no column 'text', and none of {', '.join(TEXTS)}; name the one to compare with `column`, of {there}"
        )
    return found


def _side(name: str, rows: list[Row], columns: list[str], settings: Evaluate) -> Side:
    """Rows with what they need. Raises InputError for a missing column, and where every text is blank."""
    have = {column: None for row in rows for column in row}
    others = "" if name == "made" else f"; give {name} a `rename` where its columns have other names"
    wanted = [*columns, *([settings.label] if settings.label and name != "examples" else [])]
    for column in wanted:
        if column not in have and not (settings.column is None and column == "input"):
            raise InputError(f"{name}: no column '{column}'{nearest(column, have)}{others}")
    side = Side(name, rows, columns)
    if not any(text.strip() for text in side.texts):
        raise InputError(f"{name}: every row is blank in {', '.join(columns)}")
    label = settings.label or LABEL
    labelled = all(row.get(label) is not None for row in rows)
    return replace(side, label=label if labelled or (settings.label and name != "examples") else None)
