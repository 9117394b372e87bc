"""How often one of two models is preferred: win rates as AlpacaEval counts them, and with the length taken out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_llm.measure.interval import Interval, bootstrap, wilson
from synth_llm.measure.metric import metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPACA_EVAL = "Li et al. 2023, AlpacaEval, https://github.com/tatsu-lab/alpaca_eval"
LENGTH_CONTROLLED = "Dubois et al. 2024, arXiv 2404.04475, section 3"
PENALTY = 1.0
"""On the square of the weight of the length, in units of one row: else a length that decides all rows is without bound.
With hundreds of rows it changes nothing that is seen."""
BOOTSTRAPS = 400
"""Each fits a regression."""


class Bin(NamedTuple):
    """The win rate among rows where the answers' lengths stand in one relation."""

    name: str
    rows: int
    rate: Interval


def shares(preferences: Sequence[float | None]) -> list[float | None]:
    """AlpacaEval's recorded preferences as 0 (the first, its base) to 1 (the second, the model); None where missing.

    It records 1 for the first, 2 for the second, 0 or 1.5 for neither, and between 1 and 2 how sure a judge is. Raises
    ValueError for another number.
    """
    found: list[float | None] = []
    for value in preferences:
        if value is None or math.isnan(value):
            found.append(None)
        elif value == 0:
            found.append(0.5)
        elif 1 <= value <= 2:
            found.append(value - 1)
        else:
            raise ValueError(f"a preference of {value}: it is 0, or from 1 to 2")
    return found


@metric("number", range=(0, 1), direction="higher", unit="share", source=ALPACA_EVAL)
def win_rate(preferences: Sequence[float | None]) -> Interval:
    """The mean preference for a model over another: 1 where it is preferred, 0 where the other is, 0.5 for a tie.

    With Wilson's interval. None and NaN, verdicts that could not be read, are left out. The value is AlpacaEval's
    `win_rate` / 100. NaN without any. Raises ValueError for a preference outside 0 to 1.
    """
    known = _known(preferences)
    total = math.fsum(known)
    return wilson(min(total, len(known)), len(known))


def standard_error(preferences: Sequence[float | None]) -> float:
    """The standard error of `win_rate`: the standard deviation (of n - 1) over the root of n. NaN for under two.

    AlpacaEval's `standard_error` / 100.
    """
    known = _known(preferences)
    if len(known) < 2:
        return math.nan
    mean = math.fsum(known) / len(known)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1) / len(known))


@metric("number", "number", "number", range=(0, 1), direction="higher", unit="share", source=LENGTH_CONTROLLED)
def length_controlled(
    preferences: Sequence[float | None], lengths: Sequence[float], others: Sequence[float], *, seed: int = 0
) -> Interval:
    """The win rate if both answers were always equally long, by a logistic regression; bootstrap interval over rows.

    The preference is regressed on the tanh of the difference in length, in standard deviations, as in the paper, whose
    further term, how hard each instruction is, is left out: it is fitted on the preferences of all models of its
    leaderboard, and here there is one. So the figure is not the `length_controlled_winrate` printed there. Lengths are
    in any unit; AlpacaEval's are characters. NaN for no rows. Raises ValueError as `win_rate` does, and for lists of
    different lengths.
    """
    import numpy as np

    rows = [
        (preference, one - other)
        for preference, one, other in zip(preferences, lengths, others, strict=True)
        if preference is not None and not math.isnan(preference)
    ]
    _known(preferences)
    if not rows:
        return Interval(math.nan, math.nan, math.nan)
    given, apart = np.array(rows, float).T
    deviation = float(apart.std())
    longer = np.tanh(apart / deviation) if deviation else np.zeros_like(apart)
    return bootstrap(partial(_at_equal_length, given, longer), len(given), seed=seed, times=BOOTSTRAPS)


def by_length(
    preferences: Sequence[float | None], lengths: Sequence[float], others: Sequence[float], near: float = 0.2
) -> list[Bin]:
    """The win rate where the answer is shorter, about as long (within `near` of the longer one), and longer.

    Raises ValueError as `length_controlled` does.
    """
    bins: dict[str, list[float | None]] = {"shorter": [], "about as long": [], "longer": []}
    for preference, one, other in zip(preferences, lengths, others, strict=True):
        same = abs(one - other) <= near * max(one, other)
        bins["about as long" if same else "shorter" if one < other else "longer"].append(preference)
    return [Bin(name, len(_known(values)), win_rate(values)) for name, values in bins.items()]


def _known(preferences: Sequence[float | None]) -> list[float]:
    known = [float(value) for value in preferences if value is not None and not math.isnan(value)]
    if wrong := [value for value in known if not 0 <= value <= 1]:
        raise ValueError(f"a preference of {wrong[0]}: it is from 0 to 1; see `shares` for AlpacaEval's")
    return known


def _at_equal_length(given: NDArray[Any], longer: NDArray[Any], rows: NDArray[Any]) -> float:
    """The fitted probability at no difference in length (Newton's method; the intercept is not penalised)."""
    import numpy as np

    wins, features = given[rows], np.stack([np.ones(len(rows)), longer[rows]], 1)
    penalty, weights = np.array([0.0, PENALTY]), np.zeros(2)
    if wins.min() == wins.max() and wins[0] in (0.0, 1.0):
        return float(wins[0])  # the likelihood has no maximum
    for _ in range(50):
        proba = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        gradient = features.T @ (wins - proba) - penalty * weights
        curvature = (features * (proba * (1 - proba))[:, None]).T @ features + np.diag(penalty)
        step = np.clip(np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient), -2, 2)
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    return float(1 / (1 + np.exp(-np.clip(weights[0], -30, 30))))
