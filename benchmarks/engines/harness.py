"""One run of a client against a mock endpoint of its own, and what it came to."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.engines.tree import Watch
from benchmarks.peers import last_line
from benchmarks.runner import Failed

ROOT = Path(__file__).parents[2]
LIMIT = 180.0
"""Seconds after which a client is stopped."""
OWN = 2
"""The load that a client and its endpoint make."""
PROGRAM = str(Path(sys.executable).parent / "synth-llm")

Bar = tuple[str, str, str, bool]
"""(name, figure, goal, ok)."""


class Job(NamedTuple):
    """What a client is asked to do."""

    url: str
    rows: int
    concurrency: int | None
    """None: the client is not told."""
    folder: Path
    """An empty folder of its own."""


class Client(NamedTuple):
    """A program that asks for `rows` answers; `rows(output, folder)` says how many rows came out."""

    name: str
    command: Callable[[Job], Sequence[str]]
    rows: Callable[[str, Path], int]
    codes: tuple[int, ...] = (0,)
    """Exit codes of a run whose rows can be counted."""


class Run(NamedTuple):
    """What a run came to. Seconds, where nothing else is said."""

    rows: int
    makespan: float
    """From the first request that arrives to the last answer that leaves, at the endpoint."""
    ideal: float
    """The same service times, scheduled greedily on the same slots."""
    cpu: float
    """Of the client and its children, from the first request to the last answer."""
    rss: float
    """MB, at most, of the client and its children."""
    first: float
    """From the start of the process to the first request."""
    cpu_start: float
    """Of the client until then."""
    stats: dict[str, Any]
    """The endpoint's own figures."""

    @property
    def efficiency(self) -> float:
        return self.ideal / self.makespan


@contextmanager
def endpoint(*options: str) -> Iterator[str]:
    """A mock endpoint in a process of its own; gives its address."""
    command = [PROGRAM, "mock", "--port", "0", "--print-url", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise Failed(f"the mock did not start: {' '.join(command)}")
        yield url
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def stats(url: str) -> dict[str, Any]:
    """The endpoint's figures, service times included."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/stats?full=1") as response:
        value: dict[str, Any] = json.load(response)
        return value


def measure(
    client: Client,
    rows: int,
    concurrency: int | None,
    options: Sequence[str],
    *,
    slots: int = 1,
    limit: float = LIMIT,
) -> Run:
    """Run a client against an endpoint that has just been started. Raises Failed, also after `limit` seconds."""
    with endpoint(*options) as url, tempfile.TemporaryDirectory() as folder:
        job = Job(url, rows, concurrency, Path(folder))
        began = time.monotonic()
        with Path(folder, "output.log").open("w+") as log:
            process = subprocess.Popen(
                client.command(job), stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True
            )
            with Watch(process.pid) as watch:
                finished = _wait(process, limit)
            log.seek(0)
            output = log.read()
        if not finished:
            raise Failed(f"> {limit:.0f} s")
        if process.returncode not in client.codes:
            raise Failed(f"exit {process.returncode}: {last_line(output)}")
        return _run(client.rows(output, Path(folder)), stats(url), watch, began, slots)


def attempt(client: Client | str, rows: int, concurrency: int, options: Sequence[str], *, slots: int) -> Run | str:
    """A run of a client that need not succeed, or why there is none; a client that is a text is such a reason."""
    if isinstance(client, str):
        return client
    try:
        return measure(client, rows, concurrency, options, slots=slots)
    except Failed as error:
        return str(error)


def _run(rows: int, seen: dict[str, Any], watch: Watch, began: float, slots: int) -> Run:
    from synth_llm.mock import ideal

    first, last = seen["first_arrival"], seen["last_answer"]
    best = ideal(seen["service_times"], slots)
    cpu, start = watch.cpu_between(first, last), watch.cpu_between(began, first)
    return Run(rows, last - first, best, cpu, watch.rss / 1e6, first - began, start, seen)


def _wait(process: subprocess.Popen[bytes], limit: float) -> bool:
    """Whether the process ended in time; else it and all that it started are killed."""
    try:
        process.wait(limit)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Load:
    """As text, when figures are formatted: a remark that the machine had other work since this was made, or nothing."""

    def __init__(self) -> None:
        self.before = os.getloadavg()[0]

    def __str__(self) -> str:
        after = os.getloadavg()[0]
        busy = self.before > 1 or after > OWN + 1
        return f" [load {self.before:.1f} before, {after:.1f} after]" if busy else ""


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)
