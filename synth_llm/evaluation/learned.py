"""What one student learns from each training set: its predictions, remembered, and its scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from synth_llm.evaluation.contrast import ACCURACY, MACRO_F1, score_of
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.training_sets import Pieces, TrainingSet
from synth_llm.measure.interval import Interval
from synth_llm.measure.two_level import Scores, accuracies, difference, interval, macro_f1s
from synth_llm.row import Row, digest
from synth_llm.student.registry import student
from synth_llm.student.student import Task

TEXT, LABEL = "text", "label"
"""The columns of the rows that students are given."""


class Learned:
    """A student; after `learn`, fitted to every draw of every training set, and tested.

    Each draw has its own seed; a student that draws nothing is fitted once to a set of one draw. One that is given rows
    of a single class says that class. Raises InputError for an unknown student, or a setting that it does not have.
    """

    def __init__(self, data: Data, name: str, sets: Sequence[TrainingSet], test: Side) -> None:
        self.data, self.name, self.test = data, name, test
        self.sets = {one.name: one for one in sets}
        self._kind: Any = student(name)
        self._task = Task([TEXT], LABEL, encode=data.encode, settings=data.settings.student_settings, doing=data.doing)
        self._given: dict[str, list[Row]] = {}
        self._made: dict[str, list[list[str]]] = {}
        self.predicted: dict[str, list[list[str]]] = {}
        """By training set, of each draw the class of each test row."""
        self.back: list[list[str]] = []
        """Of the made rows, as students of all real rows see them; empty without these."""
        self._fits = sum(len(self._draws(one)) for one in sets)
        self._done = 0
        self._kind(self._task, 0)

    def learn(self) -> None:
        """Fit and test. Raises what the student raises."""
        for one in self.sets.values():
            both = [self._predictions(pieces, seed, one.name == "trtr") for seed, pieces in enumerate(self._draws(one))]
            self.predicted[one.name] = [found[0] for found in both]
            if one.name == "trtr":
                self.back = [found[1] for found in both]
        self.data.doing(f"student {self.name}", self._fits, self._fits)

    @cached_property
    def score_name(self) -> str:
        """The score of figures: accuracy where the test classes are even, else macro-F1."""
        return score_of(self.test.labels)

    @cached_property
    def scores(self) -> dict[str, dict[str, Scores]]:
        """By score and training set."""
        gold, seed = self.test.labels, self.data.seed
        return {
            ACCURACY: accuracies(gold, self.predicted, seed=seed),
            MACRO_F1: macro_f1s(gold, self.predicted, seed=seed),
        }

    def interval(self, name: str, score: str = "") -> Interval:
        """The score of a training set; by default the one of figures."""
        return interval(self.scores[score or self.score_name][name], seed=self.data.seed)

    def less(self, one: str, other: str) -> Interval:
        """The score of one training set less that of another; paired where they share the drawn rows."""
        own, theirs = self.scores[self.score_name][one], self.scores[self.score_name][other]
        paired = self.sets[one].n is not None and len(own.each) == len(theirs.each)
        return difference(own, theirs, paired=paired, seed=self.data.seed)

    def trts(self, score: str) -> Interval:
        """How students of the real rows score on the made ones."""
        scored = accuracies if score == ACCURACY else macro_f1s
        return interval(scored(self.data.made.labels, {"": self.back}, seed=self.data.seed)[""], seed=self.data.seed)

    def _draws(self, one: TrainingSet) -> list[Pieces]:
        return one.draws * self.data.settings.seeds if self._kind.draws and len(one.draws) == 1 else one.draws

    def _predictions(self, pieces: Pieces, seed: int, also_made: bool) -> list[list[str]]:
        """Of the test rows, and with `also_made` of the made ones."""
        self.data.doing(f"student {self.name}", self._done, self._fits)
        self._done += 1
        mark = digest(*([piece.side.mark, piece.rows] for piece in pieces), seed if self._kind.draws else 0, also_made)
        if mark not in self._made:
            asked = [self.test, self.data.made] if also_made else [self.test]
            marks = [[side.mark, side.columns, side.label] for side in asked + [piece.side for piece in pieces]]
            inputs = [self.name, dict(self._task.settings), mark, marks]
            self._made[mark] = self.data.remember("student", inputs, lambda: self._fit(pieces, seed, asked))
        return self._made[mark]

    def _fit(self, pieces: Pieces, seed: int, asked: Sequence[Side]) -> list[list[str]]:
        rows: list[Row] = []
        for piece in pieces:
            given = self._rows(piece.side)
            rows += [given[at] for at in piece.rows]
        classes = {row[LABEL] for row in rows}
        if len(classes) == 1:
            return [list(classes) * len(side) for side in asked]
        fitted = self._kind(self._task, seed).fit(rows)
        return [fitted.predict(self._rows(side)) for side in asked]

    def _rows(self, side: Side) -> list[Row]:
        """The rows of a side as students are given them, whatever its columns are called."""
        if side.name not in self._given:
            pairs = zip(side.texts, side.labels, strict=True)
            self._given[side.name] = [{TEXT: text, LABEL: label} for text, label in pairs]
        return self._given[side.name]
