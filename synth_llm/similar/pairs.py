"""Pairs of similar items, and what follows from them at a threshold: which rows stay, which belong together.

A search for pairs is slow and a threshold is a matter of taste, so searches give all pairs from a floor up, and every
threshold from that floor up is decided from the pairs alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]
    Floats = NDArray[np.floating]


LIMIT = 5_000_000
"""Pairs that are held at most: 120 MB. A set with more is full of repetitions, and need not be listed to be cleaned."""


class Crowded(Exception):
    """A search found more pairs than LIMIT."""


class Pairs(NamedTuple):
    """Every pair at least `floor` alike, once.

    Of a search within rows, `i < j` are rows; of a search against others, `i` is one of the others and `j` a row.
    """

    i: Ints
    j: Ints
    similarity: Floats
    floor: float

    def at(self, threshold: float) -> Pairs:
        """The pairs at or above a threshold. Raises ValueError below the floor, where pairs are missing."""
        if threshold < self.floor:
            raise ValueError(f"pairs were searched from {self.floor} up, not from {threshold}")
        near = self.similarity >= threshold
        return Pairs(self.i[near], self.j[near], self.similarity[near], threshold)


def gathered(blocks: Iterable[tuple[Ints, Ints, Floats]], floor: float, first: int = 0) -> Pairs:
    """Blocks of (i, j, similarity) as pairs from `floor` up; rows are numbered from item `first`. Raises Crowded."""
    import numpy as np

    parts: list[tuple[Ints, Ints, Floats]] = []
    for i, j, similarity in blocks:
        near = similarity >= floor
        parts.append((i[near], j[near] - first, similarity[near]))
        if sum(len(part[0]) for part in parts) > LIMIT:
            raise Crowded
    if not parts:
        return Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0), floor)
    i, j, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pairs(i, j, similarity, floor)


class Kept(NamedTuple):
    """For each row: what it repeats, or -1 for a row that is kept; and how alike the two are (0 when unknown).

    A row that is kept has the similarity of the closest that was kept before it, where that is over the floor.
    """

    repeats: Ints
    similarity: Floats


def keep(pairs: Pairs, threshold: float, order: Ints, against: Pairs | None = None) -> Kept:
    """The rows that stay when they are taken up in `order` and each is held against those that stayed before it.

    A row goes when one that stayed, or an item of `against`, is at or above the threshold. It is said to repeat the
    closest of these: row k as k, item k of the others as `len(order) + k`; of equally close ones an item of the others
    comes first, then the row that was taken up first.
    """
    import numpy as np

    if threshold < max(pairs.floor, against.floor if against else 0.0):
        raise ValueError(f"pairs were searched from {pairs.floor} up, not from {threshold}")
    count = len(order)
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    repeats = np.full(count, -1, dtype=np.int64)
    closest = np.zeros(count, dtype=np.float64)
    if against is not None:
        _hold_against(against, threshold, repeats, closest)
    before = np.where(place[pairs.i] < place[pairs.j], pairs.i, pairs.j)
    after = pairs.i + pairs.j - before
    by_turn = np.lexsort((place[before], place[after]))
    before, after, similarity = before[by_turn], after[by_turn], pairs.similarity[by_turn]
    starts = np.flatnonzero(np.diff(after, prepend=-1))
    for start, stop in zip(starts.tolist(), np.append(starts, len(after))[1:].tolist(), strict=True):
        row, others = after[start], before[start:stop]
        stayed = np.where(repeats[others] == -1, similarity[start:stop], -1.0)
        best = int(stayed.argmax())
        if stayed[best] > closest[row]:
            closest[row] = stayed[best]
            if stayed[best] >= threshold:
                repeats[row] = others[best]
    return Kept(repeats, closest)


def _hold_against(against: Pairs, threshold: float, repeats: Ints, closest: Floats) -> None:
    """Fill in, for each row, the closest of the others; of equally close ones the first."""
    import numpy as np

    by_row = np.lexsort((against.i, -against.similarity, against.j))
    rows, first = np.unique(against.j[by_row], return_index=True)
    best = by_row[first]
    closest[rows] = against.similarity[best]
    repeats[rows] = np.where(against.similarity[best] >= threshold, against.i[best] + len(repeats), -1)


def clusters(pairs: Pairs, count: int, threshold: float) -> Ints:
    """For each of `count` rows the smallest row that a chain of pairs at or above the threshold joins it to.

    These are the connected components: they do not depend on the order of rows, though their names do.
    """
    import numpy as np

    near = pairs.at(threshold)
    label = np.arange(count)
    while True:
        low = np.minimum(label[near.i], label[near.j])
        changed = label.copy()
        np.minimum.at(changed, label[near.i], low)
        np.minimum.at(changed, label[near.j], low)
        changed = changed[changed]
        if np.array_equal(changed, label):
            return label
        label = changed
