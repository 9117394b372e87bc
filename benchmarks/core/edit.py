"""edit: what is sent again after a change, and nothing more."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.core.mock import Mock
from benchmarks.core.recipes import Bar, three_steps
from synth_llm import run
from synth_llm.execute import preview

ROWS = [{"id": f"r{n}", "topic": f"topic {n}"} for n in range(120)]


class Bench:
    """One run folder, the recipe of which is changed again and again."""

    def __init__(self, folder: Path, mock: Mock) -> None:
        self.folder, self.mock = folder, mock
        self.settings: dict[str, Any] = {}

    def recipe(self, **change: Any) -> Path:
        self.settings |= change
        settings = dict(self.settings)
        url, rows = settings.pop("url", self.mock.url), settings.pop("rows", ROWS)
        edit: Callable[[Path], None] = settings.pop("edit", lambda recipe: None)
        path = three_steps(self.folder / "project", url, rows, **settings)
        edit(path)
        return path

    def run(self, **change: Any) -> tuple[int, int]:
        """(texts asked for, scores asked for) by a run after a change."""
        self.mock.reset()
        self.result = run(self.recipe(**change), out=self.folder / "out")
        scores = sum(text.startswith(("Score", "Rate")) for text in self.mock.asked)
        return self.mock.sent - scores, scores


def new_judge(recipe: Path) -> None:
    prompt = recipe.parent / "prompts" / "score.jinja"
    prompt.write_text(prompt.read_text().replace("Score this", "Rate this"))


def timeout(recipe: Path) -> None:
    new_judge(recipe)
    value = json.loads(recipe.read_text())
    for model in value["models"].values():
        model["timeout"], model["retries"] = 11, 2
    recipe.write_text(json.dumps(value))


def bar() -> list[Bar]:
    lines: list[Bar] = []

    def line(what: str, got: tuple[int, int], want: tuple[int, int]) -> None:
        lines.append(("edit", f"{what}: {got[0]} texts, {got[1]} scores sent", f"{want[0]}, {want[1]}", got == want))

    with tempfile.TemporaryDirectory() as folder, Mock() as mock, Mock() as elsewhere:
        bench = Bench(Path(folder), mock)
        shown = preview(bench.recipe(), out=bench.folder / "out", n=10)
        paid = set(mock.bodies)
        texts, _ = bench.run()
        twice = len(paid & set(mock.bodies))
        lines.append(
            (
                "edit",
                f"preview of 10, then run: {texts} texts, {twice} paid twice",
                "110, 0",
                (texts, twice) == (110, 0),
            )
        )
        passing = int(bench.result.manifest["funnel"][1]["left"])
        lines.append(("edit", f"previewed {len(shown.rows)} rows", "10", len(shown.rows) == 10))
        line("nothing", bench.run(), (0, 0))
        line("threshold 2 -> 4", bench.run(threshold=4), (0, 0))
        line("steps renamed", bench.run(names=("writing", "scoring")), (0, 0))
        wider = [{**row, "note": f"n{at}"} for at, row in enumerate(ROWS)]
        line("an unused column added", bench.run(rows=wider), (0, 0))
        line("concurrency", bench.run(concurrency=3), (0, 0))
        line("judge's prompt", bench.run(edit=new_judge), (0, passing))
        line("time-out and retries", bench.run(edit=timeout), (0, 0))
        more = wider + [{"id": f"new{n}", "topic": f"new topic {n}", "note": ""} for n in range(10)]
        got = bench.run(rows=more)
        new_passing = int(bench.result.manifest["funnel"][1]["left"]) - passing
        line("10 source rows added", got, (10, new_passing))
        elsewhere.reset()
        bench.run(url=elsewhere.url)
        lines.append(("edit", f"another endpoint: {elsewhere.sent} sent", "0", elsewhere.sent == 0))
        loosened = bench.run(url=mock.url, edit=loosen)
        newly = int(bench.result.manifest["funnel"][1]["left"]) - passing - new_passing
        line("length filter loosened: newly passing rows judged", loosened, (0, newly))
        lines.append(("edit", f"newly passing rows: {newly}", "> 0", newly > 0))
    return lines


def loosen(recipe: Path) -> None:
    timeout(recipe)
    value = json.loads(recipe.read_text())
    value["steps"][1] = {"filter": {"use": [{"length": {"min_words": 1}}]}}
    recipe.write_text(json.dumps(value))
