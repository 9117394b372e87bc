"""Scores of students on one set of test rows: their interval, and whether two differ by more than luck.

Luck has two levels. Other test rows would have given another score: the rows are resampled, the same for all students,
so that differences are paired (Efron and Tibshirani 1993, chapters 8 and 13). And other draws of the rows that were
learned from, or another seed, would have given another student. Of these there are a handful, too few to resample:
their mean is taken to vary as Student's t with the draws' own spread (Student 1908), and one such deviate is added to
each resample. The interval is the middle 95 % of the sums. With one draw there is no second level. What rows and draws
make together is in both levels, so that the interval is rather too wide than too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from synth_llm.measure.interval import RESAMPLES, Interval, wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOGETHER = 4_000_000
"""Counts of resampled rows in memory at a time."""


class Scores(NamedTuple):
    """One score of a training set's students."""

    each: NDArray[np.float64]
    """(d,) of each draw, on all test rows."""
    again: NDArray[np.float64]
    """(times,) the mean over the draws, on each resample of the test rows."""
    rows: int | None = None
    """Of how many rows the score is a share; None where it is no share."""


Predictions = Mapping[str, Sequence[Sequence[str]]]
"""By training set, of each draw the class of each test row."""


def accuracies(
    gold: Sequence[str], predictions: Predictions, *, seed: int = 0, times: int = RESAMPLES
) -> dict[str, Scores]:
    """The share of right classes, 0 to 1. Raises ValueError without test rows."""
    import numpy as np

    names, n = list(predictions), len(gold)
    right = np.array(gold, dtype=object)
    hits = {name: np.array([np.array(one, dtype=object) == right for one in predictions[name]]) for name in names}
    means = np.array([hits[name].mean(axis=0) for name in names], dtype=np.float32).reshape(len(names), n)
    again = np.concatenate([counts @ means.T / n for counts in _resamples(n, seed, times)])
    return {name: Scores(hits[name].mean(axis=1), again[:, at], n) for at, name in enumerate(names)}


def macro_f1s(
    gold: Sequence[str], predictions: Predictions, *, seed: int = 0, times: int = RESAMPLES
) -> dict[str, Scores]:
    """As `measure.classification.macro_f1`, 0 to 1, on the same resamples. Raises ValueError without test rows."""
    import numpy as np

    names = sorted({*gold, *(label for draws in predictions.values() for said in draws for label in said)})
    number = {name: at for at, name in enumerate(names)}
    every = np.eye(len(names), dtype=np.float32)
    right = every[[number[label] for label in gold]]
    said = {
        name: [every[[number[label] for label in one]] for one in draws] if len(draws) else []
        for name, draws in predictions.items()
    }
    again: dict[str, list[NDArray[np.float64]]] = {name: [] for name in said}
    for counts in _resamples(len(gold), seed, times):
        there = counts @ right
        for name, draws in said.items():
            again[name].append(np.mean([_macro(counts @ (one * right), counts @ one, there) for one in draws], axis=0))
    ones = np.ones((1, len(gold)), np.float32)
    return {
        name: Scores(
            np.array([_macro(ones @ (one * right), ones @ one, ones @ right)[0] for one in draws]),
            np.concatenate(again[name]),
        )
        for name, draws in said.items()
    }


def _macro(right: NDArray[np.float32], given: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.float64]:
    """(t,) the mean F1 from (t, k) counts of the classes that came."""
    import numpy as np

    both = (given + there).astype(np.float64)
    f1 = np.divide(2 * right, both, out=np.zeros_like(both), where=both > 0)
    found: NDArray[np.float64] = f1.sum(axis=1) / (both > 0).sum(axis=1)
    return found


def _resamples(n: int, seed: int, times: int) -> Iterator[NDArray[np.float32]]:
    """How often each of n rows is in each resample: (t, n) at a time, `times` in all, always the same."""
    import numpy as np

    if not n:
        raise ValueError("two_level: no test rows")
    draws = np.random.default_rng(seed)
    step = max(1, TOGETHER // n)
    for start in range(0, times, step):
        t = min(step, times - start)
        taken = draws.integers(0, n, (t, n)) + n * np.arange(t)[:, None]
        yield np.bincount(taken.ravel(), minlength=t * n).reshape(t, n).astype(np.float32)


def interval(one: Scores, *, seed: int = 0) -> Interval:
    """The mean over the draws, and where it may lie for other test rows and other draws.

    That of one student's share, or of shares that no resample changes because all answers are right, is Wilson's.
    """
    import numpy as np

    value = float(one.each.mean())
    if one.rows is not None and (len(one.each) == 1 or not np.ptp(one.again)):
        return wilson(round(value * one.rows), one.rows)
    found = one.again + _between(one.each, len(one.again), np.random.default_rng([seed, 1]))
    low, high = np.quantile(found, (0.025, 0.975))
    return Interval(value, max(0.0, float(low)), min(1.0, float(high)))


def difference(one: Scores, other: Scores, *, paired: bool = False, seed: int = 0) -> Interval:
    """One score less the other, on the same resamples of the test rows.

    `paired`: draw for draw, where both students of a draw learned from the same drawn rows, and what a draw gives both
    is none of the difference. Raises ValueError when the numbers of draws then differ.
    """
    import numpy as np

    draws = np.random.default_rng([seed, 2])
    times = len(one.again)
    if paired and len(one.each) != len(other.each):
        raise ValueError(f"two_level: {len(one.each)} draws against {len(other.each)}")
    if paired:
        spread = _between(one.each - other.each, times, draws)
    else:
        spread = _between(one.each, times, draws) - _between(other.each, times, draws)
    low, high = np.quantile(one.again - other.again + spread, (0.025, 0.975))
    return Interval(float(one.each.mean() - other.each.mean()), float(low), float(high))


def _between(each: NDArray[np.float64], times: int, draws: np.random.Generator) -> NDArray[np.float64]:
    """(times,) how far the mean of the draws may be from that of all draws there could be."""
    import numpy as np

    d = len(each)
    if d < 2:
        return np.zeros(times)
    found: NDArray[np.float64] = draws.standard_t(d - 1, times) * float(each.std(ddof=1)) / math.sqrt(d)
    return found
