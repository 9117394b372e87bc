"""An answer that cannot be read is shown to the model with its error; Pydantic models as the form of an answer."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from synth_llm import Answer, Generate, Judge, ModelEntry, Recipe, Request, Result, Source, run
from synth_llm.recipe import load_recipe
from synth_llm.steps.context import SHOWN
from tests.project import Model, topics, write_prompts

BAD, WORSE = '{"score": 9}', "No."


class Scorer:
    """Says one thing after the other in a conversation, whatever the row; remembers what it was shown."""

    def __init__(self, *says: str | Answer) -> None:
        self.says = says
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> str | Answer:
        self.asked.append(request)
        return self.says[min(len(request.messages) // 2, len(self.says) - 1)]

    def recipe(self, rows: int = 1, **settings: Any) -> Recipe:
        entry = ModelEntry(engine="function", model="test", function=self, **settings)
        source = Source(rows=[{"text": f"A text, number {n}."} for n in range(rows)])
        return Recipe(models={"j": entry}, source=source, steps=[Judge(prompt="score", model="j")])

    @property
    def last(self) -> list[tuple[str, str]]:
        """The messages of the last request."""
        return [(message["role"], message["content"]) for message in self.asked[-1].messages]


@pytest.fixture(autouse=True)
def _project(tmp_path, monkeypatch):
    write_prompts(tmp_path)
    monkeypatch.chdir(tmp_path)


def rejected(result: Result) -> tuple[str, str, str]:
    assert len(result.rejected) == 1
    row = result.rejected[0]
    return row["reason"], row["detail"], row["raw"]


def test_the_model_is_shown_its_answer_and_what_is_wrong_with_it():
    model = Scorer(BAD, '{"score": 4}')
    result = run(model.recipe())
    assert [row["score"] for row in result.kept] == [4]
    assert model.last[:2] == [("user", "Score: A text, number 0."), ("assistant", BAD)]
    role, told = model.last[2]
    assert role == "user"
    assert told.startswith("This cannot be used: score: 9 is greater than the maximum of 5.\n")
    assert result.kept[0]["_lineage"][-1]["key"] == model.asked[-1].key, "the lineage names the answer that was used"
    assert model.asked[-1].schema == model.asked[0].schema


@pytest.mark.parametrize("repairs", [0, 1, 3])
def test_a_model_is_asked_for_repairs_so_often_and_the_last_answer_is_kept(repairs):
    model = Scorer("No.", "Never.")
    result = run(model.recipe(repairs=repairs))
    assert len(model.asked) == 1 + repairs
    reason, detail, raw = rejected(result)
    assert (reason, raw) == ("unparseable", "Never." if repairs else "No.")
    assert detail.startswith("no JSON")
    assert result.complete


def test_one_repair_is_the_default():
    model = Scorer(WORSE)
    run(model.recipe())
    assert len(model.asked) == 2


def test_each_repair_shows_only_the_last_answer():
    """A long conversation about one row would cost more each time."""
    model = Scorer(BAD)
    run(model.recipe(repairs=3))
    assert [len(request.messages) for request in model.asked] == [1, 3, 3, 3]
    assert len({request.key for request in model.asked}) == 4, "to the same wrong answer there may be another repair"


def test_a_greedy_model_that_repeats_its_wrong_answer_is_not_asked_the_same_again():
    model = Scorer(BAD)
    result = run(model.recipe(repairs=3, temperature=0))
    assert len(model.asked) == 2
    assert rejected(result)[0] == "unparseable"


def test_a_long_answer_is_shown_in_part():
    model = Scorer("x" * 100_000, '{"score": 4}')
    result = run(model.recipe())
    assert len(result.kept) == 1
    assert len(model.last[1][1]) == SHOWN


@pytest.mark.parametrize("temperature", [0, 0.7])
def test_repairs_are_replayed_and_never_asked_again(temperature):
    model = Scorer(BAD, '{"score": 4}')
    first = run(model.recipe(rows=5, temperature=temperature))
    asked = len(model.asked)
    again = run(model.recipe(rows=5, temperature=temperature))
    assert len(model.asked) == asked == 10
    assert list(first.kept) == list(again.kept)


def test_a_final_failure_is_replayed_too():
    model = Scorer(WORSE)
    first, again = (run(model.recipe()) for _ in range(2))
    assert len(model.asked) == 2
    assert rejected(first) == rejected(again)


def test_a_retry_starts_anew_with_the_prompt_alone_and_has_repairs_of_its_own():
    model = Scorer(WORSE)
    run(model.recipe())
    run(model.recipe(), retry=["unparseable"])
    assert [len(request.messages) for request in model.asked] == [1, 3, 1, 3]
    assert len({request.key for request in model.asked}) == 4
    model.says = (BAD, '{"score": 2}')
    result = run(model.recipe(), retry=["unparseable"])
    assert len(model.asked) == 6
    assert [row["score"] for row in result.kept] == [2]
    replayed = run(model.recipe())
    assert len(model.asked) == 6
    assert list(replayed.kept) == list(result.kept)


def test_a_retry_for_another_reason_asks_nothing():
    model = Scorer(WORSE)
    run(model.recipe())
    run(model.recipe(), retry=["refused"])
    assert len(model.asked) == 2


def test_more_repairs_go_on_from_the_answers_that_are_there():
    model = Scorer(WORSE, WORSE, WORSE)
    run(model.recipe(repairs=0))
    model.says = (WORSE, '{"score": 4}')
    result = run(model.recipe(repairs=1))
    assert len(model.asked) == 2
    assert [row["score"] for row in result.kept] == [4]


def choice(message: dict[str, Any], finish: str = "stop") -> Answer:
    return Answer(json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode())


def test_an_answer_that_is_whole_at_max_tokens_is_not_cut():
    model = Scorer(choice({"content": '{"score": 4}'}, "length"))
    assert [row["score"] for row in run(model.recipe()).kept] == [4]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (choice({"content": None, "refusal": "I cannot"}), "refused"),
        (choice({"content": '{"sco'}, "length"), "cut"),
        (choice({"content": "{"}, "content_filter"), "content filter"),
        (Answer(b'{"error": {"message": "too long"}}', 400), "bad request"),
        (Answer(b"<html>502 Bad Gateway</html>"), "unparseable"),
        (choice({"content": None}), "unparseable"),
    ],
)
def test_what_is_no_answer_is_not_repaired(said, reason):
    model = Scorer(said)
    result = run(model.recipe(repairs=3))
    assert rejected(result)[0] == reason
    assert len(model.asked) == 1


# Pydantic models


class Kind(Enum):
    QUESTION = "question"
    COMMAND = "command"


class Speaker(BaseModel):
    name: str = Field(min_length=1)
    age: int = Field(ge=0, le=120)


class Scene(BaseModel):
    title: str
    kind: Kind
    mood: Literal["calm", "tense"]
    speakers: list[Speaker] = Field(min_length=1, max_length=3)
    lines: list[str]
    weight: float = Field(gt=0, le=1)


GOOD: dict[str, Any] = {
    "title": "At the well",
    "kind": "question",
    "mood": "calm",
    "speakers": [{"name": "Ada", "age": 36}],
    "lines": ["Is it deep?", "Very."],
    "weight": 0.5,
}


def scenes(say: Any, gives: Any = Scene, **settings: Any) -> Recipe:
    model = Model(lambda text, request: json.dumps(say))
    step = Generate(prompt="write", model="w", gives=gives)
    return Recipe(models={"w": model.entry(**settings)}, source=Source(rows=topics(1)), steps=[step])


def test_a_pydantic_model_says_what_an_answer_is():
    result = run(scenes(GOOD))
    row = result.kept[0]
    assert {name: row[name] for name in GOOD} == GOOD
    Scene.model_validate({name: row[name] for name in GOOD})


def test_a_list_of_a_pydantic_model_is_many_records():
    other = {**GOOD, "title": "Later"}
    result = run(scenes({"items": [GOOD, other]}, gives=[Scene]))
    assert [row["title"] for row in result.kept] == ["At the well", "Later"]


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"kind": "song"}, "kind"),
        ({"mood": "Calm"}, "mood"),
        ({"speakers": []}, "speakers"),
        ({"speakers": [{"name": "Ada", "age": 121}]}, "speakers.0.age"),
        ({"speakers": [{"name": "Ada", "age": "36"}]}, "speakers.0.age"),
        ({"speakers": [{"name": "Ada"}]}, "speakers.0"),
        ({"lines": "Very."}, "lines"),
        ({"weight": 0}, "weight"),
        ({"extra": 1}, "the answer"),
    ],
)
def test_its_bounds_hold_at_every_depth(wrong, detail):
    reason, said, raw = rejected(run(scenes({**GOOD, **wrong})))
    assert reason == "unparseable"
    assert said.startswith(f"{detail}: ")
    assert json.loads(raw) == {**GOOD, **wrong}


@pytest.mark.parametrize("gives", [Scene, [Scene]], ids=["one", "many"])
def test_the_run_folder_keeps_a_recipe_that_reads_back(gives):
    built = scenes(GOOD if gives is Scene else {"items": [GOOD]}, gives)
    result = run(built)
    text = (result.path / "recipe.yaml").read_text()
    path = result.path / "again.yaml"
    path.write_text(text.replace("engine: function", "engine: replay"))
    read, _file = load_recipe(path)
    assert [step.model_dump() for step in read.steps] == [step.model_dump() for step in built.steps]
