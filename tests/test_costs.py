"""What 1,000 rows of a recipe cost, as `synth-llm list recipes` tells it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synth_llm import Generate, Recipe, Source, catalogue, costs, run, screen
from tests.project import Model, topics, write_prompts

RECIPE = "about: Words.\nsource: {empty: 1}\nmodels: {writer: {engine: local}, judge: {engine: openai, model: gpt-x}}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes/data").mkdir(parents=True)
    (tmp_path / "recipes/words.yaml").write_text(RECIPE)
    return tmp_path


def listed(name: str = "words") -> str:
    return next(entry.more for entry in catalogue.entries("recipes") if entry.name == name)


def manifest(kept: int, dollars: float | None = 0.0) -> dict[str, Any]:
    usage = {"requests": 12, "prompt_tokens": 900, "completion_tokens": 100, "dollars": dollars}
    models = {"writer": {"engine": "openai", "model": "gpt-x"}}
    return {"counts": {"kept": kept}, "usage": {"all runs": [usage, usage]}, "models": models}


def write(folder: Path, value: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(value))


def test_a_recipe_that_was_not_run_lists_its_models():
    assert listed() == "writer: local; judge: openai gpt-x; not run yet"


def test_a_run_of_ones_own_is_told_before_figures_that_come_with_the_recipe(here: Path):
    shipped = costs.Cost(10, 20, 3000, 1000, 0.0, {"writer": "local"})
    (here / "recipes" / costs.MEASURED).write_text(json.dumps({"words": vars(shipped)}))
    assert listed() == "writer: local; 1,000 rows: 2,000 requests, 400,000 tokens (by 10 in our run)"
    write(here / "runs/words", manifest(kept=8, dollars=0.004))
    said = "writer: openai gpt-x; 1,000 rows: 3,000 requests, 250,000 tokens, $1.00 (by 8 in runs/words)"
    assert listed() == said


@pytest.mark.parametrize("value", [manifest(kept=0), {"counts": {"kept": 4}}, [], "text"])
def test_a_manifest_that_tells_nothing_is_as_none(here: Path, value):
    write(here / "runs/words", value)
    assert listed().endswith("not run yet")


def test_an_unknown_price_is_said():
    cost = costs.of_manifest(manifest(kept=8, dollars=None))
    assert cost is not None
    assert "dollars unknown" in cost.said("runs/words")


def test_the_manifest_of_a_real_run_is_read(here: Path):
    write_prompts(here)
    recipe = Recipe(
        models={"writer": Model().entry()},
        source=Source(rows=topics(5)),
        steps=[Generate(prompt="write", model="writer")],
    )
    cost = costs.of_manifest(run(recipe, out=here / "runs/words").manifest)
    assert cost is not None
    assert (cost.accepted, cost.requests, cost.models) == (5, 5, {"writer": "function test"})


def test_a_listing_has_two_lines_a_recipe_and_says_where_it_is_from():
    lines = screen.listed([entry for entry in catalogue.entries("recipes") if entry.name == "words"]).splitlines()
    assert lines == ["words  Words. (current folder)", "    writer: local; judge: openai gpt-x; not run yet"]


def test_a_recipe_that_cannot_be_read_is_still_listed(here: Path):
    (here / "recipes/words.yaml").write_text("a: [\n")
    assert "cannot be read" in listed()
    (here / "recipes/words.yaml").write_text("models: {writer: 3}\n")
    assert listed() == ""


def test_our_own_figures_are_of_recipes_that_are_there():
    recipes = Path(catalogue.__file__).parent.parent / "recipes"
    for name, values in json.loads((recipes / costs.MEASURED).read_text()).items():
        assert (recipes / f"{name}.yaml").is_file()
        assert costs.Cost(**values).accepted
