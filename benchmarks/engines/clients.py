"""The clients that ours is held against: bare loops, and other tools in virtual environments of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.engines.harness import Client, Job
from benchmarks.peers import last_line, python_of, scripts
from benchmarks.runner import Failed

PEERS = ("curator", "data_designer", "distilabel")


def _printed(output: str, folder: Path) -> int:
    """Rows, of a script whose last line is `{"rows": n}`."""
    for line in reversed(output.splitlines()):
        if line.startswith('{"rows"'):
            count: int = json.loads(line)["rows"]
            return count
    raise Failed(f"printed no rows: {last_line(output)}")


def script(name: str, python: str, *arguments: str, title: str = "") -> Client:
    """A script of `peers/` that takes URL, ROWS and CONCURRENCY."""

    def command(job: Job) -> list[str]:
        path = str(scripts("engines") / f"{name}.py")
        return [python, path, job.url, str(job.rows), str(job.concurrency), *arguments]

    return Client(title or name, command, _printed)


def bare_aiohttp() -> Client:
    """The least a client can do."""
    return script("bare_aiohttp", sys.executable, title="bare aiohttp")


def bare_openai(transport: str = "own") -> Client:
    """The `openai` client, with its own transport or aiohttp's."""
    return script("bare_openai", python_of("engines", "bare_openai"), transport, title=f"bare openai ({transport})")


def peer(name: str) -> Client | str:
    """Another tool, or why it cannot be run here."""
    try:
        return script(name, python_of("engines", name))
    except Failed as error:
        return str(error)
