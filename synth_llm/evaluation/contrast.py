"""What students of different rows score on the same test rows, and whether two sets differ by more than luck."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_llm.errors import InputError
from synth_llm.evaluation.data import Data, Side
from synth_llm.measure.interval import Interval
from synth_llm.row import Row, canonical, digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 10
"""Samples of the training rows for students that are quick and draw nothing themselves; for others `seeds`."""
RESAMPLES = 500
"""Of the test rows: the standard error of their part of a difference is then good to 3 %."""
EVEN = 1.5
"""Classes are even when the commonest test label has at most so many times the rows of the rarest."""
VERSION = 1
"""Of what is remembered: raised when the same inputs would give other predictions."""


class Difference(NamedTuple):
    """One training set's score less another's."""

    interval: Interval
    p: float
    """Two-sided, of no difference; 1 where nothing differs."""


class Bench:
    """One student and one set of test rows; every training set is judged by these.

    The score is accuracy where the test labels are even, else macro-F1, in 0 to 1. Raises InputError when there are no
    test rows with labels, or when the student writes instead of classifying.
    """

    def __init__(self, data: Data, name: str | None = None) -> None:
        import numpy as np

        from synth_llm.student.registry import student
        from synth_llm.student.student import Task

        given = data.settings.student
        self.student = name or (given if isinstance(given, str) else given[0])
        if data.test is None or not len(data.test) or data.made.label is None or data.test.label is None:
            raise InputError("needs test rows with a label (`test`, `label`): a student is tested on them")
        if self.student == "sft":
            raise InputError("a student that classifies is needed, such as `probe`; `sft` writes")
        self.data, self.made, self.test = data, data.made, data.test
        self.task = Task(
            data.made.columns, data.made.label, encode=data.encode, settings=data.settings.student_settings
        )
        self.kind: Any = student(self.student)
        counts = Counter(self.test.labels)
        self.score_name = "accuracy" if max(counts.values()) <= EVEN * min(counts.values()) else "macro-F1"
        self.names = sorted(counts)
        self.right = np.array([self.names.index(label) for label in self.test.labels])

    @property
    def draws(self) -> int:
        """How many samples of the training rows are learned from; two at least, because one has no spread."""
        return max(2, self.data.settings.seeds) if self.kind.draws else DRAWS

    @cached_property
    def tested(self) -> list[Row]:
        """The test rows with the columns by the names that the training rows have."""
        label = self.task.label or ""
        return [
            {
                **{one: row.get(other) for one, other in zip(self.made.columns, self.test.columns, strict=True)},
                label: right,
            }
            for row, right in zip(self.test.rows, self.test.labels, strict=True)
        ]

    def learn(self, rows: Sequence[Row], seed: int = 0) -> NDArray[np.int64]:
        """(n,) the number of the label that a student of these rows gives each test row; -1 for one unknown there.

        Of rows of one label it learns to say that label.
        """
        import numpy as np

        known = set(Side("rows", list(rows), self.made.columns, self.task.label).labels)
        at = {name: number for number, name in enumerate(self.names)}
        if len(known) == 1:
            return np.full(len(self.right), at.get(known.pop(), -1))

        def fit() -> list[str]:
            predicted: list[str] = self.kind(self.task, seed).fit(rows).predict(self.tested)
            return predicted

        inputs = [VERSION, self.student, dict(self.task.settings), self.data.settings.encoder, self.test.mark, seed]
        said = (
            self.data.remember("student", [*inputs, digest(*map(canonical, rows))], fit) if self.kind.draws else fit()
        )
        return np.array([at.get(label, -1) for label in said])

    def resampled(self, rows: Sequence[Row], *names: object, size: int | None = None) -> list[Row]:
        """As many of the rows, or `size`, drawn with replacement; the draw belongs to `names`."""
        at = self.data.rng("resampled", *names).integers(0, len(rows), size or len(rows))
        return [rows[number] for number in at]

    def score(self, predicted: NDArray[np.int64], some: NDArray[np.int64] | None = None) -> float:
        """Of all test rows, or of those with these numbers."""
        import numpy as np

        right = self.right if some is None else self.right[some]
        said = predicted if some is None else predicted[some]
        if self.score_name == "accuracy":
            return float(np.mean(right == said))
        k = len(self.names)
        hit = np.bincount(right[right == said], minlength=k)
        both = np.bincount(right, minlength=k) + np.bincount(said[said >= 0], minlength=k)
        there = both > 0  # a label that a resample lacks, and nobody predicted, is no part of its mean
        return float(np.mean(2 * hit[there] / both[there]))

    def estimate(self, predictions: Sequence[NDArray[np.int64]], some: NDArray[np.int64] | None = None) -> Interval:
        """The mean score of students, and its interval over the test rows and, where there are several, the students.

        Normal theory with the variance of both; Student's t with the degrees of freedom of the smaller sample.
        """
        import numpy as np

        each = [self.score(one, some) for one in predictions]
        rows = np.arange(len(self.right)) if some is None else some
        spread = self._test_variance(lambda at: float(np.mean([self.score(one, at) for one in predictions])), rows)
        between = float(np.var(each, ddof=1)) / len(each) if len(each) > 1 else 0.0
        return _student(float(np.mean(each)), between, len(each) - 1, spread, len(rows) - 1).interval

    def difference(
        self,
        one: Sequence[NDArray[np.int64]],
        other: Sequence[NDArray[np.int64]],
        whole: tuple[Sequence[NDArray[np.int64]], Sequence[NDArray[np.int64]]] | None = None,
        some: NDArray[np.int64] | None = None,
    ) -> Difference:
        """The score of `one` less that of `other`, pair by pair of students that learned from resampled rows.

        The value is that of the students in `whole`, which learned from the rows as they are, where there are such.

        The interval is Student's t with two variances, each as it is for one training set and one test set: between
        the pairs, whose training rows were resampled (the whole of it: more draws do not make the rows that are there
        any surer), and over resamples of the test rows, which both see alike. Degrees of freedom after Satterthwaite
        (1946).
        """
        import numpy as np

        rows = np.arange(len(self.right)) if some is None else some
        each = [self.score(a, rows) - self.score(b, rows) for a, b in zip(one, other, strict=True)]
        ours, theirs = whole or (one, other)

        def apart(at: NDArray[np.int64]) -> float:
            return float(np.mean([self.score(a, at) for a in ours]) - np.mean([self.score(b, at) for b in theirs]))

        value, spread = apart(rows), self._test_variance(apart, rows)
        between = float(np.var(each, ddof=1)) if len(each) > 1 else 0.0
        return _student(value, between, len(each) - 1, spread, len(rows) - 1)

    def _test_variance(self, statistic: Callable[[NDArray[np.int64]], float], rows: NDArray[np.int64]) -> float:
        import numpy as np

        draws = self.data.rng("test rows")
        return float(np.var([statistic(rows[draws.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]))


def _student(value: float, one: float, one_free: int, other: float, other_free: int) -> Difference:
    """The t interval and p-value of an estimate whose variance is the sum of two estimated ones."""
    from scipy.stats import t

    total = one + other
    if total <= 0:
        return Difference(Interval(value, value, value), 1.0 if value == 0 else 0.0)
    parts = [(variance, free) for variance, free in ((one, one_free), (other, other_free)) if variance > 0]
    free = total**2 / sum(variance**2 / max(1, freedom) for variance, freedom in parts)
    half = float(t.ppf(0.975, free)) * math.sqrt(total)
    return Difference(Interval(value, value - half, value + half), float(2 * t.sf(abs(value) / math.sqrt(total), free)))


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values of several questions asked at once, each as if it was asked alone (Holm 1979)."""
    found, highest = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda at: ps[at])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[at]))
        found[at] = highest
    return found


def labelled(rows: Sequence[Row], like: Side) -> list[Row]:
    """Those of the rows that have a text and a label, as a side has them."""
    side = Side("rows", [row for row in rows if like.label and row.get(like.label) not in (None, "")], like.columns)
    return [row for row, text in zip(side.rows, side.texts, strict=True) if text.strip()]
