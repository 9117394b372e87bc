"""time: all six parts of `synth-llm evaluate`, with the probe, of 5,000 made rows of at most 20 words against 1,000
real ones: seconds and memory, with no vector stored before, and the share of each part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.data import data
from benchmarks.peers import last_line
from benchmarks.runner import Failed
from synth_llm.models.weights import cache

MADE, REAL, WORDS = 5_000, 1_000, 20
SECONDS, BYTES = 180, 2_000_000_000
RECIPE = """\
source: {empty: 1}
steps: [{map: {}}]
evaluate:
  real: real.jsonl
  test: test.jsonl
  groups: {women: [she, her, woman, actress], men: [he, his, man, actor]}
  against: [test.jsonl]
"""


class Ran(NamedTuple):
    """One evaluation."""

    seconds: float
    cpu: float
    peak: int
    """Bytes of the process and all below it, at most; pages that they share count in each."""


def bar() -> Iterator[tuple[str, str, str, bool]]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place / "made.jsonl", "supergen/SST-2_generated_train.jsonl", MADE)
        write(place / "real.jsonl", "sst2/train.jsonl", REAL)
        write(place / "test.jsonl", "sst2/dev.jsonl", None)
        (place / "recipe.yaml").write_text(RECIPE)
        (place / "cache").mkdir()
        (place / "cache" / "models").symlink_to(cache() / "models")
        ran = evaluate(place)
        found = json.loads((place / "out" / "results.json").read_text())
        again = evaluate(place)
    times, parts = found["times"], found["parts"]
    total = sum(one["cpu"] for one in times.values())
    shares = ", ".join(f"{name} {one['cpu'] / total:.0%}" for name, one in times.items())
    missing = [name for name, one in parts.items() if one["state"] != "done"]
    yield (
        "time",
        f"{ran.seconds:.0f} s, {ran.cpu:.0f} s of the processor: {shares}",
        f"< {SECONDS} s on two cores",
        ran.seconds < SECONDS,
    )
    yield "time", f"{ran.peak / 1e6:,.0f} MB at most", f"< {BYTES / 1e6:,.0f} MB", ran.peak < BYTES
    yield "time", f"{len(parts) - len(missing)} of {len(parts)} parts measured", "all", not missing
    yield "time", f"{again.seconds:.1f} s when called again", "for comparison", True


def write(path: Path, name: str, rows: int | None) -> None:
    """The first rows with a text, cut to the most words."""
    with data(name).open(encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    short = [{"text": " ".join(row["text"].split()[:WORDS]), "label": str(row["label"])} for row in found]
    kept = [row for row in short if row["text"]][:rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")


def evaluate(place: Path) -> Ran:
    """Evaluate in a process of its own. Raises Failed."""
    program = Path(sys.executable).with_name("synth-llm")
    command = [str(program), "evaluate", "made.jsonl", "--with", "recipe.yaml", "--out", "out"]
    env = {**os.environ, "SYNTH_LLM_CACHE": str(place / "cache")}
    began, peak = time.monotonic(), 0
    with (place / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=place)
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak = max(peak, resident(process.pid))
            time.sleep(0.1)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"exit {process.returncode}: {last_line((place / 'log').read_text())}")
    return Ran(time.monotonic() - began, used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss * 1024))


def resident(pid: int) -> int:
    """Bytes in memory of a process and those that it started."""
    total = 0
    with suppress(OSError):  # it may end while it is looked at
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(resident(int(child)) for child in (task / "children").read_text().split())
    return total
