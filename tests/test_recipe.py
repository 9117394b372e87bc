"""Recipes: whatever is wrong is one line with file and line; overrides; the schema for editors."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from synth_llm import Dedup, Filter, Generate, InputError, ModelEntry, Recipe, Source
from synth_llm.recipe import RecipeFile, load_recipe, recipe_schema

BUILT_IN = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))

GOOD = """\
about: A test.
seed: 7
models:
  writer: {engine: openai, model: gpt, url: "http://localhost/v1", temperature: 0.5}
  judge:
    engine: local
    temperature: 0
source:
  grid:
    label: [a, b]
steps:
  - generate:
      prompt: write
      model: writer
      n: 2
  - filter:
  - dedup: {by: exact}
target: {rows: 10, per: label}
limits: {requests: 100}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(text: str, sets: tuple[str, ...] = (), models: tuple[str, ...] = ()) -> Recipe:
    Path("r.yaml").write_text(text)
    return load_recipe(Path("r.yaml"), sets, models)[0]


def error(text: str, **overrides: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(text, **overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_recipe_is_read():
    recipe = load(GOOD)
    assert (recipe.name, recipe.seed, recipe.about) == ("r", 7, "A test.")
    assert recipe.models["writer"].sampling == {"temperature": 0.5, "max_tokens": 512}
    assert recipe.steps == [Generate(prompt="write", model="writer", n=2), Filter(), Dedup()]
    assert (recipe.target.rows, recipe.target.per, recipe.limits.requests) == (10, "label", 100)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed: 7", "sed: 7", "r.yaml:2: no setting 'sed'; did you mean 'seed'?"),
        ("seed: 7", "seed: seven", "r.yaml:2: seed: input should be a valid integer"),
        ("seed: 7", "seed: 7\nseed: 8", "r.yaml:3: "),
        ("engine: openai", "engine: opnai", "r.yaml:4: models.writer.engine: input should be"),
        ("temperature: 0.5", "temprature: 0.5", "r.yaml:4: no setting 'temprature'; did you mean 'temperature'?"),
        ("temperature: 0.5", "temperature: -1", "r.yaml:4: models.writer.temperature: input should be greater than"),
        ("model: gpt, ", "", "r.yaml:4: models.writer: engine 'openai' needs 'model'"),
        ("temperature: 0\n", "url: x\n", "engine 'local' has no setting 'url'; it belongs to 'openai'"),
        ("engine: local", "engine: function", "engine 'function' needs a Python function"),
        ("    temperature: 0\n", "    temperature: hot\n", "r.yaml:7: models.judge.temperature: "),
        ("source:\n  grid:\n    label: [a, b]\n", "", "r.yaml:1: 'source' is missing"),
        ("    label: [a, b]", "    label: []", "attribute 'label' has no values"),
        ("  grid:", "  gird:", "r.yaml:9: no setting 'gird'; did you mean 'grid'?"),
        ("  grid:", "  file: x\n  grid:", "r.yaml:8: source: give exactly one of"),
        ("  - generate:", "  - genrate:", "r.yaml:12: step 1: no step 'genrate'; did you mean 'generate'?"),
        (
            "      n: 2",
            "      n: 0",
            "r.yaml:15: step 1 (generate): n: input should be greater than or equal to 1",
        ),
        ("      n: 2", "      m: 2", "r.yaml:15: step 1 (generate): no setting 'm'"),
        ("      prompt: write\n", "", "r.yaml:12: step 1 (generate): 'prompt' is missing"),
        ("  - filter:", "  - filter", "r.yaml:16: step 2: a step is one name with its settings"),
        ("  - filter:", "  - {filter: , dedup: }", "r.yaml:16: step 2: a step is one name with its settings"),
        (
            "{by: exact}",
            "{by: sound}",
            "r.yaml:17: step 3 (dedup): by: input should be 'exact', 'near', 'meaning' or 'rouge', not",
        ),
        ("{by: exact}", "{near: true}", "r.yaml:17: step 3 (dedup): no setting 'near'"),
        ("rows: 10", "rows: 0", "r.yaml:18: target.rows: input should be greater than or equal to 1, not 0"),
        ("rows: 10", "row: 10", "r.yaml:18: no setting 'row'; did you mean 'rows'?"),
        ("requests: 100", "request: 100", "r.yaml:19: no setting 'request'; did you mean 'requests'?"),
        ("{requests: 100}", "[100", "r.yaml:"),
    ],
)
def test_every_mistake_is_one_line_with_its_place(old, new, message):
    assert GOOD.count(old) == 1
    assert message in error(GOOD.replace(old, new))


@pytest.mark.parametrize(
    "text", ["", "[]", "just text", *(f"steps: {steps}\nsource: {{empty: 3}}\n" for steps in ("[]", "3", ""))]
)
def test_what_is_no_recipe_is_one_line(text):
    assert re.match(r"r\.yaml:\d+: ", error(text))


def test_the_file_is_named_when_it_is_not_there():
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_recipe(Path("nowhere.yaml"))


def test_set_changes_settings():
    sets = (
        "target.rows=25",
        "seed=9",
        "steps.generate.n=3",
        "steps.3.by=near",
        "steps.filter.column=label",
        "models.judge.max_tokens=5",
        "source.grid.label=[x, y, z]",
        "limits.dollars=0.5",
    )
    recipe = load(GOOD, sets)
    assert (recipe.target.rows, recipe.seed, recipe.models["judge"].max_tokens) == (25, 9, 5)
    assert recipe.steps == [Generate(prompt="write", model="writer", n=3), Filter(column="label"), Dedup(by="near")]
    assert recipe.source.grid == {"label": ["x", "y", "z"]}
    assert (recipe.limits.dollars, recipe.limits.requests) == (0.5, 100)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("target.rows", "--set target.rows: write path=value"),
        ("=3", "write path=value"),
        ("steps.9.n=3", "no step is '9'; use its number, 1 to 3"),
        ("steps.judge.n=3", "no step is 'judge'"),
        ("seed.x=3", "'seed' is 7, which has no settings inside"),
        ("target.rows=many", "target.rows: input should be a valid integer"),
        ("target.row=3", "no setting 'row'; did you mean 'rows'?"),
        ("seed=[1", "--set seed"),
    ],
)
def test_a_set_that_cannot_be_is_one_line(change, message):
    assert message in error(GOOD, sets=(change,))


def test_two_steps_of_one_type_are_told_by_number():
    text = GOOD.replace("  - filter:", "  - filter: {use: [length]}\n  - filter: {use: [refusal]}")
    assert "2 steps are named 'filter'; use its number, 1 to 4" in error(text, sets=("steps.filter.use=[echo]",))
    assert load(text, ("steps.3.use=[echo]",)).steps[2] == Filter(use=["echo"])


def test_model_changes_the_engine_and_keeps_the_sampling():
    recipe = load(GOOD, models=("writer=local:tiny.gguf", "judge=openai:org/big:8b"))
    assert recipe.models["writer"] == ModelEntry(engine="local", model="tiny.gguf", temperature=0.5)
    assert recipe.models["judge"] == ModelEntry(engine="openai", model="org/big:8b", temperature=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("writer", "write name=engine:model with an engine of function, local, openai, replay"),
        ("writer=vlm:x", "write name=engine:model"),
        ("writr=local", "no model 'writr' in this recipe; did you mean 'writer'?"),
        ("writer=openai", "engine 'openai' needs 'model'"),
    ],
)
def test_a_model_that_cannot_be_is_one_line(change, message):
    assert message in error(GOOD, models=(change,))


def test_the_text_is_the_file_or_what_overrides_made_of_it():
    Path("r.yaml").write_text(GOOD)
    assert RecipeFile(Path("r.yaml")).text == GOOD
    changed = RecipeFile(Path("r.yaml"), ["target.rows=3", "steps.generate.n=1"], ["judge=openai:big"])
    Path("again.yaml").write_text(changed.text)
    assert load_recipe(Path("again.yaml"))[0].model_dump(exclude={"name"}) == changed.recipe().model_dump(
        exclude={"name"}
    )


def test_a_recipe_of_python_written_down_is_the_same_recipe():
    recipe = load(GOOD)
    value = recipe.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert load(yaml.safe_dump(value)) == recipe
    with pytest.raises(ValueError, match="at least 1"):
        Recipe(source=Source(empty=1), steps=[])


# The schema for editors


@cache
def schema_validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(recipe_schema())


def wrong(value: Any) -> list[str]:
    return [error.message for error in schema_validator().iter_errors(value)]


@pytest.mark.parametrize("path", BUILT_IN, ids=lambda path: path.stem)
def test_the_schema_takes_every_recipe_of_ours(path):
    assert wrong(RecipeFile(path).value) == []


def test_the_schema_takes_a_step_without_settings():
    Path("r.yaml").write_text(GOOD)
    assert wrong(RecipeFile(Path("r.yaml")).value) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("seed", "sed"), ("temperature: 0.5", "warm: 1"), ("n: 2", "m: 2"), ("grid", "gird"), ("rows", "row")],
)
def test_the_schema_refuses_an_unknown_key(old, new):
    Path("r.yaml").write_text(GOOD.replace(old, new))
    assert wrong(RecipeFile(Path("r.yaml")).value)


@pytest.mark.parametrize("change", ["steps.dedup.by=sound", "target.rows=0", "steps.2=filter", "models.judge.engine=x"])
def test_the_schema_refuses_wrong_values(change):
    Path("r.yaml").write_text(GOOD)
    assert wrong(RecipeFile(Path("r.yaml"), [change]).value)


def test_every_setting_in_the_schema_is_explained():
    def bare(name: str, part: Any) -> list[str]:
        if not isinstance(part, dict):
            return []
        settings = part.get("properties", {})
        own = [f"{name}.{key}" for key, it in settings.items() if not {"description", "$ref"} & set(it)]
        return own + [key for inner, it in part.get("$defs", {}).items() for key in bare(inner, it)]

    assert bare("recipe", recipe_schema()) == []
