"""Can a classifier tell two samples apart?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from synth_llm.errors import MissingExtra
from synth_llm.measure.interval import wilson
from synth_llm.measure.metric import metric
from synth_llm.student.probe import Probe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

FOLDS = 5
SEED = 0


class TwoSample(NamedTuple):
    """How often the sample of a row was told rightly."""

    value: float
    low: float
    high: float
    p: float
    """One-sided, of no better than .5 (binomial)."""


@metric(
    "vector", "vector", range=(0, 1), direction="lower", unit="accuracy", source="Lopez-Paz and Oquab 2017, section 3"
)
def c2st(made: ArrayLike, real: ArrayLike, seed: int = SEED) -> TwoSample:
    """Classifier two-sample test: accuracy at telling made vectors from real ones; .5 where they cannot be told.

    Logistic regression, cross-validated in FOLDS folds, on equally many rows of both (drawn from the larger sample).
    Equal vectors, of either sample, are in one fold: what is tested was never learned from. The Wilson interval and p
    are of as many independent rows as the rows with their copies are worth (Kish 1965, section 5.4); folds share what
    they learn from, so both are approximate.
    Raises ValueError for fewer than two folds' worth of rows, MissingExtra without scipy or scikit-learn.
    """
    import numpy as np

    try:
        from scipy.stats import binomtest
    except ImportError:
        raise MissingExtra("a two-sample test", "evaluate") from None
    samples = [np.asarray(made), np.asarray(real)]
    n = min(map(len, samples))
    if n < 2 * FOLDS:
        raise ValueError(f"c2st: needs {2 * FOLDS} rows of each sample or more, not {n}")
    draws = np.random.default_rng(seed)
    rows = np.concatenate([one[np.sort(draws.permutation(len(one))[:n])] for one in samples])
    groups = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    share = told_apart(rows, np.repeat([1, 0], n), fold_numbers(groups, n, draws)) / (2 * n)
    worth = int((2 * n) ** 2 / (np.bincount(groups).astype(float) ** 2).sum())
    right = round(share * worth)
    _, low, high = wilson(right, worth)
    return TwoSample(share, low, high, float(binomtest(right, worth, alternative="greater").pvalue))


def told_apart(rows: NDArray[np.float64], classes: NDArray[np.int64], folds: NDArray[np.int64]) -> int:
    """How many rows get their own class from a model of the other folds."""
    import numpy as np

    right = 0
    for fold in set(folds.tolist()):
        tested = folds == fold
        known = np.unique(classes[~tested])
        if len(known) > 1:
            told = Probe().fit(rows[~tested], classes[~tested]).predict(rows[tested])
        else:  # nearly all rows are equal
            told = np.full(tested.sum(), known[0] if len(known) else 0)
        right += int((told == classes[tested]).sum())
    return right


def fold_numbers(groups: NDArray[np.int64], n: int, draws: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each of 2n rows, the first n of one class: those of a group together, both classes spread evenly."""
    import numpy as np

    of_first = np.bincount(groups[:n], minlength=groups.max() + 1)
    sizes = np.bincount(groups)
    kind = np.where(of_first == sizes, 0, np.where(of_first == 0, 1, 2))
    order = np.lexsort((draws.random(len(sizes)), -sizes, kind))  # large groups first, so that folds come out even
    folds = np.empty(len(sizes), dtype=int)
    folds[order] = np.arange(len(sizes)) % FOLDS
    found: NDArray[np.int64] = folds[groups]
    return found
