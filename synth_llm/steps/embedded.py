"""Rows as vectors, for steps that look at how rows lie to each other: what `select`, `match` and `edge` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field

from synth_llm.against import Against, joined, read_against
from synth_llm.errors import Reject
from synth_llm.row import Row, digest
from synth_llm.steps.classes import MISSING
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Rejected, Rows, named

if TYPE_CHECKING:
    import numpy as np

Targets = Annotated[
    list[Against],
    BeforeValidator(
        lambda given: given if isinstance(given, list) else [given], json_schema_input_type=Against | list[Against]
    ),
    Field(min_length=1),
]
"""Rows of other data, in one place or several."""


def generator(ctx: Context) -> np.random.Generator:
    """What a step draws for all rows together: of the recipe's seed and the step's name."""
    import numpy as np

    return np.random.default_rng(int(digest(ctx.seed, ctx.step), 16))


@dataclass(frozen=True)
class Embedded:
    """The rows that have a text, as vectors."""

    column: list[str]
    vectors: np.ndarray
    """(n, d) float32, rows of length one."""
    filled: list[int]
    """Which row each vector is of."""
    places: list[int | None]
    """Which vector each row has; None where its text is blank."""

    @classmethod
    def of(cls, rows: Rows, column: str | Sequence[str], encoder: str | None, ctx: Context) -> Embedded:
        """Embed each row's columns together."""
        import numpy as np

        columns = named(column)
        texts = [joined(row, columns) for row in rows]
        filled = [at for at, text in enumerate(texts) if text.strip()]
        places: list[int | None] = [None] * len(texts)
        for place, at in enumerate(filled):
            places[at] = place
        if not filled:
            return cls(columns, np.zeros((0, 1), np.float32), filled, places)  # without opening the encoder
        return cls(columns, ctx.encode([texts[at] for at in filled], encoder), filled, places)

    def blank(self, row: Row) -> Rejected:
        """The rejection of a row without a text."""
        return Rejected(row, Reject(MISSING, f"has no text in {' and '.join(self.column)}"))


def read_target(entries: Sequence[Against], use: Resources, columns: Sequence[str]) -> list[str]:
    """The texts of other data that a step holds its rows against. Raises InputError as `read_against`."""
    return [item.text for item in read_against(entries, use, columns)]


def target_vectors(
    entries: Sequence[Against], column: str | Sequence[str], encoder: str | None, ctx: Context
) -> np.ndarray:
    """(m, d): `read_target` as vectors, once a round."""
    return ctx.cached("target", lambda: ctx.encode(read_target(entries, ctx.use, named(column)), encoder))
