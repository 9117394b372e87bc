"""shapes: three recipes of different shape reach 40 rows on embedded models, in 25 lines or fewer."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from rich.progress import Progress

from benchmarks.core.recipes import Bar
from synth_llm import run
from synth_llm.library import Library
from synth_llm.models.weights import WEIGHTS, fetch

RECIPES = ("reviews", "self_instruct", "questions")


def bar() -> list[Bar]:
    with Progress(disable=True) as progress:
        for model in WEIGHTS:
            fetch(model, progress)
    lines: list[Bar] = []
    for name in RECIPES:
        path = Library(Path()).find("recipes", name)
        length = sum(bool(line.strip()) for line in path.read_text().splitlines())
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            result = run(path, out=folder, sets=["target.rows=40"])
        print(f"{name}: {result.why or 'complete'}, {result.manifest['rejected_by_reason']}", file=sys.stderr)
        figure = f"{name}: {result.stats['kept']} rows, {length} lines, {(time.monotonic() - began) / 60:.1f} min"
        lines.append(("shapes", figure, "40 rows, <= 25 lines", result.stats["kept"] == 40 and length <= 25))
    return lines
