"""self_instruct: 500 tasks with answers out of the 175 published seeds, on the larger embedded model.

The recipe `self_instruct`, with the published seeds and twenty tasks an answer. Beside the paper's figures (Wang et al.
2022, arXiv 2212.10560, section 3, table 1), which are GPT-3's; and beside how like the seeds the paper's 252 user tasks
are. The run is kept in runs/generation/bars: a bar that was stopped goes on.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.core.recipes import Bar
from benchmarks.data import data
from benchmarks.runner import Failed
from synth_llm import Result, run
from synth_llm.errors import SynthError
from synth_llm.library import Library
from synth_llm.models.weights import WEIGHTS, fetch
from synth_llm.similar.rouge import rouge_pairs, rouge_tokens

WANTED, AT_ONCE, NOVEL = 500, 20, 0.7
USER_TASKS = 0.34
"""Mean of max ROUGE-L between the seeds and the 252 user tasks, both written by people."""
PAPER = {
    "tasks": 52_445,
    "choices": 11_584,
    "instances": 82_439,
    "without input": 35_878,
    "words": 15.9,
    "answer": 18.9,
}
FOLDER = Path(__file__).parents[2] / "runs/generation/bars/self_instruct"


def bar() -> Iterator[Bar]:
    seeds = data("self_instruct/seed_tasks.jsonl")
    with Progress(disable=True) as progress:
        for model in WEIGHTS:
            fetch(model, progress)
    try:
        result = run(
            Library(Path()).find("recipes", "self_instruct"),
            out=FOLDER,
            sets=[
                f"source.examples={json.dumps(str(seeds))}",
                f"target.rows={WANTED}",
                "target.round=1",
                f"steps.3.with.count={AT_ONCE}",
                f'models.writer.stop=["\\n{AT_ONCE + 1}."]',
                "models.writer.max_tokens=600",
                "models.answerer.max_tokens=60",
            ],
        )
    except SynthError as error:
        raise Failed(str(error)) from error
    kept = result.kept.to_list()
    if not kept:
        raise Failed(f"nothing was accepted: {result.why}")
    yield _line(
        f"{len(kept)} tasks with answers of {result.stats['candidates']} lists", f">= {WANTED}", len(kept) >= WANTED
    )
    yield _novelty(kept, seeds)
    yield from _funnel(result)
    yield from _beside_the_paper(kept)
    spent = result.manifest["spent"]["all runs"]
    tokens = spent["prompt_tokens"] + spent["completion_tokens"]
    yield _line(f"{tokens / len(kept):.0f} tokens a row, {spent['requests']} requests", "said", True)


def _line(figure: str, goal: str, ok: bool) -> Bar:
    return ("self_instruct", figure, goal, ok)


def _novelty(kept: Sequence[dict[str, Any]], seeds: Path) -> Bar:
    """How like its nearest seed each task is."""
    import numpy as np

    published = [json.loads(line)["instruction"] for line in seeds.read_text(encoding="utf-8").splitlines()]
    tokens = [[rouge_tokens(text) for text in texts] for texts in (published, [row["instruction"] for row in kept])]
    pairs = rouge_pairs(tokens[1], 0.01, others=tokens[0])
    most = np.zeros(len(kept))
    np.maximum.at(most, pairs.j, pairs.similarity)
    figure = f"max ROUGE-L to the {len(published)} seeds: mean {most.mean():.3f}, median {np.median(most):.3f}"
    goal = f"all < {NOVEL}; tasks of users: mean {USER_TASKS}"
    return _line(f"{figure}, greatest {most.max():.3f}", goal, bool(most.max() < NOVEL))


def _funnel(result: Result) -> Iterator[Bar]:
    """How many rows entered and left each step that made or dropped any."""
    for step in result.manifest["funnel"]:
        if step["made"] or step["rejected"]:
            why = ", ".join(f"{reason} {count}" for reason, count in step["rejected"].items())
            print(f"{step['step']}: {step['entered']} -> {step['left']} {why}", file=sys.stderr)
    by_name = {step["step"]: step for step in result.manifest["funnel"]}
    written, novel = by_name["new tasks"]["left"], by_name["novel"]
    share = novel["left"] / novel["entered"] if novel["entered"] else 0.0
    figure = f"{written} written, {novel['entered']} well formed, {novel['left']} novel ({share:.0%})"
    yield _line(f"{figure}, {by_name['sound']['left']} with a sound answer", "said", True)


def _beside_the_paper(kept: Sequence[dict[str, Any]]) -> Iterator[Bar]:
    """What the accepted rows are like, as table 1 of the paper tells it."""
    count = len(kept)
    choices = sum(row["task_kind"] == "choice" for row in kept) / count
    without = sum(row["input"] is None for row in kept) / count
    words = statistics.mean(len(row["instruction"].split()) for row in kept)
    answer = statistics.mean(len(row["output"].split()) for row in kept)
    shares = PAPER["choices"] / PAPER["tasks"], PAPER["without input"] / PAPER["instances"]
    yield _line(f"choices {choices:.0%}, without input {without:.0%}", f"paper: {shares[0]:.0%}, {shares[1]:.0%}", True)
    yield _line(f"words: task {words:.1f}, answer {answer:.1f}", f"paper: {PAPER['words']}, {PAPER['answer']}", True)
