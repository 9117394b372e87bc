"""Agreement between people, judges and gold labels: how much, how much more than by chance, and how sure that is."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from synth_llm.measure.interval import RESAMPLES, Interval, wilson
from synth_llm.measure.metric import metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Weights = Literal["linear", "quadratic"]


@metric("label", "label", range=(0, 1), direction="higher", unit="share", source="interval: Wilson 1927, eq. 4")
def accuracy(gold: Sequence[Hashable], said: Sequence[Hashable]) -> Interval:
    """The share of equal pairs, 0 to 1, with its Wilson interval. Raises ValueError when the lengths differ."""
    return wilson(sum(one == other for one, other in zip(gold, said, strict=True)), len(gold))


def confusion(gold: Sequence[str], said: Sequence[str]) -> dict[str, dict[str, int]]:
    """How often each gold label was given each label; names in order, those that never came with 0."""
    names = sorted({*gold, *said})
    counts = Counter(zip(gold, said, strict=True))
    return {one: {other: counts[one, other] for other in names} for one in sorted(set(gold))}


@metric("label", "label", range=(-1, 1), direction="higher", unit="", source="Cohen 1960; weighted: Cohen 1968")
def cohen_kappa(
    one: Sequence[Hashable], other: Sequence[Hashable], weights: Weights | None = None, scale: Sequence[Hashable] = ()
) -> float:
    """Agreement of two raters beyond chance, -1 to 1 (Cohen 1960; with weights: Cohen 1968).

    `weights` are for ordered values: a disagreement counts by its distance in the order of `scale` (by default of the
    values that came, sorted), or by its square. NaN for no pairs, and where both raters always say the same one thing:
    chance explains that agreement wholly, and there is nothing left to measure.
    """
    names = list(scale) or sorted({*one, *other}, key=_order)
    at = {name: number for number, name in enumerate(names)}
    table = _table([(at[a], at[b]) for a, b in zip(one, other, strict=True)], len(names))
    return float(_kappas(table[None], weights)[0])


def kappa_interval(
    one: Sequence[Hashable], other: Sequence[Hashable], weights: Weights | None = None, seed: str = ""
) -> Interval:
    """Cohen's kappa with a percentile bootstrap interval over the pairs (Efron & Tibshirani 1993, section 13.3).

    Deterministic: the same pairs and seed give the same interval. Samples whose kappa is undefined are left out.
    """
    import numpy as np

    names = sorted({*one, *other}, key=_order)
    at = {name: number for number, name in enumerate(names)}
    table = _table([(at[a], at[b]) for a, b in zip(one, other, strict=True)], len(names))
    total = int(table.sum())
    if not total:
        return Interval(math.nan, math.nan, math.nan)
    drawn = generator("kappa", seed).multinomial(total, table.ravel() / total, size=RESAMPLES)
    kappas = _kappas(drawn.reshape(RESAMPLES, *table.shape).astype(float), weights)
    low, high = _ends(kappas[~np.isnan(kappas)])
    return Interval(float(_kappas(table[None], weights)[0]), low, high)


@metric("texts", range=(-1, 1), direction="higher", unit="", source="Fleiss 1971")
def fleiss_kappa(ratings: Sequence[Sequence[Hashable]]) -> float:
    """Agreement of any number of raters beyond chance (Fleiss 1971), one list of values an item, equally many each.

    NaN for no items, and where all raters always say the same. Raises ValueError when items have different numbers of
    ratings, or fewer than two.
    """
    if len({len(item) for item in ratings}) > 1 or any(len(item) < 2 for item in ratings):
        raise ValueError("fleiss_kappa: every item needs the same number of ratings, two or more")
    if not ratings:
        return math.nan
    raters, total = len(ratings[0]), Counter(value for item in ratings for value in item)
    pairs = sum(count * (count - 1) for item in ratings for count in Counter(item).values())
    seen = pairs / (len(ratings) * raters * (raters - 1))
    chance = sum((count / (len(ratings) * raters)) ** 2 for count in total.values())
    return math.nan if chance == 1 else (seen - chance) / (1 - chance)


@metric("texts", range=(-1, 1), direction="higher", unit="", source="Krippendorff 2011, section C")
def krippendorff_alpha(ratings: Sequence[Sequence[Hashable | None]]) -> float:
    """Krippendorff's alpha for nominal values (Krippendorff 2011, section C): None is a rating that is missing.

    Items with fewer than two ratings say nothing of agreement and are left out. NaN when nothing is left, or when all
    ratings are the same.
    """
    units = [kept for item in ratings if len(kept := [value for value in item if value is not None]) > 1]
    total = Counter(value for unit in units for value in unit)
    count = total.total()
    if count < 2 or len(total) < 2:
        return math.nan
    apart = sum(2 * sum(a != b for a, b in combinations(unit, 2)) / (len(unit) - 1) for unit in units)
    by_chance = (count * count - sum(n * n for n in total.values())) / (count - 1)
    return 1 - apart / by_chance


def generator(*parts: str) -> np.random.Generator:
    """The random generator that belongs to these names."""
    import numpy as np

    return np.random.default_rng(int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big"))


def _order(value: Hashable) -> tuple[bool, float, str]:
    """Numbers by size, then texts by their letters."""
    is_number = isinstance(value, int | float)
    return (not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value))


def _table(pairs: Sequence[tuple[int, int]], names: int) -> NDArray[np.float64]:
    """(names, names) counts."""
    import numpy as np

    table = np.zeros((names, names))
    for pair, count in Counter(pairs).items():
        table[pair] = count
    return table


def _kappas(tables: NDArray[np.float64], weights: Weights | None) -> NDArray[np.float64]:
    """Cohen's kappa of each of (n, k, k) tables: one less the weighted disagreement over that expected by chance."""
    import numpy as np

    steps = np.abs(np.subtract.outer(np.arange(tables.shape[1]), np.arange(tables.shape[1]))).astype(float)
    cost = np.minimum(steps, 1) if weights is None else steps if weights == "linear" else steps**2
    chance = tables.sum(2)[:, :, None] * tables.sum(1)[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = chance / tables.sum((1, 2))[:, None, None]
        expected = (cost * chance).sum((1, 2))
        found: NDArray[np.float64] = np.where(expected > 0, 1 - (cost * tables).sum((1, 2)) / expected, np.nan)
    return found


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    import numpy as np

    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
