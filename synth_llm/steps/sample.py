"""sample: draws examples into a column."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from synth_llm.against import Against, joined, read_whole
from synth_llm.errors import InputError
from synth_llm.row import Row, canonical, public
from synth_llm.steps.context import ACCEPTED, Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, named, need

if TYPE_CHECKING:
    import numpy as np

Pool = Literal["examples", "accepted"] | Against


class Sample(Step):
    """Draws up to `n` rows of a pool into a list column: other ones, in another order, for each row; or the nearest.

    Candidates are ranked by a hash of (seed, step, row, candidate): one more example changes few draws.
    """

    type: ClassVar[str] = "sample"

    from_: Pool | list[Pool] = Field(default="examples", alias="from")
    """The pool: the source's `examples`, the rows `accepted` in earlier rounds, a file, run or dataset; or several."""
    match: str | list[str] = []
    """Only candidates with the row's value in these columns."""
    n: int = Field(default=3, ge=1)
    """How many; fewer when the pool has fewer."""
    into: str = "shots"
    """The column that gets the list."""
    weight: str | None = None
    """A column of the candidates, such as the score of `edge`: the chance to be drawn grows with it; never at 0."""
    fixed: bool = False
    """One draw for all rows that match alike: their prompts then begin alike, and engines read that part once."""
    nearest: str | list[str] | None = None
    """Instead of a draw, the nearest first: a column of the candidates, or several, whose text's vector is held against
    that of the row's own; a row that has no such column yet is taken by its other texts, or by what its lists hold."""
    encoder: str | None = None
    """For `nearest`: the encoder; the packaged one when absent."""

    @model_validator(mode="after")
    def _one_way(self) -> Sample:
        if self.nearest and (self.weight or self.fixed):
            raise ValueError("'nearest' leaves nothing to chance: it goes with neither 'weight' nor 'fixed'")
        return self

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and `into`."""
        need(self.matched, have, "match")
        for pool in self._pools:
            if pool == ACCEPTED:
                continue
            what = f"the pool of {pool.written if isinstance(pool, Against) else pool}"
            given = frozenset().union(*(frozenset(one) for one in _rows(pool, use)))
            need(self.matched, given, f"match: {what}")
            need([self.weight] if self.weight else [], given, f"weight: {what}")
            need(named(self.nearest or []), given, f"nearest: {what}")
        if self.nearest:
            use.encoder(self.encoder)
        return have | {self.into}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with the drawn rows."""
        pool = ctx.cached("pool", lambda: _Pool(self, ctx))
        return [{**row, self.into: pool.draw(row, ctx)}]

    @property
    def matched(self) -> list[str]:
        """The columns in which candidates have the row's values."""
        return [self.match] if isinstance(self.match, str) else self.match

    @property
    def _pools(self) -> list[Pool]:
        return list(self.from_) if isinstance(self.from_, list) else [self.from_]


def _rows(pool: Pool, use: Resources) -> list[Row]:
    """The rows of a pool that stand before the run."""
    return read_whole(pool, use) if isinstance(pool, Against) else list(use.examples)


class _Pool:
    """The candidates of one round, by the values that are matched."""

    def __init__(self, step: Sample, ctx: Context) -> None:
        rows = [row for pool in step._pools if pool != ACCEPTED for row in _rows(pool, ctx.use)]
        if ACCEPTED in step._pools:
            drawn = {other.into for other in ctx.use.recipe.steps if isinstance(other, Sample)}
            rows += [{k: v for k, v in public(row).items() if k not in drawn} for row in ctx.accepted()]
        self.step, self.vectors = step, dict[str, "np.ndarray"]()
        self.groups: dict[str, tuple[list[Row], np.ndarray, np.ndarray | None]] = {}
        grouped: dict[str, list[Row]] = {}
        for row in rows:
            if step.weight is None or _weight(row, step.weight) > 0:
                grouped.setdefault(self._group(row), []).append(row)
        for group, members in grouped.items():
            self.groups[group] = members, _hashes(canonical(row) for row in members), _weights(members, step.weight)

    def draw(self, row: Row, ctx: Context) -> list[Row]:
        """The `n` candidates with the smallest hash for this row; with weights, by Efraimidis and Spirakis (2006)."""
        import numpy as np

        if self._group(row) not in self.groups:
            return []
        rows, hashes, weights = self.groups[self._group(row)]
        if self.step.nearest:
            far = 1 - self._vectors(row, ctx) @ ctx.encode([_said(row, self.step.nearest)], self.step.encoder)[0]
            return [rows[int(i)] for i in np.argsort(np.round(far, 4), kind="stable")[: self.step.n]]
        whose = self._group(row) if self.step.fixed else row["_id"]
        own = _hashes([canonical([ctx.seed, ctx.step, whose])])[0]
        ranks = _mixed(hashes ^ own)
        if weights is not None:
            ranks = -np.log((ranks.astype(np.float64) + 1) / 2.0**64) / weights
        keep = min(self.step.n, len(rows))
        nearest = np.argpartition(ranks, keep - 1)[:keep]
        return [rows[int(i)] for i in nearest[np.argsort(ranks[nearest], kind="stable")]]

    def _vectors(self, row: Row, ctx: Context) -> np.ndarray:
        """Of the candidates that match the row, once a round."""
        group = self._group(row)
        if group not in self.vectors:
            texts = [joined(one, named(self.step.nearest or [])) for one in self.groups[group][0]]
            self.vectors[group] = ctx.encode(texts, self.step.encoder)
        return self.vectors[group]

    def _group(self, row: Row) -> str:
        return canonical([row.get(column) for column in self.step.matched])


def _said(row: Row, columns: str | list[str]) -> str:
    """The row's text in these columns; where it has none, its other texts and numbers, else what its lists hold."""
    others = [name for name, value in public(row).items() if not isinstance(value, list | dict)]
    return joined(row, named(columns)).strip() or joined(row, others).strip() or joined(row, list(public(row)))


def _weight(row: Row, column: str) -> float:
    """A candidate's weight. Raises InputError when it is no number from 0 on."""
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InputError(f"sample: weight: column '{column}' of a candidate is {value!r:.40}, not a number from 0 on")
    return float(value)


def _weights(rows: Iterable[Row], column: str | None) -> np.ndarray | None:
    import numpy as np

    return None if column is None else np.array([_weight(row, column) for row in rows])


def _hashes(texts: Iterable[str]) -> np.ndarray:
    """The first 64 bits of each text's SHA-256."""
    import numpy as np

    return np.array([int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in texts], dtype=np.uint64)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele et al. 2014, "Fast splittable pseudorandom number generators")."""
    import numpy as np

    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = bits ^ (bits >> np.uint64(31))
    return mixed
