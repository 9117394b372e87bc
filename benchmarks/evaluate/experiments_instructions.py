"""The third experiment: instructions written in the manner of the 175 seeds, and what a filter of similarity does.

The embedded model is shown six seeds and two of its own (Self-Instruct, arXiv 2212.10560, section 2.2). A new
instruction is dropped when its ROUGE-L with a seed or an earlier one is .7 or more. Diversity of all that passed the
other filters, and of what stays, at equal size; and of the seeds, cut to as many words.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import data
from benchmarks.runner import Failed
from synth_llm import Recipe, run
from synth_llm.encoders import EncoderEntry, stored_encoder
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.evaluation.techniques import WRITER
from synth_llm.measure.diversity import common_length, compression_ratio, distinct_n, matched, novelty, vendi

CANDIDATES, DRAWS = 200, 20
LEAST = 8
"""Fewer instructions say nothing of diversity."""


def experiment(folder: Path, small: bool) -> Part:
    """Diversity before and after the filter of similarity."""
    kept, dropped, asked = _generated(folder, 12 if small else CANDIDATES)
    before, seeds = [*kept, *dropped], _seeds()
    if len(kept) < LEAST // (2 if small else 1):
        raise Failed(f"{len(kept)} instructions of {asked} are left: too few to compare")
    size = min(len(kept) * 9 // 10, len(seeds))
    words = common_length(before, kept, seeds)
    long_enough = min(size, *(matched(texts, words, size).of for texts in (before, kept, seeds)))
    sets = {"before": before, "after": kept, "seeds": seeds}
    measures: dict[str, Callable[[Sequence[str]], float]] = {
        "distinct_2": lambda texts: distinct_n(texts, n=2),
        "novelty": novelty,
        "vendi": lambda texts: vendi(stored_encoder(EncoderEntry(), Path()).encode(texts)),
        "compression_ratio": compression_ratio,
    }
    part, lines = Part(), []
    for name, measure in measures.items():
        draws = {
            kind: np.array([measure(matched(texts, None, size, seed).texts) for seed in range(DRAWS)])
            for kind, texts in sets.items()
        }
        cut = {kind: measure(matched(texts, words, long_enough).texts) for kind, texts in sets.items()}
        lines.append([name, *map(_cell, draws.values()), *(round(value, 4) for value in cut.values())])
        apart = draws["after"] - draws["before"]
        low, high = np.quantile(apart, (0.025, 0.975))
        part.figures.append(Figure(f"{name} after less before", float(apart.mean()), float(low), float(high)))
    columns = ["measure", *sets, *(f"{kind}, {words} words" for kind in sets)]
    title = f"Diversity of {size} instructions, before and after the filter of similarity"
    part.tables.append(Table("instructions", title, columns, lines))
    part.notes += [
        f"{asked} instructions asked for; {len(before)} passed the other filters; {len(dropped)} of them repeat a seed "
        f"or an earlier one (ROUGE-L >= .7); {len(kept)} are left.",
        f"Intervals: the middle 95 % of {DRAWS} draws of {size}, without replacement. Lower is more diverse for "
        f"compression_ratio. The last columns: {long_enough} texts of each, cut to equal length.",
    ]
    return part


def _generated(folder: Path, candidates: int) -> tuple[list[str], list[str], int]:
    """What stays, what the filter of similarity dropped, and how many were asked for."""
    seeds = [{"instruction": text} for text in _seeds()]
    random.Random(0).shuffle(seeds)
    value: dict[str, Any] = {
        "about": "Tasks for an assistant.",
        "seed": 7,
        "models": {"writer": WRITER.model_copy(update={"temperature": 1.0})},
        "source": {"empty": candidates, "examples": seeds},
        "steps": [
            {"sample": {"name": "seeds", "n": 6, "into": "seeds", "fixed": True}},
            {"sample": {"name": "made", "from": "accepted", "n": 2, "into": "made"}},
            {"generate": {"prompt": "instruct/instructions", "model": "writer", "with": {"count": 1}}},
            {"map": {"drop": ["seeds", "made"]}},
            {"filter": {"column": "instruction", "use": [{"length": {"min_words": 4, "max_words": 40}}, "refusal"]}},
            {"dedup": {"column": "instruction", "by": "rouge", "against": ["examples"]}},
        ],
    }
    result = run(Recipe.model_validate(value), out=folder / f"run-{candidates}")
    dropped = [json.loads(line["row"])["instruction"] for line in result.rejected if line["step"] == "dedup"]
    return [row["instruction"] for row in result.kept], dropped, candidates


def _seeds() -> list[str]:
    lines = data("self_instruct/seed_tasks.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["instruction"] for line in lines]


def _cell(draws: Any) -> list[float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return [round(float(value), 4) for value in (draws.mean(), low, high)]
