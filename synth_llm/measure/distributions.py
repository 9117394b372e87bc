"""How far two samples of categories or numbers are apart: divergences of histograms, tests, correlations.

Divergences of two samples are biased upward: even two samples of one distribution are some way apart, the further the
fewer rows and the more categories there are (Paninski 2003). Read each beside the same figure between two
samples of the real rows of the same sizes, as `evaluate` does.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_llm.errors import MissingExtra
from synth_llm.measure.metric import metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

BINS = 20
"""At most so many bins for the numbers between the least and the greatest real one."""
SMOOTHING = 0.5
"""Added to each category's count before the Kullback-Leibler divergence, which is infinite where one is missing."""


class Tested(NamedTuple):
    """A statistic and the chance of one as large when both samples come from one distribution."""

    value: float
    p: float


class ChiSquared(NamedTuple):
    """A chi-squared test of homogeneity."""

    value: float
    p: float
    freedom: int
    """Degrees of freedom: one less than there are categories."""
    v: float
    """Cramér's V, the effect, 0 to 1."""


def category_counts(
    made: Sequence[Hashable], real: Sequence[Hashable]
) -> tuple[list[Any], NDArray[np.int64], NDArray[np.int64]]:
    """The k categories of either sample, in the order of their texts, and how often each has them: two (k,) arrays."""
    import numpy as np

    names = sorted(set(chain(made, real)), key=lambda name: (str(name), type(name).__name__))
    at = {name: number for number, name in enumerate(names)}
    one, other = (np.bincount([at[value] for value in sample], minlength=len(names)) for sample in (made, real))
    return names, one, other


def bin_edges(real: ArrayLike) -> NDArray[np.float64]:
    """Where the bins of a column of numbers meet, by the real sample alone; (k - 1,) for k bins, ascending.

    Bins hold equally many real numbers, as near as ties let them; there are 2 n^(2/5) (Mann and Wald 1942), at most
    BINS. Two more hold what is less than the least real number and more than the greatest. Raises ValueError for an
    empty sample or a number that is not finite.
    """
    import numpy as np

    values = np.asarray(real, float)
    if not values.size or not np.isfinite(values).all():
        raise ValueError("bin_edges: needs finite numbers, one or more")
    bins = min(BINS, max(2, round(2 * values.size**0.4)))
    inner = np.quantile(values, np.linspace(0, 1, bins + 1)[:-1])  # the first one is the least
    return np.append(np.unique(inner), np.nextafter(values.max(), math.inf))


def number_counts(values: ArrayLike, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many values each bin has, (k,); a value on an edge belongs to the bin above it."""
    import numpy as np

    return np.bincount(np.searchsorted(edges, np.asarray(values, float), side="right"), minlength=len(edges) + 1)


def js_of(made: ArrayLike, real: ArrayLike) -> float:
    """The Jensen-Shannon divergence of two histograms of the same k categories, each (k,) counts."""
    import numpy as np

    p, q = _shares(made), _shares(real)
    middle = (p + q) / 2

    def bits(part: NDArray[np.float64]) -> float:
        some = part > 0
        return float((part[some] * np.log2(part[some] / middle[some])).sum())

    return math.nan if np.isnan(middle).any() else min(1.0, max(0.0, (bits(p) + bits(q)) / 2))


def kl_of(made: ArrayLike, real: ArrayLike) -> float:
    """The Kullback-Leibler divergence of two histograms of the same k categories, each (k,) counts."""
    import numpy as np

    q, p = (np.asarray(counts, float) for counts in (made, real))
    if not p.sum() or not q.sum():
        return math.nan
    p, q = _shares(p + SMOOTHING), _shares(q + SMOOTHING)
    return max(0.0, float((p * np.log2(p / q)).sum()))


def variation_of(made: ArrayLike, real: ArrayLike) -> float:
    """The total variation distance of two histograms of the same k categories, each (k,) counts."""
    import numpy as np

    return float(np.minimum(np.abs(_shares(made) - _shares(real)).sum() / 2, 1.0))  # sums of shares are rounded


@metric("label", "label", range=(0, 1), direction="lower", unit="bits", source="Lin 1991, section IV")
def jensen_shannon(made: Sequence[Hashable], real: Sequence[Hashable]) -> float:
    """Jensen-Shannon divergence between two samples of categories, in bits: 0 for equal shares, 1 for none in common.

    The divergence, not its square root, which is the distance. Symmetric. NaN for an empty sample.
    """
    return js_of(*category_counts(made, real)[1:])


@metric("label", "label", range=(0, math.inf), direction="lower", unit="bits", source="Kullback and Leibler 1951")
def kl(made: Sequence[Hashable], real: Sequence[Hashable]) -> float:
    """Kullback-Leibler divergence of real from made: bits that a real category costs more in a code for the made ones.

    Each category of either sample counts half a row more in both (Krichevsky and Trofimov 1981), so that one which was
    never made costs much, and not everything. NaN for an empty sample.
    """
    return kl_of(*category_counts(made, real)[1:])


@metric(
    "label",
    "label",
    range=(0, 1),
    direction="lower",
    unit="share",
    source="Levin, Peres and Wilmer 2009, Markov Chains and Mixing Times, section 4.1",
)
def total_variation(made: Sequence[Hashable], real: Sequence[Hashable]) -> float:
    """Total variation distance: the share of rows that would need another category for equal shares.

    Symmetric. NaN for an empty sample.
    """
    return variation_of(*category_counts(made, real)[1:])


@metric(
    "number", "number", range=(0, 1), direction="lower", unit="share", source="Hodges 1958, Arkiv för Matematik 3, 469"
)
def ks(made: Sequence[float], real: Sequence[float]) -> Tested:
    """Kolmogorov-Smirnov statistic of two samples of numbers: the largest gap of their distribution functions.

    Its p is two-sided, by the limiting distribution (Smirnov 1939), and too large where numbers repeat. NaN for no
    numbers. Raises MissingExtra without scipy.
    """
    import numpy as np

    if not len(made) or not len(real):
        return Tested(math.nan, math.nan)
    one, other = np.sort(np.asarray(made, float)), np.sort(np.asarray(real, float))
    both = np.concatenate([one, other])
    below = [np.searchsorted(sample, both, side="right") / len(sample) for sample in (one, other)]
    gap = float(np.abs(below[0] - below[1]).max())
    rows = len(one) * len(other) / len(both)
    return Tested(gap, float(_scipy("a Kolmogorov-Smirnov test", "special").kolmogorov(gap * math.sqrt(rows))))


@metric(
    "label",
    "label",
    range=(0, math.inf),
    direction="lower",
    unit="statistic",
    source="Pearson 1900; V: Cramér 1946, Mathematical Methods of Statistics, chapter 21",
)
def chi_squared(made: Sequence[Hashable], real: Sequence[Hashable]) -> ChiSquared:
    """Chi-squared test of whether two samples of categories come from one distribution, with Cramér's V as its effect.

    Without a continuity correction. The p needs most categories to be expected five times or more (Cochran 1954). NaN
    with fewer than two categories or an empty sample. Raises MissingExtra without scipy.
    """
    import numpy as np

    stats = _scipy("a chi-squared test", "stats")
    _, one, other = category_counts(made, real)
    if len(one) < 2 or not len(made) or not len(real):
        return ChiSquared(math.nan, math.nan, max(0, len(one) - 1), math.nan)
    value, p, freedom, _ = stats.chi2_contingency(np.stack([one, other]), correction=False)
    return ChiSquared(float(value), float(p), int(freedom), math.sqrt(float(value) / (len(made) + len(real))))


def correlations(rows: ArrayLike, ranks: bool = False) -> NDArray[np.float64]:
    """(c, c) Pearson correlations of the columns of (n, c) numbers; of their ranks (Spearman) with `ranks`.

    NaN where a column has one value alone, or with fewer than two rows.
    """
    import numpy as np

    table = np.asarray(rows, float)
    if ranks:
        table = _scipy("a rank correlation", "stats").rankdata(table, axis=0)
    if len(table) < 2:
        return np.full((table.shape[1], table.shape[1]), math.nan)
    centred = table - table.mean(axis=0)
    centred[:, table.min(axis=0) == table.max(axis=0)] = math.nan
    scaled = centred / np.sqrt((centred**2).sum(axis=0))
    found: NDArray[np.float64] = np.clip(scaled.T @ scaled, -1, 1)
    return found


@metric(
    "vector",
    "vector",
    range=(0, 2),
    direction="lower",
    unit="correlation",
    source="Pearson 1896; Spearman 1904",
)
def correlation_distance(
    made: Sequence[Sequence[float]], real: Sequence[Sequence[float]], ranks: bool = False
) -> float:
    """How far correlations of columns of numbers are from the real ones: the mean absolute difference over all pairs.

    Pearson's, or Spearman's with `ranks`. Pairs with a column of one value alone are left out; NaN when none is left.
    """
    import numpy as np

    one, other = correlations(made, ranks), correlations(real, ranks)
    apart = np.abs(one - other)[np.triu_indices(len(one), 1)]
    apart = apart[~np.isnan(apart)]
    return float(apart.mean()) if len(apart) else math.nan


def _shares(counts: ArrayLike) -> NDArray[np.float64]:
    """Counts as shares of their sum; NaN where the sum is 0."""
    import numpy as np

    given = np.asarray(counts, float)
    return given / given.sum() if given.sum() else np.full(given.shape, math.nan)


def _scipy(what: str, module: str) -> Any:
    try:
        return import_module(f"scipy.{module}")
    except ImportError:
        raise MissingExtra(what, "evaluate") from None
