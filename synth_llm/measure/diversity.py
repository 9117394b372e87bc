"""How much the texts of a set differ: in words, in what a compressor finds, in meaning, in their attributes.

All of these depend on how many texts there are and how long these are, so sets are compared at equal size and length:
`matched` cuts and draws them, `common_length` says where.
"""

from __future__ import annotations

import gzip
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from synth_llm.measure.interval import Interval
from synth_llm.measure.metric import metric
from synth_llm.similar.rouge import closest, need_rapidfuzz, rouge_tokens
from synth_llm.text import Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Vectors = NDArray[np.float64]

MOST = 2000
"""Texts that are drawn of a larger set, where not all are looked at."""
ORDERS = 4
"""Self-BLEU counts sequences of one to so many words."""
SMOOTH = 0.1
"""What a sequence length without a match counts as, in matches: method 1 of Chen and Cherry 2014, as in Texygen."""

HALVES = 20
"""Random halves of a set, to see how a measure scatters."""
T = 2.093024054408263
"""Standard deviations of Student's t with HALVES - 1 degrees of freedom that hold 95 % of it."""


def words(text: str) -> list[str]:
    """A text's words, as all measures of words here see it: lower case, no punctuation; `synth_llm.text`."""
    return Text(text).words


@metric("text", range=(0, 1), direction="higher", unit="share", source="Li et al. 2016 (arXiv 1510.03055)")
def distinct_n(texts: Sequence[str], *, n: int = 2) -> float:
    """The share of all sequences of `n` words that are different ones; NaN where there is none.

    The paper divides by all words, which for n = 1 is the same and else a little less. It falls with the number of
    texts and with their length, as words come again.
    """
    seen = Counter(gram for text in texts for gram in _grams(words(text), n))
    return len(seen) / seen.total() if seen else math.nan


@metric("text", range=(0, 1), direction="lower", unit="", source="Zhu et al. 2018 (Texygen, arXiv 1802.01886)")
def self_bleu(texts: Sequence[str], *, most: int = MOST, seed: int = 0) -> float:
    """The mean BLEU-4 of each text, held against all others as its references; NaN for fewer than two texts.

    Sentence BLEU with smoothing by 0.1, as in Texygen (NLTK's method 1); words as `words` finds them. Exact for `most`
    texts, which are drawn of more: both the texts and their references. It rises with the number of texts, as each has
    more to be like, and is low for texts of fewer than four words, which have no sequence of four. Texts without words
    are left out.
    """
    split = [found for found in map(words, drawn(texts, most, seed)) if found]
    if len(split) < 2:
        return math.nan
    lengths = Counter(map(len, split))
    scores = (_bleu(len(one), lengths, found) for one, found in zip(split, _matches(split).tolist(), strict=True))
    return math.fsum(scores) / len(split)


@metric("text", range=(0, math.inf), direction="lower", unit="ratio", source="Shaib et al. 2024 (arXiv 2403.00553)")
def compression_ratio(texts: Sequence[str]) -> float:
    """How many times smaller gzip makes the texts: bytes before by bytes after; NaN for no text.

    One text a line, in UTF-8, in the given order, at level 9. gzip looks 32 KB back, so the order counts where texts
    that are alike stand far apart: draw them in a random order to compare sets. It rises with the size of small sets.
    """
    raw = "\n".join(texts).encode("utf-8", "surrogatepass")
    return len(raw) / len(gzip.compress(raw, 9, mtime=0)) if raw else math.nan


@metric(
    "vector",
    range=(0, 2),
    direction="higher",
    unit="cosine distance",
    source="Tevet and Berant 2021 (arXiv 2004.02990)",
)
def dispersion(vectors: ArrayLike) -> float:
    """The mean cosine distance of all pairs of (n, d) vectors; NaN for fewer than two.

    Exact, from the sum of the vectors. Its expectation does not depend on how many there are. Zero vectors, which blank
    texts have, are left out.
    """
    import numpy as np

    units = _units(vectors)
    n = len(units)
    if n < 2:
        return math.nan
    total = units.sum(axis=0)
    return 1 - (float(np.dot(total, total)) - n) / (n * (n - 1))


@metric(
    "vector",
    range=(1, math.inf),
    direction="higher",
    unit="effective texts",
    source="Friedman and Dieng 2023 (arXiv 2210.02410), definition 3.1",
)
def vendi(vectors: ArrayLike) -> float:
    """How many wholly different texts would be as diverse: the Vendi score with cosine similarity; NaN for none.

    The exponential of the entropy of the eigenvalues of K / n, from the smaller of the (n, n) and (d, d) products of
    (n, d) vectors, so that n is no limit. It rises with n, up to the smaller of n and d. Zero vectors are left out.
    """
    import numpy as np

    units = _units(vectors)
    if not len(units):
        return math.nan
    square = units @ units.T if len(units) <= units.shape[1] else units.T @ units
    values = np.linalg.eigvalsh(square / len(units))
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


@metric("text", range=(0, 1), direction="higher", unit="", source="Wang et al. 2023 (Self-Instruct, arXiv 2212.10560)")
def novelty(texts: Sequence[str], *, most: int = MOST, seed: int = 0) -> float:
    """One less the mean of each text's highest ROUGE-L F-measure with any other one; NaN for fewer than two texts.

    Exact for `most` texts, which are drawn of more. It falls with the number of texts, as each has more to be like.
    Texts without a Latin letter or a digit are left out. Raises MissingExtra without rapidfuzz.
    """
    need_rapidfuzz("novelty")
    rows = [tokens for tokens in map(rouge_tokens, drawn(texts, most, seed)) if tokens]
    return 1 - float(closest(rows).mean()) if len(rows) > 1 else math.nan


@metric("label", "label", range=(0, 1), direction="higher", unit="share", source="a plain share")
def attribute_coverage(values: Iterable[Hashable], expected: Iterable[Hashable]) -> float:
    """The share of the different expected values that come at all; NaN where none is expected. Rises with the rows."""
    wanted = set(expected)
    return len(wanted & set(values)) / len(wanted) if wanted else math.nan


@metric("label", "label", range=(0, 1), direction="higher", unit="", source="Pielou 1966, evenness J'")
def evenness(values: Sequence[Hashable], expected: Iterable[Hashable]) -> float:
    """The entropy of the values by that of equal shares of all that come or are expected; NaN for fewer than two."""
    counts = Counter(values)
    kinds = len({*counts, *expected})
    if kinds < 2 or not counts:
        return math.nan
    shares = [count / counts.total() for count in counts.values()]
    return -math.fsum(share * math.log(share) for share in shares) / math.log(kinds)


def common_length(*sets: Sequence[str]) -> int:
    """The words to cut texts to, so that three of four of each set have as many: the lowest lower quartile, 1 or more.

    Every set has texts.
    """
    import numpy as np

    return max(1, min(int(np.quantile([len(words(text)) for text in texts], 0.25)) for texts in sets))


class Matched(NamedTuple):
    """Texts that can be compared with as many others of as many words."""

    texts: list[str]
    of: int
    """How many texts were long enough to be drawn."""


def matched(texts: Sequence[str], words: int | None, rows: int, seed: int = 0) -> Matched:
    """`rows` texts of `words` words each: texts with fewer left out, longer ones cut, drawn without replacement.

    None leaves the texts as they are. Fewer than `rows` where there are not as many. In a random order that depends
    on the texts and the seed alone, not on the order in which they come. `halves` of what it gives shows the spread.
    """
    import numpy as np

    cut = list(texts) if words is None else [one for one in (Text(text).first(words) for text in texts) if one]
    cut.sort()
    order = np.random.default_rng(seed).permutation(len(cut))[:rows]
    return Matched([cut[at] for at in order.tolist()], len(cut))


def halves(statistic: Callable[[NDArray[np.intp]], float], n: int, seed: int = 0) -> Interval:
    """What half of `n` rows score on average, with an interval for what half as many of all such rows would.

    The mean over random halves, and Student's t times their standard deviation: halves drawn without replacement
    scatter as a mean over all n rows does (half-samples: McCarthy 1969, "Pseudo-replication"). Unlike resamples of the
    bootstrap they hold no row twice, which would itself be less diverse. `statistic` is given the numbers of the rows;
    fewer than two rows have no half.
    """
    import numpy as np

    draws = np.random.default_rng(seed)
    found = [float(statistic(draws.choice(n, n // 2, replace=False))) for _ in range(HALVES)]
    mean, reach = float(np.mean(found)), T * float(np.std(found, ddof=1))
    return Interval(mean, mean - reach, mean + reach)


def drawn(texts: Sequence[str], most: int, seed: int) -> Sequence[str]:
    """The texts; of more than `most`, so many of them, without replacement."""
    import numpy as np

    if len(texts) <= most:
        return texts
    return [texts[at] for at in np.random.default_rng(seed).choice(len(texts), most, replace=False).tolist()]


def _grams(words: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[at:] for at in range(n)), strict=False)


def _matches(split: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """(n, ORDERS) how many sequences of 1, 2, ... words of each text stand in another, each as often as in one at most.

    For each sequence it is enough to know which text has it most often, and how often the next one has it.
    """
    import numpy as np

    number: dict[str, int] = {}
    flat = np.array([number.setdefault(word, len(number)) for one in split for word in one], dtype=np.int64)
    owner = np.repeat(np.arange(len(split)), list(map(len, split)))
    found = np.zeros((len(split), ORDERS), dtype=np.int64)
    start, code = np.arange(len(flat)), flat
    for order in range(ORDERS):
        if order:
            inside = start + order < len(flat)
            inside[inside] = owner[start[inside] + order] == owner[start[inside]]
            start, code = start[inside], code[inside]
            code = np.unique(code * len(number) + flat[start + order], return_inverse=True)[1]
        gram, who, count = _counted(code, owner[start], len(split))
        last = np.flatnonzero(np.r_[gram[1:] != gram[:-1], np.ones(min(1, len(gram)), dtype=bool)])
        groups = np.diff(last, prepend=-1)
        most = np.repeat(count[last], groups)
        most[last] = np.where(groups > 1, count[last - 1], 0)
        np.add.at(found[:, order], who, np.minimum(count, most))
    return found


def _counted(code: NDArray[np.int64], owner: NDArray[np.int64], texts: int) -> tuple[NDArray[np.int64], ...]:
    """The sequence, the text and how often it has it, of all that come; by sequence, then by how often."""
    import numpy as np

    pairs, count = np.unique(code * texts + owner, return_counts=True)
    gram, who = np.divmod(pairs, texts)
    order = np.lexsort((count, gram))
    return gram[order], who[order], count[order]


def _bleu(length: int, lengths: Counter[int], matches: Sequence[int]) -> float:
    """Sentence BLEU of a text of `length` words, of which `lengths` counts this one and all its references."""
    if not matches[0]:
        return 0.0
    others = (other for other, count in lengths.items() if other != length or count > 1)
    reference = min(others, key=lambda other: (abs(other - length), other))
    brevity = min(0.0, 1 - reference / length)
    logs = (math.log((found or SMOOTH) / max(1, length - n)) for n, found in enumerate(matches))
    return math.exp(brevity + math.fsum(logs) / ORDERS)


def _units(vectors: ArrayLike) -> Vectors:
    """(m, d) the vectors that are not zero, each of length one."""
    import numpy as np

    given = np.asarray(vectors, dtype=np.float64)
    given = given.reshape(len(given), -1) if len(given) else np.zeros((0, 0))
    norms = np.linalg.norm(given, axis=1, keepdims=True)
    units: Vectors = given[norms[:, 0] > 0] / norms[norms[:, 0] > 0]
    return units
