"""whole: `synth-llm curate` with `curate_instructions` on 100,000 rows: rows a second, CPU, memory, and conservation.

It runs three times: on 2,000 rows, to know what the libraries take; on all with no vectors stored; and on all again,
when nothing is left to encode, so that the difference is the encoder's.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.curation.rows import short_rows
from benchmarks.peers import last_line
from benchmarks.runner import Failed
from synth_llm.models.weights import cache

ROWS, FEW = 100_000, 2_000
DEFECTS = ("", "As an AI language model, I cannot do that.", "[Your Name]", "12 * 7 = 85", "the same " * 12)
"""Answers that a filter drops: one row in twenty has one."""


class Ran(NamedTuple):
    """One run."""

    seconds: float
    cpu: float
    peak: int
    """Bytes."""


def bar() -> Iterator[tuple[str, str, str, bool]]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows = list(instructions())
        (place / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (place / "few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:FEW]))
        (place / "cache").mkdir()
        (place / "cache" / "models").symlink_to(cache() / "models")
        few = curate(place, "few")
        first = curate(place, "all")
        before = outputs(place)
        again = curate(place, "all")
        manifest = json.loads((place / "out" / "manifest.json").read_text())
        reasonless = sum(not row["reason"] for row in rejected(place))
        same = outputs(place) == before
    counts, embedded = manifest["counts"], manifest["funnel"][-2]["entered"]
    share = 1 - again.cpu / first.cpu
    yield (
        "whole",
        f"{ROWS / first.seconds:.0f} rows/s, {first.cpu:.0f} s CPU, {share:.0%} of it the encoder's "
        f"({embedded:,} of {ROWS:,} rows reach it); again {ROWS / again.seconds:.0f} rows/s, {again.cpu:.0f} s CPU",
        "for comparison",
        True,
    )
    each = (first.peak - few.peak) / (ROWS - FEW) / 1000
    yield "whole", f"{each:.2f} KB a row at most, {first.peak / 1e6:.0f} MB in all", "<= 2.5 KB a row", each <= 2.5
    total = counts["kept"] + counts["rejected"]
    yield "whole", f"{counts['kept']:,} kept + {counts['rejected']:,} rejected", f"= {ROWS:,}", total == ROWS
    yield "whole", f"{reasonless} rejected rows without a reason", "0", reasonless == 0
    yield "whole", "the same bytes again" if same else "other bytes when run again", "the same", same


def instructions() -> Iterator[dict[str, str]]:
    """Short instructions, a fifth of them planted again with small edits, each with an answer."""
    texts, _ = short_rows(ROWS)
    draw = random.Random(1)
    answers = draw.sample(texts, len(texts))
    for text, answer in zip(texts, answers, strict=True):
        yield {"instruction": text, "input": "", "output": draw.choice(DEFECTS) if draw.random() < 0.05 else answer}


def curate(place: Path, name: str) -> Ran:
    """Curate a file in a process of its own. Raises Failed."""
    program = Path(sys.executable).with_name("synth-llm")
    out = place / ("out" if name == "all" else name)
    command = [str(program), "curate", str(place / f"{name}.jsonl"), "--out", str(out)]
    env = {**os.environ, "SYNTH_LLM_CACHE": str(place / "cache")}
    began = time.monotonic()
    with (place / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"exit {process.returncode}: {last_line((place / 'log').read_text())}")
    return Ran(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def outputs(place: Path) -> list[bytes]:
    return [(place / "out" / name).read_bytes() for name in ("kept.parquet", "rejected.parquet")]


def rejected(place: Path) -> list[dict[str, str]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, str]] = pq.read_table(place / "out" / "rejected.parquet", columns=["reason"]).to_pylist()
    return rows
