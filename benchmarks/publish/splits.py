"""splits: no parent and no near-copy on two sides of 5,000 real rows, and none that moves when rows are added.

Rows are questions of BANKING77, many of them nearly the same, and of each one a rule-made variant, its sibling.
Near-copies are looked for anew, at every pair: by the exact Jaccard similarity of three-word shingles of normalised
texts, and by the cosine of the packaged encoder's vectors.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.progress import Progress

from benchmarks.core.recipes import Bar
from benchmarks.data import data
from synth_llm import Recipe, run
from synth_llm.encoders import EncoderEntry, stored_encoder
from synth_llm.models.weights import ENCODER, fetch
from synth_llm.publish.export import export
from synth_llm.similar.exact import normalised

FIRST, SOURCES = 2_000, 2_500
"""Questions of the first run, and of the run that adds to it."""
SHARES = {"test": 0.1, "validation": 0.1}
JACCARD, COSINE = 0.8, 0.9


def bar() -> Iterator[Bar]:
    with Progress(disable=True) as progress:
        fetch(ENCODER, progress)
    for near in ("words", "meaning"):
        yield from _bars(near)


def _bars(near: str) -> Iterator[Bar]:
    with tempfile.TemporaryDirectory() as scratch:
        before = _split(FIRST, near, Path(scratch))
        after = _split(SOURCES, near, Path(scratch))
    moved = sum(after.get(row, place) != place for row, place in before.items())
    lost = len(before.keys() - after.keys())
    figure = f"{moved} of {len(before)} rows moved when {2 * (SOURCES - FIRST)} were added"
    yield _line(near, f"{figure}; {lost} left out since", "0 moved", not moved)
    sides = defaultdict[str, set[str]](set)
    for (_, parent), place in after.items():
        sides[parent].add(place)
    parted = sum(len(found) > 1 for found in sides.values())
    yield _line(near, f"{parted} of {len(sides)} parents have children in two splits", "0", not parted)
    texts, places = [text for text, _ in after], np.array([*after.values()])
    shingles = _apart(_jaccard(texts) >= JACCARD, places)
    yield _line(near, f"{shingles} pairs with a Jaccard similarity of {JACCARD} apart", "0", not shingles)
    meanings = _apart(_cosine(texts) > COSINE, places)
    goal, ok = ("0", not meanings) if near == "meaning" else ("told", True)
    yield _line(near, f"{meanings} pairs with a cosine over {COSINE} apart", goal, ok)
    counts = Counter(after.values())
    shares = ", ".join(f"{name} {counts[name] / len(after):.3f}" for name in ("train", *SHARES))
    yield _line(near, f"{len(after)} of {2 * SOURCES} rows: {shares}", "told", True)


def _split(sources: int, near: str, scratch: Path) -> dict[tuple[str, str], str]:
    """The split of each row of a run, by its text and its parent."""
    questions = dict.fromkeys(row["text"] for row in _questions())
    rows = [{"text": text} for text in [*questions][:sources]]
    recipe = {"name": "bench", "source": {"rows": rows}, "steps": [{"augment": {"by": "eda", "keep": True}}]}
    result = run(Recipe.model_validate({**recipe, "seed": 7}), out=scratch / "run")
    parents = {row["text"]: row["_parent"] for row in result.kept}
    made = export(result.path, scratch / "out", format="text", files="jsonl", splits=SHARES, near=near)
    texts = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in made.files}
    return {(text, parents[text]): name for name, lines in texts.items() for text in map(_text, lines)}


def _text(line: str) -> str:
    found: str = json.loads(line)["text"]
    return found


def _questions() -> Iterator[dict[str, str]]:
    for line in data("banking77/train.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _jaccard(texts: list[str]) -> np.ndarray:
    """(n, n) the Jaccard similarity of the sets of three-word shingles; of shorter texts, of their words."""
    from scipy.sparse import csr_matrix

    number: dict[tuple[str, ...], int] = {}
    rows, columns = [], []
    for at, text in enumerate(texts):
        words = normalised(text).split()
        found = {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
        rows += [at] * len(found)
        columns += [number.setdefault(shingle, len(number)) for shingle in found]
    matrix = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)))
    both = (matrix @ matrix.T).toarray()
    sizes = both.diagonal()
    return both / (sizes[:, None] + sizes[None, :] - both)


def _cosine(texts: list[str]) -> np.ndarray:
    vectors = stored_encoder(EncoderEntry(), Path()).encode(texts)
    return vectors @ vectors.T


def _apart(near: np.ndarray, places: np.ndarray) -> int:
    """Pairs that are near, and in two splits."""
    return int((np.triu(near, 1) & (places[:, None] != places[None, :])).sum())


def _line(near: str, figure: str, goal: str, ok: bool) -> Bar:
    return ("splits", f"near: {near}: {figure}", goal, ok)
