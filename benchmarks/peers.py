"""Other tools that ours is held against, in virtual environments of their own."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.runner import Failed

ROOT = Path(__file__).parents[1]
INSTALLED = ROOT / ".bench" / "peers"
INSTALL_LIMIT = 900.0
"""Seconds for one environment."""


def scripts(suite: str) -> Path:
    """The folder of a suite with what its peers are installed from and run by."""
    return ROOT / "benchmarks" / suite / "peers"


def python_of(suite: str, name: str) -> str:
    """The Python that has what `SUITE/peers/NAME.txt` lists; installed once. Raises Failed when it cannot be."""
    wanted = scripts(suite) / f"{name}.txt"
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
        raise Failed(f"{name} does not install in {INSTALL_LIMIT:.0f} s") from None
    if done.returncode:
        raise Failed(f"{name} does not install: {last_line(done.stderr)}")
    stamp.write_text(mark)
    return str(python)


def last_line(output: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"
