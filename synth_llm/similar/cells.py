"""Cells of a space of vectors: which rows and items are worth comparing where all pairs are too many.

An inverted file (Sivic and Zisserman 2003), with FAISS for its centres: each item is listed in the cell of its nearest
centre, and each row looks into the cells of its nearest few. All rows that look into a cell are then compared with it
at once, as a product of matrices, which costs less than looking row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth_llm.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.intp]
    Vectors = NDArray[np.float32]

PROBES = 32
"""Cells that a row looks into. Within rows both of a pair look, so that hardly a pair with a cosine of .9 is missed."""
EACH = 40
"""Items a cell from which its centre is learnt."""
ROUNDS = 6
"""Of k-means."""


def cells(rows: Vectors, items: Vectors) -> list[tuple[Ints, Ints]]:
    """For each cell, the rows that look into it and the items in it; `rows` may be `items`. Seeded: always the same.

    Raises MissingExtra without FAISS.
    """
    try:
        import faiss
    except ImportError:
        raise MissingExtra(f"by: meaning, for {len(items):,} rows,", "embed") from None
    count = min(len(items), max(PROBES, int(4 * len(items) ** 0.5)))
    means = faiss.Kmeans(
        items.shape[1],
        count,
        niter=ROUNDS,
        seed=1,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=EACH,
    )
    means.train(items)
    centres = faiss.IndexFlatIP(items.shape[1])
    centres.add(means.centroids)
    looks = centres.search(rows, min(PROBES, count))[1]
    listed = looks[:, :1] if rows is items else centres.search(items, 1)[1]
    return list(zip(_grouped(looks, count), _grouped(listed, count), strict=True))


def _grouped(cells: Ints, count: int) -> list[Ints]:
    """For each of `count` cells the rows, in order, that name it; (n, p) cells of n rows."""
    import numpy as np

    flat = cells.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(1, count))
    return [part // cells.shape[1] for part in np.split(order, starts)]
