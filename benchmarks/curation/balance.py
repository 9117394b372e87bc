"""balance: what an imbalanced set is worth after it, beside resampling by imbalanced-learn.

TREC's six classes at 1:50, in two ways: the rarest class alone has 1/50 of the rows of the commonest (the bar), and a
long tail (class i of K in order of size has the commonest's rows * 50^(-i/(K-1)), Cui et al. 2019, arXiv 1901.05555,
section 5.1). Stratified 80/20 split, five seeds; the test part keeps its natural sizes. Student: MiniLM embeddings and
logistic regression.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import data
from benchmarks.peers import last_line, python_of, scripts
from benchmarks.runner import Failed

SEEDS = range(5)
RATIO = 50
METHODS = ("as it is", "ours", "random oversampling", "SMOTE")
PEER_LIMIT = 300.0


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """Macro-F1, the mean over the seeds."""
    scores = {name: [_scores(rarest, seed) for seed in SEEDS] for name, rarest in IMBALANCES.items()}
    for name, of in scores.items():
        mean = {method: sum(one[method] for one in of) / len(of) for method in METHODS}
        figure = ", ".join(f"{method} {mean[method]:.3f}" for method in METHODS)
        lift = [one["ours"] - one["random oversampling"] for one in of]
        text = f"macro-F1 {figure}; ours - random oversampling {min(lift):+.3f} to {max(lift):+.3f} by seed"
        if name == "one rare class":
            yield "balance", f"TREC 1:{RATIO}, {name}: {text}", "ours >= .78", mean["ours"] >= 0.78
        else:
            ok = mean["ours"] >= mean["random oversampling"] - 0.01 and mean["ours"] > mean["as it is"]
            yield "balance tail", f"TREC 1:{RATIO}, {name}: {text}", "as random oversampling, within .01", ok


def _one_rare(counts: list[int]) -> list[int]:
    return [*counts[:-1], counts[0] // RATIO]


def _long_tail(counts: list[int]) -> list[int]:
    last = len(counts) - 1
    return [min(count, int(counts[0] * RATIO ** (-at / last))) for at, count in enumerate(counts)]


IMBALANCES: dict[str, Callable[[list[int]], list[int]]] = {"one rare class": _one_rare, "long tail": _long_tail}
"""From the classes' sizes, the commonest first, to those after thinning."""


def _scores(sizes: Callable[[list[int]], list[int]], seed: int) -> dict[str, float]:
    """Macro-F1 of the student on the test part, by what was done to the training part."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import train_test_split

    rows = [json.loads(line) for line in data("trec/train.jsonl").read_text().splitlines()]
    train, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=[row["label"] for row in rows])
    thin = _thinned(train, sizes, np.random.default_rng(seed))
    names = sorted({row["label"] for row in rows})
    vectors = _encoded([row["text"] for row in rows])

    def arrays(of: list[Any]) -> tuple[Any, Any]:
        return np.array([vectors[row["text"]] for row in of]), np.array([names.index(row["label"]) for row in of])

    parts = {"as it is": arrays(thin), "ours": arrays(_balanced(thin, seed)), **_resampled(*arrays(thin), seed)}
    x_test, y_test = arrays(test)
    return {
        method: float(f1_score(y_test, LogisticRegression(max_iter=1000).fit(x, y).predict(x_test), average="macro"))
        for method, (x, y) in parts.items()
    }


def _thinned(rows: list[Any], sizes: Callable[[list[int]], list[int]], draws: Any) -> list[Any]:
    """The rows with the classes cut to their sizes, at random."""
    counts = Counter(row["label"] for row in rows).most_common()
    kept: list[Any] = []
    for (name, _), size in zip(counts, sizes([count for _, count in counts]), strict=True):
        members = [row for row in rows if row["label"] == name]
        kept += [members[at] for at in draws.permutation(len(members))[:size]]
    return kept


def _balanced(rows: list[Any], seed: int) -> list[Any]:
    """The rows that a recipe with the step `balance` keeps."""
    from synth_llm import Recipe, Source, run
    from synth_llm.steps import Balance

    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(source=Source(rows=rows), steps=[Balance(column="label", to="over")], seed=seed)
        return list(run(recipe, out=Path(folder) / "run").kept)


def _resampled(x: Any, y: Any, seed: int) -> dict[str, tuple[Any, Any]]:
    """What imbalanced-learn makes of the vectors."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, x=x, y=y, seed=seed)
        script = scripts("curation") / "imbalanced_learn.py"
        command = [python_of("curation", "imbalanced_learn"), str(script), str(given), str(found)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_LIMIT)
        if done.returncode:
            raise Failed(f"imbalanced-learn: {last_line(done.stderr)}")
        with np.load(found) as made:
            return {
                "random oversampling": (made["random_x"], made["random_y"]),
                "SMOTE": (made["smote_x"], made["smote_y"]),
            }


def _encoded(texts: list[str]) -> dict[str, Any]:
    """The vector of each text, by the packaged encoder."""
    from synth_llm import Recipe, Source
    from synth_llm.steps import Balance
    from synth_llm.steps.context import Resources

    use = Resources(Recipe(source=Source(rows=[{"text": "none"}]), steps=[Balance()]), Path())
    return dict(zip(texts, use.encoder().encode(texts), strict=True))
