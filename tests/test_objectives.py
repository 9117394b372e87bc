"""Objectives as settings of any recipe: the steps that they add, what those do, and the measures that the run prints.

Texts are angles, and their vectors points of a circle.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from synth_llm import Filter, Generate, InputError, LabelCheck, Recipe, Request, Sample, Source, Target, run
from synth_llm.encoders import EncoderEntry
from synth_llm.objectives import Objectives
from synth_llm.output import card
from synth_llm.plan import plan
from synth_llm.recipe import load_recipe
from synth_llm.summary import ending
from tests.distribution import circle
from tests.project import Model

PROMPTS = {
    "write": "---\ngives: {text: string}\n---\n"
    "{{ label }}{% for one in avoid | default([]) %} not {{ one.text }}{% endfor %}",
    "plain": "---\ngives: {text: string}\n---\n{{ label }}",
    "objectives/rewrite": "---\ngives: {text: string}\n---\n"
    "{{ original }} like{% for one in target_texts %} {{ one[column] }}{% endfor %}, {{ keep }}",
    "judge": "---\nneeds: [labels, text]\ngives: {label: one of labels}\n---\n{{ labels | join }} {{ text }}",
}
"""Label and text are angles: `10` is around ten degrees."""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in PROMPTS.items():
        path = tmp_path / "prompts" / f"{name}.jinja"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)


def around(text: str, request: Request) -> str:
    """An angle within twenty degrees of the first number of the prompt."""
    if request.schema and "enum" in request.schema:
        return str(min(request.schema["enum"], key=lambda label: abs(float(label) - float(text.split()[-1]))))
    return f"{float(text.split()[0]) + request.seed % 400 / 10 - 20:g}"


def recipe(
    model: Model,
    objectives: dict[str, Any],
    *,
    steps: list[Any] | None = None,
    examples: list[dict[str, Any]] | None = None,
    rows: int | None = 16,
) -> Recipe:
    return Recipe(
        models={"writer": model.entry(temperature=0.5), "judge": model.entry(temperature=0)},
        source=Source(grid={"label": ["10", "80"]}, examples=examples),
        encoders={"circle": EncoderEntry(engine="function", function=circle)},
        objectives=Objectives.model_validate({"encoder": "circle", **objectives}),
        steps=steps or [Generate(prompt="write", model="writer")],
        target=None if rows is None else Target(rows=rows),
    )


def measured(result: Any) -> dict[str, tuple[float, float]]:
    return {one["measure"]: (one["before"], one["after"]) for one in result.manifest["objectives"]}


def labelled(**counts: int) -> list[dict[str, Any]]:
    """Examples around an angle: `a10=5` are five of label 10."""
    return [
        {"label": name[1:], "text": f"{int(name[1:]) + at / 2:g}"}
        for name, count in counts.items()
        for at in range(count)
    ]


def test_prompts_show_the_nearest_accepted_rows_and_the_temperature_rises(tmp_path):
    model, warmth = Model(around), []
    model.say = lambda text, request: warmth.append(request.sampling["temperature"]) or around(text, request)
    result = run(recipe(model, {"diversity": {"avoid": 2, "temperature": [0.4, 1.2]}}), out=tmp_path / "run")
    assert result.complete
    assert "avoid" not in result.kept.column_names
    first, last = model.asked[0], model.asked[-1]
    assert "not" not in first
    told = [float(found) for found in re.findall(r"not (\S+)", last)]
    assert len(told) == 2
    texts = [float(row["text"]) for row in result.kept]
    near = sorted(abs(text - float(last.split()[0])) for text in texts[:-4])[:2]
    assert sorted(abs(one - float(last.split()[0])) for one in told) == pytest.approx(near)
    assert warmth == sorted(warmth)
    assert warmth[0] == 0.4
    assert 0.9 < warmth[-1] < 1.2, "the target is never full when a row is asked for"
    assert {"dispersion", "vendi", "coverage of label"} <= set(measured(result))
    assert "vendi" in ending(result.path, result.manifest)
    assert "| diversity | vendi |" in card(result.manifest)


def test_what_a_label_lacks_is_made(tmp_path):
    result = run(recipe(Model(around), {"balance": {}}, examples=labelled(a10=9, a80=2)), out=tmp_path / "run")
    assert Counter(result.kept["label"]) == {"80": 11, "10": 5}, "with the examples 13 and 14"
    before, after = measured(result)["evenness of label"]
    assert before < 0.7
    assert after > 0.99
    assert measured(result)["rows of the rarest label"] == (2, 13)


def test_without_a_target_balance_makes_what_is_lacking_of_the_commonest(tmp_path):
    a_recipe = recipe(Model(around), {"balance": {}}, examples=labelled(a10=9, a80=2), rows=None)
    assert Counter(run(a_recipe, out=tmp_path / "run").kept["label"]) == {"80": 7}


def test_rows_are_rewritten_by_the_nearest_target_texts_and_come_closer(tmp_path):
    (tmp_path / "target.jsonl").write_text("".join(f'{{"text": "{angle}"}}\n' for angle in range(40, 52, 2)))

    def say(text: str, request: Request) -> str:
        return text.split()[2] if "like" in text else around(text, request)

    model = Model(say)
    shift = {"domain_shift": {"to": "target.jsonl", "model": "writer", "shots": 2}}
    result = run(recipe(model, shift), out=tmp_path / "run")
    before, after = measured(result)["energy distance to the target"]
    assert after < before / 2
    rewriting = next(text for text in model.asked if "like" in text)
    assert rewriting.endswith(", what it says")
    low = float(rewriting.split()[0]) < 46
    assert rewriting.split(" like ")[1].startswith("40 42," if low else "50 48,")
    assert {row["text"] for row in result.kept} <= {"40", "50"}
    assert all(abs(float(row["original"]) - float(row["label"])) <= 20 for row in result.kept)


def test_what_is_thin_or_missed_is_kept_and_then_judged(tmp_path):
    steps = [
        Sample(match="label"),
        Generate(prompt="write", model="writer"),
        LabelCheck(prompt="judge", model="judge"),
    ]
    model = Model(
        lambda text, request: around(text, request) if request.schema else f"{10 + request.seed % 750 / 10:g}"
    )
    examples = [*labelled(a10=20, a80=20), {"label": "10", "text": "32"}, {"label": "80", "text": "58"}]
    a_recipe = recipe(model, {"edge_cases": {}}, steps=steps, examples=examples)
    ready = plan(a_recipe, tmp_path)
    assert [step.title for step in ready.steps][2:] == [
        "edge_cases: thin regions",
        "edge_cases: what the student misses",
        "edge_cases: case",
        "label_check judge",
    ]
    result = run(a_recipe, out=tmp_path / "run")
    assert len(result.kept) == 16
    assert all(row["missed"] or 0.5 <= row["edge"] <= 0.99 for row in result.kept)
    assert all(abs(float(row["text"]) - float(row["label"])) <= 35 for row in result.kept), "the judge spoke last"
    assert any("accepted" in str(step.step) for step in ready.steps if isinstance(step.step, Sample))
    before, after = measured(result)["share in thin regions"]
    assert after > before


def test_an_objective_says_what_it_lacks_and_where(tmp_path):
    def refused(objectives: str, steps: str = "[{generate: {prompt: write, model: w}}]") -> str:
        path = tmp_path / "r.yaml"
        path.write_text(
            "models: {w: {engine: local}}\nsource: {grid: {label: ['1', '2']}}\ntarget: {rows: 4}\n"
            f"steps: {steps}\nobjectives:\n{objectives}\n"
        )
        with pytest.raises(InputError) as error:
            a_recipe, file = load_recipe(path)
            plan(a_recipe, file.base, file.error)
        return str(error.value)

    said = refused("  diversity: {avoid: 2}", "[{generate: {prompt: plain, model: w}}]")
    assert "r.yaml:6" in said
    assert "objectives.diversity: prompt plain has no place for rows to avoid" in said
    assert "the recipe's source has no 'examples'" in refused("  balance: {}")
    assert "add a step that judges" in refused("  edge_cases: {}")
    assert "no setting 'avoyd'; did you mean 'avoid'" in refused("  diversity: {avoyd: 2}")
    assert "no generate step makes column 'x'" in refused("  diversity: {column: x}")


def test_an_objective_is_set_from_outside_and_the_recipe_is_kept_as_it_was_written(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "models: {w: {engine: local}}\nsource: {grid: {label: ['1', '2']}, examples: [{label: '1', text: a}]}\n"
        "target: {rows: 8}\nsteps: [{generate: {prompt: plain, model: w}}]\n"
    )
    a_recipe, file = load_recipe(path, ["objectives.balance={}"])
    ready = plan(a_recipe, file.base, file.error)
    assert ready.recipe.target == Target(rows=8, per="label", counting="examples")
    assert ready.written.target == Target(rows=8)
    assert "objectives" in file.text


def test_a_filter_with_a_condition_keeps_its_name_beside_objectives(tmp_path):
    steps = [Generate(prompt="plain", model="writer"), Filter.model_validate({"if": "text | float > 0"})]
    a_recipe = recipe(Model(around), {"balance": {}}, steps=steps, examples=labelled(a10=1))
    assert [one.title for one in plan(a_recipe, tmp_path).steps] == ["generate plain", "filter"]
