"""The clients that ours is held against: bare loops, and other tools in virtual environments of their own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.engines.harness import ROOT, Client, Job, last_line
from benchmarks.runner import Failed

PEERS = ("curator", "data_designer", "distilabel")
SCRIPTS = Path(__file__).parent / "peers"
INSTALLED = ROOT / ".bench" / "peers"
INSTALL_LIMIT = 900.0
"""Seconds for one environment."""


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
        return [python, str(SCRIPTS / f"{name}.py"), job.url, str(job.rows), str(job.concurrency), *arguments]

    return Client(title or name, command, _printed)


def bare_aiohttp() -> Client:
    """The least a client can do."""
    return script("bare_aiohttp", sys.executable, title="bare aiohttp")


def bare_openai(transport: str = "own") -> Client:
    """The `openai` client, with its own transport or aiohttp's."""
    return script("bare_openai", installed("bare_openai"), transport, title=f"bare openai ({transport})")


def peer(name: str) -> Client | str:
    """Another tool, or why it cannot be run here."""
    try:
        return script(name, installed(name))
    except Failed as error:
        return str(error)


def installed(name: str) -> str:
    """The Python that has what `peers/NAME.txt` lists; installed once. Raises Failed when it cannot be."""
    wanted = SCRIPTS / f"{name}.txt"
    mark = hashlib.sha256(wanted.read_bytes()).hexdigest()
    folder, python = INSTALLED / name, INSTALLED / name / "bin" / "python"
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == mark:
        return str(python)
    print(f"{'':<15}        installing {name} into {folder.relative_to(ROOT)}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", str(wanted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_LIMIT)
    except subprocess.TimeoutExpired:
        raise Failed(f"does not install in {INSTALL_LIMIT:.0f} s") from None
    if done.returncode:
        raise Failed(f"does not install: {last_line(done.stderr)}")
    stamp.write_text(mark)
    return str(python)
