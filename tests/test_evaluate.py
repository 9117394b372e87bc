"""`evaluate`: which rows, which parts, what is stored; from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synth_llm import Evaluate, Filter, InputError, Recipe, Source, evaluate, run
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.sides import load
from tests.evaluation import ROWS, counted, write

__all__ = ["counted"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "made.jsonl")
    write(tmp_path / "real.jsonl", ROWS[1:])
    write(tmp_path / "test.jsonl", ROWS[::2])
    return tmp_path


def sides(made: Source | None = None, **settings) -> Data:
    recipe = Recipe(
        source=Source(empty=1),
        steps=[Filter(use=["length"])],
        evaluate=Evaluate.model_validate(settings),
    )
    return load(made or Source(rows=ROWS), recipe, Path())


def test_a_part_runs_when_what_it_needs_is_given(counted):
    found = evaluate("made.jsonl")
    assert counted == ["diversity", "privacy"]
    assert {one.name: one.why for one in found.outcomes if one.state == "left out"}.keys() == {
        *("fidelity", "utility", "bias", "contamination")
    }
    found = evaluate("made.jsonl", real="real.jsonl", test="test.jsonl", groups={"tea": ["tea"], "rain": ["rain"]})
    assert [one.name for one in found.outcomes if one.is_measured] == [
        *("diversity", "fidelity", "utility", "privacy", "bias")
    ]
    assert found.figures["tstr"].value == 0.75


def test_a_part_that_was_asked_for_and_cannot_run_is_an_error_before_work(counted):
    with pytest.raises(InputError, match=r"fidelity needs real rows: --real FILE"):
        evaluate("made.jsonl", parts=["diversity", "fidelity"])
    with pytest.raises(InputError, match="ablation needs a run folder"):
        evaluate("made.jsonl", test="test.jsonl", ablate=True)
    assert counted == []


def test_what_was_computed_is_not_computed_again(counted, here):
    first = evaluate("made.jsonl", real="real.jsonl")
    counted.clear()
    again = evaluate("made.jsonl", real="real.jsonl")
    assert counted == [] and again.figures == first.figures
    assert {one.state for one in again.outcomes} == {"stored", "left out"}
    evaluate("made.jsonl", real="real.jsonl", gate={"label_js": "<= 1"})
    assert counted == [], "a gate changes no figure"
    evaluate("made.jsonl", real="real.jsonl", seeds=7)
    assert counted == ["diversity", "fidelity", "privacy"]
    counted.clear()
    write(here / "real.jsonl", ROWS[2:])
    evaluate("made.jsonl", real="real.jsonl")
    assert counted == ["diversity", "fidelity", "privacy"]


def test_a_part_that_fails_does_not_lose_the_others(counted, here):
    write(here / "real.jsonl", ROWS[:2])
    found = evaluate("made.jsonl", real="real.jsonl")
    assert found.failed == ["fidelity: real: too few rows"]
    assert "distinct_1" in found.figures and "near_copies" in found.figures
    counted.clear()
    evaluate("made.jsonl", real="real.jsonl")
    assert counted == ["fidelity"], "what failed is tried again"


def test_results_are_the_same_when_rows_come_from_python(counted):
    one = evaluate("made.jsonl", real="real.jsonl", out="one")
    other = evaluate(ROWS, real=ROWS[1:], out="other")
    assert one.figures == other.figures
    hashes = [json.loads((found.path / "results.json").read_text())["sides"] for found in (one, other)]
    assert hashes[0] == hashes[1]


def test_a_run_is_evaluated_with_its_own_settings_and_its_card_filled(counted, here):
    recipe = Recipe(
        name="lines",
        source=Source(rows=ROWS),
        steps=[Filter(use=["length"])],
        evaluate=Evaluate(real="real.jsonl", gate={"label_js": "<= 0.1"}),
    )
    result = run(recipe, out="runs/lines")
    before = {path.name: path.read_bytes() for path in result.path.iterdir() if path.suffix != ".sqlite"}
    found = evaluate(result.path)
    assert found.path == (result.path / "evaluation").resolve()
    assert found.short == ["label_js is 0.25, wanted <= 0.1"]
    assert evaluate(result.path, gate={}).short == [], "what is given comes before what the recipe says"
    card = (result.path / "README.md").read_text()
    assert "## Evaluation" in card and "| label_js | 0.25 |" not in card.split("## Evaluation")[0]
    changed = [name for name, text in before.items() if (result.path / name).read_bytes() != text]
    assert changed == ["README.md"]
    run(recipe, out="runs/lines")
    assert "## Evaluation" not in (result.path / "README.md").read_text(), "no figures of rows that may have changed"


def test_the_compared_columns_are_found():
    assert sides().made.columns == ["text"]
    both = [{"instruction": "Say hello.", "output": "Hello.", "id": 1}]
    assert sides(Source(rows=both)).made.texts == ["Say hello.\nHello."]
    assert sides(Source(rows=both), column="output").made.texts == ["Hello."]
    with pytest.raises(InputError, match=r"made: no column 'text', and none of .* of id, body"):
        sides(Source(rows=[{"id": 1, "body": "x"}]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"column": "txt"}, "made: no column 'txt'; did you mean 'text'?"),
        ({"label": "lable"}, "made: no column 'lable'; did you mean 'label'?"),
        ({"real": {"rows": [{"sentence": "x"}]}}, "real: no column 'text'; known: sentence; give real a `rename`"),
        ({"real": {"rows": [{"text": " "}]}}, "real: every row is blank in text"),
        ({"test": "nothing.jsonl"}, "test: no file or folder 'nothing.jsonl'"),
    ],
)
def test_what_cannot_be_compared_is_named(settings, said):
    with pytest.raises(InputError) as error:
        sides(**settings)
    assert said in str(error.value)


def test_labels_are_compared_as_text_and_found_where_all_rows_have_one():
    found = sides(Source(rows=[{"text": "a", "label": 1}, {"text": "b", "label": True}]))
    assert found.made.label == "label" and found.made.labels == ["1", "true"]
    assert sides(Source(rows=[{"text": "a", "label": 1}, {"text": "b"}])).made.label is None


def test_examples_of_the_recipe_are_a_side_and_their_absence_is_told(here):
    told: list[str] = []
    base = here / "elsewhere"
    for examples in (ROWS[:2], "gone.jsonl"):
        recipe = Recipe(source=Source(rows=ROWS, examples=examples), steps=[Filter(use=["length"])])
        data = load(Source(rows=ROWS), recipe, base, told.append)
        assert (data.examples is not None) == (examples != "gone.jsonl")
    assert len(told) == 1 and told[0].startswith("the recipe's examples are left out: no file or folder 'gone.jsonl'")


def test_the_student_is_saved_for_the_hub_with_what_it_scored(counted, here):
    settings = {"real": "real.jsonl", "test": "test.jsonl", "encoder": "letters", "student": "probe"}
    recipe = Recipe(
        source=Source(empty=1),
        steps=[Filter(use=["length"])],
        encoders={"letters": {"engine": "function", "function": lambda texts: [[len(t), t.count("a")] for t in texts]}},
    )
    evaluate("made.jsonl", recipe=recipe, save="student", **settings)
    card = (here / "student" / "README.md").read_text()
    assert "made" in card and "0.75" in card and "letters" in card
    assert json.loads((here / "student" / "config.json").read_text())["labels"] == ["rain", "tea"]
    with pytest.raises(InputError, match="student: the folder for the student is not empty"):
        evaluate("made.jsonl", recipe=recipe, save="student", **settings)
