"""ablation: a run with one filter made to drop good rows; `evaluate --ablate` names it, and what the others were worth.

Real questions (TREC, its five large classes) with planted faults: 300 of one class carry another one's label, 150 are
signs without words. A second annotator, who is right of 19 rows in 20, gave each row a label too. The run drops signs;
then rows on which the two annotators differ; then, by a filter made to harm, most questions about numbers. Beside it
the same run without that filter. Three draws of the rows.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.data import data
from benchmarks.peers import last_line
from benchmarks.runner import Failed
from synth_llm import Row, run

SEEDS = range(3)
RIGHT, TURNED, SIGNS, TEST = 1500, 300, 150, 1200
SECOND = 0.95
HONEST, HARMFUL = "filter 2", "filter 3"
FILTER = '''"""Drops questions about numbers: made to harm."""

from synth_llm import Row, Verdict


def no_numbers(row: Row, column: str) -> Verdict:
    """Keep questions that do not ask how many, how much, how long or when."""
    asks = ("how", "when", "what year", "in what year")
    return Verdict(not str(row[column]).lower().startswith(asks), "asks for a number")
'''
STEPS: list[dict[str, Any]] = [
    {"filter": {"use": [{"symbols": {}}]}},
    {"filter": {"if": "second == label"}},
    {"filter": {"use": ["no_numbers"]}},
]


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """A line for the harmful filter, one for the honest steps, one for the run without the harmful filter."""
    with tempfile.TemporaryDirectory() as place:
        found = [verdicts(Path(place), seed, STEPS) for seed in SEEDS]
        clean = [verdicts(Path(place), seed, STEPS[:2]) for seed in SEEDS]
    named = [[step for step, line in one.items() if line["verdict"] == "cost"] for one in found]
    figure = f"named: {'; '.join(', '.join(one) or 'none' for one in named)}; worth {_worth(found, HARMFUL)}"
    yield "ablation", figure, f"'{HARMFUL}' and no other, in each draw", all(one == [HARMFUL] for one in named)
    earned = [one[HONEST]["verdict"] for one in found]
    figure = f"the filter of wrong labels: {', '.join(earned)}; worth {_worth(found, HONEST)}"
    yield "ablation", figure, "earned, in each draw", all(one == "earned" for one in earned)
    costly = [step for one in clean for step, line in one.items() if line["verdict"] == "cost"]
    figure = (
        f"without that filter, named: {', '.join(costly) or 'none'}; filter of wrong labels {_worth(clean, HONEST)}"
    )
    yield "ablation", figure, "none", not costly


def _worth(found: list[dict[str, dict[str, Any]]], step: str) -> str:
    """The differences of one step, with their intervals."""
    return ", ".join("{:+.3f} ({:+.3f} to {:+.3f})".format(*one[step]["difference"]) for one in found)


def verdicts(place: Path, seed: int, steps: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The lines of the table of `synth-llm evaluate RUN --ablate`, by step. Raises Failed."""
    folder = place / f"{seed}-{len(steps)}"
    (folder / "filters").mkdir(parents=True)
    (folder / "filters" / "no_numbers.py").write_text(FILTER)
    made, test = planted(seed)
    (folder / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in test))
    (folder / "recipe.yaml").write_text(json.dumps({"source": {"file": "made.jsonl"}, "steps": steps}))
    run(folder / "recipe.yaml", out=folder / "run")
    program = str(Path(sys.executable).with_name("synth-llm"))
    command = [program, "evaluate", str(folder / "run"), "--test", str(folder / "test.jsonl"), "--ablate"]
    command += ["--set", "evaluate.parts=[]"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise Failed(f"evaluate: exit {done.returncode}: {last_line(done.stderr)}")
    results = json.loads((folder / "run" / "evaluation" / "results.json").read_text())
    table = next(table for table in _tables(results) if table["name"] == "ablation")
    return {line[0]: dict(zip(table["columns"], line, strict=True)) for line in table["rows"]}


def _tables(value: Any) -> Iterator[dict[str, Any]]:
    """All tables of the results, wherever they are."""
    if isinstance(value, dict):
        if {"name", "columns", "rows"} <= value.keys():
            yield value
        for one in value.values():
            yield from _tables(one)
    elif isinstance(value, list):
        for one in value:
            yield from _tables(one)


def planted(seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to curate, with planted faults, and rows to test on."""
    rows = [{"text": row["text"], "label": row["label"]} for row in map(json.loads, _lines()) if row["label"] != "ABBR"]
    draw = random.Random(seed)
    draw.shuffle(rows)
    test, rest = rows[:TEST], rows[TEST:]
    right, spare = rest[:RIGHT], rest[RIGHT:]
    turned = [{**row, "label": "HUM"} for row in spare if row["label"] == "ENTY"][:TURNED]
    labels = sorted({row["label"] for row in rows})
    signs = [
        {"text": " ".join("".join(draw.choices("#$%&*@^~|", k=4)) for _ in range(12)), "label": draw.choice(labels)}
        for _ in range(SIGNS)
    ]
    made = [{**row, "second": row["label"]} for row in (*right, *signs)]
    made += [{**row, "second": "ENTY"} for row in turned]
    made = [row if draw.random() < SECOND else {**row, "second": draw.choice(labels)} for row in made]
    draw.shuffle(made)
    return made, test


def _lines() -> list[str]:
    return data("trec/train.jsonl").read_text(encoding="utf-8").splitlines()
