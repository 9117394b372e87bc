"""balance: as many rows of each class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from synth_llm.row import Row, canonical
from synth_llm.steps.classes import resized
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need


def _size(value: Any) -> Any:
    """One message for the two types that a size can have."""
    if value in ("down", "over") or (type(value) is int and value > 0):
        return value
    raise ValueError(f"is {value!r}; write down, over, or the number of rows that each class shall have")


class Balance(Step):
    """Thins the classes that have too many rows, and copies rows of those that have too few.

    The manifest says for each class what came, what left and what is missing: what a `target` with `per` generates.
    """

    type: ClassVar[str] = "balance"
    final: ClassVar[bool] = True

    column: str | list[str] = "label"
    """The column whose values are the classes; of several columns, each combination is one."""
    to: Annotated[Literal["down", "over"] | int, BeforeValidator(_size)] = "down"
    """`down`: every class as large as the rarest; `over`: as the commonest; a number: so many rows each."""
    copies: int | None = Field(default=None, ge=1)
    """A row stands at most so many times; with 1 none is copied. Without it, as often as its class needs."""
    keep: str | None = None
    """The score column whose highest rows are kept or copied first; without it the hash of a row's id decides."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns."""
        need([*named(self.column), *([self.keep] if self.keep else [])], have, "balance")
        return have

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row, kept, rejected as `surplus`, or as its copies."""
        return resized(rows, ctx, named(self.column), self.keep, partial(self._sizes, ctx))

    def _sizes(self, ctx: Context, counts: Mapping[str, int]) -> dict[str, int]:
        """The size of each class; those of the grid that have no rows are reported too."""
        usual = (min if self.to == "down" else max)(counts.values(), default=0)
        want = self.to if isinstance(self.to, int) else usual
        most = {name: count * (self.copies or want) for name, count in counts.items()}
        sizes = {name: min(want, most[name]) for name in counts}
        ctx.report(
            "classes",
            {
                name: {
                    "rows": counts.get(name, 0),
                    "kept": sizes.get(name, 0),
                    "missing": max(0, want - counts.get(name, 0)),
                }
                for name in [*counts, *(name for name in self._expected(ctx) if name not in counts)]
            },
        )
        return sizes

    def _expected(self, ctx: Context) -> list[str]:
        """The classes that a grid names."""
        values = (
            (ctx.use.recipe.source.grid or {}).get(named(self.column)[0], []) if len(named(self.column)) == 1 else []
        )
        return [value if isinstance(value, str) else canonical(value) for value in values]
