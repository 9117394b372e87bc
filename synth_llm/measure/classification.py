"""How well predicted classes fit the right ones: macro-F1, Matthews' correlation, and each class by itself.

Accuracy, with its interval, is in `measure.agreement`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from synth_llm.measure.metric import metric


class ClassScores(NamedTuple):
    """How one class was predicted."""

    label: str
    precision: float
    """Of the rows that were given this class, the share that are of it; NaN where none was given it."""
    recall: float
    """Of the rows of this class, the share that were given it; NaN where no row is of it."""
    f1: float
    """The harmonic mean of both: 2 right / (given it + of it)."""
    support: int
    """Rows of this class."""


def per_class(said: Sequence[str], gold: Sequence[str]) -> list[ClassScores]:
    """Each class that was given or is right, by name (van Rijsbergen 1979, chapter 7).

    Raises ValueError when the lengths differ.
    """
    right = Counter(one for one, other in zip(said, gold, strict=True) if one == other)
    given, there = Counter(said), Counter(gold)
    return [
        ClassScores(
            name,
            right[name] / given[name] if given[name] else math.nan,
            right[name] / there[name] if there[name] else math.nan,
            2 * right[name] / (given[name] + there[name]),
            there[name],
        )
        for name in sorted({*said, *gold})
    ]


@metric(
    "label",
    "label",
    range=(0, 1),
    direction="higher",
    unit="share",
    source="Yang & Liu 1999, A re-examination of text categorization methods, section 3",
)
def macro_f1(said: Sequence[str], gold: Sequence[str]) -> float:
    """The mean F1 of the classes, each counted alike however rare; of those that were given or are right.

    As scikit-learn's `f1_score(average="macro")`. A class that is given but never right counts as 0. NaN without rows.
    Raises ValueError when the lengths differ.
    """
    found = per_class(said, gold)
    return sum(one.f1 for one in found) / len(found) if found else math.nan


@metric(
    "label",
    "label",
    range=(-1, 1),
    direction="higher",
    unit="",
    source="Matthews 1975; more than two classes: Gorodkin 2004, section 2",
)
def matthews(said: Sequence[str], gold: Sequence[str]) -> float:
    """Matthews' correlation of predicted and right classes: 0 is no better than chance, 1 all right.

    0 where all predictions, or all right classes, are the same one, as in scikit-learn; NaN without rows. Of more than
    two classes the lowest value is above -1. Raises ValueError when the lengths differ.
    """
    n, right = len(gold), sum(one == other for one, other in zip(said, gold, strict=True))
    given, there = Counter(said), Counter(gold)
    both = right * n - sum(given[name] * there[name] for name in there)
    spread = (n * n - sum(count**2 for count in given.values())) * (n * n - sum(count**2 for count in there.values()))
    if not n:
        return math.nan
    return both / math.sqrt(spread) if spread else 0.0
