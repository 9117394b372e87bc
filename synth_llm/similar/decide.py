"""Decides which rows stay, from a search for pairs: all pairs at once where they can be held, else block by block."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from synth_llm.similar.pairs import Crowded, Kept, Pairs, keep

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]

BLOCK = 2048
"""Rows that are decided together where all pairs are too many: at most two million pairs among themselves."""


class Search(Protocol):
    """Finds the pairs of similar items, which are given by their numbers."""

    def __call__(self, rows: Ints, others: Ints | None, floor: float) -> Pairs:
        """The pairs from `floor` up within `rows`, or of one of `others` and a row; i and j are places in the two.

        Raises Crowded when they are too many.
        """
        ...


def decide(search: Search, rows: int, others: int, threshold: float, floor: float, store: Path | None = None) -> Kept:
    """Which of `rows` rows stay, as `keep` says it, when they are taken up one after the other.

    The items are the others and then the rows. Pairs are searched from `floor` up, and kept in the file `store`, which
    is named after the items: a threshold from the floor of an earlier search up is decided without a search.
    """
    import numpy as np

    found = None if store is None else _stored(store, threshold)
    if found is None:
        new = np.arange(others, others + rows)
        try:
            found = search(new, None, floor), search(new, np.arange(others), floor) if others else _none(floor)
        except Crowded:
            return _in_blocks(search, rows, others, threshold)
        if store is not None:
            _store(store, *found)
    return keep(found[0], threshold, np.arange(rows), found[1])


def _in_blocks(search: Search, rows: int, others: int, threshold: float) -> Kept:
    """The same, of rows of which too many are alike: block after block is held against what stayed before it."""
    import numpy as np

    repeats = np.full(rows, -1, dtype=np.int64)
    similarity = np.zeros(rows, dtype=np.float64)
    stayed, start, size = np.arange(others), 0, BLOCK
    while start < rows:
        block = np.arange(start, min(rows, start + size))
        try:
            within = search(block + others, None, threshold)
            across = search(block + others, stayed, threshold) if len(stayed) else _none(threshold)
        except Crowded:
            if size == 1:
                raise
            size = max(1, size // 4)
            continue
        kept = keep(within, threshold, np.arange(len(block)), across)
        items = np.r_[block + others, stayed, -1][kept.repeats]  # the numbers that `keep` gives, and -1
        repeats[block] = np.where(items >= others, items - others, np.where(items < 0, -1, items + rows))
        similarity[block] = kept.similarity
        stayed = np.r_[stayed, block[kept.repeats == -1] + others]
        start += len(block)
    return Kept(repeats, similarity)


def _none(floor: float) -> Pairs:
    import numpy as np

    return Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0), floor)


def _stored(path: Path, threshold: float) -> tuple[Pairs, Pairs] | None:
    """The pairs of an earlier search that went as low; None when there was none, or its file cannot be read."""
    import numpy as np

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            within, across = (
                Pairs(
                    file[f"{side}_i"].astype(np.int64),
                    file[f"{side}_j"].astype(np.int64),
                    file[f"{side}_s"],
                    float(file["floor"]),
                )
                for side in "wa"
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # it is made again
    return (within, across) if within.floor <= threshold else None


def _store(path: Path, within: Pairs, across: Pairs) -> None:
    """Write the pairs; whoever reads the file meanwhile has the old one or the new one."""
    import numpy as np

    arrays: dict[str, Any] = {
        f"{side}_{part}": array.astype(np.uint32) if part in "ij" else array
        for side, pairs in (("w", within), ("a", across))
        for part, array in zip("ijs", pairs[:3], strict=True)
    }
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        np.savez(file, floor=np.float64(within.floor), **arrays)
    draft.replace(path)
