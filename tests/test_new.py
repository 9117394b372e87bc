"""new: a project out of a task and a handful of examples, whatever the model says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synth_llm import InputError, Project, cli, new_project, run
from synth_llm.execute import prepare
from synth_llm.models import ENGINES
from synth_llm.models.function import Function
from synth_llm.models.request import Request
from synth_llm.new_examples import read_examples
from synth_llm.strict_yaml import load

TASK = "sort bank messages by what the customer wants"
BANK = [
    {"text": "My card has not come yet.", "label": "card_arrival"},
    {"text": "Where is the card that you sent?", "label": "card_arrival"},
    {"text": "I forgot the number of my card.", "label": "pin"},
    {"text": "How do I set a new PIN?", "label": "pin"},
]
QUESTIONS = [
    {"prompt": "Name a tree.", "completion": "An oak."},
    {"prompt": "Name a river that flows through Paris.", "completion": "The Seine."},
]
ATTRIBUTES = [
    {"name": "How urgent", "values": ["today", "this week", "whenever"]},
    {"name": "customer", "values": ["a student", "a shop owner", "a traveller"]},
]

Say = Callable[[Request], str]


def sensible(request: Request) -> str:
    """A model that does as it is told."""
    said, last = str(request.schema), request.messages[-1]["content"]
    if "attributes" in said:
        return json.dumps({"attributes": ATTRIBUTES})
    if "Texts with the label" in last:
        return f"The customer asks for help, case {len(last)}."
    if "enum" in said:
        return json.dumps({"label": "pin" if "PIN" in last else "card_arrival"})
    return f"A message about {request.seed % 9973} things, number {request.seed % 7919}, {last.split()[-1]}."


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Say], list[Request]]:
    """Puts a function in the place of the embedded model; gives what it was asked."""
    monkeypatch.chdir(tmp_path)

    def put(say: Say) -> list[Request]:
        asked: list[Request] = []

        def answer(request: Request) -> str:
            asked.append(request)
            return say(request)

        monkeypatch.setitem(ENGINES, "local", lambda entry, base: Function(answer))
        return asked

    return put


def examples(rows: list[dict[str, Any]], name: str = "few.jsonl") -> Path:
    path = Path(name)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recipe(project: Project) -> Any:
    return load(project.recipe).value


def attributes(project: Project) -> Any:
    return next(step["draw"]["set"] for step in recipe(project)["steps"] if "draw" in step)


def test_labelled_examples_become_a_project_that_runs(model):
    model(sensible)
    made = new_project(TASK, examples(BANK))
    assert made.recipe == Path("sort-bank-messages-by-what/recipes/sort-bank-messages-by-what.yaml")
    assert attributes(made) == {"how_urgent": ATTRIBUTES[0]["values"], "customer": ATTRIBUTES[1]["values"]}
    labels = [json.loads(line) for line in (made.folder / "data/labels.jsonl").read_text().splitlines()]
    assert [label["label"] for label in labels] == ["card_arrival", "pin"]
    assert labels[0]["meaning"].startswith("The customer asks for help")
    result = run(made.recipe, out=made.run, sets=["target.rows=6"])
    assert result.complete
    assert sorted(result.kept["label"]) == ["card_arrival"] * 3 + ["pin"] * 3
    assert set(result.kept.column_names) - {"_id", "_parent", "_lineage"} == {"text", "label", "how_urgent", "customer"}


def test_the_prompt_shows_examples_of_the_label_its_meaning_and_what_is_drawn(model):
    asked = model(sensible)
    made = new_project(TASK, examples(BANK))
    del asked[:]
    run(made.recipe, out=made.run, sets=["target.rows=2"])
    said = "\n".join(message["content"] for message in asked[0].messages)
    assert TASK in said
    assert "My card has not come yet." in said
    assert "I forgot" not in said
    assert "How urgent: " in said
    assert "(The customer asks for help" in said


def test_instructions_with_answers_become_a_project_that_runs(model):
    model(sensible)
    made = new_project("questions for a quiz", examples(QUESTIONS), out=Path("quiz"))
    result = run(made.recipe, out=made.run, sets=["target.rows=4"])
    assert result.complete
    assert {"instruction", "output", "how_urgent", "customer"} <= set(result.kept.column_names)
    assert not (made.folder / "data/labels.jsonl").exists()


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "I am sorry, I cannot do that.",
        '{"attributes": []}',
        json.dumps({"attributes": [{"name": "label", "values": ["a", "b", "c"]}] * 2}),
        json.dumps({"attributes": [{"name": "{{ 7 }}", "values": ["card arrival", "pin", "pin"]}] * 2}),
        json.dumps({"attributes": [{"name": "If", "values": ["a", "b", "c"]}, {"name": "none", "values": ["a", "b"]}]}),
        json.dumps({"attributes": [{"name": "!", "values": ["x\n\n", '"', "{% raw %}"]}] * 4}),
        "My card has not come yet.",
        "\x1b[31m{% endblock %}",
    ],
)
@pytest.mark.parametrize("rows", [BANK, QUESTIONS])
def test_nonsense_of_a_model_never_breaks_the_project(model, nonsense, rows):
    model(lambda request: nonsense)
    made = new_project(TASK, examples(rows))
    ready, _ = prepare(made.recipe)
    assert ready.expected >= 1
    assert set(attributes(made)) == {"tone", "length"}
    assert any("plain ones stand in the recipe" in note for note in made.notes)
    if rows is BANK:
        labels = [json.loads(line) for line in (made.folder / "data/labels.jsonl").read_text().splitlines()]
        assert [label["label"] for label in labels] == ["card_arrival", "pin"]
        assert all(label["meaning"] for label in labels)


def test_no_file_is_overwritten_and_nothing_is_asked_then(model):
    asked = model(sensible)
    new_project(TASK, examples(BANK), out=Path("mine"))
    del asked[:]
    with pytest.raises(InputError, match="is there already; give another folder with --out"):
        new_project(TASK, examples(BANK), out=Path("mine"))
    assert not asked


def test_what_the_model_said_is_kept_in_the_project(model):
    asked = model(sensible)
    made = new_project(TASK, examples(BANK))
    for path in made.files:
        path.unlink()
    assert asked
    del asked[:]
    new_project(TASK, examples(BANK))
    assert not asked


@pytest.mark.parametrize(
    ("rows", "kind", "said"),
    [
        ([{"Review": "Good film.", "sentiment": 1}, {"Review": "Bad.", "sentiment": 0}], "labels", "from 'Review'"),
        (
            [{"a": "x y z", "b": "one"}, {"a": "u v w", "b": "two"}, {"a": "r s", "b": "two"}],
            "labels",
            "label from 'b'",
        ),
        ([{"question": "Why?", "answer": "So.", "n": 1}], "instructions", "instruction from 'question'"),
        (
            [{"text": "t", "label": "a"}, {"text": "u", "label": "b"}, {"text": "", "label": "b"}],
            "labels",
            "1 rows lack",
        ),
    ],
)
def test_columns_are_found_by_their_names_and_values(tmp_path: Path, monkeypatch, rows, kind, said):
    monkeypatch.chdir(tmp_path)
    found = read_examples(examples(rows))
    assert found.kind == kind
    assert said in found.said


def test_a_csv_file_is_read(tmp_path: Path):
    (tmp_path / "few.csv").write_text('text,label\n"Hello, you",hi\nBye,bye\n')
    assert read_examples(tmp_path / "few.csv").rows[0] == {"text": "Hello, you", "label": "hi"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": "a"}, {"text": "b"}], "columns text: name the text `text` and its label `label`"),
        ([{"text": "a", "label": "x"}], "all rows have the label 'x'; give examples of two labels or more"),
        ([{"text": "", "label": "x"}], "no row has both text and label"),
    ],
)
def test_examples_that_show_no_task_are_refused_in_one_line(tmp_path: Path, monkeypatch, rows, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"few\.jsonl: ") as error:
        read_examples(examples(rows))
    assert said in str(error.value)


@pytest.mark.parametrize(("name", "said"), [("opnai:m", "did you mean 'openai'"), ("openai", "needs 'model'")])
def test_an_unknown_model_is_refused(tmp_path: Path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        new_project(TASK, examples(BANK), model=name)
    assert not Path("sort-bank-messages-by-what").exists()


def test_the_command_shows_the_first_rows_and_what_to_do_next(model, capsys):
    model(sensible)
    path = examples(BANK)
    with pytest.raises(SystemExit) as exit:
        cli.main(["new", TASK, "--examples", str(path), "--out", "mine"])
    assert exit.value.code == 0
    out = capsys.readouterr().out
    assert "wrote mine/prompts/text.jinja" in out
    assert out.count("    text: A message about") == 5
    assert "synth-llm run recipes/sort-bank-messages-by-what.yaml" in out


def test_a_model_that_can_judge_checks_labels(model, monkeypatch):
    model(sensible)
    monkeypatch.setitem(ENGINES, "openai", ENGINES["local"])
    made = new_project(TASK, examples(BANK), model="openai:any")
    assert {"label_check": {"model": "judge", "shots": 2}} in recipe(made)["steps"]
    assert recipe(made)["models"]["judge"]["model"] == "any"


@pytest.mark.local
def test_the_embedded_model_makes_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    made = new_project(TASK, examples(BANK))
    assert prepare(made.recipe)[0].expected >= 1
