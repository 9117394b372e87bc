"""edge: keeps rows that lie where real rows are few."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, model_validator

from synth_llm.errors import InputError, Reject
from synth_llm.row import Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.embedded import Embedded, Targets, read_target, target_vectors
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need

if TYPE_CHECKING:
    import numpy as np

DENSE, OUTSIDE = "dense", "outside"
Share = Annotated[float, Field(ge=0, le=1)]


class Edge(Step):
    """Scores each row by how thin the real data is around it, and keeps those within a band of the score.

    The score is the share of real rows that lie denser: of which the distance to the k-th nearest other real row
    (Loftsgaarden and Quesenberry 1965) is smaller than this row's to its k-th nearest real row. It looks at no other
    row, so it works in each round; `sample: {from: accepted, weight: edge}` then draws shots of the next round there.
    """

    type: ClassVar[str] = "edge"

    to: Targets
    """The real rows: `examples`, files, runs, datasets."""
    column: str | list[str] = "text"
    """The column, or columns together, that are embedded."""
    neighbours: int = Field(default=5, ge=1)
    """k: with fewer the score is noisy, with more a small region counts as thin by its size alone."""
    between: list[Share] = Field(default=[0.5, 0.99], min_length=2, max_length=2)
    """The scores that are kept. Below lies the denser half of the real data, above is what hardly any real row lies
    as far out as: most often off the topic. `[0, 1]` keeps all, with their scores."""
    into: str = "edge"
    """The column that gets the score, from 0 to 1."""
    encoder: str | None = None
    """The encoder; the packaged one when absent."""

    @model_validator(mode="after")
    def _ordered(self) -> Edge:
        if self.between[0] >= self.between[1]:
            raise ValueError(f"between: {self.between} is empty; write the lower score first")
        return self

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and the score. Raises InputError when there are too few real rows."""
        need(named(self.column), have, "edge")
        if self.into in have:
            raise InputError(f"edge: the rows already have a column '{self.into}'; name another with 'into'")
        real = len(set(read_target(self.to, use, named(self.column))))
        if real < self.neighbours + 2:
            raise InputError(f"edge: {real} different real rows are too few for {self.neighbours} neighbours")
        use.encoder(self.encoder)
        return have | {self.into}

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row with its score, or rejected as `dense` or `outside`."""
        from synth_llm.geometry import kth_nearest

        embedded = Embedded.of(rows, self.column, self.encoder, ctx)
        real = target_vectors(self.to, self.column, self.encoder, ctx)
        far = kth_nearest(embedded.vectors, real, self.neighbours)
        scores = _share_below(far, kth_nearest(real, real, self.neighbours))
        low, high = self.between
        for row, at in zip(rows, embedded.places, strict=True):
            if at is None:
                yield embedded.blank(row)
                continue
            score = round(float(scores[at]), 4)
            ctx.note(self.into, row, score, low <= score <= high)
            detail = (
                f"{score:.1%} of the real rows lie denser; its neighbour number {self.neighbours} is {far[at]:.3f} away"
            )
            if low <= score <= high:
                yield {**row, self.into: score}
            else:
                yield Rejected(row, Reject(DENSE if score < low else OUTSIDE, detail, value=score))


def _share_below(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """For each value the share of `of` that is smaller; equal ones count half, so that `of` itself has the mean 1/2."""
    import numpy as np

    ordered = np.sort(of)
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    share: np.ndarray = below / (2 * len(of))
    return share
