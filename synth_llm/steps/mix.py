"""mix: rows of several origins, such as real and synthetic, in a stated ratio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from synth_llm.errors import InputError
from synth_llm.quotas import mixed
from synth_llm.row import Row
from synth_llm.steps.classes import resized
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Rows, Step, need

Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Mix(Step):
    """Thins the origin that has too many rows for its share, so that the kept rows have the stated ratio.

    All rows come from the source, with a column that says where each is from: a step makes no rows out of nothing.
    """

    type: ClassVar[str] = "mix"
    final: ClassVar[bool] = True

    column: str = "origin"
    """The column that says where a row is from."""
    shares: dict[str, Share] = Field(min_length=1)
    """The ratio, such as `{real: 1, synthetic: 3}`; rows of an origin that is not named are rejected."""
    copies: int = Field(default=1, ge=1)
    """A row of the scarcer origin may stand up to so many times, so that fewer rows of the other are lost."""
    keep: str | None = None
    """The score column whose highest rows are kept or copied first; without it the hash of a row's id decides."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns. Raises InputError when no origin has a share."""
        need([self.column, *([self.keep] if self.keep else [])], have, "mix")
        if not any(self.shares.values()):
            raise InputError("mix: every share is 0; give the ratio, such as {real: 1, synthetic: 3}")
        return have

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row, kept, rejected as `surplus`, or as its copies."""
        return resized(rows, ctx, [self.column], self.keep, partial(self._sizes, ctx))

    def _sizes(self, ctx: Context, counts: Mapping[str, int]) -> dict[str, int]:
        sizes = mixed(counts, self.shares, self.copies)
        ctx.report("origins", {name: {"rows": counts.get(name, 0), "kept": kept} for name, kept in sizes.items()})
        return sizes
