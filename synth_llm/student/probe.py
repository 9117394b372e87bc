"""The default student: logistic regression on what is known of each text, its vector or its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from synth_llm.errors import InputError, MissingExtra

if TYPE_CHECKING:
    import numpy as np

WORDS = 20_000
"""Words and pairs of words that are told apart: the commonest."""
ON_VECTORS, ON_WORDS = 1.0, 3.0
"""The inverse strength of the L2 penalty: scikit-learn's default for vectors of length one, weaker for words, of which
each text has few. Twice or three times as much or as little finds wrong labels hardly better or worse."""
STEPS = 500


class Probe:
    """Multinomial logistic regression (L-BFGS, no random draw: the same rows in the same order give the same student).

    `strength` is the inverse of the L2 penalty.
    """

    def __init__(self, strength: float = ON_VECTORS) -> None:
        self.strength = strength
        self.labels: np.ndarray | None = None
        """(k,) the labels it knows, sorted; None before `fit`."""
        self._model: Any = None

    def fit(self, features: Any, labels: np.ndarray | Sequence[Any]) -> Probe:
        """Learn from (n, d) features, dense or sparse, and n labels. Raises InputError for fewer than two labels."""
        import warnings

        import numpy as np

        need_sklearn("a student")
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        given = np.asarray(labels)
        if len(np.unique(given)) < 2:
            raise InputError("a student needs rows of at least two labels to learn from")
        model = LogisticRegression(C=self.strength, max_iter=STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # so near the optimum no prediction changes
            self._model = model.fit(features, given)
        self.labels = self._model.classes_
        return self

    def predict_proba(self, features: Any) -> np.ndarray:
        """(n, k) the probability of each of `labels`."""
        proba: np.ndarray = self._model.predict_proba(features)
        return proba

    def predict(self, features: Any) -> np.ndarray:
        """(n,) the likeliest label of each row."""
        predicted: np.ndarray = self._model.predict(features)
        return predicted


def word_features(texts: Sequence[str]) -> Any | None:
    """(n, words) sparse tf-idf of words, signs and their pairs that stand in two texts or more, rows of length one.

    None where no two texts share one. In a text, ten times the word counts as 1 + log 10 times.
    """
    need_sklearn("a student")
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = TfidfVectorizer(
        ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", min_df=2, max_features=WORDS, sublinear_tf=True
    )
    try:
        return made.fit_transform(texts)
    except ValueError:  # an empty vocabulary, or fewer than two texts
        return None


def need_sklearn(what: str) -> None:
    """Raises MissingExtra when scikit-learn is not installed."""
    import importlib.util

    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtra(what, "curate")
