"""worth: what rows of a labelled recipe add for a student that has few real ones, on three sets.

The recipes, beside this file, are given a description of each label and no row of people. They run once; ten draws of
8 and 32 real training rows a class each teach a student with the made rows and one without. A difference is paired
within a draw: its interval holds for these made rows, and for other test rows and other draws of real rows. No recipe
is shown a row of either. The student is the probe on the packaged encoder; the score is accuracy, or macro-F1 where the
test labels are uneven. Runs are kept in runs/generation/bars/worth: a bar that was stopped goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.curation.labels import read, vectors
from benchmarks.peers import ROOT
from benchmarks.runner import Failed
from synth_llm import run
from synth_llm.evaluation.contrast import ACCURACY, score_of
from synth_llm.measure.two_level import Scores, accuracies, difference, interval, macro_f1s
from synth_llm.student.probe import Probe

RECIPES = Path(__file__).parent / "worth"
PLACE = ROOT / "runs/generation/bars/worth"
DRAWS = 10
FEW, MORE = 8, 32
"""Real rows a class."""
CONFUSED = 10
Bar = tuple[str, str, str, bool]
Texts = Sequence[tuple[str, str]]
"""Pairs of text and class."""

SENTIMENT = {"0": "negative", "1": "positive"}
ANSWERS = {
    "ABBR": "abbreviation", "DESC": "description", "ENTY": "thing",
    "HUM": "person", "LOC": "place", "NUM": "number",
}  # fmt: skip


class Task(NamedTuple):
    """Real rows to draw from, and others to test on; classes are named as the recipe names them."""

    name: str
    pool: list[tuple[str, str]]
    test: list[tuple[str, str]]

    @property
    def labels(self) -> list[str]:
        return sorted({label for _, label in self.test})


def bar() -> Iterator[Bar]:
    """For each set what its recipe's rows are worth alone, and beside few real rows."""
    for task in tasks():
        try:
            yield from _task(task)
        except Failed as error:
            yield "worth", f"{task.name}: {error}", "its runs end", False


def tasks() -> Iterator[Task]:
    """The three sets."""
    train, dev = ([(row["text"], SENTIMENT[str(row["label"])]) for row in read(f"sst2/{part}.jsonl")]
                  for part in ("train", "dev"))  # fmt: skip
    yield Task("sst2", train, dev)
    questions = [(row["text"], ANSWERS[row["label"]]) for row in read("trec/train.jsonl")]
    yield Task("trec", *_split(questions, 0.2))
    messages = [(row["text"], row["intent"]) for row in read("banking77/train.jsonl")]
    pool, test = _split(messages, 0.5)
    chosen = confused(pool)
    yield Task("banking77", *([(text, _words(label)) for text, label in part if label in chosen]
                              for part in (pool, test)))  # fmt: skip


def confused(rows: Texts) -> set[str]:
    """The classes of the pairs that the probe mistakes most often for each other, in five folds of training rows.

    A pair with which there would be one class too many is passed over.
    """
    from sklearn.model_selection import StratifiedKFold

    known, given = vectors([text for text, _ in rows]), np.array([label for _, label in rows])
    pairs: Counter[tuple[str, ...]] = Counter()
    for seen, unseen in StratifiedKFold(5, shuffle=True, random_state=0).split(known, given):
        said = Probe().fit(known[seen], given[seen]).predict(known[unseen])
        pairs.update(tuple(sorted(pair)) for pair in zip(given[unseen], said, strict=True) if pair[0] != pair[1])
    chosen: set[str] = set()
    for pair, _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        if len(chosen | set(pair)) <= CONFUSED:
            chosen |= {str(label) for label in pair}
    return chosen


def drawn(task: Task, draw: int) -> list[tuple[str, str]]:
    """`MORE` real rows a class, or all there are; of these the first `FEW` of each class are the smaller draw."""
    order = np.random.default_rng(draw).permutation(len(task.pool))
    return [row for label in task.labels for row in [task.pool[at] for at in order if task.pool[at][1] == label][:MORE]]


def few(rows: Texts) -> list[tuple[str, str]]:
    """The first rows of each class."""
    return [row for label in sorted({label for _, label in rows}) for row in [r for r in rows if r[1] == label][:FEW]]


def made(task: Task) -> list[tuple[str, str]]:
    """What the task's recipe makes. Raises Failed when its run was stopped, or when its classes are not the test's."""
    result = run(RECIPES / f"{task.name}.yaml", out=PLACE / task.name)
    if not result.complete:
        raise Failed(result.why or "its run was stopped")
    rows = [(str(row["text"]), str(row["class"])) for row in result.kept]
    if odd := {label for _, label in rows} ^ set(task.labels):
        raise Failed(f"classes of the recipe's rows and of the test: {sorted(odd)} stand in one of them only")
    return rows


def _task(task: Task) -> Iterator[Bar]:
    sets: dict[str, list[Texts]] = {}
    own = made(task)
    for draw in range(DRAWS):
        more = drawn(task, draw)
        arms: dict[str, Texts] = {f"{FEW} real": few(more), f"{MORE} real": more, "made": own}
        if task.name == "sst2":
            arms["SuperGen"] = _supergen(len(own), draw)
        for name in list(arms):
            for other in ("made", "SuperGen"):
                if name.endswith("real") and other in arms:
                    arms[f"{name} + {other}"] = [*arms[name], *arms[other]]
        for name, rows in arms.items():
            sets.setdefault(name, []).append(rows)
    yield from _lines(task, sets)


def _lines(task: Task, sets: Mapping[str, Sequence[Texts]]) -> Iterator[Bar]:
    """Each arm's score, and the differences that the bar is about."""
    found = scored(task, sets)
    sizes = {name: round(np.mean([len(rows) for rows in draws])) for name, draws in sets.items()}
    for name, scores in found.items():
        value, low, high = interval(scores)
        yield "worth", f"{task.name}: {name}, {sizes[name]} rows: {value:.3f} ({low:.3f} to {high:.3f})", "told", True
    pairs = [(f"{n} real + made", f"{n} real") for n in (FEW, MORE)]
    if "SuperGen" in sets:
        pairs += [("made", "SuperGen"), (f"{FEW} real + made", f"{FEW} real + SuperGen")]
    for one, other in pairs:
        value, low, high = difference(found[one], found[other], paired=True)
        aim = other == f"{FEW} real"
        goal = "above 0, the interval too" if aim else "told"
        figure = f"{task.name}: {one} less {other}: {value:+.3f} ({low:+.3f} to {high:+.3f}), {DRAWS} draws"
        yield "worth", figure, goal, low > 0 or not aim


def scored(task: Task, sets: Mapping[str, Sequence[Texts]]) -> dict[str, Scores]:
    """A probe of each draw of each training set, on all test rows."""
    texts = sorted({text for draws in sets.values() for rows in draws for text, _ in rows} | {t for t, _ in task.test})
    at = {text: number for number, text in enumerate(texts)}
    encoded = vectors(texts)
    tested = encoded[[at[text] for text, _ in task.test]]
    gold = [label for _, label in task.test]

    def learned(rows: Texts) -> list[str]:
        probe = Probe().fit(encoded[[at[text] for text, _ in rows]], [label for _, label in rows])
        return [str(label) for label in probe.predict(tested)]

    said = {name: [learned(rows) for rows in draws] for name, draws in sets.items()}
    return (accuracies if score_of(gold) == ACCURACY else macro_f1s)(gold, said)


def _supergen(rows: int, draw: int) -> list[tuple[str, str]]:
    """As many raw rows of SuperGen, as many of each class."""
    every = [(row["text"], SENTIMENT[str(row["label"])]) for row in read("supergen/SST-2_generated_train.jsonl")]
    order = [every[at] for at in np.random.default_rng(draw).permutation(len(every))]
    return [row for label in SENTIMENT.values() for row in [r for r in order if r[1] == label][: rows // 2]]


def _split(rows: Texts, share: float) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Training and test rows, the same share of each class."""
    from sklearn.model_selection import train_test_split

    left, held = train_test_split(list(rows), test_size=share, random_state=0, stratify=[label for _, label in rows])
    return left, held


def _words(label: str) -> str:
    return label.replace("_", " ").lower()
