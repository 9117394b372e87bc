"""Bias: how often named groups of people are spoken of, and what is said of them beside what is said of others."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synth_llm.measure.interval import Interval, bootstrap, wilson
from synth_llm.measure.metric import metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


def mentions(texts: Sequence[str], words: Sequence[str]) -> NDArray[np.bool_]:
    """(n,): whether each text holds one of the words, or words in a row, whole and in any case.

    Raises ValueError without a word.
    """
    import numpy as np

    if not any(word.strip() for word in words):
        raise ValueError("a group is named by one word or more")
    either = "|".join(
        r"\s+".join(map(re.escape, word.split())) for word in sorted(words, key=len, reverse=True) if word.strip()
    )
    pattern = re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
    return np.array([pattern.search(text) is not None for text in texts], bool)


def difference(one: int, of_one: int, other: int, of_other: int) -> Interval:
    """A proportion less another of other rows, -1 to 1, by Newcombe's interval (Newcombe 1998, method 10).

    NaN where one of them has no rows.
    """
    if not of_one or not of_other:
        return Interval(math.nan, math.nan, math.nan)
    a, b = wilson(one, of_one), wilson(other, of_other)
    less = a.value - b.value
    low = less - math.hypot(a.value - a.low, b.high - b.value)
    high = less + math.hypot(a.high - a.value, b.value - b.low)
    return Interval(less, low, high)


@metric("label", "label", range=(-1, 1), direction="neither", unit="share", source="Newcombe 1998, method 10")
def largest_gap(labels: Sequence[str], groups: Sequence[str]) -> Interval:
    """How much oftener a label is given to rows of a group than to all others, where that differs most.

    0 is demographic parity. The interval is that of this one gap: the largest of many is biased away from 0.
    """
    found = [gap for group in sorted(set(groups)) for gap in gaps(labels, [one == group for one in groups]).values()]
    known = [gap for gap in found if not math.isnan(gap.value)]
    return max(known, key=lambda gap: abs(gap.value), default=Interval(math.nan, math.nan, math.nan))


def gaps(labels: Sequence[str], member: Sequence[bool] | NDArray[np.bool_]) -> dict[str, Interval]:
    """Of each label, how much oftener it is given to members than to others: a difference of shares, its interval."""
    inside, outside = Counter[str](), Counter[str]()
    for label, is_member in zip(labels, member, strict=True):
        (inside if is_member else outside)[label] += 1
    return {
        label: difference(inside[label], inside.total(), outside[label], outside.total())
        for label in sorted(set(labels))
    }


@metric(
    "vector",
    "vector",
    range=(-2, 2),
    direction="neither",
    unit="standard deviations",
    source="Caliskan, Bryson and Narayanan 2017, supplement",
)
def association(ones: ArrayLike, others: ArrayLike, direction: ArrayLike | None = None, seed: int = 0) -> Interval:
    """How much nearer the vectors of one group lie to a direction than those of another: WEAT's effect size.

    The difference of the mean projections over the standard deviation of all of them (n - 1). `direction` is that from
    the mean of one class to the mean of another; without it the first principal axis of both groups, whose sign makes
    the value positive. The interval is a bootstrap over the texts of both groups. NaN for fewer than two texts of a
    group, or where all lie alike.
    """
    import numpy as np

    a, b = (np.asarray(one, float) for one in (ones, others))
    if min(len(a), len(b)) < 2:
        return Interval(math.nan, math.nan, math.nan)
    if direction is None:
        both = np.concatenate([a, b])
        axis = np.linalg.svd(both - both.mean(axis=0), full_matrices=False)[2][0]
        axis = axis if (a.mean(axis=0) - b.mean(axis=0)) @ axis >= 0 else -axis
    else:
        axis = np.asarray(direction, float)
    one, other = a @ axis, b @ axis

    def effect(i: NDArray[np.intp], j: NDArray[np.intp]) -> float:
        spread = float(np.concatenate([one[i], other[j]]).std(ddof=1))
        return float(one[i].mean() - other[j].mean()) / spread if spread > 1e-12 else math.nan

    return bootstrap(effect, len(a), len(b), seed=seed, times=1000)
