"""CPU seconds of each kind of deduplication beside a peer's or the limit, all measured in this run."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.curation.rows import Plant, short_rows
from benchmarks.curation.steps import context, kept, numbered
from benchmarks.peers import python_of, scripts
from benchmarks.runner import Failed
from synth_llm import Dedup
from synth_llm.similar.exact import normalised
from synth_llm.similar.meaning import meaning_pairs
from synth_llm.similar.minhash import Shingling, jaccard

T = TypeVar("T")
Line = tuple[str, str, str, bool]

ROWS = 100_000
NEAR, COSINE, ROUGE = 0.7, 0.9, 0.7
ENCODED = 3000
"""Rows that are really encoded; the other vectors are made of theirs."""
LIMIT = 900.0
"""Seconds for one peer."""


def bar() -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as folder:
        yield from _near(Path(folder))
        yield from _rouge(Path(folder))
        yield from _meaning(Path(folder))


def cpu(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of all threads, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _peer(name: str, file: Path, threshold: float) -> tuple[float, list[bool]]:
    command = [python_of("curation", name), scripts("curation") / "dedup_peer.py", name, file, str(threshold)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        raise Failed(f"{name} takes more than {LIMIT:.0f} s") from None
    if done.returncode:
        raise Failed(f"{name}: {done.stderr.strip()[-200:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    return said["seconds"], said["kept"]


def _near(folder: Path) -> Iterator[Line]:
    """Words by three: equal in form or a Jaccard similarity of .7, in rows of which a fifth is planted."""
    texts, plants = short_rows(ROWS)
    file = folder / "rows.json"
    file.write_text(json.dumps(texts))
    rows = numbered([{"text": text} for text in texts])
    one, other = _alike(texts, plants)
    seconds, ours = cpu(lambda: kept(rows, by="near", threshold=NEAR))
    recall = _resolved(ours, one, other)
    parts = [f"ours {seconds:.1f} s, recall {recall:.4f} of {len(one)}"]
    beside = {}
    for name in ("rensa", "datasketch"):
        theirs, stays = _peer(name, file, NEAR)
        beside[name] = theirs, _resolved(stays, one, other)
        parts.append(f"{name} {theirs:.1f} s, {beside[name][1]:.4f}")
    ok = seconds <= 1.2 * beside["rensa"][0] and recall >= beside["rensa"][1]
    yield "near, 100,000", "; ".join(parts), "<= 1.2 x rensa's CPU at equal or better recall of plants", bool(ok)
    seconds, _ = cpu(lambda: kept(rows))
    yield "exact, 100,000", f"{seconds:.1f} s", "none", True


def _alike(texts: list[str], plants: list[Plant]) -> tuple[np.ndarray, np.ndarray]:
    """The planted pairs that are exactly .7 alike or more."""
    forms = [normalised(text) for text in texts]
    one = np.array([plant.original for plant in plants])
    other = np.array([plant.copy for plant in plants])
    near = jaccard(one, other, forms, Shingling("word", 3)) >= NEAR
    return one[near], other[near]


def _resolved(stays: list[bool], one: np.ndarray, other: np.ndarray) -> float:
    """The share of the pairs of which not both stay."""
    kept_rows = np.array(stays)
    return float(1 - (kept_rows[one] & kept_rows[other]).mean())


def _rouge(folder: Path) -> Iterator[Line]:
    for count in (1000, 10_000):
        texts, _ = short_rows(count)
        rows = numbered([{"text": text} for text in texts])
        kept(rows[:10], by="rouge")  # what is imported when it is first needed
        seconds, ours = cpu(lambda rows=rows: kept(rows, by="rouge", threshold=ROUGE))
        if count == 10_000:
            yield "ROUGE-L, 10,000", f"{seconds:.2f} s, {ours.count(False)} rejected", "<= 5 CPU s", seconds <= 5
            return
        file = folder / "few.json"
        file.write_text(json.dumps(texts))
        theirs, stays = _peer("rouge_score", file, ROUGE)
        ratio, differ = theirs / seconds, sum(a != b for a, b in zip(ours, stays, strict=True))
        figure = f"ours {seconds:.3f} s, rouge-score {theirs:.1f} s: {ratio:.0f} x; {differ} decisions differ"
        yield "ROUGE-L, 1,000", figure, ">= 500 x less CPU, the same decisions", ratio >= 500 and not differ


def _meaning(folder: Path) -> Iterator[Line]:
    vectors, line = _vectors()
    yield line
    seconds, found = cpu(lambda: meaning_pairs(vectors, COSINE))
    bound, exact = _products(vectors)
    share = np.isin(exact, found.i * ROWS + found.j).mean()
    ratio = f"ours {seconds:.1f} s, the products alone {bound:.1f} s: {seconds / bound:.2f} x"
    figure = f"{ratio}; {share:.5f} of {len(exact)} pairs"
    yield "vectors, limit", figure, "<= 1.3 x sgemm, all pairs", bool(seconds <= 1.3 * bound and share >= 0.9999)
    file = folder / "vectors.npy"
    np.save(file, vectors)
    theirs, stays = _peer("semhash", file, COSINE)
    figure = f"ours {seconds:.1f} s, semhash {theirs:.1f} s: {theirs / seconds:.1f} x; semhash keeps {sum(stays)}"
    ok = theirs >= 4 * seconds and share >= 0.999
    yield "vectors, semhash", figure, ">= 4 x less CPU, >= 99.9 % of the exact pairs", bool(ok)


def _vectors() -> tuple[np.ndarray, Line]:
    """100,000 vectors spread as MiniLM's of short rows are: mixtures of real ones, a tenth of them planted again.

    The line says whether a second run encoded again what the first one stored.
    """
    texts, _ = short_rows(ENCODED)
    encoded, survivors = 0, 0
    with tempfile.TemporaryDirectory() as cache:
        os.environ["SYNTH_LLM_CACHE"] = cache
        for _ in range(2):
            step = Dedup(by="meaning")
            ctx = context(step)
            survivors = len(list(step.split(numbered([{"text": text} for text in texts]), ctx)))
            encoded = ctx.use.encoder().encoded
        real = ctx.encode(texts)
    line = ("a second run", f"{encoded} of {survivors} texts encoded", "none", encoded == 0)
    random = np.random.default_rng(0)
    one, other = random.integers(0, len(real), (2, ROWS))
    noise = random.standard_normal((ROWS, real.shape[1]), dtype=np.float32) / np.sqrt(real.shape[1])
    made = real[one] + 0.7 * real[other] + 0.5 * noise
    planted = np.arange(ROWS - ROWS // 10, ROWS)
    made[planted] = made[random.integers(0, planted[0], len(planted))] + 0.4 * noise[planted]
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32), line


def _products(vectors: np.ndarray) -> tuple[float, np.ndarray]:
    """CPU seconds of the products of all pairs and nothing else, and the pairs that reach the cosine."""
    seconds, found, size = 0.0, [], 2048
    for start in range(0, len(vectors), size):
        rows, before = vectors[start : start + size], vectors[: start + size]
        one, block = cpu(lambda rows=rows, before=before: rows @ before.T)
        seconds += one
        row, i = np.divmod(np.flatnonzero(block >= COSINE), block.shape[1])
        found.append((i * len(vectors) + row + start)[i < row + start])
    return seconds, np.concatenate(found)
