"""Label errors: how well planted and real ones are found.

`python -m benchmarks.curation label_errors` holds the ranking to its goals.
`python -m benchmarks.curation.label_errors` prints the table of docs/label-errors.md: every method on every noise.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.curation.labels import Case, auroc, average_precision, flipped, one_rater, vectors
from benchmarks.peers import last_line, python_of, scripts
from benchmarks.runner import Failed
from synth_llm.measure.label_errors import (
    agreement,
    combined,
    confident_learning,
    learned,
    normalised_margin,
    out_of_fold,
    self_confidence,
    stratified_folds,
)
from synth_llm.student.probe import ON_VECTORS, ON_WORDS, word_features

SEEDS = range(5)
FOLDS = 5
TRUSTED = 50
"""Rows of each label whose right label is known, for agreement with a student of trusted examples."""
GOALS = {"trec": ("trec/train.jsonl", 0.964, 0.87), "sst2": ("sst2/train.jsonl", 0.875, 0.54)}


class Students(NamedTuple):
    """Out-of-fold probabilities, (n, k) each."""

    vectors: np.ndarray
    words: np.ndarray
    both: np.ndarray


def students(case: Case, seed: int) -> Students:
    """As the step makes them: no copy of a text in another fold."""
    place = stratified_folds(case.given, case.texts, FOLDS, seed)
    by_vector = out_of_fold([vectors(case.texts)], [ON_VECTORS], case.given, place)
    by_word = out_of_fold([word_features(case.texts)], [ON_WORDS], case.given, place)
    return Students(by_vector, by_word, combined([by_vector, by_word]))


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """Mean AUROC and average precision of low self-confidence over the seeds."""
    for name, (file, least_auroc, least_ap) in GOALS.items():
        aurocs, aps, found, peer = [], [], [], []
        for seed in SEEDS:
            case = flipped(file, seed)
            proba, wrong = students(case, seed).both, case.given != case.right
            score = -self_confidence(proba, case.given)
            aurocs.append(auroc(score, wrong))
            aps.append(average_precision(score, wrong))
            found.append(f1(confident_learning(proba, case.given).errors, wrong))
            peer.append(f1(cleanlab(proba, case.given), wrong))
        yield f"{name} AUROC", spread(aurocs), f">= {least_auroc}", float(np.mean(aurocs)) >= least_auroc
        yield f"{name} AP", spread(aps), f">= {least_ap}", float(np.mean(aps)) >= least_ap
        goal = f"no worse than cleanlab's on the same probabilities, {spread(peer)}, less .01"
        yield f"{name} F1", spread(found), goal, float(np.mean(found)) >= float(np.mean(peer)) - 0.01


def spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f}, {len(values)} seeds)"


def f1(found: np.ndarray, wrong: np.ndarray) -> float:
    return 2 * float((found & wrong).sum()) / max(1, int(found.sum() + wrong.sum()))


def cleanlab(proba: np.ndarray, given: np.ndarray) -> np.ndarray:
    """(n,) bool: what cleanlab finds in the same probabilities."""
    python = python_of("curation", "cleanlab")
    with tempfile.TemporaryDirectory() as folder:
        case, out = Path(folder, "case.npz"), Path(folder, "out.npz")
        np.savez(case, proba=proba, given=given)
        script = scripts("curation") / "label_issues.py"
        done = subprocess.run([python, script, case, out], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"cleanlab: {last_line(done.stderr)}")
        with np.load(out) as answer:
            found: np.ndarray = answer["found"]
    return found


def trusted(case: Case, seed: int) -> np.ndarray:
    """(n, k) probabilities of students of a few rows whose labels are right."""
    draws = np.random.default_rng(seed)
    k = int(case.right.max()) + 1
    groups = [draws.permutation(np.flatnonzero(case.right == label))[:TRUSTED] for label in range(k)]
    some = np.concatenate(groups)
    views = ((vectors(case.texts), ON_VECTORS), (word_features(case.texts), ON_WORDS))
    return combined([learned(view[some], case.right[some], view, strength, k) for view, strength in views])


def methods(case: Case, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each method which rows it finds, and the score by which it ranks them, highest first."""
    own, given = students(case, seed), case.given
    few = trusted(case, seed)
    both = -self_confidence(own.both, given)
    return {
        "confident learning, vectors": (
            confident_learning(own.vectors, given).errors,
            -self_confidence(own.vectors, given),
        ),
        "confident learning, words": (confident_learning(own.words, given).errors, -self_confidence(own.words, given)),
        "**confident learning, both**": (confident_learning(own.both, given).errors, both),
        "the same, ranked by margin": (
            confident_learning(own.both, given).errors,
            -normalised_margin(own.both, given),
        ),
        "cleanlab, both": (cleanlab(own.both, given), both),
        "agreement, both": (agreement(own.both, given).errors, both),
        f"agreement, {TRUSTED} trusted a label": (agreement(few, given).errors, -self_confidence(few, given)),
    }


def table() -> Iterator[str]:
    """Markdown: a line for each method on each kind of noise, means over the seeds."""
    kinds = {
        "TREC, 10 % flips": lambda seed: flipped("trec/train.jsonl", seed),
        "SST-2, 10 % flips": lambda seed: flipped("sst2/train.jsonl", seed),
        "tweets, one rater": one_rater,
    }
    yield "| noise | method | AUROC | AP | found | precision | recall | wrong before | after |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for kind, make in kinds.items():
        sums: dict[str, list[list[float]]] = {}
        for seed in SEEDS:
            case = make(seed)
            wrong = case.given != case.right
            for method, (found, score) in methods(case, seed).items():
                sums.setdefault(method, []).append(figures(found, score, wrong))
        for method, lines in sums.items():
            one = np.mean(lines, axis=0)
            cells = [f"{one[0]:.3f}", f"{one[1]:.3f}", *(f"{100 * share:.1f} %" for share in one[2:])]
            yield f"| {kind} | {method} | {' | '.join(cells)} |"


def figures(found: np.ndarray, score: np.ndarray, wrong: np.ndarray) -> list[float]:
    """AUROC, AP, and as shares: found, precision, recall, wrong before, wrong among those that are left."""
    hits = float((found & wrong).sum())
    return [
        auroc(score, wrong),
        average_precision(score, wrong),
        float(found.mean()),
        hits / max(1, int(found.sum())),
        hits / max(1, int(wrong.sum())),
        float(wrong.mean()),
        float(wrong[~found].mean()),
    ]


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
    sys.exit(0)
