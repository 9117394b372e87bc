"""What students of different rows score on the same test rows, and whether two sets differ by more than luck."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from synth_llm.errors import InputError
from synth_llm.evaluation.data import Data, Side
from synth_llm.measure.interval import Interval
from synth_llm.measure.two_level import Predictions, Scores, accuracies, macro_f1s
from synth_llm.row import Row, canonical, digest
from synth_llm.student.student import Task

DRAWS = 10
"""Samples of the training rows for students that are quick and draw nothing themselves; for others `seeds`."""
EVEN = 1.5
"""Classes are even when the commonest test label has at most so many times the rows of the rarest."""


ACCURACY, MACRO_F1 = "accuracy", "macro-F1"


def score_of(labels: Sequence[str]) -> str:
    """The score for test rows of these labels: accuracy where they are even, else macro-F1."""
    counts = Counter(labels)
    return ACCURACY if max(counts.values()) <= EVEN * min(counts.values()) else MACRO_F1


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
        from synth_llm.student.registry import student

        given = data.settings.student
        self.student = name or (given if isinstance(given, str) else given[0])
        if data.test is None or not len(data.test) or data.made.label is None or data.test.label is None:
            raise InputError("needs test rows with a label (`test`, `label`): a student is tested on them")
        if self.student == "sft":
            raise InputError("a student that classifies is needed, such as `probe`; `sft` writes")
        self.data, self.made, self.test = data, data.made, data.test
        self.task = Task(
            data.made.columns,
            data.made.label,
            encode=data.encode,
            settings=data.settings.student_settings,
            doing=data.doing,
        )
        self.kind: Any = student(self.student)
        self.score_name = score_of(self.test.labels)

    @property
    def draws(self) -> int:
        """How many samples of the training rows are learned from; two at least, because one has no spread."""
        return max(2, self.data.settings.seeds) if self.kind.draws else DRAWS

    def learn(self, rows: Sequence[Row], seed: int = 0) -> list[str]:
        """The label that a student of these rows gives each test row. Of rows of one label it learns to say that."""
        known = set(Side("rows", list(rows), self.made.columns, self.made.label).labels)
        if len(known) == 1:
            return [known.pop()] * len(self.test)

        def fit() -> list[str]:
            predicted: list[str] = self.kind(self.task, seed).fit(rows).predict(self._tested)
            return predicted

        if not self.kind.draws:
            return fit()
        settings = dict(self.task.settings)
        inputs = [self.student, settings, self.test.mark, seed, digest(*map(canonical, rows))]
        said: list[str] = self.data.remember("student", inputs, fit)
        return said

    def resampled(self, rows: Sequence[Row], *names: object, size: int | None = None) -> list[Row]:
        """As many of the rows, or `size`, drawn with replacement; the draw belongs to `names`."""
        at = self.data.rng("resampled", *names).integers(0, len(rows), size or len(rows))
        return [rows[number] for number in at]

    def scores(self, predictions: Predictions, some: Sequence[int] | None = None) -> dict[str, Scores]:
        """Of each training set, on all test rows or on those with these numbers."""
        rows = range(len(self.test)) if some is None else some
        right = [self.test.labels[at] for at in rows]
        said = {name: [[one[at] for at in rows] for one in draws] for name, draws in predictions.items()}
        return (accuracies if self.score_name == ACCURACY else macro_f1s)(right, said, seed=self.data.seed)

    @cached_property
    def _tested(self) -> list[Row]:
        """The test rows without their labels, their columns by the names that the training rows have."""
        columns = list(zip(self.made.columns, self.test.columns, strict=True))
        return [{one: row.get(other) for one, other in columns} for row in self.test.rows]


def difference(one: Scores, other: Scores, draws: tuple[Scores, Scores]) -> Difference:
    """The score of one training set less another's, as one would find it with other training rows and test rows.

    `draws`, as many of each, learned from resamples of the rows of the two. The interval is Student's t with the sum of
    two variances, each for one training set and one test set: between the pairs of draws (the whole of it: more draws
    make the rows that are there no surer), and over resamples of the test rows, the same for both sets. Degrees of
    freedom after Satterthwaite (1946), those of the test rows unlimited.
    """
    import numpy as np
    from scipy.stats import t

    value = float(one.each.mean() - other.each.mean())
    apart = draws[0].each - draws[1].each
    between, over_rows = float(np.var(apart, ddof=1)), float(np.var(one.again - other.again))
    if between + over_rows <= 0:
        return Difference(Interval(value, value, value), 1.0 if value == 0 else 0.0)
    wide = math.sqrt(between + over_rows)
    free = (len(apart) - 1) * wide**4 / between**2 if between > 0 else math.inf
    half = float(t.ppf(0.975, free)) * wide
    return Difference(Interval(value, value - half, value + half), float(2 * t.sf(abs(value) / wide, free)))


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
