"""match: a subset whose texts are distributed as those of a target sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from synth_llm.errors import Reject
from synth_llm.quotas import Amount, how_many
from synth_llm.row import Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.embedded import Embedded, Targets, generator, read_target, target_vectors
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need

NOT_MATCHED = "not matched"
SAMPLE = 4000
"""Rows that stand for more of them where a mean over all pairs is taken: its standard error is below .005."""


class Match(Step):
    """Keeps `rows` of them so that the embeddings of all together lie as those of the target do.

    Kernel herding (Chen, Welling and Smola 2010) lowers the energy distance to the target row by row, so that topics
    come in the target's proportions; the manifest has the distance before and after.
    """

    type: ClassVar[str] = "match"
    final: ClassVar[bool] = True

    to: Targets
    """The target: rows as those that the data is meant for: `examples`, files, runs, datasets."""
    rows: Amount
    """How many are kept: a whole number, or below 1 a share of the rows. The fewer, the more alike."""
    column: str | list[str] = "text"
    """The column, or columns together, that are embedded."""
    encoder: str | None = None
    """The encoder; the packaged one when absent."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns."""
        need(named(self.column), have, "match")
        read_target(self.to, use, named(self.column))
        use.encoder(self.encoder)
        return have

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row, kept or rejected as `not matched`."""
        from synth_llm.geometry import energy_distance, herd, sampled

        embedded = Embedded.of(rows, self.column, self.encoder, ctx)
        draws = generator(ctx)
        target = sampled(target_vectors(self.to, self.column, self.encoder, ctx), SAMPLE, draws)
        wanted = min(how_many(self.rows, len(rows)), len(embedded.filled))
        chosen, far = herd(embedded.vectors, target, wanted)
        kept = set(chosen.tolist())
        if kept:
            before, after = sampled(embedded.vectors, SAMPLE, draws), sampled(embedded.vectors[chosen], SAMPLE, draws)
            ctx.report("target rows", len(target))
            ctx.report("energy distance before", round(energy_distance(before, target), 4))
            ctx.report("energy distance after", round(energy_distance(after, target), 4))
        for row, at in zip(rows, embedded.places, strict=True):
            if at is None:
                yield embedded.blank(row)
                continue
            value = float(far[at])
            ctx.note("distance to the target", row, value, at in kept)
            detail = f"{wanted} others follow the target more closely; its mean distance to the target is {value:.3f}"
            yield row if at in kept else Rejected(row, Reject(NOT_MATCHED, detail, value=value))
