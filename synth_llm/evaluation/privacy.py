"""Privacy: does the set give anybody away, by identifiers, copies, closeness to real rows, or rare combinations?"""

from __future__ import annotations

from collections import Counter
from typing import Any

from synth_llm.errors import InputError, nearest
from synth_llm.evaluation.closeness import closeness
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.measure.interval import wilson
from synth_llm.measure.privacy import identifiers, k_anonymity, l_diversity, t_closeness
from synth_llm.student.student import label_text

RARE = 5
"""Rows of one combination of values that are too few to hide in: the smallest k in common use."""


def privacy(data: Data) -> Part:
    """What the made rows give away of real ones; what lacks real rows, held-out rows or labels is a note.

    Raises InputError for a column of `quasi` or `sensitive` that no row has, MissingExtra for a missing package.
    """
    part = Part()
    _identifiers(data, part)
    if data.real is None:
        part.notes.append("copies, distances and membership attacks were left out: they need real rows (`real`)")
    else:
        closeness(data, data.real, part)
    _combinations(data, part)
    return part


def _identifiers(data: Data, part: Part) -> None:
    """The figure `pii`, and its table by type."""
    made = identifiers(data.made.texts)
    real = identifiers(data.real.texts) if data.real else Counter[tuple[str, str]]()
    kinds = sorted({kind for kind, _ in [*made, *real]})

    def rate(found: Counter[tuple[str, str]], side: Side | None, kind: str | None = None) -> float | None:
        count = sum(times for (own, _), times in found.items() if kind in (None, own))
        return 1000 * count / len(side) if side else None

    detail = f"identifiers in {len(data.made)} made rows" + ("; beside it in the real ones" if data.real else "")
    rates = rate(made, data.made), None, None, rate(real, data.real)
    part.figures.append(Figure("pii", *rates, "per 1,000 rows", "lower", detail))
    if kinds:
        rows = [
            [
                kind,
                rate(made, data.made, kind),
                rate(real, data.real, kind),
                sum(times for key, times in made.items() if key[0] == kind and key in real) if data.real else None,
            ]
            for kind in kinds
        ]
        columns = ["type", "made, per 1,000 rows", "real, per 1,000 rows", "made ones that stand in real rows too"]
        part.tables.append(Table("identifiers", "Personal identifiers", columns, rows))


def _combinations(data: Data, part: Part) -> None:
    """The figures `k_anonymity`, `l_diversity` and `t_closeness`, of the made rows beside the real ones."""
    settings = data.settings
    if not settings.quasi:
        if settings.sensitive:
            part.notes.append("l-diversity and t-closeness were left out: they need the columns `quasi`")
        return
    sides = [side for side in (data.made, data.real) if side is not None and len(side)]
    classes = [_values(side, settings.quasi) for side in sides]
    columns = ", ".join(settings.quasi)
    table: list[list[Any]] = []

    def tell(name: str, values: list[float], unit: str, direction: str) -> None:
        beside = values[1] if len(values) > 1 else None
        part.figures.append(Figure(name, values[0], None, None, beside, unit, direction, f"by {columns}"))
        table.append([name, *values])

    tell("k_anonymity", [float(k_anonymity(one)) for one in classes], "rows", "higher")
    if settings.sensitive:
        secret = [_secret(side, settings.sensitive) for side in sides]
        both = list(zip(classes, secret, strict=True))
        tell("l_diversity", [float(l_diversity(*one)) for one in both], "values", "higher")
        tell("t_closeness", [t_closeness(*one) for one in both], "earth mover's distance", "lower")
    counts = [Counter(one) for one in classes]
    few = [wilson(sum(n for n in count.values() if n < RARE), count.total()) for count in counts]
    table.append([f"share of rows in combinations of fewer than {RARE} rows", *map(list, few)])
    if len(sides) > 1:
        rare = {combination for combination, n in counts[1].items() if n < RARE}
        told = [wilson(sum(one in rare for one in rows), len(rows)) for rows in classes]
        table.append([f"share of rows with a combination of fewer than {RARE} real rows", *map(list, told)])
    part.tables.append(
        Table("combinations", f"Combinations of {columns}", ["figure", *(side.name for side in sides)], table)
    )


def _secret(side: Side, column: str) -> list[Any]:
    """The values of a column: numbers where all are numbers, which have an order; else texts."""
    values = [row.get(column) for row in side.rows]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return values
    return [one for (one,) in _values(side, [column])]


def _values(side: Side, columns: list[str]) -> list[tuple[str | None, ...]]:
    """Of each row the values of the columns, as texts."""
    known = dict.fromkeys(name for row in side.rows for name in row)
    for column in columns:
        if column not in known:
            raise InputError(f"privacy: the {side.name} rows have no column '{column}'{nearest(column, known)}")
    return [tuple(label_text(row.get(column)) for column in columns) for row in side.rows]
