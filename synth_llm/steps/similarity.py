"""similarity: how alike in meaning two columns of a row are, as a column, and bounds that it must keep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field, model_validator

from synth_llm.errors import InputError, Reject
from synth_llm.row import Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.embedded import Embedded
from synth_llm.steps.step import Columns, Rejected, Rows, Step, need

NOT_SIMILAR, TOO_SIMILAR = "not similar", "too similar"


class Similarity(Step):
    """Adds the cosine of two columns' embeddings, from -1 to 1: a text and its translation back, a task and a dataset.

    With `between`, a row below is rejected as `not similar` (it says something else) and one above as `too similar` (a
    paraphrase that changes nothing). A text that all rows have, set by `map`, is embedded once.
    """

    type: ClassVar[str] = "similarity"

    columns_: list[str] = Field(alias="columns", min_length=2, max_length=2)
    """The two columns that are compared."""
    between: tuple[float, float] | None = None
    """The lowest and the highest cosine of a row that stays; without it all stay."""
    into: str = "similarity"
    """The column for the cosine."""
    encoder: str | None = None
    """The encoder; the packaged one, which knows little but English, when absent."""

    @model_validator(mode="after")
    def _fits(self) -> Similarity:
        if self.columns_[0] == self.columns_[1]:
            raise ValueError(f"'{self.columns_[0]}' stands twice; compare two columns")
        if self.between is not None and not -1 <= self.between[0] <= self.between[1] <= 1:
            raise ValueError("`between` is the lowest cosine, then the highest; both from -1 to 1")
        return self

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and the cosine."""
        need(self.columns_, have, "similarity")
        if self.into in have:
            raise InputError(f"similarity gives '{self.into}', which the rows already have; name another with `into`")
        use.encoder(self.encoder)
        return have | {self.into}

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row with its cosine, kept or rejected; one without both texts is rejected as `missing`."""
        one, other = (Embedded.of(rows, column, self.encoder, ctx) for column in self.columns_)
        low, high = self.between or (-1.0, 1.0)
        for row, first, second in zip(rows, one.places, other.places, strict=True):
            if first is None or second is None:
                yield (one if first is None else other).blank(row)
                continue
            value = max(-1.0, min(1.0, float(one.vectors[first] @ other.vectors[second])))
            ctx.note(self.into, row, value, low <= value <= high)
            if low <= value <= high:
                yield {**row, self.into: round(value, 6)}
                continue
            reason, bound, side = (NOT_SIMILAR, low, "below") if value < low else (TOO_SIMILAR, high, "above")
            detail = f"cosine of {self.columns_[0]} and {self.columns_[1]} {value:.3f}, {side} {bound:g}"
            yield Rejected(row, Reject(reason, detail, value=value))
