"""Figures of made rows against real ones, each beside its ceiling: the same of two halves of the real rows.

Both compare n rows with n, n being half of the smaller set, and are means over the same DRAWS draws without
replacement. As no draw takes more than half of a set, the spread of draws is at least the standard error of what is
estimated (the delete-half jackknife, Shao and Wu 1989), and the interval is 1.96 of them either way.

Of two samples of one distribution, an interval leaves out the ceiling one time in twenty at most, by far less where
figures are divergences. Where there are many figures, read whether the two intervals are apart: that happens by chance
about once in ten thousand times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part
from synth_llm.measure.interval import Interval, Z
from synth_llm.measure.two_sample import FOLDS
from synth_llm.row import canonical

DRAWS = 20
"""The standard deviation of so many is good to a sixth."""
LEAST = 2 * FOLDS
"""Rows a side: fewer say nothing."""

Measures = Callable[[Any, Any, int], dict[str, float]]
"""Of a sample, another of as many rows, and the number of the draw: figures by name."""


class Sort(NamedTuple):
    """How a figure is read."""

    unit: str
    direction: str
    most: float = 1.0


class Compared(NamedTuple):
    """A figure, and its ceiling."""

    value: Interval
    ceiling: Interval
    rows: int
    """Of each side in each draw."""

    @property
    def are_apart(self) -> bool:
        """Whether the two intervals do not touch."""
        return self.value.low > self.ceiling.high or self.value.high < self.ceiling.low


class Sides:
    """The made and the real rows, each in an order that does not depend on where a row stands in its file."""

    def __init__(self, data: Data, made: Side, real: Side) -> None:
        self.data, self.both = data, (made, real)
        self.orders = [sorted(range(len(side)), key=lambda at: canonical(side.rows[at])) for side in self.both]
        self.part = Part()
        self.rows: list[list[Any]] = []
        """Of the table of ceilings: every figure, also those that are no figure of the part."""
        self.tests: list[list[Any]] = []
        """Of the table of tests."""

    def each(self, values: Callable[[Side], Sequence[Any]]) -> list[list[Any]]:
        """A value of each row, of the made and of the real ones."""
        found = [values(side) for side in self.both]
        return [[one[at] for at in order] for one, order in zip(found, self.orders, strict=True)]

    def compare(self, made: Any, real: Any, measures: Measures, most: int | None = None) -> dict[str, Compared]:
        """Figures of arrays with a row for each row, and their ceilings; with fewer than LEAST rows a side, nothing."""
        import numpy as np

        half = min(made.shape[0], real.shape[0]) // 2
        n = half if most is None else min(half, most)
        if n < LEAST:
            return {}
        values: dict[str, list[float]] = {}
        ceilings: dict[str, list[float]] = {}
        for draw in range(DRAWS):
            rng = self.data.rng("fidelity", draw)
            some, halves = rng.permutation(made.shape[0])[:n], rng.permutation(real.shape[0])
            one, other = real[np.sort(halves[:n])], real[np.sort(halves[n : 2 * n])]
            for found, sample in ((values, made[np.sort(some)]), (ceilings, other)):
                for name, value in measures(sample, one, draw).items():
                    found.setdefault(name, []).append(value)
        return {name: Compared(_interval(values[name]), _interval(ceilings[name]), n) for name in values}

    def tell(self, name: str, compared: Compared, sort: Sort, is_figure: bool = True) -> None:
        """A figure, or a row of the table alone."""
        value, ceiling = (_within(interval, sort.most) for interval in (compared.value, compared.ceiling))
        self.rows.append([name, value, ceiling, compared.rows, compared.are_apart])
        if is_figure:
            apart = "; the two are apart" if compared.are_apart else ""
            detail = f"{compared.rows} rows a side, {DRAWS} draws; two halves of the real rows: "
            detail += f"{_short(ceiling[1])} to {_short(ceiling[2])}{apart}"
            self.part.figures.append(
                Figure(name, value[0], value[1], value[2], ceiling[0], sort.unit, sort.direction, detail)
            )


def finite(value: float) -> float | None:
    """A number as JSON can hold it."""
    return float(value) if math.isfinite(value) else None


def _interval(values: Sequence[float]) -> Interval:
    """The mean of draws, and 1.96 standard deviations of them either way; without those that are NaN."""
    import numpy as np

    found = np.array([value for value in values if not math.isnan(value)])
    if not len(found):
        return Interval(math.nan, math.nan, math.nan)
    mean, half = float(found.mean()), Z * float(found.std(ddof=1)) if len(found) > 1 else math.inf
    return Interval(mean, mean - half, mean + half)


def _within(interval: Interval, most: float) -> list[float | None]:
    """The interval within what is possible."""
    return [None if math.isnan(end) else finite(min(most, max(0.0, end))) for end in interval]


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"
