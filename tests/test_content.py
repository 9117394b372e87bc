"""Everything that comes with the package: each prompt, recipe and filter is loaded and used once."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from synth_llm.library import Library, check_settings, filter_settings, load_filter
from synth_llm.plan import plan
from synth_llm.prompt import Prompt, load_prompt
from synth_llm.recipe import load_recipe
from tests.test_recorded import embeds

ROOT = Path(__file__).parent.parent
LIBRARY = Library(ROOT)
PROMPTS, RECIPES, FILTERS = (LIBRARY.names(kind) for kind in ("prompts", "recipes", "filters"))
BLOCKS = [name for name in PROMPTS if name.startswith("blocks/")]
"""Macros that prompts share; the others ask for something."""
PROMPTS = [name for name in PROMPTS if name not in BLOCKS]

MADE: dict[str, Any] = {
    "number": 2,
    "record": {"name": "Gull"},
    "labels": ["good", "bad"],
    "shots": [
        {
            **{"text": "A shown text.", "label": "good", "topic": "bread", "instruction": "Ask.", "output": "So."},
            **{"premise": "It rains.", "hypothesis": "It is wet."},
        }
    ],
    "all": ["good", "bad"],
    "types": ["person", "place"],
    "entities": [{"text": "Ann", "type": "person"}],
    "score": 3,
    "seeds": [{"instruction": "Name a tree."}],
    "made": [{"instruction": "Count to three."}],
    "avoid": [{"text": "A text that is there.", "instruction": "Name a river."}],
    "target_texts": [{"text": "a text of the target ."}],
    "column": "text",
    "subjects": ["a bridge", "a lamp"],
    "wordings": ["in haste"],
    "task_kind": "choice",
    "texts": ["A text of the task."],
    "operation": "breadth",
    "messages": [{"role": "user", "content": "Is it far?"}, {"role": "assistant", "content": "Ten minutes."}],
}
"""Values for variables that are no text."""


@cache
def loaded(name: str) -> Prompt:
    return load_prompt(name, LIBRARY)


@cache
def used(name: str) -> set[str]:
    """The prompts that a recipe names."""
    recipe, _ = load_recipe(ROOT / "recipes" / f"{name}.yaml")
    return {prompt for step in recipe.steps for kind in ("prompt", "answer") if (prompt := getattr(step, kind, None))}


def speaks_as_user(name: str) -> bool:
    """Whether a recipe needs a chat template of weights, which the default tests do not have."""
    return any(loaded(prompt).speaks == "user" for prompt in used(name))


def marks(name: str) -> list[pytest.MarkDecorator]:
    """What planning a recipe needs."""
    return [pytest.mark.encoder] * embeds(name) + [pytest.mark.local] * speaks_as_user(name)


def variables(names: frozenset[str]) -> dict[str, Any]:
    return {name: MADE.get(name, f"<the {name}>") for name in names}


def test_there_is_something_to_check():
    assert PROMPTS
    assert RECIPES
    assert FILTERS
    assert {*PROMPTS, *BLOCKS} == set(LIBRARY.names("prompts"))


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_renders_with_and_without_what_is_optional(name):
    prompt = loaded(name)
    assert prompt.about.endswith((".", ")."))
    for names in (prompt.needs, prompt.needs | prompt.optional):
        messages = prompt.render(variables(names))
        assert (messages[-1]["role"] == "user") == (prompt.speaks == "assistant")
        assert all(message["content"].strip() == message["content"] != "" for message in messages)
        said = "\n".join(message["content"] for message in messages)
        assert not re.search(r"{{|}}|{%|%}|{#|Undefined", said), "nothing of the template is left"
        for variable in names - set(MADE):
            assert f"<the {variable}>" in said, f"{variable} is needed and not said"


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_says_what_it_is_for_and_is_used(name):
    assert loaded(name).about.endswith((".", ")."))
    assert any(name in (ROOT / "prompts" / f"{prompt}.jinja").read_text() for prompt in PROMPTS)


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_says_what_it_gives(name):
    prompt = loaded(name)
    assert prompt.gives.columns
    schema = prompt.gives.schema(variables(prompt.needs))
    assert prompt.gives.format not in {"json", "label"} or schema
    assert "OneOf" not in repr(schema), "variables are put in"


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_is_used_by_a_recipe_or_a_default(name):
    judges = {"judge/label", "judge/compare", "judge/contaminated", "judge/quality", "judge/reference"}
    of_new = {f"new/{part}" for part in ("answer", "attributes", "instruction", "meaning", "text")}
    defaults = judges | of_new | {"objectives/rewrite"}
    assert name in set().union(*map(used, RECIPES)) | defaults


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in RECIPES])
def test_a_recipe_plans_and_is_short(name):
    recipe, file = load_recipe(ROOT / "recipes" / f"{name}.yaml")
    ready = plan(recipe, file.base, file.error)
    assert ready.expected >= 1
    assert sum(ready.calls.values()) >= bool(recipe.models)
    assert recipe.about.endswith(".")
    assert used(name) <= set(PROMPTS)
    assert len([line for line in file.text.splitlines() if line.strip()]) <= 25
    assert max(map(len, file.text.splitlines())) <= 125


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_documented_and_typed(name):
    function = load_filter(name, LIBRARY)
    module = ast.get_docstring(ast.parse((ROOT / "filters" / f"{name}.py").read_text())) or ""
    assert inspect.getdoc(function), "what it keeps"
    for setting, parameter in filter_settings(function).items():
        assert parameter.annotation is not parameter.empty, setting
        if setting != "column":
            said = module + (inspect.getdoc(function) or "")
            assert re.search(rf"\b{setting}\b", said), f"no word on setting {setting}"


@pytest.mark.parametrize("name", FILTERS)
def test_a_filters_defaults_are_values_that_its_settings_take(name):
    function = load_filter(name, LIBRARY)
    defaults = {
        setting: parameter.default
        for setting, parameter in filter_settings(function).items()
        if parameter.default is not parameter.empty
    }
    required = {"is": "json"} if name == "format" and "is" not in defaults else {}
    assert check_settings(function, {**defaults, **required}, name)


def test_no_two_prompts_share_ten_lines_and_each_fits_on_a_page():
    lines = {name: (ROOT / "prompts" / f"{name}.jinja").read_text().splitlines() for name in (*PROMPTS, *BLOCKS)}
    assert max(map(len, lines.values())) <= 60
    windows = {name: {tuple(text[at : at + 10]) for at in range(len(text) - 9)} for name, text in lines.items()}
    for one, other in itertools.combinations(lines, 2):
        assert not windows[one] & windows[other], f"{one} and {other}: what they share belongs into prompts/blocks"
