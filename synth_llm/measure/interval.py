"""Estimates: a figure with its 95 % interval, by formula for proportions, by resampling for all else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

Z = 1.959963984540054
"""Standard deviations of a normal distribution that hold 95 % of it."""
RESAMPLES = 2000
"""Bootstrap samples: the ends of a 95 % interval are then good to about a tenth of its width."""


class Interval(NamedTuple):
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """For the manifest, to four digits; null where a figure is undefined."""
        return {
            name: None if math.isnan(figure) else round(figure, 4)
            for name, figure in zip(self._fields, self, strict=True)
        }


def wilson(right: float, total: float) -> Interval:
    """A proportion with its Wilson score interval (Wilson 1927, eq. 4), which holds for small samples and near 0 and 1.

    Without any observation the value is NaN, and the interval everything from 0 to 1. `right` may be a sum of shares,
    such as halves for ties: these vary less than a yes or no, so that the interval is too wide rather than too narrow.
    `total` may be the number of independent observations that dependent ones are worth. Raises ValueError unless
    0 <= right <= total.
    """
    if not 0 <= right <= total:
        raise ValueError(f"wilson: {right} of {total}")
    if total == 0:
        return Interval(math.nan, 0.0, 1.0)
    share, spread = right / total, Z * Z / total
    middle = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    low = 0.0 if right == 0 else min(share, max(0.0, middle - half))  # share: where rounding is all there is
    return Interval(share, low, 1.0 if right == total else max(share, min(1.0, middle + half)))


def bootstrap(
    statistic: Callable[..., float], *sizes: int, seed: int = 0, times: int = RESAMPLES, value: float | None = None
) -> Interval:
    """The percentile bootstrap (Efron and Tibshirani 1993, chapter 13).

    `statistic` is given the numbers of the rows of each sample, an (n,) array for each of `sizes`; the value is that of
    all rows, or `value`. For a paired difference of two models on one test set, take the difference inside
    `statistic`: both then see the same rows. Not for statistics that a repeated row changes by itself, such as
    diversity or the distance to the nearest row: for these see `diversity.halves`. A statistic that is NaN on some
    resamples is judged by the others. Raises ValueError for an empty sample.
    """
    import numpy as np

    if not sizes or min(sizes) < 1:
        raise ValueError("bootstrap: a sample without rows")
    whole = float(statistic(*map(np.arange, sizes))) if value is None else value
    draws = np.random.default_rng(seed)
    found = np.array([statistic(*(draws.integers(0, size, size) for size in sizes)) for _ in range(times)], float)
    found = found[~np.isnan(found)]
    if not len(found):
        return Interval(whole, math.nan, math.nan)
    low, high = np.quantile(found, (0.025, 0.975))
    return Interval(whole, float(low), float(high))


def quantile(values: Sequence[float] | NDArray[Any], share: float) -> Interval:
    """The value that `share` of the values are below, such as .5 for the median, and its interval for any distribution.

    The ends are values whose ranks a binomial count leaves in 95 of 100 samples (Conover 1999, section 3.2, with the
    normal approximation). NaN for no values; with a few, an end is the smallest or largest.
    """
    import numpy as np

    ordered = np.sort(np.asarray(values, float))
    n = len(ordered)
    if not n:
        return Interval(math.nan, math.nan, math.nan)
    half = Z * math.sqrt(n * share * (1 - share))
    low, high = max(0, math.floor(n * share - half)), min(n - 1, math.ceil(n * share + half))
    return Interval(float(np.quantile(ordered, share)), float(ordered[low]), float(ordered[high]))
