"""Real data that benchmarks measure on, beside the repository; none of it is copied into it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.runner import Failed

DATA = Path(__file__).parents[2] / "shared" / "data"


def data(name: str) -> Path:
    """The path of a data file, such as `trec/train.jsonl`. Raises Failed when it is not there."""
    path = DATA / name
    if not path.exists():
        raise Failed(f"needs the data {name} in {DATA}")
    return path
