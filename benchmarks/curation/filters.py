"""filters: defects that are caught, good rows that are kept, refusals, the quality score, and speed.

Alpaca's defects are counted by plain rules written here, apart from the filters. Speed: our Gopher and C4 rules and
datatrove's over the same texts in the same run, in CPU seconds of one process each.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import data
from benchmarks.peers import last_line, python_of, scripts
from benchmarks.runner import Failed
from synth_llm.library import Library, load_filter
from synth_llm.row import Row

INSTRUCTION_ROWS = (
    *("length", "repetition", "symbols", "refusal", "hedge", "boilerplate", "placeholder", "leakage", "attachment"),
    *("echo", "merged", "truncated", "code", "arithmetic"),
)
"""The filters that are proposed for instruction rows, with their default settings, on the column `output`."""
FALSE_DROPS = 0.02
SPEED = 10.0
SPLITS, RESAMPLES = 5, 400
"""Splits of the rated rows into halves; the first is the bar, the others show how much hangs on it."""
LONG = 50
"""Words from which verdicts are compared: Gopher's rules are for no shorter texts."""

Line = tuple[str, str, str, bool]


def bar() -> Iterator[Line]:
    """Every figure of the filters."""
    alpaca, dolly = _rows("alpaca/alpaca_random_dev.jsonl"), _rows("dolly/dolly_dev.jsonl")
    checks = [(name, load_filter(name, Library())) for name in INSTRUCTION_ROWS]
    yield from _defects(alpaca, checks)
    yield _false_drops(dolly, checks)
    yield from _refusals()
    yield _speed([row["output"] for row in (*alpaca, *dolly) if row["output"].strip()])
    yield _quality(alpaca)


def _rows(name: str) -> list[Row]:
    return [json.loads(line) for line in data(name).read_text(encoding="utf-8").splitlines()]


Checks = list[tuple[str, Callable[..., Any]]]


def _dropped(row: Row, checks: Checks) -> str:
    """The first filter that drops the row's output; empty if none does."""
    return next((name for name, check in checks if not check(row, "output").keep), "")


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


DEFECTS: dict[str, Callable[[Row], bool]] = {
    "empty output": lambda row: not row["output"].strip(" \t\n\u200b\ufeff"),
    "<noinput>": lambda row: (
        _bare(row["input"]) in {"noinput", "noinputrequired", "noinputneeded", "noinputnecessary", "noinputprovided"}
        or "<noinput>" in row["input"].lower().replace(" ", "")
    ),
    "<no output>": lambda row: _bare(row["output"]) in {"nooutput", "nooutputrequired", "nooutputneeded"},
    "merged": lambda row: bool(re.search(r"\n\s*#*\s*\d*\.?\s*Instruction\s*:", row["output"] + "\n" + row["input"])),
    "repeats input": lambda row: bool(_bare(row["input"])) and row["input"].split() == row["output"].split(),
}


def _defects(rows: list[Row], checks: Checks) -> Iterator[Line]:
    for name, has in DEFECTS.items():
        bad = [row for row in rows if has(row)]
        caught = sum(bool(_dropped(row, checks)) for row in bad)
        yield f"alpaca: {name}", f"{caught} of {len(bad)} caught", "all", caught == len(bad)


def _false_drops(rows: list[Row], checks: Checks) -> Line:
    reasons = [_dropped(row, checks) for row in rows]
    dropped = sum(map(bool, reasons))
    by = ", ".join(f"{name} {reasons.count(name)}" for name in INSTRUCTION_ROWS if name in reasons)
    share = dropped / len(rows)
    return "dolly", f"{share:.2%} dropped ({by})", f"at most {FALSE_DROPS:.0%}", share <= FALSE_DROPS


def _refusals() -> Iterator[Line]:
    """Agreement with two people on what complies in full, beside that of the authors' matching strings."""
    refusal = load_filter("refusal", Library())
    for path in sorted(data("xstest_refusals").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        ours = [refusal({"text": row["completion"]}).keep for row in rows]
        strings = [row["strmatch_label"].startswith("1") for row in rows]
        figures, ok = [], True
        for number in (1, 2):
            people = [row[f"annotation_{number}"].startswith("1") for row in rows]
            mine, theirs = (_agreement(said, people) for said in (ours, strings))
            figures.append(f"{mine:.3f} beside {theirs:.3f}")
            ok &= mine >= theirs
        yield f"xstest {path.stem}", f"agrees {', '.join(figures)}", "no less than matching strings, both people", ok


def _agreement(one: list[bool], other: list[bool]) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def _speed(texts: list[str]) -> Line:
    checks = [load_filter("gopher", Library()), load_filter("c4", Library())]
    names = ({"rules": ["quality"]}, {"rules": ["repetition"]})
    rows = [{"text": text} for text in texts]
    began = time.process_time()
    ours = [[checks[0](row, **names[0]).keep, checks[0](row, **names[1]).keep, checks[1](row).keep] for row in rows]
    seconds = time.process_time() - began
    theirs = _datatrove(texts)
    ratio = theirs["seconds"] / seconds
    pairs = [(a, b) for text, a, b in zip(texts, ours, theirs["kept"], strict=True) if len(text.split()) >= LONG]
    agree = [sum(a[at] == b[at] for a, b in pairs) / len(pairs) for at in range(3)]
    figure = (
        f"{len(rows) / seconds:,.0f} rows a CPU second, datatrove {len(rows) / theirs['seconds']:,.0f}: {ratio:.1f} x; "
        f"same verdicts of long texts {agree[0]:.1%} quality, {agree[1]:.1%} repetition, {agree[2]:.1%} C4"
    )
    return "speed", figure, f"{SPEED:g} x", ratio >= SPEED


def _datatrove(texts: list[str]) -> Any:
    python = python_of("curation", "datatrove")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts))
        script = scripts("curation") / "datatrove_filters.py"
        done = subprocess.run([python, str(script), str(file)], capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise Failed(f"datatrove: {last_line(done.stderr)}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _quality(rows: list[Row]) -> Line:
    """Fitted on half of the rated rows, tried on the other, and the other way round, beside negative length."""
    import numpy as np

    from synth_llm.encoders import EncoderEntry, stored_encoder
    from synth_llm.quality import features

    good = np.array([bool(row["claude_ge45"]) for row in rows])
    parts = [[row["instruction"], row["input"], row["output"]] for row in rows]
    values = np.array([features(texts) for texts in parts])
    length = -np.array([float(len(row["output"])) for row in rows])
    encoder = stored_encoder(EncoderEntry(), Path())
    vectors = encoder.encode(["\n".join(filter(None, texts)) for texts in parts])
    splits = [_halves(values, vectors, good, length, seed) for seed in range(SPLITS)]
    score, plain, low, high = splits[0]
    figure = (
        f"AUROC {score:.3f}, negative length {plain:.3f}, more by {low:+.3f} to {high:+.3f}; in {SPLITS} splits "
        f"{min(one[0] for one in splits):.3f} to {max(one[0] for one in splits):.3f}, "
        f"{sum(one[2] > 0 for one in splits)} above length by more than the interval; "
        f"without embeddings {_halves(values, None, good, length, 0)[0]:.3f}"
    )
    return "quality", figure, "above negative length by more than the interval", low > 0


def _halves(values: Any, vectors: Any, good: Any, length: Any, seed: int) -> tuple[float, float, float, float]:
    """Mean AUROC of both halves, that of negative length, and the 95 % bootstrap interval of the difference."""
    import numpy as np

    from synth_llm.quality import Scorer, auroc

    order = np.random.default_rng(seed).permutation(len(good))
    halves = [order[: len(order) // 2], order[len(order) // 2 :]]
    scores = np.zeros(len(good))
    for fit, test in (halves, halves[::-1]):
        scorer = Scorer(values[fit], good[fit], None if vectors is None else vectors[fit])
        scores[test] = scorer(values[test], None if vectors is None else vectors[test])

    def means(parts: list[Any]) -> tuple[float, float]:
        both = [[auroc(said[part], good[part]) for part in parts] for said in (scores, length)]
        return float(np.mean(both[0])), float(np.mean(both[1]))

    generator = np.random.default_rng(seed)
    more = []
    for _ in range(RESAMPLES):
        drawn = [generator.choice(half, len(half)) for half in halves]
        score, plain = means(drawn)
        more.append(score - plain)
    return (*means(halves), float(np.quantile(more, 0.025)), float(np.quantile(more, 0.975)))
