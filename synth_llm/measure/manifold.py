"""How far two samples of vectors are apart: Frechet distance, MAUVE, and how well each covers the other.

Vectors are (n, d) rows. All of these depend on how many rows there are: compare figures of samples of equal sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from synth_llm.geometry import k_means
from synth_llm.measure.metric import metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

BLOCK = 512
"""Rows whose distances to all others are held at once: 40 MB for 10,000 others."""
NEIGHBOURS = 5
"""As Naeem et al. 2020 chose (section 4); Kynkäänniemi et al. 2019 took 3."""
CELL = 10
"""MAUVE: rows of the smaller sample for each cell."""
SCALING, POINTS = 5, 25
"""MAUVE: the constant c of the paper, and the mixtures that its frontier is drawn with."""
SEED = 0


class Covering(NamedTuple):
    """How far two samples lie in each other's neighbourhoods."""

    precision: float
    recall: float
    density: float
    coverage: float


@metric(
    "vector",
    "vector",
    range=(0, math.inf),
    direction="lower",
    unit="squared distance",
    source="Heusel et al. 2017, eq. 6",
)
def frechet(made: ArrayLike, real: ArrayLike) -> float:
    """Frechet distance of the two normal distributions with the samples' means and covariances (as in FID).

    The trace of the root of the product of covariances is the sum of the singular values of a product of triangular
    factors, so that fewer rows than dimensions are no obstacle, and nothing is shrunk or projected. Biased upward, the
    more the fewer rows there are. Raises ValueError for fewer than two rows.
    """
    import numpy as np

    one, other = _rows(made, 2), _rows(real, 2)

    def factor(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """R with R'R the covariance."""
        scaled = (rows - rows.mean(axis=0)) / math.sqrt(len(rows) - 1)
        found: NDArray[np.float64] = np.asarray(np.linalg.qr(scaled, mode="r"))
        return found

    a, b = factor(one), factor(other)
    means = float(((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum())
    root = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    return max(0.0, means + float((a**2).sum()) + float((b**2).sum()) - 2 * root)


@metric("vector", "vector", range=(0, 1), direction="higher", unit="area", source="Pillutla et al. 2021, section 2")
def mauve(made: ArrayLike, real: ArrayLike, seed: int = SEED) -> float:
    """MAUVE: the area under the frontier of what one sample lacks of the other and what it has beside it; 1 for equal.

    Rows are set to length one and sorted into cells, one for ten rows of the smaller sample, by k-means on both samples
    (k-means++ from `seed`, without the authors' PCA). Not comparable with figures on other encoders or of other sizes.
    Raises ValueError for an empty sample.
    """
    import numpy as np

    one, other = _rows(made, 1), _rows(real, 1)
    both = np.concatenate([one, other])
    length = np.linalg.norm(both, axis=1, keepdims=True)
    both = (both / np.where(length > 0, length, 1)).astype(np.float32)
    k = max(2, round(min(len(one), len(other)) / CELL))
    cells = k_means(both, k, np.random.default_rng(seed))
    return frontier_area(np.bincount(cells[: len(one)], minlength=k), np.bincount(cells[len(one) :], minlength=k))


def frontier_area(made: ArrayLike, real: ArrayLike) -> float:
    """The area under the divergence frontier of two histograms of the same k cells, each (k,) counts; 0 to 1.

    Pillutla et al. 2021, equations 1 to 3, with c = SCALING, drawn through POINTS mixtures of the two; the mean of the
    areas along either axis, as the authors' code has it.
    """
    import numpy as np

    q, p = (np.asarray(counts, float) / np.sum(counts) for counts in (made, real))
    weights = np.linspace(1e-6, 1 - 1e-6, POINTS)[:, None]
    mixtures = weights * p + (1 - weights) * q

    def apart(part: NDArray[np.float64]) -> NDArray[np.float64]:
        """(POINTS,) divergences of a histogram from each mixture, as coordinates: 1 for none."""
        some = part > 0
        nats = (part[some] * np.log(part[some] / mixtures[:, some])).sum(axis=1)
        found: NDArray[np.float64] = np.minimum(1.0, np.exp(-SCALING * nats))
        return found

    x, y = np.concatenate([[0.0], apart(q), [1.0]]), np.concatenate([[1.0], apart(p), [0.0]])
    return float((_area(x, y) + _area(y, x)) / 2)


def covering(made: ArrayLike, real: ArrayLike, k: int = NEIGHBOURS) -> Covering:
    """Precision, recall, density and coverage of made rows by the neighbourhoods of real ones, and the other way.

    A row's neighbourhood is the ball that reaches to the `k`-th nearest other row of its own sample, without its edge.
    Memory is that of BLOCK rows' distances. Raises ValueError unless both samples have more than `k` rows.
    """
    import numpy as np

    one, other = _rows(made, k + 1), _rows(real, k + 1)
    made_reach, real_reach = _reach(one, k), _reach(other, k)
    balls = np.zeros(len(one))
    nearest = np.full(len(other), math.inf)
    reached = np.zeros(len(other), bool)
    for block in _blocks(len(one)):
        far = _squared(one[block], other)
        balls[block] = (far < real_reach).sum(axis=1)
        nearest = np.minimum(nearest, far.min(axis=0))
        reached |= (far < made_reach[block, None]).any(axis=0)
    return Covering(
        float((balls > 0).mean()), float(reached.mean()), float(balls.mean() / k), float((nearest < real_reach).mean())
    )


@metric(
    "vector",
    "vector",
    range=(0, 1),
    direction="higher",
    unit="share",
    source="Kynkäänniemi et al. 2019, section 2, eq. 2",
)
def knn_precision(made: ArrayLike, real: ArrayLike, k: int = NEIGHBOURS) -> float:
    """The share of made rows that lie in the neighbourhood of a real one; see covering."""
    return covering(made, real, k).precision


@metric(
    "vector",
    "vector",
    range=(0, 1),
    direction="higher",
    unit="share",
    source="Kynkäänniemi et al. 2019, section 2, eq. 3",
)
def knn_recall(made: ArrayLike, real: ArrayLike, k: int = NEIGHBOURS) -> float:
    """The share of real rows that lie in the neighbourhood of a made one; see covering."""
    return covering(made, real, k).recall


@metric(
    "vector",
    "vector",
    range=(0, math.inf),
    direction="higher",
    unit="neighbourhoods",
    source="Naeem et al. 2020, section 3.1, eq. 4",
)
def knn_density(made: ArrayLike, real: ArrayLike, k: int = NEIGHBOURS) -> float:
    """How many real neighbourhoods a made row lies in, in units of `k`; about 1 for equals; see covering."""
    return covering(made, real, k).density


@metric(
    "vector", "vector", range=(0, 1), direction="higher", unit="share", source="Naeem et al. 2020, section 3.1, eq. 5"
)
def knn_coverage(made: ArrayLike, real: ArrayLike, k: int = NEIGHBOURS) -> float:
    """The share of real rows with a made row in their neighbourhood; see covering."""
    return covering(made, real, k).coverage


def _rows(vectors: ArrayLike, least: int) -> NDArray[np.float64]:
    import numpy as np

    rows = np.asarray(vectors, float)
    if rows.ndim != 2 or len(rows) < least:
        raise ValueError(f"needs (n, d) vectors with n of {least} or more, not {rows.shape}")
    return rows


def _blocks(n: int) -> Iterator[slice]:
    return (slice(at, min(n, at + BLOCK)) for at in range(0, n, BLOCK))


def _squared(ones: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) squared Euclidean distances."""
    import numpy as np

    found: NDArray[np.float64] = np.maximum(
        0.0, (ones**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * ones @ others.T
    )
    return found


def _reach(rows: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(n,) squared distance of each row to the k-th nearest of the others."""
    import numpy as np

    found = np.zeros(len(rows))
    for block in _blocks(len(rows)):
        far = _squared(rows[block], rows)
        far[np.arange(len(far)), np.arange(block.start, block.stop)] = -1.0  # itself comes first
        found[block] = np.partition(far, k, axis=1)[:, k]
    return found


def _area(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Under a falling curve through points in any order, by trapezia."""
    import numpy as np

    order = np.lexsort((-y, x))
    x, y = x[order], y[order]
    return float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2)
