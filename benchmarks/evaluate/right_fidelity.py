"""Fidelity on random inputs, against scipy, scikit-learn and the authors' packages: equal to 1e-6.

MAUVE is compared from the same histograms on: its authors sort vectors into cells after a PCA and with other draws. How
far the two come apart by that is shown with it, and has no goal.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.linalg import sqrtm
from scipy.spatial.distance import jensenshannon
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from benchmarks.peers import last_line, python_of, scripts
from benchmarks.runner import Failed
from synth_llm.measure import distributions, manifold, two_sample

CASES = 40
EQUAL = 1e-6
LINE = "right_numbers"
PEER_LIMIT = 300.0
"""Seconds for the authors' packages."""

Line = tuple[str, str, str, bool]


def bar() -> Iterator[Line]:
    draws = [np.random.default_rng(seed) for seed in range(CASES)]
    yield from _histograms(draws)
    yield from _numbers(draws)
    yield _frechet(draws)
    yield from _authors(draws)
    yield _c2st(draws[:8])


def _compared(name: str, against: str, ours: Sequence[float], theirs: Sequence[float]) -> Line:
    off = float(max(abs(one - other) for one, other in zip(ours, theirs, strict=True)))
    figure = f"{name}: off by {off:.1e} at most in {len(ours)} random cases; against {against}"
    return LINE, figure, f"<= {EQUAL:g}", off <= EQUAL


def _histograms(draws: Sequence[np.random.Generator]) -> Iterator[Line]:
    cases = []
    for draw in draws:
        k = int(draw.integers(2, 30))
        cases.append([draw.choice(k, draw.integers(10, 500), p=draw.dirichlet(np.ones(k))).tolist() for _ in range(2)])
    counts = [distributions.category_counts(*case)[1:] for case in cases]
    ours = [distributions.jensen_shannon(*case) for case in cases]
    yield _compared("jensen_shannon", "scipy", ours, [jensenshannon(p, q, base=2) ** 2 for p, q in counts])
    ours = [distributions.kl(*case) for case in cases]
    yield _compared("kl", "scipy", ours, [stats.entropy(q + 0.5, p + 0.5, base=2) for p, q in counts])
    ours = [distributions.total_variation(*case) for case in cases]
    theirs = [float(np.maximum(p / p.sum() - q / q.sum(), 0).sum()) for p, q in counts]
    yield _compared("total_variation", "its other formula", ours, theirs)
    found = [distributions.chi_squared(*case) for case in cases]
    tests = [stats.chi2_contingency(np.stack(both), correction=False) for both in counts]
    yield _compared("chi_squared", "scipy", [one.value for one in found], [test.statistic for test in tests])
    yield _compared("its p", "scipy", [one.p for one in found], [test.pvalue for test in tests])
    effects = [stats.contingency.association(np.stack(both), method="cramer") for both in counts]
    yield _compared("Cramér's V", "scipy", [one.v for one in found], effects)


def _numbers(draws: Sequence[np.random.Generator]) -> Iterator[Line]:
    cases = [
        [draw.normal(draw.normal() / 3, 1, draw.integers(20, 400)).round(int(draw.integers(1, 9))) for _ in range(2)]
        for draw in draws
    ]
    found = [distributions.ks(*case) for case in cases]
    tests = [stats.ks_2samp(*case, method="asymp") for case in cases]
    yield _compared("ks", "scipy", [one.value for one in found], [test.statistic for test in tests])
    rows = [math.sqrt(len(one) * len(other) / (len(one) + len(other))) for one, other in cases]
    limits = [stats.kstwobign.sf(root * test.statistic) for root, test in zip(rows, tests, strict=True)]
    yield _compared("its p", "scipy's limiting distribution", [one.p for one in found], limits)
    tables = [draw.integers(0, 20, (draw.integers(10, 200), 4)) @ draw.normal(size=(4, 4)) for draw in draws]
    for name, ranks, function in (("Pearson", False, stats.pearsonr), ("Spearman", True, stats.spearmanr)):
        ours, theirs = [], []
        for table in tables:
            found_here = distributions.correlations(table, ranks)
            for a in range(4):
                for b in range(a):
                    ours.append(float(found_here[a, b]))
                    theirs.append(float(function(table[:, a], table[:, b]).statistic))
        yield _compared(name, "scipy", ours, theirs)


def _pair(draw: np.random.Generator, least: int, d: int) -> list[Any]:
    """Two samples of vectors, some way apart."""
    return [draw.normal(shift, 1, (int(draw.integers(least, least + 60)), d)) for shift in (0, draw.random())]


def _frechet(draws: Sequence[np.random.Generator]) -> Line:
    ours, theirs = [], []
    for draw in draws:
        one, other = _pair(draw, 20, int(draw.integers(2, 12)))
        a, b = np.cov(one.T), np.cov(other.T)
        ours.append(manifold.frechet(one, other))
        means = float(((one.mean(0) - other.mean(0)) ** 2).sum())
        theirs.append(means + float(np.trace(a + b - 2 * np.real(sqrtm(a @ b)))))
    return _compared("frechet", "its formula by scipy's sqrtm", ours, theirs)


def _authors(draws: Sequence[np.random.Generator]) -> Iterator[Line]:
    cases = []
    for draw in draws:
        made, real = _pair(draw, 20, 8)
        k = int(draw.integers(2, 40))
        counts = [np.bincount(draw.choice(k, 300, p=draw.dirichlet(np.ones(k))), minlength=k) for _ in range(2)]
        cases.append((made, real, int(draw.integers(1, 8)), *counts))
    keys = ("made", "real", "k", "made_counts", "real_counts")
    given = [{key: np.asarray(part).tolist() for key, part in zip(keys, case, strict=True)} for case in cases]
    theirs = _asked(given)
    found = [manifold.covering(made, real, k) for made, real, k, *_ in cases]
    for name in manifold.Covering._fields:
        ours = [getattr(one, name) for one in found]
        yield _compared(name, "the authors' prdc", ours, [one[name] for one in theirs])
    areas = [manifold.frontier_area(p, q) for *_, p, q in cases]
    whole = [
        abs(manifold.mauve(made, real) - one["mauve_of_vectors"])
        for (made, real, *_), one in zip(cases, theirs, strict=True)
    ]
    against = (
        f"the authors' mauve-text, from the same histograms (from vectors on: {np.mean(whole):.2f} off on average)"
    )
    yield _compared("mauve", against, areas, [one["mauve"] for one in theirs])


def _asked(cases: list[dict[str, Any]]) -> list[dict[str, float]]:
    command = [python_of("evaluate", "fidelity"), str(scripts("evaluate") / "fidelity_of.py")]
    try:
        done = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, timeout=PEER_LIMIT)
    except subprocess.TimeoutExpired:
        raise Failed(f"the authors' packages took more than {PEER_LIMIT:.0f} s") from None
    if done.returncode:
        raise Failed(f"the authors' packages failed: {last_line(done.stderr)}")
    found: list[dict[str, float]] = json.loads(done.stdout)
    return found


def _c2st(draws: Sequence[np.random.Generator]) -> Line:
    ours, theirs = [], []
    for draw in draws:
        n = 60
        rows = draw.normal(size=(2 * n, 6)) + np.repeat([[draw.random()], [0.0]], n, axis=0)
        classes, folds = np.repeat([1, 0], n), two_sample.fold_numbers(np.arange(2 * n), n, draw)
        ours.append(two_sample.told_apart(rows, classes, folds) / (2 * n))
        model = LogisticRegression(max_iter=500)
        told = cross_val_predict(model, rows, classes, cv=PredefinedSplit(folds))
        theirs.append(float((told == classes).mean()))
    return _compared("c2st", "scikit-learn's cross_val_predict in the same folds", ours, theirs)
