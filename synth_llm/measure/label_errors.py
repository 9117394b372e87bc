"""Which labels are wrong: confident learning on the out-of-fold probabilities of a student.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (arXiv 1911.00068,
section 3). Everywhere `proba` is (n, k) float, rows that sum to 1, and `given` (n,) int, from 0 to k - 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_llm.measure.metric import metric
from synth_llm.row import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

FOLDS = 5


class Found(NamedTuple):
    """What was found of n rows of k labels."""

    errors: np.ndarray
    """(n,) bool: the given label is taken to be wrong."""
    likely: np.ndarray
    """(n,) int: the label that is taken to be right; the given one where that is no error."""
    joint: np.ndarray
    """(k, k), sums to 1: the estimated share of rows that were given label i and are of label j."""


def stratified_folds(given: np.ndarray, groups: Sequence[Hashable], folds: int, seed: int) -> np.ndarray:
    """(n,) int: a fold for each row, rows of one group in one fold, each label spread evenly over the folds.

    Groups keep together what must not be on both sides, such as copies. The largest groups go first, each to the fold
    that has the least of its labels; ties in the order of a hash.
    """
    import numpy as np

    members: dict[Hashable, list[int]] = {}
    for at, group in enumerate(groups):
        members.setdefault(group, []).append(at)
    order = sorted(members, key=lambda group: (-len(members[group]), digest(seed, str(group))))
    filled = np.zeros((folds, int(given.max(initial=0)) + 1))
    total = np.bincount(given, minlength=filled.shape[1]).clip(1)
    place = np.zeros(len(given), dtype=np.intp)
    for group in order:
        counts = np.bincount(given[members[group]], minlength=filled.shape[1])
        crowded = filled[:, counts > 0] @ (counts / total)[counts > 0]
        fold = min(range(folds), key=lambda one: (crowded[one], filled[one].sum()))
        filled[fold] += counts
        place[members[group]] = fold
    return place


def out_of_fold(views: Sequence[Any], strengths: Sequence[float], given: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(n, k) probabilities of students that did not see the row: for each fold, fitted on all others.

    Each view is (n, d) features, dense or sparse, with a student of its own and its strength; `combined` makes one of
    them. A label that is in one fold only has no probability there.
    """
    import numpy as np

    k = int(given.max()) + 1
    each = [np.zeros((len(given), k)) for _ in views]
    for proba, features, strength in zip(each, views, strengths, strict=True):
        for fold in np.unique(place):
            test, train = np.flatnonzero(place == fold), np.flatnonzero(place != fold)
            proba[test] = learned(features[train], given[train], features[test], strength, k)
    return combined(each)


def combined(probas: Sequence[np.ndarray]) -> np.ndarray:
    """(n, k) the geometric mean of several students' probabilities, none of them 0.

    Students that look at different things err on different rows, and agree on what is mislabelled.
    """
    import numpy as np

    logs = sum(np.log(proba) for proba in probas) / len(probas)
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    mean: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return mean


def learned(train: Any, given: np.ndarray, test: Any, strength: float, k: int) -> np.ndarray:
    """(m, k) a student's probabilities, learned from `train`; at least 1e-9. A label without rows has no more."""
    import numpy as np

    from synth_llm.student.probe import Probe

    proba = np.full((test.shape[0], k), 1e-9)
    student = Probe(strength).fit(train, given)
    proba[:, student.labels] = np.maximum(student.predict_proba(test), 1e-9)
    return proba


def thresholds(proba: np.ndarray, given: np.ndarray) -> np.ndarray:
    """(k,) the mean probability of label j over the rows that were given it: the paper's t_j. 2 for no rows."""
    import numpy as np

    k = proba.shape[1]
    own = self_confidence(proba, given)
    counts = np.bincount(given, minlength=k)
    means = np.bincount(given, weights=own, minlength=k) / counts.clip(1)
    return np.where(counts > 0, means, 2.0)


def confident_learning(proba: np.ndarray, given: np.ndarray) -> Found:
    """How many rows of each label are of each other one, by the confident joint; and those, by the largest margin.

    A row counts as of label j where its probability is at least the threshold of j, the likeliest of these labels: so
    a student that is surer of some labels than of others, as on unbalanced data, is held to each label's own measure.
    Of the rows that were given i, as many as the joint says are of j are errors: those whose probability of j exceeds
    that of i the most, and does so at all (pruning by noise rate, section 3.2).
    """
    import numpy as np

    n, k = proba.shape
    above = np.where(proba >= thresholds(proba, given), proba, -1.0)
    confident = above.max(axis=1) > 0
    joint = _calibrated(given[confident], above.argmax(axis=1)[confident], given, k)
    best, likely = np.zeros(n), given.copy()
    for i, j in zip(*np.nonzero(np.rint(n * joint)), strict=True):
        if i != j:
            rows = np.flatnonzero(given == i)
            margin = proba[rows, j] - proba[rows, i]
            most = np.argsort(-margin, kind="stable")[: round(n * float(joint[i, j]))]
            rows, margin = rows[most], margin[most]
            further = margin > best[rows]
            best[rows[further]], likely[rows[further]] = margin[further], j
    return Found(likely != given, likely, joint)


@metric(
    "vector",
    "label",
    range=(0, 1),
    direction="lower",
    unit="share",
    source="Northcutt, Jiang and Chuang 2021, arXiv 1911.00068, section 3.1",
)
def label_noise(vectors: ArrayLike, labels: Sequence[Hashable], seed: int = 0) -> float:
    """The estimated share of rows whose label is wrong: 1 less the trace of the confident joint.

    The probabilities are those of probes that did not see the row; rows of equal vectors are never on both sides. NaN
    where a single label is given, or so many rows are equal that without them a single one is left to learn.
    """
    import numpy as np

    from synth_llm.student.probe import ON_VECTORS

    features, (names, given) = np.asarray(vectors), np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < 2:
        return float("nan")
    groups = np.unique(features, axis=0, return_inverse=True)[1].ravel().tolist()
    place = stratified_folds(given, groups, FOLDS, seed)
    if any(len(np.unique(given[place != fold])) < 2 for fold in np.unique(place)):
        return float("nan")
    return 1.0 - float(np.trace(confident_learning(out_of_fold([features], [ON_VECTORS], given, place), given).joint))


def agreement(proba: np.ndarray, given: np.ndarray) -> Found:
    """Rows whose likeliest label is another: the filter of LAMBADA (arXiv 1911.03118, section 3.3) and FlipDA
    (arXiv 2108.06332), where a classifier must agree with a made-up row's label."""
    import numpy as np

    likely = proba.argmax(axis=1)
    rows = np.arange(len(given))
    likely = np.where(proba[rows, likely] > proba[rows, given], likely, given)
    return Found(likely != given, likely, _calibrated(given, likely, given, proba.shape[1]))


def above_chance(proba: np.ndarray, given: np.ndarray) -> bool:
    """Whether the likeliest labels agree with the given ones more often than labels drawn in the same shares would.

    By two standard errors. A student that did not learn, of too few rows or of texts that do not show their label,
    finds errors everywhere, and all of them are its own.
    """
    import numpy as np

    n, k = proba.shape
    predicted = proba.argmax(axis=1)
    chance = float(np.bincount(given, minlength=k) @ np.bincount(predicted, minlength=k)) / n**2
    error = (chance * (1 - chance) / n) ** 0.5
    return bool((predicted == given).mean() > chance + 2 * error)


def self_confidence(proba: np.ndarray, given: np.ndarray) -> np.ndarray:
    """(n,) from 0 to 1: the probability of the given label. The lower, the likelier an error."""
    import numpy as np

    own: np.ndarray = proba[np.arange(len(given)), given]
    return own


def normalised_margin(proba: np.ndarray, given: np.ndarray) -> np.ndarray:
    """(n,) from -1 to 1: the probability of the given label less that of the likeliest other one."""
    import numpy as np

    others = proba.copy()
    others[np.arange(len(given)), given] = -1.0
    margin: np.ndarray = self_confidence(proba, given) - others.max(axis=1)
    return margin


def _calibrated(rows: np.ndarray, label: np.ndarray, given: np.ndarray, k: int) -> np.ndarray:
    """The joint distribution from counts: each given label's line scaled to all its rows (section 3.1, equation 3)."""
    import numpy as np

    counts = np.zeros((k, k))
    np.add.at(counts, (rows, label), 1)
    sums = counts.sum(axis=1)
    counts[np.diag_indices(k)] += sums == 0  # nothing is known of these: they are taken to be right
    lines = counts / counts.sum(axis=1, keepdims=True)
    joint: np.ndarray = lines * (np.bincount(given, minlength=k) / max(1, len(given)))[:, None]
    return joint
