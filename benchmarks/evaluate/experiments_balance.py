"""The first experiment: an imbalanced set, before and after rules that fill its rare classes.

TREC's six classes with a long tail, the commonest 50 times as large as the rarest (Cui et al. 2019, arXiv 1901.05555,
section 5.1). Rules: `balance` to the commonest class by copies; and by variants instead, those of the step `augment`:
synonyms replaced or inserted, words swapped or deleted (EDA). Student: the probe. Test rows keep their natural sizes.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.data import data
from synth_llm import Recipe, Row, run
from synth_llm.evaluation.contrast import Bench
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.evaluation.settings import Evaluate
from synth_llm.evaluation.techniques import Job, eda
from synth_llm.measure.agreement import accuracy
from synth_llm.measure.interval import Interval
from synth_llm.measure.two_level import difference, interval, macro_f1s
from synth_llm.steps.context import Resources

RATIO, COMMONEST, TEST, SEEDS = 50, 400, 1500, 3
BEFORE, COPIES, EDA = "as it is", "balance, copies", "balance, EDA"
NEITHER = Recipe.model_validate({"source": {"rows": [{"text": "-"}]}, "steps": [{"map": {}}]})


def experiment(folder: Path, small: bool) -> Part:
    """Balance and macro-F1, before and after."""
    commonest, tested = (60, 100) if small else (COMMONEST, TEST)
    rows = [
        {"text": row["text"], "label": row["label"]}
        for row in map(json.loads, data("trec/train.jsonl").read_text(encoding="utf-8").splitlines())
    ]
    random.Random(0).shuffle(rows)
    test, rest = rows[:tested], rows[tested:]
    thin = [_thinned(rest, commonest, seed) for seed in range(SEEDS)]
    sets = {
        BEFORE: thin,
        COPIES: [_copied(one, folder) for one in thin],
        EDA: [_varied(one, seed, folder) for seed, one in enumerate(thin)],
    }
    side = Side("made", thin[0], ["text"], "label")
    bench = Bench(Data(Evaluate(), Resources(NEITHER, Path()), side, test=Side("test", test, ["text"], "label")))
    said = {name: [bench.learn(one, seed) for seed, one in enumerate(draws)] for name, draws in sets.items()}
    scores = macro_f1s(bench.test.labels, said)
    lines = []
    part = Part(notes=[f"{SEEDS} draws of the training rows; {tested:,} test rows with their natural sizes."])
    for name, draws in sets.items():
        counts = Counter(row["label"] for row in draws[0])
        gain = None if name == BEFORE else difference(scores[name], scores[BEFORE], paired=True)
        right = accuracy(bench.test.labels, said[name][0]).value
        ratio = round(max(counts.values()) / min(counts.values()), 1)
        known = len({row["text"] for row in draws[0]})
        cells = [_cell(interval(scores[name])), gain and _cell(gain), round(right, 4)]
        lines.append([name, len(draws[0]), known, ratio, *cells])
        if gain is not None:
            part.figures.append(Figure.of(f"macro-F1 of '{name}' less '{BEFORE}'", gain))
    apart = difference(scores[EDA], scores[COPIES], paired=True)
    part.figures.append(Figure.of(f"macro-F1 of '{EDA}' less '{COPIES}'", apart))
    columns = ["training set", "rows", "different texts", "largest by smallest class", "macro-F1"]
    columns += [f"less {BEFORE}", "accuracy, first draw"]
    part.tables.append(Table("balance", "An imbalanced set, before and after", columns, lines))
    return part


def _thinned(rows: list[Row], commonest: int, seed: int) -> list[Row]:
    """The classes cut to a long tail, at random."""
    found: list[Row] = []
    labels = [name for name, _ in Counter(row["label"] for row in rows).most_common()]
    for at, label in enumerate(labels):
        own = [row for row in rows if row["label"] == label]
        size = max(2, round(commonest * RATIO ** (-at / (len(labels) - 1))))
        found += random.Random(seed).sample(own, min(size, len(own)))
    return found


def _copied(rows: list[Row], folder: Path) -> list[Row]:
    """What the step `balance` makes of the rows."""
    recipe = Recipe.model_validate({"source": {"rows": rows}, "steps": [{"balance": {"to": "over"}}]})
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return [{"text": row["text"], "label": row["label"]} for row in run(recipe, out=Path(place, "run")).kept]


def _varied(rows: list[Row], seed: int, folder: Path) -> list[Row]:
    """The rows, and variants of them until every class is as large as the commonest."""
    counts = Counter(row["label"] for row in rows)
    most, found = max(counts.values()), list(rows)
    for label, count in counts.items():
        own = [row for row in rows if row["label"] == label]
        found += eda(Job(own, most - count, "question", seed, folder)).rows
    return found


def _cell(one: Interval) -> list[float]:
    return [round(value, 4) for value in one]
