"""Texts with a common subsequence: the ROUGE-L F-measure of every pair that has enough of it, exactly.

Lin, ROUGE: A Package for Automatic Evaluation of Summaries (2004), section 3.1. Candidates by prefix filtering:
Chaudhuri, Ganti and Kaushik, A Primitive Operator for Similarity Joins in Data Cleaning (2006).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from synth_llm.errors import InputError, MissingExtra
from synth_llm.similar.blocking import sharing, spans
from synth_llm.similar.pairs import Pairs, gathered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]

_TOKEN = re.compile(r"[a-z0-9]+")
TOGETHER = 2_000_000
"""Pairs whose subsequences are looked for at a time."""


def rouge_tokens(text: str) -> list[str]:
    """The tokens of a text as the package rouge-score has them, without its stemmer: runs of a to z and digits.

    >>> rouge_tokens("What's the U.S. GDP?")
    ['what', 's', 'the', 'u', 's', 'gdp']
    """
    return _TOKEN.findall(text.lower())


def need_rapidfuzz(what: str = "dedup by: rouge") -> None:
    """Raises MissingExtra when the package that finds subsequences is not installed."""
    try:
        import rapidfuzz  # noqa: F401
    except ImportError as error:
        raise MissingExtra(what, "curate") from error


def rouge_pairs(rows: Sequence[Sequence[str]], floor: float, *, others: Sequence[Sequence[str]] | None = None) -> Pairs:
    """The pairs of token lists with a ROUGE-L F-measure of at least `floor`, which is over 0. Raises Crowded.

    Every such pair is found, and its F-measure is the float that rouge-score computes. One without tokens is in none.
    """
    import numpy as np

    texts = [*(others or ()), *rows]
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    tokens, counts = _numbered(texts)
    spelled = _spelled(tokens, counts, lengths)
    keys, items = _prefixes(tokens, counts, lengths, floor)
    found = sharing(keys, items, len(texts), None if others is None else len(others))
    scored = ((i, j, _f_measure(i, j, spelled, lengths, floor)) for i, j in found)
    return gathered(scored, floor, 0 if others is None else len(others))


def closest(rows: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """(n,) the highest ROUGE-L F-measure of each token list with any other one; 0 where it shares nothing.

    All pairs are computed, so it is for thousands of rows, not for millions.
    """
    import numpy as np
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cdist

    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    spelled = _spelled(*_numbered(rows), lengths)
    found = np.zeros(len(rows))
    step = max(1, TOGETHER // max(1, len(rows)))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        common = cdist(spelled[block], spelled, scorer=LCSseq.similarity, dtype=np.int64)
        own = np.arange(len(common))
        common[own, own + start] = 0
        found[block] = (2 * common / np.maximum(1, lengths[block, None] + lengths)).max(axis=1)
    return found


def _numbered(texts: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """The tokens of all texts as numbers, and how often each number occurs."""
    import numpy as np

    number: dict[str, int] = {}
    flat = chain.from_iterable(texts)
    tokens = np.fromiter((number.setdefault(token, len(number)) for token in flat), dtype=np.int64)
    return tokens, np.bincount(tokens, minlength=len(number))


def _spelled(tokens: Ints, counts: Ints, lengths: Ints) -> list[str]:
    """Each text as a string of a character for each token that occurs more than once; no other is common to two.

    Raises InputError where there are more such tokens than characters.
    """
    import numpy as np

    again = counts > 1
    if again.sum() > sys.maxunicode:
        raise InputError(f"rouge: more than {sys.maxunicode} different words occur twice; use `near` for so much text")
    kept = again[tokens]
    letters = (np.cumsum(again) - 1)[tokens[kept]]
    joined = "".join(map(chr, letters.tolist()))
    ends = np.r_[0, np.cumsum(kept)][np.cumsum(lengths)].tolist()
    return [joined[start:end] for start, end in pairwise([0, *ends])]


def _prefixes(tokens: Ints, counts: Ints, lengths: Ints, floor: float) -> tuple[NDArray[np.uint32], Ints]:
    """The rarest tokens of each text, of which every pair at the floor has one in common: (tokens, texts).

    F = 2 l / (n + m) >= floor, with l <= m, makes l at least n floor / (2 - floor), so one of the common tokens is
    among the n - l + 1 rarest of either text, in any order of rareness that all texts share.
    """
    import numpy as np

    owner = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((tokens, counts[tokens], owner))
    needed = np.maximum(1, np.ceil(lengths * (floor / (2 - floor)) - 1e-9)).astype(np.int64)
    size = np.where(lengths > 0, lengths - needed + 1, 0)
    at = order[spans(np.cumsum(lengths) - lengths, size)]
    rare = counts[tokens[at]] > 1
    return tokens[at][rare].astype(np.uint32), owner[at][rare]


def _f_measure(i: Ints, j: Ints, spelled: list[str], lengths: Ints, floor: float) -> NDArray[np.float64]:
    """The F-measure of each pair; 0 where the lengths alone keep it below the floor."""
    import numpy as np
    from rapidfuzz.distance import LCSseq
    from rapidfuzz.process import cpdist

    n, m = lengths[i], lengths[j]
    close = 2 * np.minimum(n, m) >= (floor - 1e-9) * (n + m)
    common = np.zeros(len(i), dtype=np.int64)
    ones, others = ([spelled[at] for at in side[close].tolist()] for side in (i, j))
    if ones:
        common[close] = cpdist(ones, others, scorer=LCSseq.similarity, dtype=np.int64)
    precision, recall = common / n, common / m
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
