"""Instructions from seeds, and tasks that evolve: the two recipes on models that are functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from synth_llm import Request, Result, run
from synth_llm.recipe import load_recipe
from tests.recorded import ROOT

SEED = "Give three tips for keeping house plants healthy."
WORDS = [
    "river",
    "bridge",
    "copper",
    "lantern",
    "orchard",
    "violin",
    "glacier",
    "harbour",
    "pepper",
    "meadow",
    "castle",
    "thunder",
]


@pytest.fixture(autouse=True)
def beside_the_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "recipes")


def played(name: str, say: Callable[[Request], str], out: Path, *sets: str) -> Result:
    recipe, _ = load_recipe(ROOT / "recipes" / f"{name}.yaml", sets)
    models = {
        key: entry.model_copy(update={"engine": "function", "function": say, "repairs": 0})
        for key, entry in recipe.models.items()
    }
    return run(recipe.model_copy(update={"models": models}), out=out)


def asks_for(request: Request) -> tuple[str, str]:
    """What the system message wants, and the last message."""
    return request.messages[0]["content"], request.messages[-1]["content"]


def self_instruct(request: Request) -> str:
    system, text = asks_for(request)
    if system.startswith("You write lists"):
        count = int(re.findall(r"\d+", text)[0])
        tasks = [SEED] + [
            f"Tell about {WORDS[at % 12]} {WORDS[request.seed % 11]} {request.seed}{at}" for at in range(count - 1)
        ]
        return "\n".join(f"{at}. {task}" for at, task in enumerate(tasks, 1))
    if system.startswith("Say how a task"):
        return "choice" if "violin" in text else "text"
    if system.startswith("You write an example"):
        return "<output>good</output>\n<input>It was played well.</input>"
    return "<output>Some words about it.</output>"


def test_new_tasks_are_shown_with_two_made_before_and_seeds_do_not_come_again(tmp_path):
    shown: list[str] = []

    def say(request: Request) -> str:
        if request.messages[0]["content"].startswith("You write lists"):
            shown.append(request.messages[2]["content"])
        return self_instruct(request)

    result = played("self_instruct", say, tmp_path / "out", "target.rows=12", "target.round=1", "steps.3.with.count=4")
    assert result.complete
    assert [text.count("\n") + 1 for text in shown[:2]] == [6, 8], "six by people, then two more that were made"
    assert sum(line["other"] == "examples 1" for line in result.rejected) == len(shown), "each list repeats a seed"
    assert all(row["instruction"] != SEED for row in result.kept)


def test_a_choice_gets_its_output_first(tmp_path):
    result = played("self_instruct", self_instruct, tmp_path / "out", "target.rows=12")
    kinds = {row["task_kind"]: row for row in result.kept}
    assert (kinds["choice"]["input"], kinds["choice"]["output"]) == ("It was played well.", "good")
    assert (kinds["text"]["input"], kinds["text"]["output"]) == (None, "Some words about it.")


def evolving(request: Request) -> str:
    system, text = asks_for(request)
    if system.startswith("You rewrite"):
        kind = "other" if "Write another" in text else "harder"
        return f"{kind.title()} {WORDS[request.seed % 12]} {request.seed} {WORDS[request.seed % 7]}."
    if system.startswith("You compare"):
        return "equal" if "glacier" in text else "different"
    return "I'm sorry, but I cannot help with that." if "copper" in text else "Words that answer it well."


def test_tasks_grow_deeper_by_rounds_and_failed_ones_are_eliminated(tmp_path):
    result = played("evol_instruct", evolving, tmp_path / "out", "target.rows=60")
    assert result.complete
    by_text = {row["instruction"]: row for row in result.kept}
    assert max(row["depth"] for row in result.kept) >= 2
    for row in result.kept:
        before = by_text[row["before"]]["depth"] if row["before"] in by_text else 0
        assert row["depth"] == before + (row["operation"] != "breadth")
        assert row["instruction"].startswith("Other" if row["operation"] == "breadth" else "Harder")
    dropped = {line["step"] for line in result.rejected}
    assert {"asks for more", "answered"} <= dropped
    assert not any("glacier" in text or "copper" in text for text in by_text)
