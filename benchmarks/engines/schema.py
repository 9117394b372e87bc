"""schema: answers bound by a JSON Schema are valid, on the embedded engine and on vLLM, with the embedded model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

Bar = tuple[str, str, str, bool]

ROOT = Path(__file__).parents[2]
VLLM = ROOT / ".vllm" / "bin" / "python"
"""The environment that `make test-vllm` makes."""
GOAL, LONGEST = 0.995, 3000.0


def measured(python: str | Path, engine: str) -> Bar:
    """500 answers of one engine, asked in a process of its own."""
    name, goal = "schema", f">= {GOAL:.1%} of 500"
    if not Path(python).exists():
        return name, f"{engine}: {python} is not there: make test-vllm", goal, False
    command = [str(python), "-m", "benchmarks.engines.schema_answers", engine]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return name, f"{engine}: no end after {LONGEST:.0f} s", goal, False
    if done.returncode:
        return name, f"{engine}: {(done.stderr.splitlines() or ['it failed'])[-1]}", goal, False
    said = json.loads(done.stdout.splitlines()[-1])
    share = said["valid"] / said["asked"]
    detail = "".join(f"; {what}" for what in said["invalid"][:1])
    figure = f"{engine}: {share:.1%} of {said['asked']} valid, {said['tokens'] / said['seconds']:.0f} tokens/s{detail}"
    return name, figure, goal, said["asked"] == 500 and share >= GOAL


def bar() -> list[Bar]:
    return [measured(sys.executable, "local"), measured(VLLM, "vllm")]
