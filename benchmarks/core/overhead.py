"""overhead: CPU for a model call over the bare call, and memory a row, with a function that answers at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.core.recipes import PROJECT, Bar

SCRIPT = """
import json, resource, sys, time
from pathlib import Path
from synth_llm import Filter, Generate, Judge, ModelEntry, Recipe, Source, run
from synth_llm.models.request import Request

rows, folder = int(sys.argv[1]), Path(sys.argv[2])
TEXT = "The quiet river runs past the old stone bridge in the orange light of the evening, and nobody says "

def write(request: Request) -> str:
    return TEXT + str(request.seed)

def score(request: Request) -> str:
    return '{"score": 4}'

recipe = Recipe(
    models={"writer": ModelEntry(engine="function", function=write, model="w"),
            "judge": ModelEntry(engine="function", function=score, model="j", temperature=0)},
    source=Source(file=str(folder / "rows.jsonl"), id="id"),
    steps=[Generate(prompt="write", model="writer"), Filter(use=["length"]), Judge(prompt="score", model="judge")],
)
began = time.process_time()
result = run(recipe, out=folder / "out")
cpu = time.process_time() - began
assert result.stats["kept"] == rows, result.stats
request = Request("w", ({"role": "user", "content": "x"},), {})
began = time.process_time()
for _ in range(2 * rows):
    write(request)
bare = time.process_time() - began
print(json.dumps({"cpu": cpu, "bare": bare, "rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


def measure(rows: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PROJECT / "prompts", Path(folder) / "prompts")
        with Path(folder, "rows.jsonl").open("w") as file:
            for n in range(rows):
                file.write(json.dumps({"id": f"r{n}", "topic": f"topic number {n}"}) + "\n")
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(rows), folder], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
        )
        value: dict[str, float] = json.loads(done.stdout)
        return value


def bar() -> list[Bar]:
    small, large = measure(10_000), measure(100_000)
    calls = 2 * 100_000
    per_call = (large["cpu"] - large["bare"]) / calls * 1000
    per_row = (large["rss_kb"] - small["rss_kb"]) / 90_000
    return [
        ("overhead", f"{per_call:.3f} ms CPU a call over the bare call", "<= 0.4 ms", per_call <= 0.4),
        ("overhead", f"{per_row:.3f} KB a row between 10,000 and 100,000 rows", "<= 0.5 KB", per_row <= 0.5),
    ]
