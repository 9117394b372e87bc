"""A user's handful of examples: which columns they are in, and which kind of task they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synth_llm.errors import InputError
from synth_llm.files import read_file
from synth_llm.row import Row

LABELS = ("label", "class", "category", "intent", "topic", "sentiment", "tag", "kind", "type")
TEXTS = ("text", "sentence", "message", "content", "review", "question", "utterance", "title", "body")
ASKED = ("instruction", "prompt", "question", "query")
ANSWERED = ("output", "response", "answer", "completion")
"""Names under which columns are looked for first, in this order."""


@dataclass(frozen=True)
class Examples:
    """Rows with `text` and `label`, or with `instruction` and `output`; and what was found under which name."""

    kind: Literal["labels", "instructions"]
    rows: list[Row]
    said: str
    """Which columns were taken, and how many rows could not be used."""

    @property
    def written(self) -> str:
        """The column that is written first."""
        return "text" if self.kind == "labels" else "instruction"

    @property
    def labels(self) -> list[str]:
        """The labels in order of appearance."""
        return list(dict.fromkeys(row["label"] for row in self.rows))

    def texts(self, label: str | None = None, most: int = 4) -> list[str]:
        """Some texts, of one label or in turn of all: what a model is shown."""
        if self.kind == "instructions" or label is not None:
            of = [row for row in self.rows if label is None or row["label"] == label]
        else:
            groups = [[row for row in self.rows if row["label"] == one] for one in self.labels]
            of = [group[turn] for turn in range(most) for group in groups if turn < len(group)]
        return [" ".join(row[self.written].split())[:300] for row in of[:most]]


def read_examples(path: Path) -> Examples:
    """Read a .jsonl, .json, .csv or .parquet file. Raises InputError when it shows no task."""
    given = [row for _, row in read_file(path)]
    if not given:
        raise InputError("holds no examples", path)
    columns = list(dict.fromkeys(name for row in given for name in row))
    asked, answered = _named(columns, ASKED), _named(columns, ANSWERED)
    label = _named(columns, LABELS)
    if asked and answered and asked != answered and label is None:
        return _taken(given, path, "instructions", {"instruction": asked, "output": answered})
    label = label or _few_values(given, columns)
    text = _named([name for name in columns if name != label], TEXTS) or _longest(given, columns, label)
    if label is None or text is None:
        has = ", ".join(columns)
        raise InputError(
            f"columns {has}: name the text `text` and its label `label`, or `instruction` and `output`", path
        )
    examples = _taken(given, path, "labels", {"text": text, "label": label})
    if len(examples.labels) < 2:
        raise InputError(f"all rows have the {label} '{examples.labels[0]}'; give examples of two labels or more", path)
    return examples


def _taken(
    given: Sequence[Row], path: Path, kind: Literal["labels", "instructions"], names: dict[str, str]
) -> Examples:
    """The rows that have both columns, as text, under our names."""
    rows = [{ours: _text(row.get(theirs)) for ours, theirs in names.items()} for row in given]
    whole = [row for row in rows if all(row.values())]
    if not whole:
        raise InputError(f"no row has both {' and '.join(names.values())}", path)
    said = " and ".join(theirs if ours == theirs else f"{ours} from '{theirs}'" for ours, theirs in names.items())
    lost = len(rows) - len(whole)
    return Examples(kind, whole, f"{len(whole)} examples: {said}" + (f"; {lost} rows lack one" if lost else ""))


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()


def _named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column with the first of these names, in whatever case."""
    return next((column for name in names for column in columns if column.lower() == name), None)


def _few_values(rows: Sequence[Row], columns: Sequence[str]) -> str | None:
    """The column whose values repeat, with the fewest different ones; a label is short."""
    counts = {}
    for column in columns:
        values = [_text(row.get(column)) for row in rows]
        if 2 <= len(set(values)) < len(values) and max(map(len, values)) <= 60:
            counts[column] = len(set(values))
    return min(counts, key=lambda column: counts[column]) if counts else None


def _longest(rows: Sequence[Row], columns: Sequence[str], but: str | None) -> str | None:
    """The column with the longest texts."""
    sizes = {
        column: sum(len(row[column]) for row in rows if isinstance(row.get(column), str))
        for column in columns
        if column != but
    }
    best = max(sizes, key=lambda column: sizes[column], default=None)
    return best if best is not None and sizes[best] else None
