"""map: columns by expressions, renamed, dropped."""

from __future__ import annotations

from typing import ClassVar

from synth_llm.errors import InputError
from synth_llm.expression import Expression
from synth_llm.row import Row
from synth_llm.steps.context import Context, Resources, json_value
from synth_llm.steps.step import Columns, Rejected, Step, need


class Map(Step):
    """Set columns from Jinja expressions over the row as it came in, then rename, then drop."""

    type: ClassVar[str] = "map"

    set: dict[str, str] = {}
    """Column: Jinja expression, such as `title ~ ': ' ~ text` or `items | length`."""
    rename: dict[str, str] = {}
    """Old name: new name."""
    drop: list[str] = []
    """Columns to leave out."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The columns after set, rename and drop."""
        for column, text in self.set.items():
            need(Expression.of(text).needs, have, f"set.{column}")
        have |= set(self.set)
        need(self.rename, have, "rename")
        for old, new in self.rename.items():
            if new in have - set(self.rename):
                raise InputError(f"rename: '{old}' would overwrite column '{new}'; rename or drop that one first")
        have = (have - set(self.rename)) | set(self.rename.values())
        need(self.drop, have, "drop")
        return have - set(self.drop)

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with its new columns. Raises Reject as `template` when an expression fails on it."""
        new = dict(row)
        for column, text in self.set.items():
            new[column] = json_value(Expression.of(text)(row), column)
        renamed = {self.rename.get(column, column): value for column, value in new.items()}
        return [{column: value for column, value in renamed.items() if column not in self.drop}]
