"""The default student: logistic regression on what is known of each text, its vector or its words."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from synth_llm.against import joined
from synth_llm.errors import InputError, MissingExtra
from synth_llm.row import Row
from synth_llm.student.card import write_card
from synth_llm.student.student import Task, lesson, own_settings

if TYPE_CHECKING:
    import numpy as np
    from threadpoolctl import ThreadpoolController

WORDS = 20_000
"""Words and pairs of words that are told apart: the commonest."""
ON_VECTORS, ON_WORDS = 1.0, 3.0
"""The inverse strength of the L2 penalty: scikit-learn's default for vectors of length one, weaker for words, of which
each text has few. Twice or three times as much or as little finds wrong labels hardly better or worse."""
STEPS = 500
CONFIG, WEIGHTS = "config.json", "probe.npz"
LOAD = """
from huggingface_hub import snapshot_download
from synth_llm.student.probe import load

student = load(snapshot_download("org/name"))  # or a folder
student.predict([{row}])
"""


@cache
def _threads() -> ThreadpoolController:
    """The threads of the numerical libraries; to look for these takes longer than a small fit."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


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
        with warnings.catch_warnings(), _threads().limit(limits=1, user_api="blas"):  # small: others would wait
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

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """(k, d) and (k,): the softmax of `features @ weights.T + bias` is `predict_proba`."""
        import numpy as np

        weights, bias = self._model.coef_, self._model.intercept_
        if len(weights) == 1:  # of two labels scikit-learn keeps the second's, against 0 for the first
            weights, bias = np.vstack([0 * weights, weights]), np.concatenate([0 * bias, bias])
        return weights, bias


class NoSettings(BaseModel):
    """The student `probe` has no settings."""

    model_config = ConfigDict(extra="forbid")


class ProbeStudent:
    """The student `probe`: a `Probe` on the vectors of texts. It has no settings, and draws nothing.

    A blank text is the zero vector: it teaches, and is given, what the classes' frequencies say.
    """

    draws: ClassVar[bool] = False

    def __init__(self, task: Task, seed: int = 0) -> None:
        own_settings("probe", NoSettings, task.settings)
        self.task, self.seed, self.rows = task, seed, 0
        self.labels: list[str] = []
        """The k classes that it knows, sorted; empty before `fit`."""
        self._weights: np.ndarray | None = None
        self._bias: np.ndarray | None = None

    def fit(self, rows: Sequence[Row]) -> ProbeStudent:
        """Learn. Raises InputError for a row without a class, fewer than two classes, or rows without any text."""
        import numpy as np

        texts, known = lesson(rows, self.task)
        vectors = self._vectors(texts)
        self.labels = sorted(set(known))
        numbers = {label: number for number, label in enumerate(self.labels)}
        weights, bias = Probe().fit(vectors, [numbers[label] for label in known]).weights()
        self._weights, self._bias, self.rows = weights.astype(np.float32), bias.astype(np.float32), len(rows)
        return self

    def predict_proba(self, rows: Sequence[Row]) -> np.ndarray:
        """(n, k) the probability of each of `labels`. Raises InputError for vectors of another length than it knows."""
        import numpy as np

        assert self._weights is not None and self._bias is not None, "fit, or load, comes before"
        vectors = self._vectors([joined(row, self.task.columns) for row in rows])
        if vectors.shape[1] != self._weights.shape[1]:
            raise InputError(
                f"the student probe learned from vectors of {self._weights.shape[1]} numbers, and is given "
                f"{vectors.shape[1]}: use the encoder that it learned with"
            )
        scores = vectors.astype(np.float64) @ self._weights.T.astype(np.float64) + self._bias
        proba: np.ndarray = np.exp(scores - scores.max(axis=1, keepdims=True))
        proba /= proba.sum(axis=1, keepdims=True)
        return proba

    def predict(self, rows: Sequence[Row]) -> list[str]:
        """The likeliest class of each row."""
        return [self.labels[at] for at in self.predict_proba(rows).argmax(axis=1)] if rows else []

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """A folder that `load` reads: its numbers, classes, columns and the encoder's name, and a card."""
        import numpy as np

        assert self._weights is not None and self._bias is not None, "fit comes before"
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / WEIGHTS, weights=self._weights, bias=self._bias)
        config = {"student": "probe", "encoder": facts.get("encoder"), "labels": self.labels}
        config |= {"columns": self.task.columns, "label": self.task.label}
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        write_card(
            folder,
            {"rows": self.rows, "seed": self.seed, **facts},
            about=f"Logistic regression on vectors of texts. It tells {', '.join(self.labels)}.",
            task="text-classification",
            load=LOAD.replace("{row}", json.dumps(dict.fromkeys(self.task.columns, "..."))),
        )

    def _vectors(self, texts: Sequence[str]) -> np.ndarray:
        if self.task.encode is None:
            raise InputError("the student probe needs an encoder")
        return self.task.encode(texts)


def load(folder: Path | str, encode: Callable[[Sequence[str]], np.ndarray] | None = None) -> ProbeStudent:
    """A student that was saved; `encode` makes its vectors, by default the encoder of the name that was saved.

    Nothing that is read can run code. Raises InputError for a folder that holds no such student.
    """
    import numpy as np

    from synth_llm.encoders import EncoderEntry, stored_encoder

    folder = Path(folder)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        with (folder / WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            weights, bias = arrays["weights"], arrays["bias"]
        if weights.shape[:1] != (len(config["labels"]),) or bias.shape != weights.shape[:1]:
            raise ValueError("its classes and its numbers do not fit")
        task = Task(columns=config["columns"], label=config["label"], encode=encode)
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"no student probe here: {' '.join(str(error).split())}", folder) from None
    if encode is None:
        encoder = stored_encoder(EncoderEntry(model=config["encoder"]), folder)
        task = replace(task, encode=encoder.encode)
    made = ProbeStudent(task)
    made.labels, made._weights, made._bias = list(config["labels"]), weights, bias
    return made


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
