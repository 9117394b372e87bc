"""Bias: are groups of people spoken of as often, and alike, as in real rows?"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from synth_llm.errors import InputError
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.measure.bias import association, difference, gaps, mentions
from synth_llm.measure.interval import Interval, wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST = 10
"""Texts of a group from which its gaps and associations are told."""


def bias(data: Data) -> Part:
    """How often groups are named, which labels they get, and what they lie near to; each beside the real rows.

    A group's gap is that of the label whose gap is furthest from the real rows' (without real rows: from 0). A row that
    names two groups counts for both, but not for their association. Raises InputError for two groups of one name.
    """
    part = Part()
    groups = data.settings.groups
    if not groups:
        part.notes.append("bias was left out: it needs groups of people (`groups`)")
        return part
    slugs = {name: re.sub(r"\W+", "_", name.lower()).strip("_") for name in groups}
    if len(set(slugs.values())) < len(slugs):
        raise InputError(f"groups: {', '.join(groups)} come to the same name in figures; rename one")
    sides = [side for side in (data.made, data.real) if side is not None and len(side)]
    members = {side.name: {name: _members(side, name, words) for name, words in groups.items()} for side in sides}
    made, real = members[data.made.name], members[data.real.name] if data.real is not None else None
    for name in groups:
        part.figures.append(_rate(name, slugs[name], made[name], real[name] if real else None))
    labelled = all(side.label for side in sides)
    if labelled:
        for name in groups:
            _gap(name, slugs[name], data, members, part)
        for one, other in combinations(groups, 2):
            _association((one, other), slugs, data, members, part)
    else:
        part.notes.append("gaps and associations were left out: they need a label in all rows")
    rows = [
        [side.name, name, int(found.sum()), list(wilson(int(found.sum()), len(found)))]
        for side in sides
        for name, found in members[side.name].items()
    ]
    part.tables.insert(0, Table("groups", "How often groups are named", ["rows", "group", "count", "share"], rows))
    return part


def _members(side: Side, name: str, words: Sequence[str]) -> NDArray[np.bool_]:
    try:
        return mentions(side.texts, words)
    except ValueError as error:
        raise InputError(f"groups: {name}: {error}") from None


def _rate(name: str, slug: str, made: NDArray[np.bool_], real: NDArray[np.bool_] | None) -> Figure:
    """The share of rows that name a group."""
    detail = f"{int(made.sum())} of {len(made)} rows name {name}"
    beside = None
    if real is not None:
        beside = float(real.mean())
        less = difference(int(made.sum()), len(made), int(real.sum()), len(real))
        detail += f"; {less.value:+.3f} ({less.low:+.3f} to {less.high:+.3f}) beside real rows"
    found = wilson(int(made.sum()), len(made))
    return Figure.of(f"rate_{slug}", found, beside=beside, unit="share of rows", detail=detail)


def _gap(name: str, slug: str, data: Data, members: dict[str, Any], part: Part) -> None:
    """A group's labels beside those of all other rows."""
    sides = [side for side in (data.made, data.real) if side is not None and side.name in members]
    few = [side for side in sides if min(_sizes(members[side.name][name])) < FEWEST]
    if few:
        part.notes.append(f"{name}: fewer than {FEWEST} of the {few[0].name} rows name them, or do not; gap not told")
        part.figures.append(Figure(f"gap_{slug}", None, unit="share", detail="too few rows"))
        return
    found = [gaps(side.labels, members[side.name][name]) for side in sides]
    real = found[1] if len(found) > 1 else {}
    away = {label: abs(gap.value - (real[label].value if label in real else 0.0)) for label, gap in found[0].items()}
    worst = max(sorted(away), key=lambda label: away[label])
    detail = f"'{worst}' for rows that name {name}, less for others"
    beside = (real[worst].value if worst in real else 0.0) if real else None
    part.figures.append(Figure.of(f"gap_{slug}", found[0][worst], beside=beside, unit="share", detail=detail))
    labels = sorted({*found[0], *real})
    rows = [[label, *(list(one[label]) if label in one else None for one in found)] for label in labels]
    columns = ["label", *(side.name for side in sides)]
    title = f"How much oftener a label is given to rows that name {name}"
    part.tables.append(Table(f"gap {name}", title, columns, rows))


def _association(pair: tuple[str, str], slugs: dict[str, str], data: Data, members: dict[str, Any], part: Part) -> None:
    """What texts of one group lie nearer to than those of another, along the direction between two labels."""
    name = f"association_{slugs[pair[0]]}_{slugs[pair[1]]}"
    sides = [side for side in (data.made, data.real) if side is not None and side.name in members]
    labels = sorted(set(data.made.labels))
    alone = {side.name: _alone(members[side.name], pair) for side in sides}
    if len(labels) < 2 or min(int(one.sum()) for both in alone.values() for one in both) < FEWEST:
        part.notes.append(f"{name}: fewer than two labels, or than {FEWEST} rows that name one group alone; not told")
        part.figures.append(Figure(name, None, unit="standard deviations", detail="too few rows"))
        return
    best: tuple[float, str, list[Interval]] | None = None
    for label in labels[1:] if len(labels) == 2 else labels:
        found = [_effect(side, data, alone[side.name], members[side.name], label) for side in sides]
        away = abs(found[0].value - (found[1].value if len(found) > 1 else 0.0))
        if not math.isnan(away) and (best is None or away > best[0]):
            best = (away, label, found)
    if best is None:
        part.figures.append(Figure(name, None, unit="standard deviations", detail="texts all alike"))
        return
    _, label, found = best
    detail = f"how much nearer texts on {pair[0]} lie to '{label}' than texts on {pair[1]}"
    beside = found[1].value if len(found) > 1 and not math.isnan(found[1].value) else None
    part.figures.append(Figure.of(name, found[0], beside=beside, unit="standard deviations", detail=detail))


def _effect(
    side: Side, data: Data, alone: tuple[NDArray[np.bool_], NDArray[np.bool_]], groups: dict[str, Any], label: str
) -> Interval:
    """Along the direction from all other labels to this one, of rows that name no group."""
    import numpy as np

    vectors = data.vectors(side)
    neutral = ~np.logical_or.reduce(list(groups.values()))
    is_label = np.array([one == label for one in side.labels])
    inside, outside = vectors[neutral & is_label], vectors[neutral & ~is_label]
    if not len(inside) or not len(outside):
        return Interval(math.nan, math.nan, math.nan)
    direction = inside.mean(axis=0) - outside.mean(axis=0)
    return association(vectors[alone[0]], vectors[alone[1]], direction, seed=data.seed)


def _alone(groups: dict[str, Any], pair: tuple[str, str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    one, other = groups[pair[0]], groups[pair[1]]
    return one & ~other, other & ~one


def _sizes(found: NDArray[np.bool_]) -> tuple[int, int]:
    return int(found.sum()), int((~found).sum())
