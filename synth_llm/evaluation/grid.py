"""Quantity against quality: how many rows, and above which score, a student learns most from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from synth_llm.errors import InputError, nearest
from synth_llm.evaluation.ablation import PASSED, rejected_rows
from synth_llm.evaluation.contrast import Bench, difference, labelled
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.evaluation.training_sets import stratified_order
from synth_llm.measure.two_level import interval
from synth_llm.row import Row, canonical, public

SHARES = (0.0, 0.25, 0.5, 0.75, 0.9)
"""Thresholds: a row is above so many of the candidates."""
HALVINGS = 5
"""Sizes: all rows, half of them, a quarter, and so on."""
FEWEST = 10
"""Rows in the smallest cell."""


class Cell(NamedTuple):
    """A size and a threshold, and what students of such rows predict, one a draw."""

    size: int
    threshold: float
    above: list[Row]
    """All that it is drawn from."""
    predicted: list[list[str]]

    @property
    def name(self) -> str:
        """One for each cell."""
        return f"{self.size} {self.threshold!r}"


def grid(data: Data, column: str) -> Part:
    """What a student learns from so many rows whose `column` is at least so high, for several of both.

    The rows are those kept and, of a run, those rejected, as far as they have text, label and score. A cell is drawn
    at random from the rows at or above its threshold, several times. The best of many cells looks better than it is:
    it is chosen on one half of the test rows and reported on the other, beside all rows without a threshold.

    Raises InputError when no row has numbers in `column`, or without a labelled test set.
    """
    bench = Bench(data)
    pool, left_out = _scored(data, column)
    values = sorted(score for _, score in pool)
    thresholds = sorted({values[min(len(values) - 1, int(share * len(values)))] for share in SHARES})
    sizes = sorted({len(pool) >> halving for halving in range(HALVINGS)} - set(range(FEWEST)) | {len(pool)})
    cells = _cells(data, bench, pool, sizes, thresholds)
    every = next(cell for cell in cells if cell.size == len(pool))
    scores = bench.scores({cell.name: cell.predicted for cell in cells})
    lines = [
        [cell.size, cell.threshold, *(round(end, 4) for end in interval(scores[cell.name], seed=data.seed))]
        for cell in cells
    ]
    title = f"{bench.score_name} by number of rows and lowest {column}"
    part = Part(tables=[Table("grid", title, ["size", "threshold", "value", "low", "high"], lines)])
    part.notes.append(
        f"Grid: {len(pool):,} rows, kept or rejected, with a text, a label and a number in '{column}'; {left_out:,} "
        f"without. Student: {bench.student}. Intervals are over {len(bench.test):,} test rows and the draws of a cell."
    )
    _choose(data, bench, cells, every, column, part)
    return part


def _scored(data: Data, column: str) -> tuple[list[tuple[Row, float]], int]:
    """The rows that have all it needs with their scores, in an order of their own; and how many have not."""
    found: list[tuple[Row, float]] = []
    without = 0
    given: list[tuple[Row, object]] = [(row, row.get(column)) for row in data.made.rows]
    for line in rejected_rows(data.run) if data.run is not None else []:
        row = json.loads(line["row"])
        own = line["value"] if column in line["step"] else None  # a step that rejects by its score before it notes it
        if line["reason"] not in PASSED:
            given.append((row, row.get(column, own)))
    usable = {id(row) for row in labelled([row for row, _ in given], data.made)}
    for row, score in given:
        if id(row) in usable and isinstance(score, int | float) and not isinstance(score, bool):
            found.append((row, float(score)))
        else:
            without += 1
    if not found:
        names = sorted({name for row, _ in given for name, value in row.items() if isinstance(value, int | float)})
        raise InputError(f"--grid: no row has a text, a label and a number in '{column}'{nearest(column, names)}")
    if len({score for _, score in found}) == 1:
        raise InputError(f"--grid: '{column}' is {found[0][1]:g} in all rows: there is no threshold to choose")
    return sorted(found, key=lambda pair: (canonical(public(pair[0])), pair[1])), without


def _cells(
    data: Data, bench: Bench, pool: Sequence[tuple[Row, float]], sizes: Sequence[int], thresholds: Sequence[float]
) -> list[Cell]:
    """All cells for which there are rows: by threshold, the largest of each with all the rows it has."""
    found: list[Cell] = []
    for number, threshold in enumerate(thresholds):
        above = [row for row, score in pool if score >= threshold]
        for size in sorted({size for size in sizes if size < len(above)} | {len(above)}):
            data.doing("grid", number * len(sizes), len(sizes) * len(thresholds))
            draws = range(1 if size == len(above) and not bench.kind.draws else bench.draws)
            predicted = []
            for draw in draws:
                chosen = data.rng("grid", threshold, size, draw).choice(len(above), size, replace=False)
                predicted.append(bench.learn([above[at] for at in sorted(chosen)], draw))
            found.append(Cell(size, threshold, above, predicted))
    return found


def _choose(data: Data, bench: Bench, cells: Sequence[Cell], every: Cell, column: str, part: Part) -> None:
    """The cell that is best on one half of the test rows, and what it is worth on the other."""
    if len(bench.test) < 2:
        part.notes.append("Grid: one test row cannot be halved, so no cell is named the best.")
        return
    order = stratified_order(bench.test.labels, data.rng("grid", "halves"))
    first, second = sorted(order[::2]), sorted(order[1::2])
    scores = bench.scores({cell.name: cell.predicted for cell in cells}, first)
    best = max(cells, key=lambda cell: (float(scores[cell.name].each.mean()), cell.size, -cell.threshold))
    if best is every:
        part.notes.append(f"No cell is better than all {every.size:,} rows without a threshold.")
        return
    said = {cell.name: cell.predicted for cell in (best, every)}
    for cell in (best, every):
        said[f"{cell.name} again"] = [
            bench.learn(bench.resampled(cell.above, cell.name, draw, size=cell.size), draw)
            for draw in range(bench.draws)
        ]
    scores = bench.scores(said, second)
    again = scores[f"{best.name} again"], scores[f"{every.name} again"]
    found = difference(scores[best.name], scores[every.name], again).interval
    what = f"{best.size:,} rows with {column} >= {best.threshold:g}"
    part.figures.append(
        Figure.of(
            "grid_best_less_all",
            found,
            unit=bench.score_name,
            direction="higher",
            detail=f"{what}, less all {every.size:,} rows; chosen on {len(first):,} test rows, measured on the others",
        )
    )
    sure = "better than" if found.low > 0 else "worse than" if found.high < 0 else "not told apart from"
    part.notes.append(
        f"Best cell: {what}; on the {len(second):,} test rows that did not choose it, it is {sure} all "
        f"{every.size:,} rows ({found.value:+.3f}, {found.low:+.3f} to {found.high:+.3f})."
    )
