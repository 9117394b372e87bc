"""synth-llm as a client: a recipe of one step, or of two, that the command line runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.engines.harness import PROGRAM, Client, Job

PROMPTS = Path(__file__).parents[1] / "core" / "project" / "prompts"


def one_step(job: Job) -> list[str]:
    """A text for each row."""
    return _run(job, [{"generate": {"prompt": "write", "model": "writer"}}])


def two_steps(job: Job) -> list[str]:
    """A text for each row, and a score for each text, by two models at one endpoint."""
    steps: list[dict[str, Any]] = [
        {"generate": {"prompt": "write", "model": "writer"}},
        {"judge": {"prompt": "score", "model": "judge"}},
    ]
    return _run(job, steps)


def _run(job: Job, steps: list[dict[str, Any]]) -> list[str]:
    shutil.copytree(PROMPTS, job.folder / "prompts")
    with (job.folder / "rows.jsonl").open("w") as file:
        for number in range(job.rows):
            file.write(json.dumps({"id": f"r{number}", "topic": f"topic {number}"}) + "\n")
    entry: dict[str, Any] = {"engine": "openai", "url": job.url, "model": "mock", "timeout": 30}
    if job.concurrency is not None:
        entry["concurrency"] = job.concurrency
    asked = {name for step in steps for settings in step.values() for name in [settings["model"]]}
    models = {"writer": {**entry, "temperature": 0.8}, "judge": {**entry, "temperature": 0}}
    recipe = {
        "seed": 3,
        "models": {name: models[name] for name in sorted(asked)},
        "source": {"file": "rows.jsonl", "id": "id"},
        "steps": steps,
    }
    path = job.folder / "bench.yaml"
    path.write_text(json.dumps(recipe, indent=1))
    return [PROGRAM, "run", str(path), "--out", str(job.folder / "out")]


def kept(output: str, folder: Path) -> int:
    """Rows that the run's manifest says were kept."""
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    count: int = manifest["counts"]["kept"]
    return count


CODES = (0, 3)
"""3: a run that is incomplete, because rows were given up."""
OURS = Client("synth-llm", one_step, kept, CODES)
OURS_TWO_STEPS = Client("synth-llm", two_steps, kept, CODES)
