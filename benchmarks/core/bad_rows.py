"""bad rows: one row in 25 cannot be done; the run ends well, and only those are asked again."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.core.mock import Mock, respond, say
from benchmarks.core.recipes import Bar, three_steps
from synth_llm import run

ROWS = 300
KINDS = ("permanent 400", "unparseable JSON", "template error")


class Faulty:
    """Answers as the mock does, but for one row in 25 of each kind of fault, until it is mended."""

    def __init__(self) -> None:
        self.mended = False
        self.down = False

    def __call__(self, body: dict[str, Any], number: int) -> tuple[int, Any]:
        text = body["messages"][-1]["content"]
        row = int("".join(filter(str.isdigit, text.split("topic")[-1])) or 0)
        if self.down and row % 25 == 7 and "response_format" not in body:
            return 503, {"error": {"message": "overloaded"}}
        if "response_format" in body and not self.mended and number % 25 == 3:
            return 200, say('{"score": ')
        if "response_format" not in body and not self.mended and row % 25 == 5:
            return 400, {"error": {"message": f"cannot write about topic {row}"}}
        status, answer = respond(body, number)
        return (status, answer) if "response_format" in body else (200, say("A long enough text: " + str(number)))


def bar() -> list[Bar]:
    faults = Faulty()
    rows: list[dict[str, Any]] = [{"id": f"r{n}", "topic": None if n % 25 == 9 else f"topic {n}"} for n in range(ROWS)]
    lines: list[Bar] = []
    with tempfile.TemporaryDirectory() as folder, Mock(faults) as mock:
        recipe = three_steps(Path(folder, "project"), mock.url, rows, threshold=1)
        out = Path(folder, "out")
        first = run(recipe, out=out)
        rejected = [dict(row) for row in first.rejected]
        reasons = Counter(row["reason"] for row in rejected)
        with_raw = all(row["raw"] for row in rejected if row["reason"] in ("bad request", "unparseable"))
        accounted = len(first.kept) + len(rejected) == ROWS and set(reasons) == {
            "bad request",
            "unparseable",
            "template",
        }
        lines.append(
            (
                "bad_rows",
                f"complete {first.complete}; {len(first.kept)} kept, {dict(sorted(reasons.items()))}; raw {with_raw}",
                f"complete, {ROWS} accounted for, 12 bad requests, 12 templates",
                first.complete and accounted and with_raw and reasons["bad request"] == reasons["template"] == 12,
            )
        )
        mock.reset()
        again = run(recipe, out=out)
        lines.append(("bad_rows", f"run again: {mock.sent} sent", "0", mock.sent == 0 and again.stats == first.stats))
        faults.mended = True
        run(recipe, out=out, retry=["unparseable"])
        lines.append(
            (
                "bad_rows",
                f"--retry unparseable: {mock.sent} sent",
                str(reasons["unparseable"]),
                mock.sent == reasons["unparseable"],
            )
        )
        mock.reset()
        last = run(recipe, out=out, retry=["bad request"])
        asked = sum(not text.startswith("Score") for text in mock.asked)
        lines.append(("bad_rows", f"--retry 'bad request': {asked} texts sent", "12", asked == 12))
        kept = len(last.kept)
        lines.append(("bad_rows", f"kept after both: {kept}", str(ROWS - 12), kept == ROWS - 12))
    lines += unavailable()
    return lines


def unavailable() -> list[Bar]:
    """5xx that outlast the retries leave the run incomplete; the next one finishes it."""
    faults = Faulty()
    faults.mended = faults.down = True
    with tempfile.TemporaryDirectory() as folder, Mock(faults) as mock:
        recipe = three_steps(Path(folder, "project"), mock.url, ROWS, threshold=1, writer={"retries": 1})
        out = Path(folder, "out")
        first = run(recipe, out=out)
        reasons = Counter(row["reason"] for row in first.rejected)
        faults.down = False
        mock.reset()
        second = run(recipe, out=out)
        asked, kept = sum(not text.startswith("Score") for text in mock.asked), second.kept
    ok = len(kept) == ROWS and not first.complete and reasons == {"unavailable": 12} and second.complete and asked == 12
    figure = f"5xx: complete {first.complete} with {dict(reasons)}; then complete {second.complete}, {asked} texts sent"
    return [("bad_rows", figure, "incomplete with 12 unavailable; then complete, 12 sent", ok)]


if __name__ == "__main__":
    print(json.dumps(bar(), indent=1))
