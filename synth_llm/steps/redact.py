"""redact: personal identifiers in texts are replaced; the rest of the row stays."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Literal

from pydantic import Field

from synth_llm.pii import LIKELY, USUAL, Span, check_types, find
from synth_llm.row import Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, named, need

REPLACED = "replaced"
"""What the manifest calls the number of replacements by type."""


class Redact(Step):
    """The row keeps its id; how many of each type were replaced is in the manifest."""

    type: ClassVar[str] = "redact"

    column: str | list[str] = "text"
    """The column, or columns, whose texts are searched; of a list or a mapping (messages), every text in it."""
    types: list[str] = list(USUAL)
    """What is replaced: `email`, `phone`, `ssn`, `iban`, `card`, `ip`, `url`, or names of Presidio's recognisers."""
    with_: Literal["tag", "mask"] = Field(default="tag", alias="with")
    """`tag`: `<EMAIL>`; `mask`: every letter and digit becomes `*`, so that the form stays."""
    min_score: float = Field(default=LIKELY, ge=0, le=1)
    """How sure a find must be, in [0, 1]; see the filter `pii`."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns. Raises InputError for a column or type that is not there."""
        need(named(self.column), have, "redact")
        check_types(self.types)
        return have

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row itself, without its identifiers."""
        counts: Counter[str] = Counter()
        columns = named(self.column)
        changed = {column: self._value(row.get(column), counts) for column in columns if column in row}
        if counts:
            total = Counter(ctx.notes.report.get(REPLACED, {})) + counts
            ctx.report(REPLACED, dict(sorted(total.items())))
        return [{**row, **changed}]

    def _value(self, value: Any, counts: Counter[str]) -> Any:
        if isinstance(value, str):
            spans = find(value, self.types, self.min_score)
            counts.update(span.type for span in spans)
            return redacted(value, spans, self.with_)
        if isinstance(value, list):
            return [self._value(item, counts) for item in value]
        if isinstance(value, dict):
            return {key: self._value(item, counts) for key, item in value.items()}
        return value


def redacted(text: str, spans: list[Span], how: Literal["tag", "mask"] = "tag") -> str:
    """The text with each of the spans, in order and without overlaps, replaced.

    >>> redacted("to a@b.de now", [Span(3, 9, "email", 0.9)])
    'to <EMAIL> now'
    """
    parts, at = [], 0
    for span in spans:
        found = text[span.start : span.end]
        parts += [text[at : span.start], f"<{span.type.upper()}>" if how == "tag" else _masked(found)]
        at = span.end
    return "".join([*parts, text[at:]])


def _masked(text: str) -> str:
    return "".join("*" if char.isalnum() else char for char in text)
