"""draw: values drawn by chance into columns, such as an operation, a style or a length for each row."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.row import ID, Row, canonical, rng
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

Values = Annotated[list[Any], Field(min_length=1)]


class Draw(Step):
    """Each named column gets a value of its list, all values with the same chance; of the row's id and the seed.

    A list can stand in the recipe or in a column of the row, where a model has written it.
    """

    type: ClassVar[str] = "draw"

    set: Annotated[dict[str, Values | str], Field(min_length=1)]
    """Column: the values, or the name of the row's column that holds them as a list."""
    n: int | None = Field(default=None, ge=1)
    """So many different values as a list, in the order drawn; fewer where there are fewer. Without it one value."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and those that are set. Raises InputError when a list in the recipe names a value twice."""
        for column, values in self.set.items():
            if isinstance(values, str):
                need([values], have, f"set.{column}")
            elif len({canonical(value) for value in values}) < len(values):
                raise InputError(f"set.{column}: a value stands twice")
        return have | set(self.set)

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with its values. Raises Reject as `missing` when a column holds no list of values."""
        draws = rng(ctx.seed, ctx.step, row[ID])
        new = dict(row)
        for column, given in self.set.items():
            values = row.get(given) if isinstance(given, str) else given
            if not isinstance(values, list) or not values:
                raise Reject("missing", f"{given}: no list to draw {column} from")
            differing = list({canonical(value): value for value in values}.values())
            drawn = draws.sample(differing, min(self.n or 1, len(differing)))
            new[column] = drawn[0] if self.n is None else drawn
        return [new]
