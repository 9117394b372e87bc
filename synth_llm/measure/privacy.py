"""What rows give away of people: how close they come to real ones, whom a combination of values tells, identifiers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_llm import pii
from synth_llm.measure.interval import Interval, wilson
from synth_llm.measure.metric import metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

HELD = 4_000_000
"""Distances that are held at once: some 100 MB."""
TIE = 1e-6
"""Distances that differ by less are equal: vectors hold 24 bits."""


class Nearest(NamedTuple):
    """Of n vectors, the k nearest of others."""

    distance: Floats
    """(n, k) Euclidean, ascending."""
    at: Ints
    """(n, k) their numbers."""


def nearest(vectors: ArrayLike, others: ArrayLike, k: int = 1) -> Nearest:
    """The k nearest of `others` (m, d) to each of `vectors` (n, d); of equally near ones the first.

    For vectors of length one the distance is the root of 2 - 2 cosine, from 0 to 2. Raises ValueError for m < k.
    """
    import numpy as np

    ones, given = np.asarray(vectors, np.float64), np.asarray(others, np.float64)
    if len(given) < k:
        raise ValueError(f"nearest: {k} of {len(given)} vectors")
    distance, at = np.zeros((len(ones), k)), np.zeros((len(ones), k), np.intp)
    squares = np.einsum("nd,nd->n", given, given)
    size = max(1, HELD // len(given))
    for start in range(0, len(ones), size):
        block = slice(start, start + size)
        squared = squares - 2 * (ones[block] @ given.T) + np.einsum("nd,nd->n", ones[block], ones[block])[:, None]
        for place in range(k):
            found = squared.argmin(axis=1)[:, None]
            distance[block, place] = np.sqrt(np.maximum(0.0, np.take_along_axis(squared, found, 1)[:, 0]))
            at[block, place] = found[:, 0]
            np.put_along_axis(squared, found, np.inf, 1)
    return Nearest(distance, at)


@metric(
    "vector",
    "vector",
    range=(0, math.inf),
    direction="higher",
    unit="distance",
    source="Park et al. 2018, Data synthesis based on generative adversarial networks (arXiv 1806.03384), DCR",
)
def dcr_median(made: ArrayLike, real: ArrayLike) -> float:
    """Distance to the closest record: of a made row in the middle, the Euclidean distance to the nearest real one.

    (n, d) and (m, d). Beside it belongs that of held-out real rows: low alone is no leak. NaN for no rows.
    """
    import numpy as np

    distance = nearest(made, real).distance if len(np.asarray(made)) and len(np.asarray(real)) else np.empty(0)
    return float(np.median(distance)) if len(distance) else math.nan


@metric(
    "vector",
    "vector",
    "vector",
    range=(0, 1),
    direction="lower",
    unit="share",
    source="Platzer and Reutterer 2021, Holdout-based empirical assessment of mixed-type synthetic data",
)
def dcr_share(made: ArrayLike, train: ArrayLike, holdout: ArrayLike) -> Interval:
    """The share of made rows that are closer to a training row than to any of equally many held-out rows.

    (n, d), (m, d) and (m, d). Of rows that were not copied it is .5: the two are draws of one distribution. Of equally
    close ones a half counts. The interval is Wilson's for as many independent rows as the made ones are worth:
    those with one nearest real row fall together, so that of c of each, n rows are worth n^2 / sum of c^2 (Kish 1965,
    section 8.2). Raises ValueError for unequal numbers: more rows are closer by themselves.
    """
    import numpy as np

    ours, others = np.asarray(train), np.asarray(holdout)
    if len(ours) != len(others):
        raise ValueError(f"dcr_share: {len(ours)} training rows and {len(others)} held out")
    if not len(ours) or not len(np.asarray(made)):
        return wilson(0, 0)
    one, other = nearest(made, ours), nearest(made, others)
    further = (other.distance - one.distance)[:, 0]
    closer = np.where(np.abs(further) <= TIE, 0.5, further > 0)
    pulled = np.bincount(np.where(closer > 0, one.at[:, 0], other.at[:, 0] + len(ours)))
    worth = float(len(closer) ** 2 / (pulled**2).sum())
    share = float(closer.mean())
    return wilson(share * worth, worth)


@metric(
    "vector",
    "vector",
    range=(0, 1),
    direction="higher",
    unit="ratio",
    source="Zhao et al. 2021, CTAB-GAN (arXiv 2102.08369), NNDR",
)
def nndr(made: ArrayLike, real: ArrayLike) -> float:
    """Nearest neighbour distance ratio: of a made row in the middle, its nearest real row's distance over the second's.

    (n, d) and (m, d). Near 0 a made row has one real row to itself; near 1 it lies among several. NaN for no made row,
    or fewer than two real ones.
    """
    import numpy as np

    if not len(np.asarray(made)) or len(np.asarray(real)) < 2:
        return math.nan
    return float(np.median(ratios(nearest(made, real, 2))))


def ratios(two: Nearest) -> Floats:
    """(n,): the nearest distance over the second; 1 where both are 0."""
    import numpy as np

    first, second = two.distance[:, 0], two.distance[:, 1]
    found: Floats = np.divide(first, second, out=np.ones_like(first), where=second > TIE)
    return found


@metric("label", range=(0, math.inf), direction="higher", unit="rows", source="Sweeney 2002, k-anonymity, section 3")
def k_anonymity(combinations: Sequence[Hashable]) -> int:
    """How many rows share the rarest combination of values: of each row, what might tell who it is about.

    0 for no rows.
    """
    return min(Counter(combinations).values(), default=0)


@metric(
    "label",
    "label",
    range=(0, math.inf),
    direction="higher",
    unit="values",
    source="Machanavajjhala et al. 2007, l-diversity, section 4 (distinct l-diversity)",
)
def l_diversity(combinations: Sequence[Hashable], sensitive: Sequence[Hashable]) -> int:
    """The fewest different sensitive values among rows of one combination: with 1, the combination tells it.

    0 for no rows. Raises ValueError when the lengths differ.
    """
    return min((len(set(values)) for values in _by_class(combinations, sensitive).values()), default=0)


@metric(
    "label",
    "label",
    range=(0, 1),
    direction="lower",
    unit="earth mover's distance",
    source="Li, Li and Venkatasubramanian 2007, t-closeness, section 5",
)
def t_closeness(combinations: Sequence[Hashable], sensitive: Sequence[Any]) -> float:
    """How far the sensitive values of one combination are from those of all rows, of the farthest combination.

    The earth mover's distance: between numbers their ordered distance (5.1), between others that of equal distances
    (5.2), which is the total variation. NaN for no rows. Raises ValueError when the lengths differ.
    """
    import numpy as np

    classes = _by_class(combinations, sensitive)
    if not classes:
        return math.nan
    ordered = all(isinstance(value, int | float) and not isinstance(value, bool) for value in sensitive)
    values = {value: at for at, value in enumerate(sorted(set(sensitive)) if ordered else dict.fromkeys(sensitive))}

    def shares(rows: Sequence[Any]) -> Floats:
        return np.bincount([values[row] for row in rows], minlength=len(values)) / len(rows)

    whole, farthest = shares(sensitive), 0.0
    for rows in classes.values():
        apart = shares(rows) - whole
        moved = np.abs(np.cumsum(apart)).sum() / max(1, len(values) - 1) if ordered else np.abs(apart).sum() / 2
        farthest = max(farthest, float(moved))
    return farthest


def _by_class(combinations: Sequence[Hashable], sensitive: Sequence[Any]) -> dict[Hashable, list[Any]]:
    found: defaultdict[Hashable, list[Any]] = defaultdict(list)
    for combination, value in zip(combinations, sensitive, strict=True):
        found[combination].append(value)
    return found


@metric("text", range=(0, math.inf), direction="lower", unit="per 1,000 rows", source="synth_llm.pii, docs/filters.md")
def pii_rate(texts: Sequence[str]) -> float:
    """Personal identifiers, such as e-mail addresses and telephone numbers, in 1,000 rows. NaN for no rows."""
    return 1000 * identifiers(texts).total() / len(texts) if len(texts) else math.nan


def identifiers(texts: Sequence[str]) -> Counter[tuple[str, str]]:
    """The personal identifiers in texts, of the usual types of `pii.find`: (type, as it stands), and how often."""
    return Counter((span.type, text[span.start : span.end]) for text in texts for span in pii.find(text))
