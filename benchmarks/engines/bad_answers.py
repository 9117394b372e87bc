"""bad_answers: three answers in ten are bad, each in another way; every row is accounted for, and none is wrong."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.engines.bad_endpoint import SHARE, BadEndpoint, judged, written
from benchmarks.engines.harness import Bar
from synth_llm import Result, SynthError, run

ROWS, LEAST_KINDS = 600, 30

WRITE = """\
---
gives:
  title: string
  kind: [café, thé, eau]
  size: 0..99
  price: number
  note?: string
  tags: [string]
  parts: [{name: string, count: 1..9}]
---
Describe item {{ item }}.
"""
SCORE = """\
---
gives: {score: 1..5, verdict: [good, bad]}
---
Score: {{ title }}
"""


def recipe(folder: Path, url: str) -> Path:
    """A recipe that generates and judges, with the defaults of both models; returns its path."""
    (folder / "prompts").mkdir()
    (folder / "prompts" / "write.jinja").write_text(WRITE)
    (folder / "prompts" / "score.jinja").write_text(SCORE)
    entry = {"engine": "openai", "url": url, "model": "bad"}
    whole = {
        "models": {"writer": entry, "judge": {**entry, "temperature": 0}},
        "source": {"rows": [{"item": number} for number in range(ROWS)]},
        "steps": [
            {"generate": {"prompt": "write", "model": "writer"}},
            {"judge": {"prompt": "score", "model": "judge"}},
        ],
    }
    path = folder / "bad.yaml"
    path.write_text(json.dumps(whole))
    return path


def wrong(result: Result) -> int:
    """Kept rows that hold anything but what the endpoint should have said of them."""
    count = 0
    for row in result.kept:
        truth = {**written(row["item"]), **judged(row["item"])}
        count += any(row[name] != value for name, value in truth.items())
    return count


def lost(result: Result) -> int:
    """Rows that are neither kept nor rejected with step, reason, detail and themselves."""
    items = [row["item"] for row in result.kept]
    items += [
        json.loads(row["row"])["item"] for row in result.rejected if row["step"] and row["reason"] and row["detail"]
    ]
    return ROWS - len(set(items)) + len(items) - len(set(items))


def bar() -> list[Bar]:
    with tempfile.TemporaryDirectory() as folder, BadEndpoint() as endpoint:
        path = recipe(Path(folder), endpoint.url)
        try:
            result = run(path, out=Path(folder, "out"))
            sent = endpoint.requests
            again = run(path, out=Path(folder, "out"))
        except (SynthError, OSError, ValueError) as error:
            return [("bad_answers", " ".join(f"{type(error).__name__}: {error}".split())[:200], "it runs", False)]
        same = endpoint.requests == sent and list(result.kept) == list(again.kept)
        false, missing = wrong(result), lost(result)
        reasons = Counter(row["reason"] for row in result.rejected)
        shown = ", ".join(f"{name} {count}" for name, count in reasons.most_common())
        kinds = len(endpoint.bad)
        figure = (
            f"{kinds} kinds in {endpoint.bad.total()} of {sent:,} answers: {len(result.kept)} kept, "
            f"{len(result.rejected)} rejected ({shown}), {missing} lost, {false} wrong; replay the same: {same}"
        )
    ok = kinds >= LEAST_KINDS and not false and not missing and same and result.complete
    return [("bad_answers", re.sub(r"\s+", " ", figure), f">= {LEAST_KINDS} kinds at {SHARE:.0%}, 0 lost, 0 wrong", ok)]
