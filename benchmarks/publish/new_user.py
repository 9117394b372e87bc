"""new_user: the tutorial, word for word, in an empty folder: installed, made, curated, evaluated and exported.

Its files are written as it shows them and its commands typed as it shows them, in one shell each page part. Goal: under
a quarter of an hour of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.core.recipes import Bar
from benchmarks.runner import Failed
from tests.documentation import ROOT, Block, blocks, commands

MINUTES = 15


def bar() -> Iterator[Bar]:
    began, install = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory() as scratch:
        clone, project = Path(scratch) / "synth-llm", Path(scratch) / "project"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        project.mkdir()
        folder = clone
        for block in blocks(ROOT / "docs/tutorial.md"):
            if block.title:
                folder, install = project, install or time.monotonic() - began
                (project / block.title).parent.mkdir(exist_ok=True)
                (project / block.title).write_text(block.text, encoding="utf-8")
            elif block.language == "console":
                _typed(block, folder, clone, Path(scratch))
        minutes = (time.monotonic() - began) / 60
        manifest = json.loads((project / "runs/library/manifest.json").read_text())
        figures = json.loads((project / "runs/library/evaluation/results.json").read_text())["figures"]
        rows = {
            path.stem: len(path.read_text().splitlines()) for path in sorted((project / "exports/library").iterdir())
        }
        yield _line(f"{minutes:.1f} minutes, {install / 60:.1f} of them to install", f"< {MINUTES}", minutes < MINUTES)
        kept = manifest["counts"]["kept"]
        yield _line(f"{kept} rows kept, {manifest['counts']['rejected']} dropped with a reason", "made", bool(kept))
        yield _line(f"a student of the made rows: {figures['tstr']['value']:.2f} accuracy", "evaluated", True)
        yield _line(f"exported: {rows}", "train and test", rows.keys() == {"train", "test"} and all(rows.values()))


def _line(figure: str, goal: str, ok: bool) -> Bar:
    return ("new_user", figure, goal, ok)


def _typed(block: Block, folder: Path, clone: Path, home: Path) -> None:
    """Type the commands of a block as a user does, in the shell of before."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SYNTH_LLM", "PYTHONPATH"))
    }
    env = clean | {"SYNTH_LLM_CACHE": str(home / "cache"), "VIRTUAL_ENV": str(clone / ".venv")}
    env["PATH"] = f"{clone / '.venv/bin'}{os.pathsep}{env['PATH']}"
    for command in commands(block):
        done = subprocess.run(
            [shutil.which("bash") or "sh", "-c", command],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        print(f"$ {command}\n{done.stdout[-600:]}", file=sys.stderr)
        if done.returncode:
            raise Failed(f"{block.place}: `{command}` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
