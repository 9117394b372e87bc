"""Pairs of items that share a key, for searches that look closer at these alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]

BLOCK = 2_000_000
"""Pairs that are looked at together, unless one item alone has more: some 100 MB."""


def sharing(
    keys: NDArray[np.uint32], items: Ints, count: int, others: int | None = None
) -> Iterator[tuple[Ints, Ints]]:
    """Every pair of items that share a key, once, in blocks: (earlier items, later items).

    `keys[e]` is a key of item `items[e]`; items are numbers below `count`, ascending. With `others`, the items below
    that number are others, and a pair has one of them and one of the rest.
    """
    import numpy as np

    packed = keys.astype(np.uint64) << np.uint64(32) | np.arange(len(keys), dtype=np.uint64)
    packed.sort()  # many times as quick as to sort the positions by their keys
    places, begins = _groups(packed >> np.uint64(32))
    members = items[(packed[places] & np.uint64(0xFFFFFFFF)).astype(np.int64)]  # ascending in each group
    counts = np.arange(len(members)) - begins
    if others is not None:
        before = np.r_[0, np.cumsum(members < others)]
        counts = np.where(members < others, 0, before[:-1] - before[begins])
    by_item = np.argsort(members, kind="stable")
    by_item = by_item[counts[by_item] > 0]
    for part in _parts(members[by_item], counts[by_item]):
        block = by_item[part]
        later = np.repeat(members[block], counts[block])
        pair = distinct(later * count + members[spans(begins[block], counts[block])])
        earlier, later = pair % count, pair // count
        two = earlier != later  # an item may have a key twice
        yield earlier[two], later[two]


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The values in ascending order, each once; by sorting, which takes a tenth of the time of `np.unique`."""
    import numpy as np

    ordered = np.sort(values)
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]]] if len(ordered) else ordered


def spans(starts: Ints, lengths: Ints) -> Ints:
    """The numbers start, start + 1, ... of every span, one span after the other.

    >>> import numpy as np
    >>> spans(np.array([3, 10]), np.array([2, 3])).tolist()
    [3, 4, 10, 11, 12]
    """
    import numpy as np

    shift: Ints = starts - (np.cumsum(lengths) - lengths)
    return np.arange(int(lengths.sum())) + np.repeat(shift, lengths)


def _groups(ordered: NDArray[Any]) -> tuple[Ints, Ints]:
    """The positions whose key occurs more than once, and for each where its group begins among these positions."""
    import numpy as np

    same = ordered[1:] == ordered[:-1]
    shared = np.r_[same, False] | np.r_[False, same]
    places = np.flatnonzero(shared)
    opens = ~np.r_[False, same][places]
    return places, np.flatnonzero(opens)[np.cumsum(opens) - 1]


def _parts(items: Ints, counts: Ints) -> Iterator[slice]:
    """Slices of at most BLOCK pairs, cut where the item changes."""
    import numpy as np

    total = np.cumsum(counts)
    ends = np.r_[np.flatnonzero(items[1:] != items[:-1]) + 1, len(items)] if len(items) else np.empty(0, dtype=np.int64)
    start, done = 0, 0
    for end, after in zip(ends.tolist(), ends.tolist()[1:], strict=False):
        if total[after - 1] - done > BLOCK:
            yield slice(start, end)
            start, done = end, int(total[end - 1])
    if len(items):
        yield slice(start, len(items))
