"""start: what a user waits for before anything happens, and the default tests."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.core.recipes import Bar
from benchmarks.runner import Failed

ROOT = Path(__file__).parents[2]


def quickest(command: list[str], times: int = 5) -> float:
    """Seconds of the quickest of some runs."""
    taken = []
    for _ in range(times):
        began = time.monotonic()
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise Failed(f"{' '.join(command[-6:])}: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
        taken.append(time.monotonic() - began)
    return min(taken)


def bar() -> list[Bar]:
    bare = quickest([sys.executable, "-c", "pass"])
    imported = quickest([sys.executable, "-c", "import synth_llm"]) - bare
    shown = quickest([str(Path(sys.executable).parent / "synth-llm"), "--help"])
    tests = quickest([sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"], times=1)
    return [
        ("start", f"import synth_llm {imported:.3f} s over a bare Python", "< 0.3 s", imported < 0.3),
        ("start", f"synth-llm --help {shown:.3f} s", "< 0.5 s", shown < 0.5),
        ("start", f"default tests {tests:.0f} s", "< 180 s", tests < 180),
    ]
