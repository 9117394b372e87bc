"""Choosing among vectors: cells, cover, likeness to a sample, density. Arrays in, indices out; all deterministic.

Vectors are (n, d) float32 rows of length one, so Euclidean distances lie in [0, 2] and order as cosines do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BLOCK = 1024
"""Rows whose distances to all others are held at once."""
PASSES = 50
"""At most so many of Lloyd's; it stops when no row changes its cell."""
SAME = 2e-3
"""Distances below this are of equal texts: single precision cannot tell them from 0."""


def distances(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, m) Euclidean distances between rows of length one."""
    import numpy as np

    found: np.ndarray = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * (ones @ others.T)))
    return found


def _blocks(n: int) -> Iterator[slice]:
    return (slice(at, min(n, at + BLOCK)) for at in range(0, n, BLOCK))


def k_means(vectors: np.ndarray, k: int, generator: np.random.Generator) -> np.ndarray:
    """The cell of each row, (n,) in [0, k): Lloyd's algorithm on k-means++ seeds (Arthur and Vassilvitskii 2007).

    Cells can be fewer than `k` where rows repeat. The same generator state gives the same cells.
    """
    import numpy as np

    if not len(vectors):
        return np.zeros(0, dtype=int)
    centres = _seeds(vectors, k, generator)
    cells = np.full(len(vectors), -1)
    for _ in range(PASSES):
        half = (centres * centres).sum(axis=1) / 2
        nearest = np.concatenate(
            [np.argmax(vectors[block] @ centres.T - half, axis=1) for block in _blocks(len(vectors))]
        )
        if (nearest == cells).all():
            break
        cells = nearest
        order = np.argsort(cells, kind="stable")
        filled, starts = np.unique(cells[order], return_index=True)
        sums = np.add.reduceat(vectors[order].astype(np.float64), starts, axis=0)
        centres[filled] = sums / np.diff(np.append(starts, len(cells)))[:, None]
    return cells


def _seeds(vectors: np.ndarray, k: int, generator: np.random.Generator) -> np.ndarray:
    """(k, d): rows drawn with a chance that grows with the squared distance to those drawn before."""
    import numpy as np

    chosen = [int(generator.integers(len(vectors)))]
    far = distances(vectors, vectors[chosen])[:, 0].astype(np.float64) ** 2
    while len(chosen) < k and far.sum() > 1e-9:
        chosen.append(
            int(np.searchsorted(np.cumsum(far), generator.random() * far.sum(), side="right").clip(max=len(far) - 1))
        )
        far = np.minimum(far, distances(vectors, vectors[chosen[-1:]])[:, 0].astype(np.float64) ** 2)
    return vectors[chosen].copy()


def k_center(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Greedy k-centre (Sener and Savarese 2018, arXiv 1708.00489, algorithm 1), from the row nearest the mean.

    Returns the k rows in the order chosen, and for each row the chosen one nearest to it and the distance: the largest
    is at most twice the best possible (Gonzalez 1985).
    """
    import numpy as np

    if not len(vectors):
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0)
    chosen = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
    nearest = np.zeros(len(vectors), dtype=int) + chosen[0]
    far = distances(vectors, vectors[chosen])[:, 0]
    far[chosen[0]] = -1.0  # a chosen row is never chosen again, though others be equal to it
    while len(chosen) < min(k, len(vectors)):
        chosen.append(int(np.argmax(far)))
        new = distances(vectors, vectors[chosen[-1:]])[:, 0]
        closer = new < far
        nearest[closer], far[closer] = chosen[-1], new[closer]
        nearest[chosen[-1]], far[chosen[-1]] = chosen[-1], -1.0
    return np.array(chosen), nearest, np.maximum(far, 0.0)


def herd(vectors: np.ndarray, target: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows, in the order chosen, whose distribution follows that of `target`, and (n,) mean distances to it.

    Kernel herding: each next row is the one that lowers the distance between the two distributions most (Chen, Welling
    and Smola 2010, arXiv 1203.3472, section 3), without replacement. The kernel is minus the Euclidean distance, which
    makes that distance the energy distance and needs no bandwidth (Sejdinovic et al. 2013, arXiv 1207.6076).
    """
    import numpy as np

    to_target = np.zeros(len(vectors))
    for block in _blocks(len(vectors)):
        to_target[block] = distances(vectors[block], target).mean(axis=1)
    to_chosen = np.zeros(len(vectors))
    taken = np.zeros(len(vectors), dtype=bool)
    chosen: list[int] = []
    for number in range(1, min(k, len(vectors)) + 1):
        gain = to_chosen / number - to_target
        gain[taken] = -np.inf
        best = int(np.argmax(gain))
        chosen.append(best)
        taken[best] = True
        to_chosen += distances(vectors, vectors[best : best + 1])[:, 0]
    return np.array(chosen, dtype=int), to_target


def sampled(vectors: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """The rows, or `most` of them drawn without replacement, in order."""
    import numpy as np

    if len(vectors) <= most:
        return vectors
    return vectors[np.sort(generator.choice(len(vectors), most, replace=False))]


def energy_distance(ones: np.ndarray, others: np.ndarray) -> float:
    """Of two samples: 2 E|x - y| - E|x - x'| - E|y - y'| (Székely and Rizzo 2013), 0 for the same rows, at most 2."""

    def mean(a: np.ndarray, b: np.ndarray) -> float:
        return sum(float(distances(a[block], b).sum(dtype="float64")) for block in _blocks(len(a))) / (len(a) * len(b))

    return 2 * mean(ones, others) - mean(ones, ones) - mean(others, others)


def kth_nearest(vectors: np.ndarray, real: np.ndarray, k: int) -> np.ndarray:
    """(n,): the distance of each row to the k-th nearest row of `real`, small where real rows lie dense.

    The density estimate of Loftsgaarden and Quesenberry (1965). Rows of `real` equal to the row itself do not count, so
    that a real row is measured against the others. Needs more than `k` different rows in `real`.
    """
    import numpy as np

    found = np.zeros(len(vectors), dtype=np.float32)
    for block in _blocks(len(vectors)):
        far = distances(vectors[block], real)
        far[far < SAME] = np.inf
        found[block] = np.partition(far, k - 1, axis=1)[:, k - 1]
    return found
