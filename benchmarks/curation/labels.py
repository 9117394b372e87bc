"""Labelled texts with known errors, and how well the errors are found: what the bars and the page share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.data import data
from synth_llm.encoders import EncoderEntry, stored_encoder

SHARE = 0.1
"""Of labels that are planted wrong."""


class Case(NamedTuple):
    """Texts with the labels they were given, and those that are right."""

    texts: list[str]
    given: np.ndarray
    right: np.ndarray


def read(name: str) -> list[dict[str, Any]]:
    with data(name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def vectors(texts: Sequence[str]) -> np.ndarray:
    """(n, 384) of the packaged encoder; each text is encoded once, in whichever run."""
    return stored_encoder(EncoderEntry(), Path()).encode(texts)


def flipped(name: str, seed: int) -> Case:
    """A tenth of the labels, drawn at random, each replaced by any other one."""
    rows = read(name)
    labels = sorted({str(row["label"]) for row in rows})
    right = np.array([labels.index(str(row["label"])) for row in rows])
    draws = np.random.default_rng(seed)
    wrong = draws.choice(len(rows), round(SHARE * len(rows)), replace=False)
    given = right.copy()
    given[wrong] = (right[wrong] + draws.integers(1, len(labels), len(wrong))) % len(labels)
    return Case([row["text"] for row in rows], given, right)


def one_rater(seed: int) -> Case:
    """Tweets by sign of feeling: what one person said of each, and what twenty said together.

    A person's 0 is passed over; tweets on which the twenty are divided (a mean within half a point of 0) are left out.
    """
    rows = [row for row in read("vader_groundtruth/tweets.jsonl") if abs(row["mean"]) >= 0.5]
    draws = np.random.default_rng(seed)
    given = [next((one for one in draws.permutation(row["ratings"]) if one), row["mean"]) > 0 for row in rows]
    right = np.array([row["mean"] > 0 for row in rows], dtype=int)
    return Case([row["text"] for row in rows], np.array(given, dtype=int), right)


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """The area under the ROC curve, ties by halves."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, score))


def average_precision(score: np.ndarray, positive: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(positive, score))
