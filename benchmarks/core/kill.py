"""kill: SIGKILL at random moments of one run's life, restarted each time; the output is as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.core.mock import Mock
from benchmarks.core.recipes import Bar, three_steps

IN_FLIGHT = 16


def start(recipe: Path, out: Path) -> subprocess.Popen[bytes]:
    code = "import sys; from synth_llm import run; sys.exit(0 if run(sys.argv[1], out=sys.argv[2]).complete else 3)"
    return subprocess.Popen([sys.executable, "-c", code, str(recipe), str(out)])


def wait_for(process: subprocess.Popen[bytes], reached: Callable[[], bool], seconds: float) -> None:
    """Wait until something is reached, the time is over or the process has ended."""
    end = time.monotonic() + seconds
    while not reached() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.001)


def outputs(out: Path) -> tuple[bytes, bytes]:
    return (out / "kept.parquet").read_bytes(), (out / "rejected.parquet").read_bytes()


def kills(rows: int, count: int, seed: int = 11) -> dict[str, object]:
    """Run once undisturbed, then once under `count` kills; what came of it.

    A request is re-paid by the kill that took its answer: the last one after which it was sent again.
    """
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, Mock(latency=lambda number: 0.005 + number % 40 / 1000) as mock:
        recipe = three_steps(Path(folder, "project"), mock.url, rows, concurrency=IN_FLIGHT)
        assert start(recipe, Path(folder, "calm")).wait() == 0
        calm, needed = outputs(Path(folder, "calm")), len(mock.bodies)
        began = time.monotonic()
        assert start(recipe, Path(folder, "calm")).wait() == 0
        replay_s = time.monotonic() - began
        mock.reset()
        finished, at = 0, 0
        while at - finished < count:
            at += 1
            mock.epoch = at
            process = start(recipe, Path(folder, "killed"))
            if at % 5 == 0 or finished:  # at any moment of a start, a replay, the writing of the output
                wait_for(process, lambda: False, draw.uniform(0.0, 1.2 * replay_s))
            else:  # so many requests further, and a moment more
                until = mock.sent + draw.uniform(0, 2.2 * needed / count)
                wait_for(process, lambda until=until: mock.sent >= until, 60.0)
                wait_for(process, lambda: False, draw.uniform(0.0, 0.05))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            elif process.wait() == 0:
                finished += 1
            process.wait()
        assert start(recipe, Path(folder, "killed")).wait() == 0
        again = outputs(Path(folder, "killed"))
        return {
            "kills": at - finished,
            "finished": finished,
            "needed": needed,
            "distinct": len(mock.bodies),
            "worst": max(mock.lost.values(), default=0),
            "repaid": mock.seen_again,
            "identical": again == calm,
        }


def bar() -> list[Bar]:
    got = kills(rows=2000, count=200)
    return [
        (
            "kill",
            f"{got['kills']} kills: identical {got['identical']}, {got['distinct']} of {got['needed']} requests, "
            f"re-paid at most {got['worst']} a kill, {got['repaid']} in all",
            f"200 kills, identical, 0 lost, 0 doubled, <= {IN_FLIGHT} a kill",
            bool(got["identical"]) and got["distinct"] == got["needed"] and int(str(got["worst"])) <= IN_FLIGHT,
        )
    ]
