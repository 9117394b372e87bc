"""Words in a row that a text shares with items it must not repeat: copies that are whole, trimmed or embedded."""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

SHORT = 6
"""Fewer words in a row say nothing ("what is the capital of")."""
SHARE = 0.75
"""Of an item that is too short to hold n words, so much in a row counts."""
TELLING = 3
"""Of the words in a row so many must be more than a number: `1, 2, 3, ...` stands everywhere."""
COMMON = 10
"""A run that stands in more items than this is a phrase of the set, and tells none of them (GPT-3 leaves out 13-grams
that stand in more than 10 documents)."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


class Run(NamedTuple):
    """The longest run of words that a text shares with an item."""

    item: int
    """The number of the item, from 0."""
    words: int
    text: str
    """The words, as they were compared."""


def words(text: str) -> list[str]:
    """The words of a text, case-folded, without signs; a Chinese or Japanese character is a word.

    >>> words("Two  cats, *three* dogs.")
    ['two', 'cats', 'three', 'dogs']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class NgramIndex:
    """The word n-grams of items (GPT-3, arXiv 2005.14165, appendix C; there n is 8 to 13).

    A text repeats an item when they share `n` words in a row; of an item shorter than that, three quarters, but never
    fewer than 6 words. Rows of numbers, and runs that many items share, do not count. Holds about 300 bytes a word.
    """

    def __init__(self, texts: Sequence[str], n: int) -> None:
        items: dict[tuple[str, ...], int] = {}  # what stands twice is one item: the first
        for number, text in enumerate(texts):
            items.setdefault(tuple(words(text)), number)
        grams: defaultdict[str, list[int]] = defaultdict(list)
        self._sizes = {number: len(item) for item, number in items.items()}
        self._starts: set[str] = set()
        self._lengths: set[int] = set()
        for item, number in items.items():
            length = min(n, max(SHORT, math.ceil(SHARE * len(item))))
            lettered = [0, *itertools.accumulate(not word.isdecimal() for word in item)]
            for at in range(len(item) - length + 1):
                if lettered[at + length] - lettered[at] < TELLING:
                    continue
                found = grams[" ".join(item[at : at + length])]
                if not found or found[-1] != number:
                    found.append(number)
                self._lengths.add(length)
                self._starts.add(" ".join(item[at : at + SHORT]))
        self._grams = {gram: found for gram, found in grams.items() if len(found) <= COMMON}

    def longest(self, text: str) -> Run | None:
        """The longest run that the text shares with any item, of equally long ones that of the first item; or None."""
        own = words(text)
        ends: dict[int, tuple[int, int]] = {}
        best: tuple[int, int, int] | None = None
        for at, length, number in self._shared(own):
            start, end = ends.get(number, (at, 0))
            if at + length > end + 1:  # its n-gram one word before was not shared: a new run
                start = at
            ends[number] = (start, at + length)
            size = min(at + length - start, self._sizes[number])  # what repeats itself is shared once
            best = min(best or (-size, number, start), (-size, number, start))
        if best is None:
            return None
        count, number, start = -best[0], best[1], best[2]
        return Run(number, count, " ".join(own[start : start + count]))

    def _shared(self, own: list[str]) -> Iterator[tuple[int, int, int]]:
        """Where an n-gram of an item begins, its length, and the item."""
        for at in range(len(own) - SHORT + 1):
            if " ".join(own[at : at + SHORT]) in self._starts:
                for length in self._lengths:
                    if at + length <= len(own):
                        for number in self._grams.get(" ".join(own[at : at + length]), ()):
                            yield at, length, number
