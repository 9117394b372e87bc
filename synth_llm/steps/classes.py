"""Rows by class, and classes brought to wanted sizes: what `balance` and `mix` share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from synth_llm.errors import Reject
from synth_llm.row import ID, Row, canonical, child_of, digest
from synth_llm.steps.context import Context
from synth_llm.steps.step import Rejected, Rows

SURPLUS, MISSING = "surplus", "missing"


def number(row: Row, column: str | None) -> float | None:
    """The row's score: a finite number of the column, or None when it holds none."""
    value = row.get(column) if column else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def ranks(rows: Iterable[Row], column: str | None, ctx: Context) -> list[tuple[float, str]]:
    """What orders rows, best first: by the score column, highest first and none last; else, and for ties, by hash."""
    return [(-(number(row, column) or 0.0) if scored(row, column) else math.inf, _hash(row, ctx)) for row in rows]


def scored(row: Row, column: str | None) -> bool:
    """Whether the row has a score, or needs none."""
    return column is None or number(row, column) is not None


def _hash(row: Row, ctx: Context) -> str:
    return digest(ctx.seed, ctx.step, row[ID])


def class_of(row: Row, columns: Sequence[str]) -> str:
    """The row's class as text: its value in the column, or its values; empty when it lacks one."""
    values = [row.get(column) for column in columns]
    if any(value is None or value == "" for value in values):
        return ""
    return ", ".join(value if isinstance(value, str) else canonical(value) for value in values)


Sizes = Callable[[Mapping[str, int]], Mapping[str, int]]
"""From the rows that each class has to the rows that it shall have; a class that is not named gets none."""


def resized(
    rows: Rows, ctx: Context, columns: Sequence[str], keep: str | None, sizes: Sizes
) -> Iterator[Row | Rejected | list[Row]]:
    """Each row: kept, rejected, or as many copies as its class needs, the best by `keep` first.

    The copies are children; the first stands for the row itself. A row without a class is rejected.
    """
    names = [class_of(row, columns) for row in rows]
    order = ranks(rows, keep, ctx)
    members: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        if name:
            members.setdefault(name, []).append(at)
    wanted = sizes({name: len(of) for name, of in members.items()})
    times = [0] * len(names)
    for name, of in members.items():
        each, more = divmod(wanted.get(name, 0), len(of))
        for place, at in enumerate(sorted(of, key=order.__getitem__)):
            times[at] = each + (place < more)
    what = " and ".join(columns)
    for row, name, count in zip(rows, names, times, strict=True):
        if keep and name:
            ctx.note(keep, row, number(row, keep), count > 0)
        if not name:
            yield Rejected(row, Reject(MISSING, f"has no {what}"))
        elif count == 0:
            has = f"has its {wanted[name]} of {len(members[name])} rows" if wanted.get(name) else "gets no rows"
            yield Rejected(row, Reject(SURPLUS, f"{what} '{name}' {has}", value=number(row, keep)))
        else:
            yield row if count == 1 else [child_of(row, (copy,), {}) for copy in range(count)]
