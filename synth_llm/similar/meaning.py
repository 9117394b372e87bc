"""Pairs of rows that mean alike: all pairs of unit vectors whose cosine is at least a floor, exactly.

Most pairs are far below the floor, and a few directions show it. With vectors turned so that their first k numbers hold
as much of them as k numbers can (the eigenvectors of X'X), Cauchy-Schwarz bounds what the rest can add:

    x.y  <=  head(x).head(y) + |rest(x)| |rest(y)|

which is one product of vectors of k + 1 numbers. Only where that bound reaches the floor is the cosine itself computed.
At a cosine of .9, sentence embeddings of 384 numbers need a k of about 50. No pair is lost, and k is only a matter of
speed, so nothing depends on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from synth_llm.errors import MissingExtra
from synth_llm.similar.cells import cells
from synth_llm.similar.pairs import LIMIT, Crowded, Pairs, gathered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.intp]
    Vectors = NDArray[np.float32]
    Block = tuple[Ints, Ints, Vectors]

ROWS, COLUMNS = 256, 1024
"""Of a block of bounds: 1 MB a thread, which the processor's cache holds."""
TOGETHER = 4096
"""Pairs whose cosines are computed together."""
EXACT = 250_000**2
"""Products of rows and items that are all computed: a minute on two cores, where encoding takes an hour."""
SMALL = 5000
"""Items from which it pays to turn them."""
SAMPLE = 2000
"""Items from which the turn is learnt, and what it leaves to compute."""
HEADS = (15, 31, 47, 63, 95, 127, 191, 255)
"""Values of k that are tried: with one number more, rows begin at a line of the cache."""
COSINE = 25_000
"""What one cosine of single vectors costs, in multiplications inside a product of matrices."""
SLACK = 1e-5
"""More than the products of numbers with 24 bits are off."""
ROUNDED = 1e-6
"""What equal vectors may lack of a cosine of 1: it is 1, so that a threshold of 1 finds them."""


def meaning_pairs(vectors: Vectors, floor: float, *, others: Vectors | None = None) -> Pairs:
    """All pairs with a cosine of at least `floor`, sorted by (j, i): within the rows, or of rows and others.

    `vectors` (n, d) and `others` (m, d) are float32 with rows of length one; rows of zeros (blank texts) pair with
    nothing. Every pair is found, whatever the order of the rows, up to `EXACT` products; beyond that the search looks
    into near `cells`, and misses a few pairs, fewer the closer they are. Works on all threads that BLAS may use; beside
    its arguments memory holds a third of them and the pairs.

    Raises Crowded for more pairs than `LIMIT`, ValueError for a floor that is not over 0, MissingExtra.
    """
    import numpy as np

    if floor <= 0:
        raise ValueError(f"a cosine of {floor} says nothing: the floor must be over 0")
    within = others is None
    items = vectors if others is None else others
    with _threads() as threads:
        turn = _turn(vectors, items, floor)
        rows = _heads(vectors, turn)
        columns = rows if within else _heads(items, turn)
        areas: list[tuple[Any, Any]]
        if len(vectors) * len(items) > EXACT:
            areas = cells(rows, columns)
        else:
            starts = range(0, len(vectors), ROWS)
            areas = [(slice(at, at + ROWS), slice(at + ROWS if within else None)) for at in starts]

        every, listed = np.arange(len(vectors)), np.arange(len(items))

        def search(area: tuple[Any, Any]) -> Block:
            j, i = every[area[0]], listed[area[1]]
            near = _near(rows[area[0]], columns[area[1]], floor - SLACK)
            return _cosines(vectors, items, ((j[row], i[item]) for row, item in near), floor, within)

        pairs = gathered(threads(search, areas), floor)
    return _sorted(pairs, len(items))


@contextmanager
def _threads() -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` over as many threads as BLAS would use, and BLAS with one in each: it would let half of them wait."""
    try:
        from threadpoolctl import threadpool_info, threadpool_limits
    except ImportError:
        raise MissingExtra("by: meaning", "curate") from None
    count = max((library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"), default=1)
    with threadpool_limits(1, user_api="blas"):
        pool = ThreadPoolExecutor(count, "synth-llm-meaning")
        try:
            yield pool.map
        finally:
            pool.shutdown(cancel_futures=True)


def _turn(vectors: Vectors, items: Vectors, floor: float) -> Vectors | None:
    """(d, k): the directions along which the bound costs least; None where the whole product does."""
    import numpy as np

    width = vectors.shape[1]
    if len(items) < SMALL or len(vectors) < ROWS or width <= HEADS[0]:
        return None
    rng = np.random.default_rng(0)
    left, right = (some[rng.choice(len(some), min(SAMPLE, len(some)), replace=False)] for some in (vectors, items))
    both = np.concatenate([left, right]).astype(np.float64)
    directions = np.linalg.eigh(both.T @ both)[1][:, ::-1].astype(np.float32)
    best, cost = None, float(width)
    for k in (k for k in HEADS if k < width):
        turn = np.ascontiguousarray(directions[:, :k])
        near = np.count_nonzero(_heads(left, turn) @ _heads(right, turn).T >= floor) / (len(left) * len(right))
        if k + COSINE * near < cost:
            best, cost = turn, k + COSINE * near
    return best


def _heads(vectors: Vectors, turn: Vectors | None) -> Vectors:
    """(n, k + 1): the first numbers of the turned vectors, and the length of the rest, never too short."""
    import numpy as np

    if turn is None:
        return vectors
    heads = np.empty((len(vectors), turn.shape[1] + 1), np.float32)
    for start in range(0, len(vectors), TOGETHER):
        part = vectors[start : start + TOGETHER]
        head = part @ turn
        rest = np.einsum("nd,nd->n", part, part) - np.einsum("nd,nd->n", head, head)
        heads[start : start + TOGETHER, :-1] = head
        heads[start : start + TOGETHER, -1] = np.sqrt(np.maximum(rest, 0) + SLACK)
    return heads


def _near(rows: Vectors, items: Vectors, floor: float) -> Iterator[tuple[Ints, Ints]]:
    """(row, item) of the products that reach `floor`, block by block."""
    import numpy as np

    bounds = np.empty((ROWS, COLUMNS), np.float32)
    for top in range(0, len(rows), ROWS):
        left = rows[top : top + ROWS]
        for start in range(0, len(items), COLUMNS):
            right = items[start : start + COLUMNS]
            whole = (len(left), len(right)) == bounds.shape
            block = np.matmul(left, right.T, out=bounds) if whole else left @ right.T
            row, item = np.divmod(np.flatnonzero(block >= floor), len(right))
            yield row + top, item + start


def _cosines(vectors: Vectors, items: Vectors, near: Iterator[tuple[Ints, Ints]], floor: float, within: bool) -> Block:
    """The pairs (i, j) among candidates (j, i), with cosines that do not depend on what stands beside them. Crowded."""
    import numpy as np

    found: list[Block] = []
    count = 0
    for j, i in near:
        if within:
            j, i = np.maximum(i, j)[i != j], np.minimum(i, j)[i != j]
        for start in range(0, len(i), TOGETHER):
            some_i, some_j = i[start : start + TOGETHER], j[start : start + TOGETHER]
            cosine = np.einsum("nd,nd->n", items[some_i], vectors[some_j])
            cosine[cosine > 1 - ROUNDED] = 1
            good = cosine >= floor
            found.append((some_i[good], some_j[good], cosine[good]))
            count += int(good.sum())
        if count > 2 * LIMIT:  # each may be here twice
            raise Crowded
    if not found:
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
    i, j, cosine = (np.concatenate(column) for column in zip(*found, strict=True))
    return i, j, cosine


def _sorted(pairs: Pairs, items: int) -> Pairs:
    """The pairs by (j, i), each once."""
    import numpy as np

    _, at = np.unique(pairs.j.astype(np.int64) * items + pairs.i, return_index=True)
    return Pairs(pairs.i[at], pairs.j[at], pairs.similarity[at], pairs.floor)
