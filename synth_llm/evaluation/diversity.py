"""How much the rows differ from one another, beside how much real ones do, at equal size and length."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.measure.diversity import (
    HALVES,
    MOST,
    attribute_coverage,
    common_length,
    compression_ratio,
    dispersion,
    distinct_n,
    evenness,
    halves,
    matched,
    novelty,
    self_bleu,
    vendi,
)
from synth_llm.measure.interval import Interval
from synth_llm.measure.metric import Facts, facts
from synth_llm.row import Row, canonical

POOL = 1000
"""Rows of each side that are looked at for the comparison, at most; their cut texts are encoded anew."""
FEWEST = 4
"""Rows that can be halved and still be compared."""

OF_TEXTS: dict[str, Callable[[Sequence[str]], float]] = {
    "distinct_1": partial(distinct_n, n=1),
    "distinct_2": partial(distinct_n, n=2),
    "self_bleu": self_bleu,
    "compression_ratio": compression_ratio,
    "novelty": novelty,
}
OF_VECTORS: dict[str, Callable[[Any], float]] = {"dispersion": dispersion, "vendi": vendi}
MEASURES = (*OF_TEXTS, *OF_VECTORS)


def diversity(data: Data) -> Part:
    """Each measure of the made rows, beside that of the real ones where these are given.

    Figures are means over random halves of a pool of rows, with their interval (`halves`). With real rows both pools
    are of one size, and all texts cut to one length. The table has all rows beside it, as they are: a figure that tells
    nothing without their number and length. Raises MissingExtra without rapidfuzz, and as the encoder does.
    """
    part = Part()
    sides = [side for side in (data.made, data.real) if side is not None and len(side)]
    if data.made not in sides:
        part.notes.append("Diversity: there are no rows.")
        return part
    with_real = len(sides) > 1
    words = common_length(*(side.texts for side in sides)) if with_real else None
    pools = [matched(side.texts, words, POOL, data.seed) for side in sides]
    rows = min(len(pool.texts) for pool in pools)
    if rows >= FEWEST:
        spreads = [_spreads(data, side.name, pool.texts[:rows]) for side, pool in zip(sides, pools, strict=True)]
        whole = _whole(data)
        part.figures += _figures(spreads, f"{rows // 2} rows, " + (f"{words} words each" if words else "as they are"))
        part.tables.append(_table(spreads, whole, rows // 2, words))
        part.notes.append(_how(sides, [pool.of for pool in pools], rows, words))
    else:
        part.notes.append(f"Diversity of texts: left out, as only {rows} rows of a side can be compared.")
    _attributes(data, part)
    return part


def _spreads(data: Data, name: str, pool: Sequence[str]) -> dict[str, Interval]:
    """Each measure over random halves of a pool of texts."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    vectors = data.encode(pool)
    texts = np.array(pool, dtype=object)
    values = {**dict.fromkeys(OF_TEXTS, texts), **dict.fromkeys(OF_VECTORS, vectors)}
    found = {}
    with threadpool_limits(1):  # the matrices are small: threads would wait for each other
        for done, (measure, function) in enumerate({**OF_TEXTS, **OF_VECTORS}.items()):
            data.doing(f"diversity of {name}", done, len(MEASURES))
            found[measure] = _of_halves(function, values[measure], data.seed)
    return found


def _of_halves(function: Callable[[Any], float], values: Any, seed: int) -> Interval:
    return halves(lambda at: function(values[at]), len(values), seed)


def _whole(data: Data) -> dict[str, float]:
    """Each measure of all made rows as they are, in an order of their own."""
    texts, vectors = matched(data.made.texts, None, len(data.made), data.seed).texts, data.vectors(data.made)
    return {
        **{name: function(texts) for name, function in OF_TEXTS.items()},
        **{name: function(vectors) for name, function in OF_VECTORS.items()},
    }


def _figures(spreads: Sequence[dict[str, Interval]], detail: str) -> list[Figure]:
    return [
        Figure.of(
            name,
            spreads[0][name],
            beside=spreads[1][name].value if len(spreads) > 1 else None,
            unit=_facts(name).unit,
            direction=_facts(name).direction,
            detail=detail,
        )
        for name in MEASURES
    ]


def _facts(name: str) -> Facts:
    return facts("distinct_n" if name.startswith("distinct_") else name)


def _table(spreads: Sequence[dict[str, Interval]], whole: dict[str, float], half: int, words: int | None) -> Table:
    columns = ["measure", "better", "made", *["real"] * (len(spreads) > 1), "all made rows, as they are"]
    lines = [
        [name, _facts(name).direction, *(list(spread[name]) for spread in spreads), whole[name]] for name in MEASURES
    ]
    cut = f", each cut to its first {words} words" if words else ""
    return Table("diversity", f"Diversity of {half} rows{cut}", columns, lines)


def _how(sides: Sequence[Side], usable: Sequence[int], rows: int, words: int | None) -> str:
    """What was compared, and what was left out for it."""
    shown = f"Diversity: means over {HALVES} random halves of {rows} rows"
    if words:
        enough = ", ".join(f"{of} of {len(side)} {side.name}" for side, of in zip(sides, usable, strict=True))
        shown += f" a side; texts are cut to {words} words, and those with fewer left out ({enough} rows have as many)"
    if len(sides[0]) > MOST:
        shown += f". Of all made rows, {MOST} were drawn for self_bleu and novelty"
    return f"{shown}."


def _attributes(data: Data, part: Part) -> None:
    """Which of the expected values of each attribute come, and how evenly."""
    side = next((side for side in (data.real, data.examples) if side is not None and len(side)), None)
    columns = {column: column for column in data.settings.attributes}
    if data.made.label is not None:
        columns = {data.made.label: (side.label if side else None) or data.made.label, **columns}
    lines = []
    for column, there in columns.items():
        made = _values(data.made.rows, column)
        expected = _values(side.rows, there) if side else []
        covered, even = attribute_coverage(made, expected), evenness(made, expected)
        beside = evenness(expected, made) if expected else math.nan
        lines.append([column, len(set(made)), len(set(expected)), covered, even, beside])
        if side and expected:
            detail = f"{len(set(expected))} values in the {side.name} rows"
            part.figures.append(Figure(f"coverage_{column}", covered, unit="share", direction="higher", detail=detail))
    if lines:
        found = f"in the {side.name} rows" if side else "expected"
        names = ["column", "values", f"values {found}", "covered", "evenness", f"evenness {found}"]
        part.tables.append(Table("attributes", "Attributes: which values come, and how evenly", names, lines))
        if side is None:
            part.notes.append("Coverage of attributes: left out, as no real rows or examples say what to expect.")


def _values(rows: Sequence[Row], column: str) -> list[str]:
    """The values of a column as text; rows without one are left out."""
    given = (row.get(column) for row in rows)
    return [value if isinstance(value, str) else canonical(value) for value in given if value is not None]
