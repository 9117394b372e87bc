"""What each step asked of each model, in one invocation and in all of them, also when one of them was killed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from synth_llm import Answer, Filter, Generate, Judge, ModelEntry, Recipe, Request, Source, run, screen, summary
from synth_llm.account import StepUsage, by_model, together
from synth_llm.models.request import body_of
from synth_llm.output import JOURNAL
from synth_llm.recipe import Price
from synth_llm.run_folder import status
from tests.project import topics, write_prompts


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prompts(tmp_path)
    monkeypatch.chdir(tmp_path)


class Paid:
    """A model that reports 100 prompt tokens and 10 of its answer; scores are 3."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, request: Request) -> Answer:
        self.asked += 1
        score = request.messages[-1]["content"].startswith("Score")
        text = '{"score": 3}' if score else f"some text {request.seed}"
        return Answer(body_of(text, prompt_tokens=100, completion_tokens=10))

    def entry(self, **settings: Any) -> ModelEntry:
        return ModelEntry(engine="function", model="test", function=self, concurrency=1, **settings)


def a_recipe(model: Any, rows: int = 6, **settings: Any) -> Recipe:
    price = Price(input=10, output=100)  # 0.002 dollars an answer
    return Recipe(
        name="paid",
        models={
            "writer": model.entry(price=price),
            "judge": model.entry(temperature=0, price=Price(input=1, output=0)),
        },
        source=Source(rows=topics(rows)),
        steps=[Generate(prompt="write", model="writer", n=2), Judge(prompt="score", model="judge"), Filter()],
        **settings,
    )


def usage(manifest: dict[str, Any], of: str) -> dict[str, StepUsage]:
    return {one["step"]: StepUsage(**one) for one in manifest["usage"][of]}


def test_usage_is_counted_by_step_and_model_here_and_over_all_invocations() -> None:
    model = Paid()
    run(a_recipe(model, 4), out="r")
    manifest = run(a_recipe(model, 6), out="r").manifest
    here, everything = usage(manifest, "this run"), usage(manifest, "all runs")
    seconds, dollars = here["generate write"].seconds, pytest.approx(0.008)
    assert here["generate write"] == StepUsage("generate write", "writer", 4, 4, 0, 8, 0, 400, 40, seconds, dollars)
    assert here["judge score"].dollars == pytest.approx(4 * 100 / 1e6)
    assert (everything["generate write"].requests, everything["judge score"].prompt_tokens) == (12, 1200)
    assert list(everything) == ["generate write", "judge score"]
    assert together(everything.values()).tokens == model.asked * 110
    assert manifest["spent"]["all runs"]["prompt_tokens"] == model.asked * 100
    assert manifest["models"]["writer"]["price"] == {"input": 10, "output": 100, "from": "the recipe"}


def test_what_a_killed_invocation_used_is_counted(tmp_path: Path) -> None:
    folder, killed = tmp_path / "r", tmp_path / "killed"

    class Killed(Paid):
        def __call__(self, request: Request) -> Answer:
            if self.asked == 7:  # the answers before are on disk: one at a time is asked
                killed.mkdir()
                for suffix in ("", "-wal"):
                    shutil.copyfile(f"{folder / JOURNAL}{suffix}", f"{killed / JOURNAL}{suffix}")
            return super().__call__(request)

    run(a_recipe(Killed()), out=folder)
    before = status(killed)
    assert before.manifest == {}
    manifest = run(a_recipe(Paid()), out=killed).manifest
    everything = together(usage(manifest, "all runs").values())
    with closing(sqlite3.connect(killed / JOURNAL)) as db:
        paid = db.execute("SELECT count(*), sum(prompt_tokens), sum(completion_tokens) FROM answers").fetchone()
    assert (everything.answers, everything.prompt_tokens, everything.completion_tokens) == paid == (24, 2400, 240)
    assert everything.dollars == pytest.approx(manifest["spent"]["all runs"]["dollars"])


def test_an_endpoint_that_reports_no_usage_is_said_to(capsys: pytest.CaptureFixture[str]) -> None:
    class Silent(Paid):
        def __call__(self, request: Request) -> Answer:
            return Answer(json.dumps({"choices": [{"message": {"content": '{"score": 4}'}}]}).encode())

    manifest = run(a_recipe(Silent()), out="r").manifest
    writer = usage(manifest, "this run")["generate write"]
    assert (writer.answers, writer.unreported, writer.dollars) == (12, 12, None)
    said = summary.used(status(Path("r")))
    assert said.splitlines()[1].split() == ["generate", "write", "writer", "12", *["not", "reported"] * 2, "unknown"]
    assert "13 requests, tokens not reported, dollars unknown, " in said  # one judgement: equal greedy requests


def test_a_model_without_a_price_leaves_dollars_unknown() -> None:
    priced = StepUsage("a", "m", 2, 2, prompt_tokens=5, dollars=0.5)
    priceless = StepUsage("b", "n", 1, 1, prompt_tokens=5, dollars=None)
    assert together([priced, priceless]).dollars is None
    assert ", dollars unknown, " in screen.spent(1, 1.0, [priceless])
    assert ", at least $0.5000, " in screen.spent(3, 1.0, [priced, priceless])
    assert [one.dollars for one in by_model([priced, priceless, priced])] == [1.0, None]


def test_what_earlier_versions_used_is_one_line_of_its_own() -> None:
    run(a_recipe(Paid()), out="r")
    with closing(sqlite3.connect(Path("r", JOURNAL))) as db, db:
        db.execute("DELETE FROM accounts")
    run(a_recipe(Paid(), 7), out="r")
    said = summary.used(status(Path("r"))).splitlines()
    assert said[-2].split() == ["(not", "known)", "24", "2,400", "240", "$0.0252"]
    assert said[-1].startswith("over all runs: 28 requests, 2,800 prompt and 280 answer tokens, $0.0294, ")
