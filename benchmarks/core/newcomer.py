"""newcomer: a fresh clone, `make demo`, and nothing else; then how a person labels what came out."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.core.recipes import Bar
from synth_llm.measure.interval import wilson

ROOT = Path(__file__).parents[2]
LABELS = Path(__file__).with_name("labels.jsonl")
"""What a person said of the demo's texts (`positive`, `negative` or `neither`), without their proposed label."""
JUDGED = 40
LARGER = "qwen2.5-coder-1.5b-instruct"


def bar() -> list[Bar]:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "synth-llm")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        own = {"SYNTH_LLM_CACHE": str(Path(folder, "cache"))}  # the weights are fetched too
        began = time.monotonic()
        done = subprocess.run(["make", "demo"], cwd=clone, env={**os.environ, **own}, capture_output=True, text=True)
        minutes = (time.monotonic() - began) / 60
        rows = kept(clone, "reviews") if done.returncode == 0 else []
        judged_by_larger = larger(clone, own) if rows else []
    labels = {row["label"] for row in rows}
    made = done.returncode == 0 and len(rows) >= 60 and len(labels) >= 2 and all(row["judged"] for row in rows)
    return [
        ("newcomer", f"{len(rows)} accepted in {len(labels)} labels, {minutes:.1f} min", ">= 60, >= 2, < 10 min",
         made and minutes < 10),
        agreement(rows),
        agreement(judged_by_larger, f"with {LARGER} as the judge: "),
    ]  # fmt: skip


def larger(clone: Path, own: dict[str, str]) -> list[dict[str, str]]:
    """The rows of the same recipe where the larger model judges; what the writer said is not asked again."""
    again = ["--out", "runs/larger", "--journal", "runs/reviews/journal.sqlite", "--model", f"judge=local:{LARGER}"]
    for command in (["fetch", LARGER], ["run", "reviews", *again]):
        program = str(clone / ".venv/bin/synth-llm")
        subprocess.run([program, *command], cwd=clone, env={**os.environ, **own}, check=True, capture_output=True)
    return kept(clone, "larger")


def kept(clone: Path, run: str) -> list[dict[str, str]]:
    """The kept rows of a run in the clone."""
    rows: list[dict[str, str]] = pq.read_table(clone / f"runs/{run}/kept.parquet").to_pylist()
    return rows


def agreement(rows: list[dict[str, str]], who: str = "") -> Bar:
    """The share of 40 rows on whose label the person agrees, with Wilson's 95 % interval."""
    said = {row["text"]: row["label"] for row in map(json.loads, LABELS.read_text().splitlines())}
    judged = [said[row["text"]] == row["label"] for row in rows if row["text"] in said][:JUDGED]
    if len(judged) < JUDGED:
        return ("newcomer", f"{who}only {len(judged)} texts of this run were labelled by hand", f"{JUDGED}", False)
    share, low, high = wilson(sum(judged), len(judged))
    figure = f"{who}{sum(judged)} of {len(judged)} labels agree: {share:.0%} ({low:.0%} to {high:.0%})"
    return ("newcomer", figure, ">= 75 %", share >= 0.75)
