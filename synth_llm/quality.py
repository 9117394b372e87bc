"""A quality score without a model of language: what a row looks like, weighed as people or a judge rated others."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synth_llm.text import Text, read, repeated

if TYPE_CHECKING:
    import numpy as np

STRENGTH = 0.001
"""The inverse of the regularisation's strength: rated rows are few, features many, and each says little alone."""
VECTORS = 10.0
"""The factor of vectors of length one: of 384 numbers each is about 1/20, with the factor half a standard deviation."""
FAR = 4.0
"""Standard deviations at which a feature is cut off, so that one odd row does not decide."""
FOLDS = 5
RESAMPLES = 1000

_ITEM = re.compile(r"(?:[-*•–]|\(?\d{1,3}[.)])\s")
_STOP_WORDS = frozenset(
    {
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "has", "have", "he", "her", "his"),
        *("i", "in", "is", "it", "its", "of", "on", "or", "our", "she", "that", "the", "their", "them", "they"),
        *("this", "to", "was", "we", "were", "which", "will", "with", "you", "your"),
    }
)

STATISTICS = (
    *("words", "characters a word", "sentences", "words a sentence", "lines", "list lines", "distinct words"),
    *("stop words", "digits", "capitals", "punctuation", "commas a word", "repeated pairs", "ends with a mark"),
    *("question marks", "code", "colons", "numbers", "long words", "quotes"),
)


def statistics(text: Text) -> list[float]:
    """The numbers that describe one text, named by `STATISTICS`: counts as log(1 + count), shares in [0, 1]."""
    words, raw = text.words, text.raw
    count, size = max(1, len(words)), max(1, len(raw))
    sentences, lines = len(text.sentences), text.lines
    letters = sum(map(len, words))
    return [
        math.log1p(len(words)),
        letters / count,
        math.log1p(sentences),
        math.log1p(count / max(1, sentences)),
        math.log1p(len(lines)),
        sum(bool(_ITEM.match(line)) for line in lines) / max(1, len(lines)),
        len(set(words)) / count,
        sum(word in _STOP_WORDS for word in words) / count,
        sum(map(str.isdigit, raw)) / size,
        sum(map(str.isupper, raw)) / size,
        sum(not (c.isalnum() or c.isspace()) for c in raw) / size,
        raw.count(",") / count,
        repeated(words, 2),
        float(raw.rstrip().endswith((".", "!", "?", '"', "”", ")"))),
        math.log1p(raw.count("?")),
        float(any(sign in raw for sign in ("```", "{", "();", "def ", "SELECT ", "</"))),
        raw.count(":") / count,
        sum(map(str.isdigit, words)) / count,
        sum(len(word) > 8 for word in words) / count,
        (raw.count('"') + raw.count("“")) / count,
    ]


def relations(first: Text, last: Text) -> list[float]:
    """How the last text of a row (the answer) stands to the others: shares of words in common, log ratio of lengths."""
    one, other = set(first.words), set(last.words)
    both = len(one & other)
    return [
        both / max(1, len(one)),
        both / max(1, len(other)),
        math.log((1 + len(last.words)) / (1 + len(first.words))),
    ]


def features(texts: Sequence[str]) -> list[float]:
    """The features of one row: of each of its columns, and of the last one against the first."""
    found = [read(text) for text in texts]
    return [value for text in found for value in statistics(text)] + relations(found[0], found[-1])


class Scorer:
    """A logistic regression over features and, if given, vectors of rows: the probability that a row is good.

    Vectors of length one are weighed as `VECTORS` says beside the standardised features, so that hundreds of
    their numbers do not outweigh the few statistics.
    """

    def __init__(self, values: np.ndarray, good: np.ndarray, vectors: np.ndarray | None = None) -> None:
        """`values` (n, d) float, `good` (n,) bool with both kinds, `vectors` (n, e) or None."""
        from sklearn.linear_model import LogisticRegression

        self.mean = values.mean(axis=0)
        self.spread = _or_one(values.std(axis=0))
        self.model = LogisticRegression(C=STRENGTH, max_iter=5000)
        self.model.fit(self._inputs(values, vectors), good)

    def __call__(self, values: np.ndarray, vectors: np.ndarray | None = None) -> np.ndarray:
        """(n,) probabilities in [0, 1]."""
        scores: np.ndarray = self.model.predict_proba(self._inputs(values, vectors))[:, 1]
        return scores

    def _inputs(self, values: np.ndarray, vectors: np.ndarray | None) -> np.ndarray:
        import numpy as np

        plain = np.clip((values - self.mean) / self.spread, -FAR, FAR)
        return plain if vectors is None else np.hstack([plain, VECTORS * vectors])


def _or_one(spread: np.ndarray) -> np.ndarray:
    """Standard deviations, with 1 for a feature that never changes."""
    import numpy as np

    return np.where(spread > 1e-9, spread, 1.0)


def held_out(values: np.ndarray, good: np.ndarray, vectors: np.ndarray | None, seed: int) -> np.ndarray:
    """Each rated row's score by a scorer that was fitted without it: cross-validation in `FOLDS` stratified parts."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    scores = np.zeros(len(good))
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for fitted, rest in parts.split(values, good):
        scorer = Scorer(values[fitted], good[fitted], None if vectors is None else vectors[fitted])
        scores[rest] = scorer(values[rest], None if vectors is None else vectors[rest])
    return scores


def auroc(scores: np.ndarray, good: np.ndarray) -> float:
    """The share of pairs (a good row, another) in which the good one has the higher score; ties count half.

    Raises ValueError when rows of one kind are missing.
    """
    import numpy as np

    positive = int(good.sum())
    negative = len(good) - positive
    if not positive or not negative:
        raise ValueError("AUROC needs rows of both kinds")
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]  # from 1; ties share their mean
    return float((ranks[good].sum() - positive * (positive + 1) / 2) / (positive * negative))


def auroc_interval(scores: np.ndarray, good: np.ndarray, seed: int, against: np.ndarray | None = None) -> list[float]:
    """The 95 % bootstrap interval of the AUROC, or of how much higher it is than that of the scores `against`.

    Rows are drawn with replacement, good ones and others apart (Efron and Tibshirani 1993, section 13.3).
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    kinds = np.flatnonzero(good), np.flatnonzero(~good)
    found = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([generator.choice(kind, len(kind)) for kind in kinds])
        value = auroc(scores[drawn], good[drawn])
        found.append(value if against is None else value - auroc(against[drawn], good[drawn]))
    low, high = np.quantile(found, [0.025, 0.975])
    return [float(low), float(high)]
