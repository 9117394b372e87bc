"""The three-step recipe (generate, filter, judge) that most bars run, as a file in a folder of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent / "project"

Bar = tuple[str, str, str, bool]
"""(name, figure, goal, ok)."""


def three_steps(
    folder: Path,
    url: str,
    rows: list[dict[str, Any]] | int = 100,
    *,
    concurrency: int = 16,
    threshold: int = 2,
    judge_temperature: float = 0.0,
    names: tuple[str | None, str | None] = (None, None),
    source: dict[str, Any] | None = None,
    writer: dict[str, Any] | None = None,
) -> Path:
    """Write the recipe and its prompts into `folder`; returns the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(PROJECT / "prompts", folder / "prompts", dirs_exist_ok=True)
    if isinstance(rows, int):
        rows = [{"id": f"r{n}", "topic": f"topic {n}"} for n in range(rows)]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = {"engine": "openai", "url": url, "model": "mock", "concurrency": concurrency, "timeout": 30}
    recipe = {
        "seed": 3,
        "models": {
            "writer": {**entry, "temperature": 0.8, **(writer or {})},
            "judge": {**entry, "temperature": judge_temperature},
        },
        "source": source or {"file": "rows.jsonl", "id": "id"},
        "steps": [
            {"generate": {"prompt": "write", "model": "writer", **({"name": names[0]} if names[0] else {})}},
            {"filter": {"use": [{"length": {"min_words": 3}}]}},
            {"judge": {"prompt": "score", "model": "judge", **({"name": names[1]} if names[1] else {})}},
            {"filter": {"name": "threshold", "if": f"score >= {threshold}"}},
        ],
    }
    path = folder / "bench.yaml"
    path.write_text(json.dumps(recipe, indent=1))
    return path
