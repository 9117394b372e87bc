"""select: a smaller set of the best rows, or of rows that stand for all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from synth_llm.errors import Reject
from synth_llm.quotas import Amount, apportioned, how_many
from synth_llm.row import ID, Row
from synth_llm.steps.classes import MISSING, number, ranks
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.embedded import Embedded, generator
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need

if TYPE_CHECKING:
    import numpy as np

NOT_SELECTED = "not selected"
K_CENTER = "k_center"


class Select(Step):
    """Keeps `rows` of them: those with the highest score, from all topics if asked, or a cover of them all."""

    type: ClassVar[str] = "select"
    final: ClassVar[bool] = True

    rows: Amount
    """How many: a whole number, or below 1 a share of the rows."""
    by: str = K_CENTER
    """A score column, highest first; or `k_center`: rows so chosen that no other row is far from all of them (greedy
    k-centre over embeddings, Sener and Savarese 2018). The latter seeks out what is unusual: drop what is broken first.
    """
    clusters: int | None = Field(default=None, ge=2)
    """With a score: so many clusters (k-means over embeddings) each have places of their own, so that the best rows
    are not all of one topic."""
    quota: Literal["proportional", "equal"] = "proportional"
    """The places of a cluster: in proportion to its rows, or equally many."""
    column: str | list[str] = "text"
    """The column, or columns together, that are embedded."""
    encoder: str | None = None
    """The encoder; the packaged one when absent."""

    @model_validator(mode="after")
    def _fits(self) -> Select:
        if self.by == K_CENTER and self.clusters is not None:
            raise ValueError("'clusters' goes with a score column in 'by'; k_center spreads the rows by itself")
        if self.clusters is None and "quota" in self.model_fields_set:
            raise ValueError("'quota' goes with 'clusters'")
        return self

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns."""
        if self.by != K_CENTER:
            need([self.by], have, "select by")
        if self._embeds:
            need(named(self.column), have, "select")
            use.encoder(self.encoder)
        return have

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row, kept or rejected as `not selected`."""
        wanted = how_many(self.rows, len(rows))
        return self._cover(rows, wanted, ctx) if self.by == K_CENTER else self._best(rows, wanted, ctx)

    @property
    def _embeds(self) -> bool:
        return self.by == K_CENTER or self.clusters is not None

    def _cover(self, rows: Rows, wanted: int, ctx: Context) -> Iterator[Row | Rejected]:
        """By k-centre: a rejected row names the kept one that is nearest to it."""
        from synth_llm.geometry import k_center

        embedded = Embedded.of(rows, self.column, self.encoder, ctx)
        chosen, nearest, far = k_center(embedded.vectors, wanted)
        kept = set(chosen.tolist())
        ids = [row[ID] for row in rows]
        ctx.report("farthest", round(float(far.max(initial=0.0)), 4))
        for row, at in zip(rows, embedded.places, strict=True):
            if at is None:
                yield embedded.blank(row)
                continue
            ctx.note("distance", row, float(far[at]), at in kept)
            if at in kept:
                yield row
            else:
                other, value = ids[embedded.filled[int(nearest[at])]], float(far[at])
                detail = f"{other} stands for it, at a distance of {value:.3f}"
                yield Rejected(row, Reject(NOT_SELECTED, detail, value=value, other=other))

    def _best(self, rows: Rows, wanted: int, ctx: Context) -> Iterator[Row | Rejected]:
        """By the score, within each cluster."""
        scores = [number(row, self.by) for row in rows]
        cells = self._cells(rows, ctx)
        members: dict[int, list[int]] = {}
        for at, (score, cell) in enumerate(zip(scores, cells, strict=True)):
            if score is not None and cell >= 0:
                members.setdefault(cell, []).append(at)
        sizes = [len(members[cell]) for cell in sorted(members)]
        weights = sizes if self.quota == "proportional" else [1] * len(sizes)
        places = dict(zip(sorted(members), apportioned(wanted, weights, sizes), strict=True))
        order = ranks(rows, self.by, ctx)
        rank = {at: place for of in members.values() for place, at in enumerate(sorted(of, key=order.__getitem__), 1)}
        if self.clusters is not None:
            ctx.report("clusters", [{"rows": len(members[cell]), "kept": places[cell]} for cell in sorted(members)])
        for at, (row, score, cell) in enumerate(zip(rows, scores, cells, strict=True)):
            if score is None or cell < 0:
                lacks = f"number in '{self.by}'" if score is None else "text to embed"
                yield Rejected(row, Reject(MISSING, f"has no {lacks}"))
                continue
            keep = rank[at] <= places[cell]
            ctx.note(self.by, row, score, keep)
            where = f"cluster {cell}" if self.clusters is not None else "all"
            place = f"number {rank[at]} of {len(members[cell])} in {where}, where {places[cell]} are kept"
            yield row if keep else Rejected(row, Reject(NOT_SELECTED, f"{self.by} {score:.4g}: {place}", value=score))

    def _cells(self, rows: Rows, ctx: Context) -> list[int]:
        """The cluster of each row, -1 where there is nothing to embed; all in one when there are none."""
        if self.clusters is None:
            return [0] * len(rows)
        from synth_llm.geometry import k_means

        embedded = Embedded.of(rows, self.column, self.encoder, ctx)
        cells: np.ndarray = k_means(embedded.vectors, self.clusters, generator(ctx))
        return [-1 if at is None else int(cells[at]) for at in embedded.places]
