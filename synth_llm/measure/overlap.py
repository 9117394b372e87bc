"""How much of a reference stands in what was written: BLEU, chrF and ROUGE, by sacrebleu and rouge-score.

Everywhere a list of texts and as many references, one each. Intervals are the percentile bootstrap over the pairs, of
the figure that the corpus as a whole gets. Every measure raises ValueError when the lists differ in length, and
MissingExtra without its package; without any pair the figure is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from synth_llm.errors import MissingExtra
from synth_llm.measure.interval import Interval, bootstrap
from synth_llm.measure.metric import metric

TIMES = 1000
"""Bootstrap samples: a corpus figure is computed anew from the counts of each."""


@metric("text", "text", range=(0, 100), direction="higher", unit="points", source="Papineni et al. 2002; Post 2018")
def bleu(predictions: Sequence[str], references: Sequence[str], *, seed: int = 0) -> Interval:
    """Corpus BLEU of up to four words, in points.

    sacrebleu's `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`.
    """
    _paired(predictions, references)
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise MissingExtra("bleu", "evaluate") from error

    return _corpus(BLEU(), predictions, references, seed)


@metric("text", "text", range=(0, 100), direction="higher", unit="points", source="Popović 2015; Post 2018")
def chrf(predictions: Sequence[str], references: Sequence[str], *, seed: int = 0) -> Interval:
    """Corpus chrF, the F-measure of sequences of up to six characters with recall twice as heavy, in points.

    sacrebleu's `nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no`.
    """
    _paired(predictions, references)
    try:
        from sacrebleu.metrics.chrf import CHRF
    except ImportError as error:
        raise MissingExtra("chrf", "evaluate") from error

    return _corpus(CHRF(), predictions, references, seed)


@metric("text", "text", range=(0, 1), direction="higher", unit="", source="Lin 2004, section 2")
def rouge_1(predictions: Sequence[str], references: Sequence[str], *, seed: int = 0) -> Interval:
    """The mean F-measure of common words: ROUGE-1 of rouge-score, which knows a to z and digits, without a stemmer."""
    return _rouge("rouge1", predictions, references, seed)


@metric("text", "text", range=(0, 1), direction="higher", unit="", source="Lin 2004, section 2")
def rouge_2(predictions: Sequence[str], references: Sequence[str], *, seed: int = 0) -> Interval:
    """The mean F-measure of common pairs of words: ROUGE-2 of rouge-score, otherwise as `rouge_1`."""
    return _rouge("rouge2", predictions, references, seed)


@metric("text", "text", range=(0, 1), direction="higher", unit="", source="Lin 2004, section 3.1")
def rouge_l(predictions: Sequence[str], references: Sequence[str], *, seed: int = 0) -> Interval:
    """The mean F-measure of the longest common subsequence of words: ROUGE-L of rouge-score, otherwise as `rouge_1`.

    Of each text as one sentence: line ends split nothing.
    """
    return _rouge("rougeL", predictions, references, seed)


def _corpus(scorer: Any, predictions: Sequence[str], references: Sequence[str], seed: int) -> Interval:
    """What sacrebleu's scorer says of all pairs, and of bootstrap samples of their counts."""
    import numpy as np

    if not predictions:
        return Interval(math.nan, math.nan, math.nan)
    value = float(scorer.corpus_score(predictions, [references]).score)
    counts = np.array(scorer._extract_corpus_statistics(predictions, [references]))  # not public, nor anything like it

    def score(rows: Any) -> float:
        return float(scorer._compute_score_from_stats(counts[rows].sum(axis=0).tolist()).score)

    return bootstrap(score, len(counts), seed=seed, times=TIMES, value=value)


def _rouge(kind: str, predictions: Sequence[str], references: Sequence[str], seed: int) -> Interval:
    import numpy as np

    _paired(predictions, references)
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise MissingExtra("rouge", "evaluate") from error

    if not predictions:
        return Interval(math.nan, math.nan, math.nan)
    scorer = RougeScorer([kind])
    pairs = zip(predictions, references, strict=True)
    scores = np.array([scorer.score(reference, prediction)[kind].fmeasure for prediction, reference in pairs])
    return bootstrap(lambda rows: float(scores[rows].mean()), len(scores), seed=seed, times=TIMES)


def _paired(predictions: Sequence[str], references: Sequence[str]) -> None:
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, but {len(references)} references")
