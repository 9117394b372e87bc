"""The second experiment: a small model writes rows for a task with few, in a language that it hardly knows.

Sentiment in Javanese (NusaX): 32 rows of people, and as many rows again as each technique is asked for. The writer is
the larger of the embedded models, shown rows of one label at a time: the smaller one knows no Javanese, and of 220
answers that it gave filters dropped nearly all. The student is the probe on the packaged encoder, tested on all other
rows of people.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from benchmarks.data import data
from synth_llm import ModelEntry, Row
from synth_llm.evaluation.part import Part
from synth_llm.evaluation.techniques import techniques

LANGUAGE = "javanese"
SEEDS, ROWS, DRAWS = 32, 30, 2
WRITER = ModelEntry(
    engine="local",
    model="qwen2.5-coder-1.5b-instruct",
    temperature=0.9,
    top_p=0.95,
    max_tokens=60,
    stop=["\n"],
    repairs=0,
)


def experiment(folder: Path, small: bool) -> Part:
    """What the student gains by rows that were written, beside copies and edited copies."""
    rows = _rows("nusax/train.jsonl")
    random.Random(0).shuffle(rows)
    test = [*rows[SEEDS:], *_rows("nusax/valid.jsonl")]
    part = techniques(
        rows[:SEEDS],
        test[:100] if small else test,
        kind="Javanese text",
        rows=6 if small else ROWS,
        seeds=DRAWS,
        names=["oversample", "eda", "prompted"],
        folder=folder,
        writer=WRITER,
    )
    part.notes.append(f"NusaX, {LANGUAGE}: train and valid; the texts are parallel over languages, only one is used.")
    return part


def _rows(name: str) -> list[Row]:
    lines = map(json.loads, data(name).read_text(encoding="utf-8").splitlines())
    return [{"text": row["text"], "label": row["label"]} for row in lines if row["lang"] == LANGUAGE]
