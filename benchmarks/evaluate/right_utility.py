"""Scores of predicted classes on random inputs against scikit-learn, and their intervals against scipy and loops."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, precision_recall_fscore_support
from statsmodels.stats.proportion import proportion_confint

from synth_llm.measure.agreement import accuracy
from synth_llm.measure.classification import macro_f1, matthews, per_class
from synth_llm.measure.interval import RESAMPLES
from synth_llm.measure.two_level import accuracies, difference, interval, macro_f1s

CASES = 200
EQUAL = 1e-6
LINE = "right_numbers"
TRIES = 400
"""Made-up experiments of which the interval should hold the truth in 95 of 100."""

Line = tuple[str, str, str, bool]


def bar() -> Iterator[Line]:
    """A line a measure."""
    pairs = [_pair(np.random.default_rng(seed)) for seed in range(CASES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of classes on one side only
        yield _equal("accuracy", "scikit-learn", [(accuracy(g, s).value, accuracy_score(g, s)) for s, g in pairs])
        scores = [(macro_f1(s, g), f1_score(g, s, average="macro")) for s, g in pairs]
        yield _equal("macro_f1", "scikit-learn", scores)
        yield _equal("matthews", "scikit-learn", [(matthews(s, g), matthews_corrcoef(g, s)) for s, g in pairs])
        yield _equal("per class", "scikit-learn", [cell for s, g in pairs for cell in _cells(s, g)])
    ends = [(end, other) for s, g in pairs for end, other in zip(accuracy(g, s)[1:], _wilson(s, g), strict=True)]
    yield _equal("accuracy's interval", "statsmodels' Wilson", ends)
    yield _loop()
    yield _against_scipy()
    yield _held()


def _pair(draws: np.random.Generator) -> tuple[list[str], list[str]]:
    """Predicted and right classes of 1 to 300 rows, of 2 to 8 classes; about half are right."""
    n, names = int(draws.integers(1, 300)), list("abcdefgh")[: draws.integers(2, 9)]
    gold = draws.choice(names, n)
    said = np.where(draws.random(n) < 0.5, gold, draws.choice(names, n))
    return said.tolist(), gold.tolist()


def _equal(name: str, against: str, pairs: Sequence[tuple[float, float]]) -> Line:
    ours, theirs = np.array(pairs, float).T
    off = float(np.nanmax(np.abs(ours - theirs)))
    both = bool((np.isnan(ours) == np.isnan(theirs)).all())
    return (
        LINE,
        f"{name}: off by {off:.1e} at most of {len(ours)}; against {against}",
        f"<= {EQUAL:g}",
        off <= EQUAL and both,
    )


def _cells(said: Sequence[str], gold: Sequence[str]) -> list[tuple[float, float]]:
    theirs = precision_recall_fscore_support(gold, said, labels=sorted({*said, *gold}), zero_division=np.nan)
    ours = [one[1:] for one in per_class(said, gold)]
    return [
        (float(one[at]), float(value))
        for at, column in enumerate(theirs)
        for one, value in zip(ours, column, strict=True)
    ]


def _wilson(said: Sequence[str], gold: Sequence[str]) -> tuple[float, float]:
    right = sum(one == other for one, other in zip(said, gold, strict=True))
    low, high = proportion_confint(right, len(gold), method="wilson")
    return float(low), float(high)


def _students(draws: np.random.Generator, gold: Sequence[str], rights: Sequence[float]) -> list[list[str]]:
    names = sorted(set(gold))
    n = len(gold)
    return [np.where(draws.random(n) < right, gold, draws.choice(names, n)).tolist() for right in rights]


def _loop() -> Line:
    """Each resample's score, by scikit-learn on the rows that were drawn."""
    draws, n, times = np.random.default_rng(1), 150, 100
    gold = draws.choice(list("abcd"), n, p=[0.6, 0.2, 0.15, 0.05]).tolist()
    said = _students(draws, gold, [0.5, 0.6, 0.7])
    pairs = []
    drawn = np.random.default_rng(7).integers(0, n, (times, n))
    for ours, score in (
        (accuracies, accuracy_score),
        (macro_f1s, lambda right, given: f1_score(right, given, average="macro")),
    ):
        found = ours(gold, {"": said}, seed=7, times=times)[""].again
        for rows, one in zip(drawn, found, strict=True):
            pairs.append((one, np.mean([score(np.array(gold)[rows], np.array(each)[rows]) for each in said])))
    return _equal("resampled scores", "scikit-learn in a loop over the drawn rows", pairs)


def _against_scipy() -> Line:
    """The ends of a paired difference; both are random, and are held to a tenth of the interval's width."""
    draws, n, worst = np.random.default_rng(2), 400, 0.0
    gold = draws.choice(list("ab"), n).tolist()
    for _ in range(10):
        one, other = _students(draws, gold, [0.6, 0.5])
        found = accuracies(gold, {"one": [one], "other": [other]})
        ours = difference(found["one"], found["other"])
        hits = [np.array(said) == np.array(gold) for said in (one, other)]
        theirs = bootstrap(
            hits,
            lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
            paired=True,
            method="percentile",
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(3),
        ).confidence_interval
        wide = theirs.high - theirs.low
        worst = max(worst, abs(ours.low - theirs.low) / wide, abs(ours.high - theirs.high) / wide)
    figure = (
        f"paired difference: ends off by {worst:.3f} of the interval's width at most of 10; against scipy's bootstrap"
    )
    return LINE, figure, "<= .1, for both are random", worst <= 0.1


def _held() -> Line:
    """How often the interval of five draws holds the truth, where rows differ in how hard and draws in how good.

    Half of a row's luck is the same for all draws, as of students that learned much the same.
    """
    draws, n, held = np.random.default_rng(4), 200, 0
    for _ in range(TRIES):
        shared, own = draws.random(n), draws.random((5, n))
        luck = np.where(draws.random(n) < 0.5, shared, own)
        said = [
            np.where(one < 0.7 + good, "a", "b").tolist()
            for one, good in zip(luck, draws.normal(0, 0.03, 5), strict=True)
        ]
        found = interval(accuracies(["a"] * n, {"": said}, times=500)[""])
        held += found.low <= 0.7 <= found.high
    share = held / TRIES
    figure = f"two-level interval of 5 draws on {n} rows: holds the truth in {share:.1%} of {TRIES} made-up experiments"
    return LINE, figure, "95 % or more, within what so many can tell", share >= 0.93
