"""Texts whose sets of shingles are alike: candidates by MinHash-LSH, each decided by its exact Jaccard similarity.

MinHash: Broder, On the resemblance and containment of documents (1997). Banding: Leskovec, Rajaraman and Ullman, Mining
of Massive Datasets, section 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from synth_llm.similar.blocking import distinct, sharing, spans
from synth_llm.similar.pairs import Pairs, gathered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    Ints = NDArray[np.integer]

RECALL = 0.99
"""Of pairs exactly at the floor; of those .05 above it, more than 99.7 % are found."""
FUNCTIONS = 144
"""Hash functions at most, where the floor allows: a band of more of them lets fewer dissimilar pairs through."""
WIDEST = 16
"""Hash functions in a band at most: near a floor of 1 more would let nothing else through."""
CHUNK = 1 << 16
"""Texts that are shingled together, and pairs that are compared together: their numbers take 16 bits."""
CHARACTERS = 1 << 18
"""Characters that are shingled together, unless one text has more: some 15 MB."""
CACHED = 1 << 12
"""Shingles that are hashed together by every function: with their hashes, what a core's cache holds."""
ELEMENTS = 2_000_000
"""Shingles that are compared together: some 50 MB."""
BASE = 0xD1342543DE82EF95
"""An odd number whose bits look random, for polynomial hashes."""
ODD = 0x9E3779B97F4A7C15
"""An odd number near 2^64 over the golden ratio: multiplying by it spreads bits (Knuth, volume 3, section 6.4)."""


@dataclass(frozen=True)
class Shingling:
    """What the shingles of a text are: runs of `size` words or characters; of a shorter text, the whole of it."""

    unit: Literal["word", "char"]
    size: int


@dataclass(frozen=True)
class Sketches:
    """Texts with what finds the similar ones among them: for each a key a band, equal where a band is."""

    texts: Sequence[str]
    keys: NDArray[np.uint32]
    shingling: Shingling
    floor: float

    def take(self, rows: Ints) -> Sketches:
        """Those of some of the texts."""
        return Sketches([self.texts[row] for row in rows.tolist()], self.keys[rows], self.shingling, self.floor)


def sketch(texts: Sequence[str], shingling: Shingling, floor: float, known: Sketches | None = None) -> Sketches:
    """The sketches of texts for a search from `floor` up; those that are in `known` are taken from there."""
    import numpy as np

    keys = np.empty((len(texts), banding(floor)[0]), dtype=np.uint32)
    place: dict[str, int] = {}
    if known is not None and (known.shingling, known.floor) == (shingling, floor):
        place = {text: at for at, text in enumerate(known.texts)}
        again = [at for at, text in enumerate(texts) if text in place]
        keys[again] = known.keys[[place[texts[at]] for at in again]]
    new = [at for at, text in enumerate(texts) if text not in place]
    done = 0
    for chunk in _chunks([texts[at] for at in new]):
        hashes, lengths = shingles(chunk, shingling)
        keys[new[done : done + len(chunk)]] = _band_keys(hashes.astype(np.uint32), lengths, *banding(floor))
        done += len(chunk)
    return Sketches(texts, keys, shingling, floor)


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in chunks that are shingled together."""
    import numpy as np

    ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
    start = 0
    while start < len(texts):
        within = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + CHARACTERS, side="right"))
        stop = min(max(start + 1, within), start + CHUNK)
        yield texts[start:stop]
        start = stop


def near_pairs(rows: Sketches, floor: float, *, others: Sketches | None = None) -> Pairs:
    """The pairs with a Jaccard similarity of at least `floor`, which is the sketches' floor or higher.

    A pair of similarity s is found with probability 1 - (1 - s^size)^bands, whatever else there is and in which order;
    what is found is decided exactly. Raises Crowded when there are too many.
    """
    import numpy as np

    alone = others is None
    texts = [*(others.texts if others else ()), *rows.texts]
    keys = rows.keys if others is None else np.concatenate([others.keys, rows.keys])
    count, bands = keys.shape
    first = 0 if others is None else len(others.texts)
    found = sharing(keys.ravel(), np.repeat(np.arange(count), bands), count, None if alone else first)
    return gathered(((i, j, jaccard(i, j, texts, rows.shingling)) for i, j in found), floor, first)


def banding(floor: float) -> tuple[int, int]:
    """(bands, hash functions a band) that find RECALL of the pairs at the floor with at most FUNCTIONS.

    >>> banding(0.6)
    (34, 4)
    """
    best = (1, 1)
    for size in range(1, WIDEST + 1):
        missed = 1 - floor**size
        bands = math.ceil(math.log(1 - RECALL) / math.log(missed)) if missed else 1
        if bands * size > FUNCTIONS and size > 1:
            break
        best = (bands, size)
    return best


def shingles(texts: Sequence[str], shingling: Shingling) -> tuple[Hashes, NDArray[np.int64]]:
    """The sets of shingles as hashes of 48 bits, one text after the other, and how many each text has (at least 1).

    At most CHUNK texts, their words divided by single spaces. That two shingles of a pair of texts of 1,000 words
    have one hash has a chance of 1 in 10^8.
    """
    import numpy as np

    points, begins = _code_points(texts)
    lengths, starts, ends = (_words if shingling.unit == "word" else _characters)(points, begins)
    counts = np.maximum(1, lengths - shingling.size + 1)
    first = np.repeat(np.cumsum(lengths) - lengths, counts)
    last_of_text = np.repeat(np.cumsum(lengths) - 1, counts)
    unit = first + spans(np.zeros(len(texts), dtype=np.int64), counts)
    last = np.minimum(unit + shingling.size - 1, last_of_text)  # of a shorter text, the whole
    sums, inverse = _prefix_hashes(points)
    some = last >= unit
    start, end = starts[unit[some]], ends[last[some]]
    hashed = np.zeros(len(unit), dtype=np.uint64)  # of a text without units, 0
    hashed[some] = (sums[end] - sums[start]) * inverse[start]
    hashed = (hashed ^ hashed >> np.uint64(32)) * np.uint64(ODD)
    owner = np.repeat(np.arange(len(texts), dtype=np.uint64), counts) << np.uint64(48)
    owned = distinct(owner | hashed >> np.uint64(16))
    return owned & np.uint64((1 << 48) - 1), np.bincount(
        (owned >> np.uint64(48)).astype(np.int64), minlength=len(texts)
    )


def _prefix_hashes(points: NDArray[np.uint32]) -> tuple[Hashes, Hashes]:
    """(sums, inverse): the polynomial hash of points[start:end] is (sums[end] - sums[start]) * inverse[start].

    Karp and Rabin, Efficient randomized pattern-matching algorithms (1987), modulo 2^64 over mixed code points.
    """
    import numpy as np

    powers, inverse = (_powers(base, len(points)) for base in (BASE, pow(BASE, -1, 1 << 64)))
    mixed = (points.astype(np.uint64) + np.uint64(1)) * np.uint64(ODD)
    mixed ^= mixed >> np.uint64(32)
    sums: Hashes = np.r_[np.uint64(0), np.cumsum(mixed * powers[:-1])]
    return sums, inverse


def _powers(base: int, count: int) -> Hashes:
    """The powers 0 to `count` of a base, modulo 2^64."""
    import numpy as np

    factors = np.full(count + 1, base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _code_points(texts: Sequence[str]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The code points of all texts, a space after each, and where each text begins."""
    import numpy as np

    joined = " ".join([*texts, ""])
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4"), np.cumsum(lengths) - lengths


def _words(points: NDArray[np.uint32], begins: Ints) -> tuple[Ints, Ints, Ints]:
    """How many words each text has; where each word starts, and where it ends."""
    import numpy as np

    space = np.r_[True, points == 32]
    starts = np.flatnonzero(space[:-1] & ~space[1:])
    ends = np.flatnonzero(space[1:] & ~space[:-1])
    return np.diff(np.searchsorted(starts, np.r_[begins, len(points)])), starts, ends


def _characters(points: NDArray[np.uint32], begins: Ints) -> tuple[Ints, Ints, Ints]:
    """How many characters each text has; where each starts, and where it ends."""
    import numpy as np

    lengths = np.diff(np.r_[begins, len(points)]) - 1
    starts = spans(begins, lengths)
    return lengths, starts, starts + 1


def _band_keys(hashes: NDArray[np.uint32], lengths: Ints, bands: int, size: int) -> NDArray[np.uint32]:
    """(texts, bands): the smallest hash of each text under the permutations of a band, folded into 32 bits."""
    import numpy as np

    draw = np.random.Generator(np.random.PCG64(0))  # the same functions always: keys of all rounds can be compared
    factors = draw.integers(0, 1 << 31, bands * size, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    terms = draw.integers(0, 1 << 32, bands * size, dtype=np.uint32)
    smallest = np.empty((len(lengths), bands * size), dtype=np.uint32)
    begins = np.cumsum(lengths) - lengths
    for length in np.flatnonzero(np.bincount(lengths)).tolist():  # texts of one length make an array
        alike = np.flatnonzero(lengths == length)
        for start in range(0, len(alike), max(1, CACHED // length)):
            part = alike[start : start + max(1, CACHED // length)]
            own = hashes[begins[part, None] + np.arange(length)]
            smallest[part] = (own[:, :, None] * factors + terms).min(axis=1)
    keys = np.broadcast_to(np.arange(bands, dtype=np.uint64), (len(lengths), bands))
    for at in range(size):
        keys = (keys ^ smallest[:, at::size]) * np.uint64(ODD)
        keys ^= keys >> np.uint64(32)
    return keys.astype(np.uint32)


def jaccard(i: Ints, j: Ints, texts: Sequence[str], shingling: Shingling) -> NDArray[np.float64]:
    """The exact Jaccard similarity of each pair of texts (i, j): shared shingles over all shingles of the two."""
    import numpy as np

    involved = distinct(np.concatenate([i, j]))
    parts = [shingles(chunk, shingling) for chunk in _chunks([texts[at] for at in involved.tolist()])]
    hashes = np.concatenate([hashes for hashes, _ in parts])
    lengths = np.concatenate([lengths for _, lengths in parts])
    begins = np.cumsum(lengths) - lengths
    one, other = np.searchsorted(involved, i), np.searchsorted(involved, j)
    both = lengths[one] + lengths[other]
    shared = np.empty(len(i), dtype=np.int64)
    done = np.cumsum(both)
    start = 0
    while start < len(i):
        within = int(np.searchsorted(done, done[start] - both[start] + ELEMENTS, side="right"))
        stop = min(max(start + 1, within), start + CHUNK)
        part = slice(start, stop)
        pair = np.arange(stop - start, dtype=np.uint64) << np.uint64(48)
        tagged = np.sort(
            np.concatenate(
                [
                    hashes[spans(begins[side], lengths[side])] | np.repeat(pair, lengths[side])
                    for side in (one[part], other[part])
                ]
            )
        )
        twice = tagged[1:][tagged[1:] == tagged[:-1]] >> np.uint64(48)
        shared[part] = np.bincount(twice.astype(np.int64), minlength=stop - start)
        start = stop
    similarity: NDArray[np.float64] = shared / (both - shared)
    return similarity
