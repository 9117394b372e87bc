"""Bar *filters*: Alpaca's defects are caught by the default set, and people's answers (Dolly) are not.

Each class of defects is defined here once more, in a line that shares nothing with the filters.
Run: `python -m benchmarks.core.filters` (needs `../shared/data`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.data import DATA
from synth_llm.library import Library, load_filter
from synth_llm.row import Row, Verdict

DEFAULT = ("length", "repetition", "refusal", "boilerplate", "placeholder", "echo", "merged")
NONE_GIVEN = {"noinput", "na", "none", "notapplicable"}
Line = tuple[str, str, str, bool]


def letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))


def is_noinput(row: Row) -> bool:
    """The input or the output is "No input" in some spelling, or begins so and is short; or holds `<noinput>`."""
    said = [letters(row["input"]), letters(row["output"])]
    short = any(one.startswith("noinput") and len(one) <= 40 for one in said)
    return short or said[0] in NONE_GIVEN or "<noinput>" in row["input"] + row["output"]


CLASSES: dict[str, tuple[tuple[str, ...], Callable[[Row], bool]]] = {
    "empty output": (("length",), lambda row: not row["output"].strip()),
    "<noinput>": (("placeholder",), is_noinput),
    "<no output>": (("placeholder",), lambda row: letters(row["output"]) == "nooutput"),
    "merged instructions": (("merged",), lambda row: "Instruction:" in row["output"]),
    "output repeats the input": (
        ("echo", "placeholder"),
        lambda row: row["input"].strip().lower() == row["output"].strip().lower() != "",
    ),
}


def bar() -> list[Line]:
    """(name, figure, goal, ok) of each class and of Dolly; nothing where the data is absent."""
    alpaca, dolly = rows("alpaca/alpaca_random_dev.jsonl"), rows("dolly/dolly_dev.jsonl")
    if not alpaca or not dolly:
        return []
    library = Library()
    filters = {name: load_filter(name, library) for name in DEFAULT}
    lines: list[Line] = []
    for name, (by, belongs) in CLASSES.items():
        present = [row for row in alpaca if belongs(row)]
        caught = sum(any(not filters[one](row, "output").keep for one in by) for row in present)
        lines.append((f"alpaca, {name}", f"{caught}/{len(present)}", "all", 0 < len(present) == caught))
    dropped = len(dolly) - len(kept(dolly, filters))
    share = dropped / len(dolly)
    lines.append(("dolly, dropped", f"{dropped}/{len(dolly)} = {share:.1%}", "<= 2 %", share <= 0.02))
    return lines


def kept(table: list[Row], filters: dict[str, Callable[..., Verdict]]) -> list[Row]:
    return [row for row in table if all(judge(row, "output").keep for judge in filters.values())]


def rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    for name, figure, goal, ok in bar() or [("filters", f"no data in {DATA}", "", True)]:
        print(f"{'ok  ' if ok else 'FAIL'} {name}: {figure} (goal {goal})" if goal else f"skipped: {figure}")
