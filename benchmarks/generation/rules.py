"""rules: does EDA at 500 rows hurt? Three of its authors' tasks, five draws of the rows, the probe as the student.

Each training set is 500 rows drawn from the training file: alone, with the variants that the step `augment` makes as it
is by default, and with as many copies instead. Paired over draws and test rows. Wei and Zou (2019) report +3.0 points
with their RNN and CNN, which learn words anew: so a student of words (tf-idf) stands beside, with four variants and
with four copies of each row. The default was chosen by cross-validation on training rows.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data import data
from synth_llm import Recipe, Row, run
from synth_llm.evaluation.contrast import Bench
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.settings import Evaluate
from synth_llm.measure.two_level import accuracies, difference, interval
from synth_llm.steps.context import Resources
from synth_llm.student.probe import ON_WORDS, Probe

ROWS, TEST, SEEDS, MORE = 500, 1000, 5, 4
WORSE = 0.005
"""The loss that is allowed: half a point."""
SETS = {
    "SST-2": ("sst2/train.jsonl", "sst2/dev.jsonl"),
    "SUBJ": ("subj/train.jsonl", ""),
    "TREC": ("trec/train.jsonl", ""),
}
ALONE, AUGMENTED, COPIED = "the rows alone", "with variants", "with copies"


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """A line a set: what the variants gain."""
    for name in SETS:
        pool, test = rows_of(name)
        draws = [random.Random(seed).sample(pool, ROWS) for seed in range(SEEDS)]
        sets = {ALONE: draws, AUGMENTED: [[*rows, *varied(rows, seed)] for seed, rows in enumerate(draws)]}
        sets[COPIED] = [[*rows, *rows] for rows in draws]
        scores = accuracies(*learned(sets, test))
        gain = difference(scores[AUGMENTED], scores[ALONE], paired=True)
        before, after, copied = (interval(scores[one]).value for one in (ALONE, AUGMENTED, COPIED))
        said = f"{name}, {ROWS} rows, {SEEDS} draws: {100 * before:.1f} alone, {100 * after:.1f} with EDA's variants, "
        said += f"{100 * gain.value:+.2f} points ({100 * gain.low:+.2f} to {100 * gain.high:+.2f}); "
        said += f"{100 * copied:.1f} with copies"
        yield "rules", said, "no worse than half a point", gain.value >= -WORSE
        sets = {ALONE: draws, AUGMENTED: [[*rows, *varied(rows, seed, n=MORE)] for seed, rows in enumerate(draws)]}
        sets[COPIED] = [rows * (1 + MORE) for rows in draws]
        means = [sum(on_words(rows, test) for rows in sets[one]) / SEEDS for one in (ALONE, AUGMENTED, COPIED)]
        one, other, third = (f"{100 * mean:.1f}" for mean in means)
        said = f"{name}, a student of words: {one} alone, {other} with {MORE} variants, {third} with {MORE} copies"
        yield "rules", said, "reported beside", True


def rows_of(name: str) -> tuple[list[Row], list[Row]]:
    """The rows to draw from, and those to test on."""
    train, test = ([_read(file) for file in SETS[name] if file] + [[]])[:2]
    return (train, test) if test else (train[TEST:], train[:TEST])


def varied(rows: Sequence[Row], seed: int, **settings: Any) -> list[Row]:
    """What the step `augment` makes of the rows."""
    recipe = {"seed": seed, "source": {"rows": list(rows)}, "steps": [{"augment": settings}]}
    with tempfile.TemporaryDirectory() as place:
        made = run(Recipe.model_validate(recipe), out=Path(place, "run")).kept
        return [{"text": row["text"], "label": row["label"]} for row in made]


def learned(sets: dict[str, list[list[Row]]], test: list[Row]) -> tuple[list[str], dict[str, list[list[str]]]]:
    """The test rows' labels, and what students of each draw of each set take them for."""
    use = Resources(Recipe.model_validate({"source": {"rows": [{"text": "-"}]}, "steps": [{"map": {}}]}), Path())
    made = Side("made", next(iter(sets.values()))[0], ["text"], "label")
    bench = Bench(Data(Evaluate(), use, made, test=Side("test", test, ["text"], "label")))
    said = {name: [bench.learn(one, seed) for seed, one in enumerate(draws)] for name, draws in sets.items()}
    return bench.test.labels, said


def on_words(rows: list[Row], test: list[Row]) -> float:
    """The accuracy, 0 to 1, of logistic regression on words and pairs of words, as the probe is without an encoder."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", min_df=2, sublinear_tf=True)
    features = words.fit_transform([row["text"] for row in rows])
    student = Probe(ON_WORDS).fit(features, [row["label"] for row in rows])
    said = student.predict(words.transform([row["text"] for row in test]))
    return float(sum(one == row["label"] for one, row in zip(said, test, strict=True)) / len(test))


def _read(file: str) -> list[Row]:
    rows = [json.loads(line) for line in data(file).read_text(encoding="utf-8").splitlines()]
    random.Random(0).shuffle(rows)
    return [{"text": row["text"].strip(), "label": str(row["label"])} for row in rows]
