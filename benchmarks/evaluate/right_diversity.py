"""Diversity, overlap and agreement on random inputs, against other packages and plain code: equal to 1e-6."""

from __future__ import annotations

import json
import math
import random
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import last_line, python_of, scripts
from benchmarks.runner import Failed
from synth_llm.measure import agreement, diversity, overlap

CASES = 40
EQUAL = 1e-6
LINE = "right_numbers"


def bar() -> Iterator[tuple[str, str, str, bool]]:
    sets = [_texts(random.Random(seed)) for seed in range(CASES)]
    pairs = [(one, _near(one, random.Random(seed))) for seed, one in enumerate(sets)]
    yield from _texts_alone(sets)
    yield _vendi()
    yield from _overlap(pairs)
    yield from _agreement()


def _texts(draw: random.Random) -> list[str]:
    """A set of 2 to 40 texts of 1 to 30 of the words of a vocabulary of its own."""
    names = [f"w{at}" for at in range(draw.randint(2, 200))]
    return [" ".join(draw.choices(names, k=draw.randint(1, 30))) for _ in range(draw.randint(2, 40))]


def _near(texts: Sequence[str], draw: random.Random) -> list[str]:
    """Each text with a fifth of its words replaced by the first one's, and the rest in place."""
    other = texts[0].split()
    return [" ".join(draw.choice(other) if draw.random() < 0.2 else word for word in one.split()) for one in texts]


def _compared(name: str, against: str, ours: Sequence[float], theirs: Sequence[float]) -> tuple[str, str, str, bool]:
    """The line of one metric."""
    off = max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
    figure = f"{name}: off by {off:.1e} at most in {len(ours)} random cases; against {against}"
    return LINE, figure, f"<= {EQUAL:g}", off <= EQUAL


def _texts_alone(sets: Sequence[list[str]]) -> Iterator[tuple[str, str, str, bool]]:
    for n in (1, 2):
        ours = [diversity.distinct_n(texts, n=n) for texts in sets]
        yield _compared(f"distinct_{n}", "plain code", ours, [_distinct(texts, n) for texts in sets])
    ours = [diversity.self_bleu(texts) for texts in sets]
    yield _compared("self_bleu", "NLTK's sentence_bleu, method 1", ours, [_self_bleu(texts) for texts in sets])
    ours = [diversity.compression_ratio(texts) for texts in sets]
    yield _compared("compression_ratio", "plain code over zlib", ours, [_compressed(texts) for texts in sets])
    ours = [diversity.novelty(texts) for texts in sets]
    yield _compared("novelty", "a loop over rouge-score", ours, [_novelty(texts) for texts in sets])
    vectors = [np.random.default_rng(seed).normal(0.3, 1, (3 + seed, 5)) for seed in range(CASES)]
    ours = [diversity.dispersion(one) for one in vectors]
    yield _compared("dispersion", "SciPy's pdist", ours, [_dispersion(one) for one in vectors])


def _distinct(texts: Sequence[str], n: int) -> float:
    split = [text.split(" ") for text in texts]
    grams = [" ".join(one[at : at + n]) for one in split for at in range(len(one) - n + 1)]
    return len(set(grams)) / len(grams)


def _self_bleu(texts: Sequence[str]) -> float:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    split, smooth = [text.split() for text in texts], SmoothingFunction(epsilon=0.1).method1
    scores = [
        sentence_bleu([other for number, other in enumerate(split) if number != at], one, smoothing_function=smooth)
        for at, one in enumerate(split)
    ]
    return float(np.mean(scores))


def _compressed(texts: Sequence[str]) -> float:
    """gzip by its parts: a header of 10 bytes, what DEFLATE makes, a trailer of 8."""
    raw = "\n".join(texts).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return len(raw) / (18 + len(packer.compress(raw) + packer.flush()))


def _novelty(texts: Sequence[str]) -> float:
    from rouge_score.rouge_scorer import RougeScorer

    scorer, highest = RougeScorer(["rougeL"]), []
    for at, text in enumerate(texts):
        others = [other for number, other in enumerate(texts) if number != at]
        highest.append(max(scorer.score(other, text)["rougeL"].fmeasure for other in others))
    return 1 - float(np.mean(highest))


def _dispersion(vectors: np.ndarray) -> float:
    from scipy.spatial.distance import pdist

    return float(pdist(vectors, "cosine").mean())


def _vendi() -> tuple[str, str, str, bool]:
    """More vectors than numbers in each, and fewer."""
    python = python_of("evaluate", "diversity")
    sizes = [(3 + 7 * at, 5 + (11 * at) % 60) for at in range(CASES)]
    cases = [np.random.default_rng(at).normal(0.3, 1, size) for at, size in enumerate(sizes)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.npz"
        np.savez(path, **{f"case{at}": one for at, one in enumerate(cases)})  # type: ignore[arg-type]
        command = [python, str(scripts("evaluate") / "vendi_of.py"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise Failed(f"vendi-score: {last_line(done.stderr)}")
    return _compared("vendi", "vendi-score", [diversity.vendi(one) for one in cases], json.loads(done.stdout))


def _overlap(pairs: Sequence[tuple[list[str], list[str]]]) -> Iterator[tuple[str, str, str, bool]]:
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    whole: dict[Callable[..., Any], Callable[..., Any]] = {
        overlap.bleu: sacrebleu.corpus_bleu,
        overlap.chrf: sacrebleu.corpus_chrf,
    }
    for ours, theirs in whole.items():
        found = [ours(said, right).value for said, right in pairs]
        yield _compared(ours.__name__, "sacrebleu", found, [theirs(said, [right]).score for said, right in pairs])
    for ours, kind in ((overlap.rouge_1, "rouge1"), (overlap.rouge_2, "rouge2"), (overlap.rouge_l, "rougeL")):
        scorer, expected = RougeScorer([kind]), []
        for said, right in pairs:
            scores = [scorer.score(other, one)[kind].fmeasure for one, other in zip(said, right, strict=True)]
            expected.append(float(np.mean(scores)))
        found = [ours(said, right).value for said, right in pairs]
        yield _compared(ours.__name__, "rouge-score", found, expected)


def _agreement() -> Iterator[tuple[str, str, str, bool]]:
    from sklearn.metrics import accuracy_score, cohen_kappa_score
    from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

    draws = np.random.default_rng(0)
    raters = [draws.integers(0, 2 + at % 4, (30 + at, 3 + at % 3)) for at in range(CASES)]
    two = [(one[:, 0].tolist(), one[:, 1].tolist()) for one in raters]
    found = [agreement.accuracy(one, other).value for one, other in two]
    yield _compared("accuracy", "scikit-learn", found, [accuracy_score(one, other) for one, other in two])
    for weights in (None, "linear", "quadratic"):
        ours = [agreement.cohen_kappa(one, other, weights) for one, other in two]  # type: ignore[arg-type]
        theirs = [cohen_kappa_score(one, other, weights=weights) for one, other in two]
        yield _compared(f"cohen_kappa, weights {weights or 'none'}", "scikit-learn", ours, theirs)
    ours = [agreement.fleiss_kappa(one.tolist()) for one in raters]
    yield _compared("fleiss_kappa", "statsmodels", ours, [fleiss_kappa(aggregate_raters(one)[0]) for one in raters])
    if any(map(math.isnan, ours)):
        raise Failed("a kappa that is not defined: draw other cases")
