"""quality: a score for each row, learned from rows that somebody rated; no language model is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from synth_llm.errors import InputError, Reject
from synth_llm.files import read_file
from synth_llm.inputs import resolve
from synth_llm.row import Row, canonical
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Rows, Step, need
from synth_llm.student.probe import need_sklearn

if TYPE_CHECKING:
    import numpy as np

    from synth_llm.quality import Scorer

LOW = "low quality"
FEWEST = 20
"""Rated rows of each kind that are needed: with fewer the cross-validated figures say nothing."""
AT_ONCE = 4096
"""Rows whose features are held at once."""


class Rated(BaseModel):
    """Rows that were rated by people or a judge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """A .jsonl, .json, .csv or .parquet file with the columns of `column` and the label."""
    label: str
    """The column that says whether a row is good: true or false, 1 or 0, or a rating."""
    good: float | None = None
    """Of ratings: from which on a row is good."""


class Quality(Step):
    """The probability that a row would be rated good becomes a column.

    It is that of a regularised logistic regression over statistics of the texts (and their embeddings), fitted on the
    rated rows. The manifest says how well it ranks rated rows that it was not fitted on, beside plain length: where
    that is no better, the score is worth nothing. `select` keeps the best of the rows.
    """

    type: ClassVar[str] = "quality"

    fit: Rated
    """The rated rows."""
    column: list[str] = Field(default=["instruction", "input", "output"], min_length=1)
    """The columns that are looked at; the last one is the answer."""
    into: str = "quality"
    """The new column: a probability in [0, 1]."""
    threshold: float | None = Field(default=None, ge=0, le=1)
    """The score below which a row is rejected; without it all are kept."""
    embed: bool = True
    """Use the embeddings of the texts beside their statistics; false is a hundred times quicker."""
    encoder: str | None = None
    """The encoder; the packaged one when absent."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and the score. Raises InputError when the rated rows cannot be used."""
        need(self.column, have, "quality")
        if self.into in have:
            raise InputError(f"quality: the rows already have a column '{self.into}'; name another one in 'into'")
        need_sklearn("the step quality")
        if self.embed:
            use.encoder(self.encoder)
        self._rated(use)
        return have | {self.into}

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected]:
        """Each row with its score, or rejected with it."""
        if not len(rows):
            return
        scorer: Scorer = ctx.cached("scorer", lambda: self._fitted(ctx))
        batch: list[Row] = []
        for row in rows:
            batch.append(row)
            if len(batch) == AT_ONCE:
                yield from self._scored(batch, scorer, ctx)
                batch = []
        yield from self._scored(batch, scorer, ctx)

    def _scored(self, batch: list[Row], scorer: Scorer, ctx: Context) -> Iterator[Row | Rejected]:
        if not batch:
            return
        for row, value in zip(batch, scorer(*self._inputs(batch, ctx)), strict=True):
            score = round(float(value), 6)
            keep = self.threshold is None or score >= self.threshold
            ctx.note(self.into, row, score, keep)
            if keep:
                yield {**row, self.into: score}
            else:
                yield Rejected(row, Reject(LOW, f"{score:.3f}; at least {self.threshold} wanted", value=score))

    def _inputs(self, rows: list[Row], ctx: Context) -> tuple[np.ndarray, np.ndarray | None]:
        import numpy as np

        from synth_llm.quality import features

        texts = [[_text(row.get(name)) for name in self.column] for row in rows]
        vectors = ctx.encode(["\n".join(filter(None, parts)) for parts in texts], self.encoder) if self.embed else None
        return np.array([features(parts) for parts in texts], dtype=np.float64), vectors

    def _fitted(self, ctx: Context) -> Scorer:
        """The scorer of all rated rows; how one does without a row is said in the manifest."""
        import numpy as np

        from synth_llm import quality

        rows, labels = self._rated(ctx.use)
        good = np.array(labels)
        values, vectors = self._inputs(rows, ctx)
        scores = quality.held_out(values, good, vectors, ctx.seed)
        length = np.array([float(len(_text(row.get(self.column[-1])))) for row in rows])
        figure = quality.auroc(scores, good)
        ctx.report(
            "fit",
            {
                "rated": len(good),
                "good": int(good.sum()),
                "held-out AUROC": round(figure, 4),
                "interval": [round(end, 4) for end in quality.auroc_interval(scores, good, ctx.seed)],
                "AUROC of length": round(quality.auroc(length, good), 4),
            },
        )
        return quality.Scorer(values, good, vectors)

    def _rated(self, use: Resources) -> tuple[list[Row], list[bool]]:
        """The rated rows in an order that does not depend on the file's, and which are good. Raises InputError."""
        path = resolve(self.fit.file, use.base)
        rated: list[tuple[str, Row, bool]] = []
        for place, row in read_file(path):
            try:
                need([self.fit.label, *self.column], frozenset(row), "quality: a rated row")
                rated.append((canonical([row[name] for name in self.column]), row, self._is_good(row)))
            except InputError as error:
                raise place.error(error.message) from None
        rated.sort(key=lambda item: (item[0], item[2]))
        good = sum(is_good for _, _, is_good in rated)
        if min(good, len(rated) - good) < FEWEST:
            raise InputError(f"quality: {good} good of {len(rated)} rated rows; {FEWEST} of each kind are needed", path)
        return [row for _, row, _ in rated], [is_good for _, _, is_good in rated]

    def _is_good(self, row: Row) -> bool:
        label: Any = row[self.fit.label]
        text = str(label).strip().lower()
        if self.fit.good is not None:
            try:
                return float(text) >= self.fit.good
            except ValueError:
                raise InputError(f"quality: the label '{self.fit.label}' is {label!r:.40}, not a rating") from None
        if text not in {"true", "false", "1", "0", "1.0", "0.0"}:
            hint = "; of ratings say in 'good' from which on a row is good"
            raise InputError(f"quality: the label '{self.fit.label}' is {label!r:.40}, neither true nor false{hint}")
        return text in {"true", "1", "1.0"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
