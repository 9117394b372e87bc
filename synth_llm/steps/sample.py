"""sample: draws examples into a column."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from synth_llm.errors import InputError
from synth_llm.row import Row, canonical, public
from synth_llm.steps.context import ACCEPTED, EXAMPLES, Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

if TYPE_CHECKING:
    import numpy as np

Pool = Literal["examples", "accepted"]


class Sample(Step):
    """Draws up to `n` rows of a pool into a list column: other ones, in another order, for each row.

    Candidates are ranked by a hash of (seed, step, row, candidate): one more example changes few draws.
    """

    type: ClassVar[str] = "sample"

    from_: Pool | list[Pool] = Field(default="examples", alias="from")
    """The pool: the source's `examples`, the rows `accepted` in earlier rounds, or both."""
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

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and `into`."""
        need(self.matched, have, "match")
        if EXAMPLES in self._pools:
            given = frozenset().union(*(frozenset(example) for example in use.examples))
            need(self.matched, given, "match: the pool of examples")
            need([self.weight] if self.weight else [], given, "weight: the pool of examples")
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
    def _pools(self) -> list[str]:
        return [self.from_] if isinstance(self.from_, str) else list(self.from_)


class _Pool:
    """The candidates of one round, by the values that are matched."""

    def __init__(self, step: Sample, ctx: Context) -> None:
        rows = list(ctx.use.examples) if EXAMPLES in step._pools else []
        if ACCEPTED in step._pools:
            drawn = {other.into for other in ctx.use.recipe.steps if isinstance(other, Sample)}
            rows += [{k: v for k, v in public(row).items() if k not in drawn} for row in ctx.accepted()]
        self.step = step
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
        whose = self._group(row) if self.step.fixed else row["_id"]
        own = _hashes([canonical([ctx.seed, ctx.step, whose])])[0]
        ranks = _mixed(hashes ^ own)
        if weights is not None:
            ranks = -np.log((ranks.astype(np.float64) + 1) / 2.0**64) / weights
        keep = min(self.step.n, len(rows))
        nearest = np.argpartition(ranks, keep - 1)[:keep]
        return [rows[int(i)] for i in nearest[np.argsort(ranks[nearest], kind="stable")]]

    def _group(self, row: Row) -> str:
        return canonical([row.get(column) for column in self.step.matched])


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
