"""What each objective of a recipe came to: its own measure before and after, for the summary, manifest and card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_llm.against import joined
from synth_llm.candidates import cell_of
from synth_llm.objectives import (
    EDGE,
    MISSED,
    ORIGINAL,
    Balance,
    Diversity,
    DomainShift,
    EdgeCases,
)
from synth_llm.plan import Plan
from synth_llm.row import Row, canonical
from synth_llm.source import read_rows
from synth_llm.steps.embedded import read_target

if TYPE_CHECKING:
    import numpy as np

MOST = 1000
"""Rows that are measured on a side, so that a large run does not wait for vectors."""
FEWEST = 4
"""Kept rows below which nothing is said."""


class Measure(NamedTuple):
    """One figure before and after; as JSON, None where there is none before."""

    objective: str
    measure: str
    before: float
    before_of: str
    after: float
    after_of: str


def measures(plan: Plan, kept: Sequence[Row], made: Iterable[Row]) -> list[dict[str, Any]]:
    """The measures of the recipe's objectives, as JSON values.

    `kept` in candidate order; `made` are all rows, kept and rejected.
    """
    given = plan.recipe.objectives
    found: list[Measure] = []
    if given is None or len(kept) < FEWEST:
        return []
    if given.diversity:
        found += _diversity(given.diversity, plan, kept)
    if given.balance:
        found += _balance(given.balance, plan, kept)
    if given.domain_shift:
        found += _domain_shift(given.domain_shift, plan, kept)
    if given.edge_cases:
        found += _edge_cases(given.edge_cases, kept, [row for row in made if {EDGE, MISSED} <= row.keys()])
    return [
        {**one._asdict(), "before": _rounded(one.before), "after": after}
        for one in found
        if (after := _rounded(one.after)) is not None
    ]


def _rounded(value: float) -> float | None:
    """As JSON can hold it: a measure of too few rows is no number."""
    return round(value, 4) if math.isfinite(value) else None


def _diversity(it: Diversity, plan: Plan, kept: Sequence[Row]) -> Iterator[Measure]:
    """Of the rows accepted first and last, as many of each and cut to one length: what the objective changed."""
    from synth_llm.measure.diversity import common_length, dispersion, distinct_n, matched, vendi

    half = min(len(kept) // 2, MOST)
    sides = [[joined(row, [it.column]) for row in rows] for rows in (kept[:half], kept[-half:])]
    first, last = f"first {half:,} kept", f"last {half:,} kept"
    length = common_length(*sides)
    cut = [matched(side, length, half).texts for side in sides]
    yield Measure("diversity", "distinct-2", distinct_n(cut[0]), first, distinct_n(cut[1]), last)
    ones, others = (_vectors(plan, side) for side in sides)
    yield Measure("diversity", "dispersion", dispersion(ones), first, dispersion(others), last)
    yield Measure("diversity", "vendi", vendi(ones), first, vendi(others), last)
    if plan.recipe.source.grid is not None:
        names = sorted(plan.recipe.source.grid)
        wanted = {_values(row, names) for row in read_rows(plan.recipe.source, plan.use.base)}
        shares = [len(wanted & {_values(row, names) for row in rows}) / len(wanted) for rows in (kept[:half], kept)]
        yield Measure("diversity", f"coverage of {', '.join(names)}", shares[0], first, shares[1], "all kept")


def _values(row: Row, names: Sequence[str]) -> str:
    return canonical([row.get(name) for name in names])


def _balance(it: Balance, plan: Plan, kept: Sequence[Row]) -> Iterator[Measure]:
    """Of the examples alone, and with the made rows."""
    from synth_llm.measure.diversity import evenness

    there = [cell_of(row, it.column) for row in plan.use.examples]
    both = [*there, *(cell_of(row, it.column) for row in kept)]
    kinds = set(both)
    alone, made = "examples", "examples and kept"
    yield Measure("balance", f"evenness of {it.column}", evenness(there, kinds), alone, evenness(both, kinds), made)
    least = [float(min(Counter(cells)[kind] for kind in kinds)) for cells in (there, both)]
    yield Measure("balance", f"rows of the rarest {it.column}", least[0], alone, least[1], made)


def _domain_shift(it: DomainShift, plan: Plan, kept: Sequence[Row]) -> Iterator[Measure]:
    """The energy distance to the target of the kept rows, as they were and as they are."""
    from synth_llm.geometry import energy_distance

    target = _vectors(plan, _some(read_target(it.to, plan.use, [it.column])))
    rows = _some(kept)
    before, after = (_vectors(plan, [joined(row, [column]) for row in rows]) for column in (ORIGINAL, it.column))
    far = energy_distance(before, target), energy_distance(after, target)
    yield Measure("domain_shift", "energy distance to the target", far[0], "kept, original", far[1], "kept")


def _edge_cases(it: EdgeCases, kept: Sequence[Row], cases: Sequence[Row]) -> Iterator[Measure]:
    """Of all rows that were looked at for it, and of those kept."""

    def share(rows: Sequence[Row], thin: bool) -> float:
        return sum(bool(row[EDGE] >= it.thin) if thin else bool(row[MISSED]) for row in rows) / len(rows)

    for name, thin in (("share in thin regions", True), ("share that the student misses", False)):
        yield Measure("edge_cases", name, share(cases, thin), "all looked at", share(kept, thin), "kept")


def _some(rows: Sequence[Any]) -> Sequence[Any]:
    """At most `MOST` of them, at even distances."""
    return rows if len(rows) <= MOST else [rows[at * len(rows) // MOST] for at in range(MOST)]


def _vectors(plan: Plan, texts: Sequence[str]) -> np.ndarray:
    return plan.use.encoder(plan.recipe.objectives.encoder if plan.recipe.objectives else None).encode(texts)
