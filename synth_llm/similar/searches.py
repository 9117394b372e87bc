"""Searches for similar items among items that are given by number, each measure in the same form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synth_llm.similar.meaning import meaning_pairs
from synth_llm.similar.minhash import Sketches, near_pairs
from synth_llm.similar.rouge import rouge_pairs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from synth_llm.similar.decide import Search
    from synth_llm.similar.pairs import Pairs

    Ints = NDArray[np.integer]


def near_search(sketches: Sketches) -> Search:
    """By the Jaccard similarity of shingles."""

    def search(rows: Ints, others: Ints | None, floor: float) -> Pairs:
        return near_pairs(sketches.take(rows), floor, others=None if others is None else sketches.take(others))

    return search


def rouge_search(tokens: Sequence[Sequence[str]]) -> Search:
    """By the F-measure of ROUGE-L."""

    def some(items: Ints) -> list[Sequence[str]]:
        return [tokens[item] for item in items.tolist()]

    def search(rows: Ints, others: Ints | None, floor: float) -> Pairs:
        return rouge_pairs(some(rows), floor, others=None if others is None else some(others))

    return search


def meaning_search(vectors: NDArray[np.float32]) -> Search:
    """By the cosine of vectors of length one."""

    def some(items: Ints) -> NDArray[np.float32]:
        """Those of consecutive items where they lie: vectors are the most that is in memory."""
        first, last = int(items[0]), int(items[-1])
        return vectors[first : last + 1] if last - first + 1 == len(items) else vectors[items]

    def search(rows: Ints, others: Ints | None, floor: float) -> Pairs:
        return meaning_pairs(some(rows), floor, others=None if others is None else some(others))

    return search
