"""What cleaning is worth: a probe learns from real synthetic rows, and from what one recipe keeps of them.

The recipe is recipes/curate_labelled.yaml for every task. Its threshold was chosen on training rows of SST-2, the
probe is the default student as it is; the test files were not looked at for either.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.curation.labels import read, vectors
from benchmarks.data import data
from benchmarks.peers import ROOT
from benchmarks.runner import Failed
from synth_llm import Row, run
from synth_llm.student.probe import Probe

RECIPE = ROOT / "recipes" / "curate_labelled.yaml"
RANDOM = 20
"""Random subsets, each as large as what the recipe keeps: one alone would be luck."""
RESAMPLES = 2000
ALONE = "dedup"
"""The step of the recipe that is also tried alone."""


class Task(NamedTuple):
    """Synthetic rows, and rows of people to test on."""

    name: str
    train: str
    test: str
    measure: str


TASKS = (
    Task("SST-2", "supergen/SST-2_generated_train.jsonl", "sst2/dev.jsonl", "accuracy"),
    Task("CoLA", "supergen/CoLA_generated_train.jsonl", "supergen/CoLA_dev.jsonl", "Matthews"),
)


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """Of each task the recipe's score less each rival's, with its 95 % interval."""
    for task in TASKS:
        try:
            yield from _task(task)
        except Failed as error:
            yield f"worth {task.name}", str(error), "a test by people", False


def _task(task: Task) -> Iterator[tuple[str, str, str, bool]]:
    data(task.test)
    rows, test = read(task.train), read(task.test)
    right = np.array([int(row["label"]) for row in test])
    at = {row["text"]: number for number, row in reversed(list(enumerate(rows)))}
    known, unseen = vectors([row["text"] for row in rows]), vectors([row["text"] for row in test])
    given = np.array([int(row["label"]) for row in rows])

    def learned(chosen: Sequence[int] | np.ndarray) -> np.ndarray:
        return Probe().fit(known[chosen], given[chosen]).predict(unseen)

    left = {"recipe": _left(task, at, None), ALONE: _left(task, at, ALONE)}
    draws = np.random.default_rng(0)
    size = len(left["recipe"])
    rivals = {
        f"all {len(rows)} rows": [learned(range(len(rows)))],
        f"dedup alone, {len(left[ALONE])} rows": [learned(left[ALONE])],
        f"{RANDOM} random {size}": [learned(draws.choice(len(rows), size, replace=False)) for _ in range(RANDOM)],
    }
    ours = [learned(left["recipe"])]
    own = score(task.measure, ours, right)
    for name, theirs in rivals.items():
        low, high = interval(task.measure, ours, theirs, right)
        other = score(task.measure, theirs, right)
        less = f"{own - other:+.3f} ({low:+.3f} to {high:+.3f})"
        figure = f"{task.measure} {own:.3f} of {size} rows, {other:.3f} of {name}: {less}"
        yield f"worth {task.name}", figure, "above 0, the interval too", low > 0


def _left(task: Task, at: dict[str, int], only: str | None) -> list[int]:
    """The numbers of the rows that the recipe keeps, or one step of it alone."""
    source = json.dumps({"file": str(data(task.train))})
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder, "curate_labelled.yaml")
        lines = RECIPE.read_text().splitlines()
        wanted = [
            line for line in lines if only is None or not line.startswith("  - ") or line.startswith(f"  - {only}")
        ]
        recipe.write_text("\n".join(wanted))
        kept: list[Row] = list(run(recipe, out=Path(folder, "out"), sets=[f"source={source}"]).kept)
    return sorted(at[row["text"]] for row in kept)


def score(measure: str, predictions: Sequence[np.ndarray], right: np.ndarray) -> float:
    """The mean over several students."""
    return float(
        np.mean([accuracy(one, right) if measure == "accuracy" else matthews(one, right) for one in predictions])
    )


def accuracy(predicted: np.ndarray, right: np.ndarray) -> float:
    return float((predicted == right).mean())


def matthews(predicted: np.ndarray, right: np.ndarray) -> float:
    """Matthews' correlation of labels 0 and 1; 0 where one of them is never predicted."""
    if len(np.unique(predicted)) < 2 or len(np.unique(right)) < 2:
        return 0.0
    return float(np.corrcoef(predicted, right)[0, 1])


def interval(
    measure: str, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], right: np.ndarray
) -> tuple[float, float]:
    """The middle 95 % of the difference over resamples of the test rows, the same for both."""
    draws = np.random.default_rng(0)
    differences = []
    for _ in range(RESAMPLES):
        some = draws.integers(0, len(right), len(right))
        one, other = ([prediction[some] for prediction in each] for each in (ours, theirs))
        differences.append(score(measure, one, right[some]) - score(measure, other, right[some]))
    low, high = np.quantile(differences, (0.025, 0.975))
    return float(low), float(high)
