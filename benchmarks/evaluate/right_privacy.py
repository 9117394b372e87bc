"""Bar *right numbers*, privacy: distances, attacks, combinations and intervals as other code has them, to 1e-6."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from synth_llm.measure.interval import wilson
from synth_llm.measure.membership import auroc, found_surely
from synth_llm.measure.privacy import dcr_median, dcr_share, k_anonymity, l_diversity, nearest, nndr, t_closeness

TIMES = 20
NEAR = 1e-6


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """A line a measure, with the largest difference on random inputs."""
    yield _line("distances", _distances(), "NearestNeighbors of scikit-learn")
    yield _line("attacks", _attacks(), "scikit-learn's roc_auc_score and roc_curve")
    yield _line("combinations", _combinations(), "pandas, and scipy's wasserstein_distance")
    yield _line("shares", _shares(), "statsmodels' Wilson interval")


def _line(what: str, off: float, other: str) -> tuple[str, str, str, bool]:
    return "right_numbers", f"{what}: off by {off:.1e} at most, against {other}", f"<= {NEAR:.0e}", bool(off <= NEAR)


def _distances() -> float:
    from sklearn.neighbors import NearestNeighbors

    off = 0.0
    for seed in range(TIMES):
        draw = np.random.default_rng(seed)
        made, real = draw.normal(size=(200, 16)), draw.normal(size=(2 + seed * 20, 16))
        theirs, at = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(real).kneighbors(made)
        ours = nearest(made, real, 2)
        off = max(off, float(np.abs(ours.distance - theirs).max()), float((ours.at != at).sum()))
        off = max(off, abs(dcr_median(made, real) - float(np.median(theirs[:, 0]))))
        off = max(off, abs(nndr(made, real) - float(np.median(theirs[:, 0] / theirs[:, 1]))))
    return off


def _attacks() -> float:
    from sklearn.metrics import roc_auc_score, roc_curve

    off = 0.0
    for seed in range(TIMES):
        draw = np.random.default_rng(seed)
        members, others = draw.normal(size=150).round(1 + seed % 3) + 0.3, draw.normal(size=250).round(1 + seed % 3)
        truth, scores = [1] * 150 + [0] * 250, np.concatenate([members, others])
        off = max(off, abs(auroc(members, others).value - float(roc_auc_score(truth, scores))))
        accused, found, _ = roc_curve(truth, scores, drop_intermediate=False)
        off = max(off, abs(found_surely(members, others).value - float(found[accused <= 0.01].max())))
    return off


def _combinations() -> float:
    import pandas as pd
    from scipy.stats import wasserstein_distance

    off = 0.0
    for seed in range(TIMES):
        draw = random.Random(seed)
        rows = [(draw.choice("abc"), draw.randint(0, 3), draw.randint(0, 9)) for _ in range(200)]
        frame = pd.DataFrame(rows, columns=["town", "age", "ill"])
        groups, classes = frame.groupby(["town", "age"]).ill, [row[:2] for row in rows]
        off = max(off, abs(k_anonymity(classes) - int(groups.size().min())))
        off = max(off, abs(l_diversity(classes, list(frame.ill)) - int(groups.nunique().min())))
        rank = frame.ill.rank(method="dense") - 1
        far = max(wasserstein_distance(rank[group.index], rank) / max(1.0, rank.max()) for _, group in groups)
        off = max(off, abs(t_closeness(classes, [row[2] for row in rows]) - far))
        whole = frame.ill.value_counts(normalize=True)
        apart = [group.value_counts(normalize=True).sub(whole, fill_value=0).abs().sum() / 2 for _, group in groups]
        off = max(off, abs(t_closeness(classes, [str(row[2]) for row in rows]) - max(apart)))
    return off


def _shares() -> float:
    """Wilson's interval, and the share of nearer rows with it where every made row has a real row of its own."""
    from statsmodels.stats.proportion import proportion_confint

    off = 0.0
    for seed in range(TIMES):
        draw = np.random.default_rng(seed)
        right, total = int(draw.integers(0, 50)), float(draw.uniform(50, 5000))
        off = max(off, *np.abs(np.subtract(wilson(right, total)[1:], proportion_confint(right, total, 0.05, "wilson"))))
        corners = np.eye(80) * 10  # every made row lies beside one real row, which is train or held out
        order = draw.permutation(80)
        nearer = int((order[:30] < 40).sum())
        found = dcr_share(corners[order[:30]] + 0.01, corners[:40], corners[40:])
        off = max(off, *np.abs(np.subtract(found[1:], proportion_confint(nearer, 30, 0.05, "wilson"))))
    return off
