"""sft: a student that writes, trained on a CPU from the embedded model, learns; its folder loads elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import data
from benchmarks.engines.schema import VLLM
from benchmarks.runner import Failed
from synth_llm.measure.interval import bootstrap
from synth_llm.student.sft import Sft
from synth_llm.student.student import Task

SEEDS = (0, 1, 2)
ROWS, HELD_OUT, ASKED = 32, 24, 4
SHORT = 90
"""Characters of a prompt, and of an answer, at most: training on a CPU takes about a second for 100 tokens."""
SETTINGS = {"epochs": 2, "batch": 8, "answer_tokens": 24}
NEAR = 0.03
"""Nats a token that rounding the saved weights to bfloat16 may change."""
LONGEST = 600.0
ANSWER = """
import json, sys
from vllm import LLM, SamplingParams
folder, prompts = sys.argv[1], json.loads(sys.argv[2])
model = LLM(folder, enforce_eager=True, dtype="float32", max_model_len=512)
turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
given = SamplingParams(temperature=0, max_tokens=int(sys.argv[3]))
print("ANSWERS " + json.dumps([one.outputs[0].text.strip() for one in model.chat(turns, given, use_tqdm=False)]))
"""


def rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Short rows that text-davinci-003 made (Alpaca): to learn from, and held out."""
    with data("alpaca/alpaca_random_dev.jsonl").open() as file:
        every = [json.loads(line) for line in file]
    short = [
        row for row in every if 20 < len(row["output"]) < SHORT and len(row["instruction"]) + len(row["input"]) < SHORT
    ]
    order = np.random.default_rng(0).permutation(len(short))
    taken = [short[at] for at in order[: ROWS + HELD_OUT]]
    return taken[:ROWS], taken[ROWS:]


def student(seed: int, **settings: Any) -> Sft:
    task = Task(["output"], prompt=["instruction", "input"], answer="output", settings={**SETTINGS, **settings})
    return Sft(task, seed)


def bar() -> Iterator[tuple[str, str, str, bool]]:
    learned, held = rows()
    before = student(0).losses(held)
    after, first = [], None
    for seed in SEEDS:
        one = student(seed).fit(learned)
        after.append(one.losses(held))
        first = first or one
    assert first is not None
    falls = [float((before - losses).mean()) for losses in after]
    spread = max(falls) - min(falls)
    fall = before - np.mean(after, axis=0)
    found = bootstrap(lambda at: float(fall[at].mean()), len(held))
    figure = (
        f"held-out loss {before.mean():.3f} before, {np.mean(after):.3f} after {SETTINGS['epochs']} epochs of {ROWS} "
        f"rows: {found.value:.3f} less [{found.low:.3f}, {found.high:.3f}] over {HELD_OUT} rows; least of "
        f"{len(SEEDS)} seeds {min(falls):.3f}, their spread {spread:.3f}"
    )
    yield "sft", figure, "every seed's fall above their spread, interval above 0", min(falls) > spread and found.low > 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "student"
        first.save(folder, {"data": "Alpaca, 32 short rows"})
        again = student(0, model=str(folder))
        apart = float(np.abs(again.losses(held) - after[0]).mean())
        yield "sft", f"the saved folder in transformers: losses {apart:.4f} apart", f"<= {NEAR}", apart <= NEAR
        said = again.predict(held[:ASKED])
        heard = by_vllm(folder, held[:ASKED])
        same = sum(one == other for one, other in zip(said, heard, strict=True))
        figure = f"the saved folder in vLLM: {same} of {ASKED} greedy answers as in transformers"
        yield "sft", figure, f"all {ASKED} answered, {ASKED - 1} alike", all(heard) and same >= ASKED - 1


def by_vllm(folder: Path, asked: list[dict[str, Any]]) -> list[str]:
    """What vLLM's CPU build answers. Raises Failed."""
    if not VLLM.exists():
        raise Failed(f"{VLLM} is not there: make test-vllm")
    prompts = ["\n".join(part for part in (row["instruction"], row["input"]) if part) for row in asked]
    command = [str(VLLM), "-c", ANSWER, str(folder), json.dumps(prompts), str(SETTINGS["answer_tokens"])]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise Failed(f"vLLM took more than {LONGEST:.0f} s") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWERS ")]
    if not lines:
        raise Failed(f"vLLM does not load the folder: {(done.stderr.splitlines() or ['it said nothing'])[-1]}")
    answers: list[str] = json.loads(lines[0].removeprefix("ANSWERS "))
    return answers
