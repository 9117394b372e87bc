"""Made texts that repeat real ones: exactly, or but for a few words; each with the real text that it repeats."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from synth_llm.measure.metric import metric
from synth_llm.similar.blocking import sharing, spans
from synth_llm.similar.exact import normalised
from synth_llm.similar.ngrams import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.integer]
    Floats = NDArray[np.float64]

NEAR = 0.55
"""The likeness from which a text is a near copy. Sentences of ten words or more in which up to three words were
exchanged, left out, put in or moved stay above it; nearly all others of the same kind are below, or share too little to
tell."""
TOGETHER = 2_000_000
"""Words of candidate pairs that are compared together: some 50 MB."""


class Copy(NamedTuple):
    """A made text and the real one that it repeats, by their numbers from 0."""

    made: int
    real: int
    likeness: float
    """1 for the same words."""


@metric("text", "text", range=(0, math.inf), direction="lower", unit="rows", source="synth_llm.similar.exact")
def exact_copies(made: Sequence[str], real: Sequence[str]) -> int:
    """How many made texts repeat a real one exactly, but for case, spaces, quotes and sentence signs.

    Blank texts repeat nothing.
    """
    known = {normalised(text) for text in real}
    return sum(bool(text.strip()) and normalised(text) in known for text in made)


@metric("text", "text", range=(0, math.inf), direction="lower", unit="rows", source="Jaccard 1912, words by rarity")
def near_copies(made: Sequence[str], real: Sequence[str], likeness: float = NEAR) -> int:
    """How many made texts repeat a real one, exactly or but for a few words: those that `closest_texts` finds."""
    return len(closest_texts(made, real, likeness))


def closest_texts(made: Sequence[str], real: Sequence[str], likeness: float = NEAR) -> list[Copy]:
    """The made texts that are at least so alike to a real one, in order, each with the closest; of equals, the first.

    Likeness is the Jaccard similarity of the sets of words, without case and signs, each word weighted by its rarity in
    the n different real texts: log((1 + n) / (1 + texts with it)) + 1. What `What is the capital of ...?` shares with
    other questions counts little, and names much. The order of words does not count. A pair that is not equal must also
    share what chance would not give: words of which, were they independent, fewer than one pair in n^2 had all.

    All pairs are found, by prefix filtering (Chaudhuri, Ganti and Kaushik, A Primitive Operator for Similarity Joins in
    Data Cleaning, 2006). Blank texts repeat nothing. Raises ValueError for a likeness that is not in (0, 1].
    """
    import numpy as np

    if not 0 < likeness <= 1:
        raise ValueError(f"closest_texts: a likeness of {likeness}")
    texts = list(dict.fromkeys(text for text in map(normalised, chain(real, made)) if text))
    bags = _Bags(texts, {normalised(text) for text in real})
    own, known = {text: at for at, text in enumerate(texts)}, bags.known
    best, closest = np.zeros(len(texts)), np.full(len(texts), -1)
    closest[:known], best[:known] = np.arange(known), 1.0  # the real texts come first: a made one that is equal is one
    keys, items = bags.prefixes(likeness)
    for i, j in sharing(keys, items, len(texts), known):
        similarity = bags.alike(i, j, likeness)
        order = np.lexsort((i, -similarity, j))
        rows, first = np.unique(j[order], return_index=True)
        top = order[first]
        closer = similarity[top] > best[rows]  # every pair of a text is in one block
        best[rows[closer]], closest[rows[closer]] = similarity[top][closer], i[top][closer]
    first_of: dict[str, int] = {}
    for number, text in enumerate(map(normalised, real)):
        first_of.setdefault(text, number)
    found = ((number, own[text]) for number, text in enumerate(map(normalised, made)) if text)
    return [
        Copy(number, first_of[texts[closest[at]]], float(best[at]))
        for number, at in found
        if best[at] >= likeness - 1e-9
    ]


class _Bags:
    """Texts as sets of words with their weights; the first `known` are real."""

    def __init__(self, texts: Sequence[str], real: set[str]) -> None:
        import numpy as np

        bags = [sorted(set(words(text))) or [text] for text in texts]  # of signs alone, the whole text is a word
        self.known = sum(text in real for text in texts)
        seen = Counter(chain.from_iterable(bags[: self.known]))
        every = sorted(set(chain.from_iterable(bags)), key=lambda word: (seen[word], word))
        number = {word: at for at, word in enumerate(every)}  # the rarest has the lowest
        n = self.known
        self.rarity = np.array([math.log((1 + n) / (1 + seen[word])) for word in every])
        self.weight = self.rarity + 1
        self.chance = 2 * math.log(max(1, n)) - 1e-9
        """Of the rarities of independent words, the sum that one pair in n^2 would have in common."""
        self.lengths = np.fromiter(map(len, bags), np.int64, len(bags))
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.owner = np.repeat(np.arange(len(bags)), self.lengths)
        self.word = np.fromiter(chain.from_iterable(sorted(map(number.__getitem__, bag)) for bag in bags), np.int64)
        self.whole = np.bincount(self.owner, self.weight[self.word], len(bags))

    def prefixes(self, likeness: float) -> tuple[NDArray[np.uint32], Ints]:
        """The rarest words of each text, of which every pair at the likeness has one in common: (words, texts).

        Two such texts share at least `likeness` of the weight of either; so the rarest word that they share comes, in
        either, before what is left weighs less than that.
        """
        import numpy as np

        before = np.cumsum(self.weight[self.word]) - self.weight[self.word]
        before -= np.repeat(before[self.starts], self.lengths)
        whole = self.whole[self.owner]
        rare = whole - before >= likeness * whole - 1e-6
        return self.word[rare].astype(np.uint32), self.owner[rare]

    def alike(self, i: Ints, j: Ints, likeness: float) -> Floats:
        """The likeness of each pair; 0 where the weights alone keep it below, or where chance gives what is shared."""
        import numpy as np

        found = np.zeros(len(i))
        low, high = np.minimum(self.whole[i], self.whole[j]), np.maximum(self.whole[i], self.whole[j])
        possible = np.flatnonzero(low >= (likeness - 1e-9) * high)
        size = np.cumsum(self.lengths[i[possible]] + self.lengths[j[possible]])
        cuts = np.searchsorted(size, np.arange(TOGETHER, size[-1] if len(size) else 0, TOGETHER))
        for part in np.split(possible, cuts):
            shared, rarity = self._shared(i[part], j[part])
            likenesses = shared / (self.whole[i[part]] + self.whole[j[part]] - shared)
            found[part] = np.where(rarity >= self.chance, likenesses, 0.0)
        return found

    def _shared(self, i: Ints, j: Ints) -> tuple[Floats, Floats]:
        """Of the words that the texts of each pair have in common, the weight and the rarity."""
        import numpy as np

        pair = np.arange(len(i)) << 32
        sides = [
            np.repeat(pair, self.lengths[side]) | self.word[spans(self.starts[side], self.lengths[side])]
            for side in (i, j)
        ]
        tagged = np.sort(np.concatenate(sides))
        twice = tagged[1:][tagged[1:] == tagged[:-1]]
        at, word = twice >> 32, twice & 0xFFFFFFFF
        weight, rarity = (np.bincount(at, of[word], len(i)).astype(np.float64) for of in (self.weight, self.rarity))
        return weight, rarity
