"""What is checked before any call: each step has its columns, and the expected number of calls is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth_llm import Dedup, Filter, Generate, InputError, Judge, LabelCheck, Limits, Map, Recipe, Source, Target
from synth_llm.plan import plan
from synth_llm.recipe import load_recipe
from tests.project import Model, three_steps, topics, write_prompts


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    write_prompts(tmp_path)
    monkeypatch.chdir(tmp_path)


PRICELESS = {"o": {"engine": "openai", "model": "m"}}


def a_recipe(*steps: Any, source: Source | None = None, **settings: Any) -> Recipe:
    models = settings.pop("models", {"w": Model().entry()})
    return Recipe(models=models, source=source or Source(rows=topics(2)), steps=list(steps), **settings)


def error(recipe: Recipe) -> str:
    with pytest.raises(InputError) as caught:
        plan(recipe, Path())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_plan_asks_no_model():
    model = Model()
    plan(three_steps(model), Path())
    assert model.asked == []


def test_columns_are_followed_from_step_to_step():
    ready = plan(
        a_recipe(
            Generate(prompt="write", model="w"), Judge(prompt="score", model="w"), Map(rename={"score": "s"}), Dedup()
        ),
        Path(),
    )
    assert [sorted(step.columns) for step in ready.steps] == [
        ["text", "topic"],
        ["score", "text", "topic"],
        ["s", "text", "topic"],
        ["s", "text", "topic"],
    ]
    assert ready.columns == ["s", "text", "topic"]
    assert [step.is_barrier for step in ready.steps] == [False, False, False, True]


def test_calls_are_counted_through_steps_that_multiply():
    check = LabelCheck(prompt="label", model="w", label="topic", labels=["a", "b"], votes=2)
    ready = plan(
        a_recipe(Generate(prompt="write", model="w", n=3), Judge(prompt="score", model="w"), check, Filter()), Path()
    )
    assert ready.calls == {"generate write": 3, "judge score": 3, "label_check label": 6}
    assert ready.expected == 3


def test_equal_steps_are_told_apart():
    ready = plan(a_recipe(Map(set={"a": "1"}), Map(set={"b": "2"}), Map(name="mine")), Path())
    assert [step.title for step in ready.steps] == ["map", "map 2", "mine"]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (lambda: a_recipe(Filter()), "step 1 (filter): filter needs column 'text'; the rows have topic"),
        (
            lambda: a_recipe(Map(), Map(drop=["topics"])),
            "step 2 (map): drop needs column 'topics'; the rows have topic; did",
        ),
        (
            lambda: a_recipe(Generate(prompt="writ", model="w")),
            "step 1 (generate): no prompt 'writ'; did you mean 'write",
        ),
        (lambda: a_recipe(Generate(prompt="write", model="v")), "step 1 (generate): no model 'v' in this recipe"),
        (
            lambda: a_recipe(Map(), target=Target(rows=3, per="topics")),
            "target.per: the source has no column 'topics'; did",
        ),
        (lambda: a_recipe(Map(), source=Source(empty=True)), "source.empty: how many rows?"),
        (lambda: a_recipe(Map(), source=Source(file="no.jsonl")), "source: "),
        (
            lambda: a_recipe(Generate(prompt="write", model="o"), models=PRICELESS, limits=Limits(dollars=1)),
            "limits.dollars: model 'o' has no price: no price table knows 'm' at api.openai.com; write what",
        ),
    ],
)
def test_what_cannot_run_is_one_line(recipe, message):
    assert message in error(recipe())


def test_dollars_can_be_limited_where_prices_are_known_or_nothing_is_asked():
    limits = Limits(dollars=1)
    plan(a_recipe(Map(), models=PRICELESS, limits=limits), Path())
    ready = plan(a_recipe(Generate(prompt="write", model="o"), models=PRICELESS), Path())
    ready.check_dollars(Limits())
    with pytest.raises(InputError, match="'o' has no price"):
        ready.check_dollars(limits)
    Path("prices.yaml").write_text("api.openai.com: {models: {m: {input: 1, output: 2}}}\n")
    plan(a_recipe(Generate(prompt="write", model="o"), models=PRICELESS, limits=limits), Path())


def test_an_error_names_the_line_of_the_file():
    Path("r.yaml").write_text(
        "models:\n  w: {engine: openai, model: m}\nsource: {rows: [{topic: x}]}\nsteps:\n"
        "  - map: {set: {a: topic}}\n  - generate: {prompt: score, model: w}\n"
    )
    recipe, file = load_recipe(Path("r.yaml"))
    with pytest.raises(InputError) as caught:
        plan(recipe, file.base, file.error)
    assert str(caught.value).startswith(
        "r.yaml:6: step 2 (generate): prompt score needs column 'text'; the rows have a, t"
    )


def test_an_error_in_a_prompt_names_the_prompts_line():
    Path("prompts/broken.jinja").write_text("---\ngives: {text: string}\n---\n{{ topic }\n")
    assert "broken.jinja:4: " in error(a_recipe(Generate(prompt="broken", model="w")))
