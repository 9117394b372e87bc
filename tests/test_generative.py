"""Students that write, judged: loss before and after, overlap, instructions followed, wins over the base model."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_llm import InputError, Recipe, Source
from synth_llm.evaluation import writers
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.generative import generative
from synth_llm.evaluation.settings import Evaluate
from synth_llm.steps.context import Resources
from tests.project import Model
from tests.test_compare import prefers

COLUMNS = ["instruction", "input", "output"]


class Parrot:
    """Answers as the rows it learned from do; its loss is 3, and less the more of the wanted words it has seen."""

    draws = True
    fits = 0

    def __init__(self, task: Any, seed: int = 0) -> None:
        self.task, self.seed, self.notes = task, seed, list[str]()
        self.learned: list[str] = []

    def fit(self, rows: list[dict[str, Any]]) -> Parrot:
        Parrot.fits += 1
        self.learned = [row[self.task.answer] for row in rows]
        self.notes = ["sft: 1 row was cut"]
        return self

    def losses(self, rows: list[dict[str, Any]]) -> np.ndarray:
        known = {word for text in self.learned for word in text.split()}
        seen = [np.mean([word in known for word in row[self.task.answer].split()]) for row in rows]
        return 3 - 2 * np.array(seen) + 0.01 * self.seed

    def predict(self, rows: list[dict[str, Any]]) -> list[str]:
        return [self.learned[0] if self.learned else "I do not know, sorry" for _ in rows]

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        (folder / "learned.json").write_text(json.dumps(self.learned))


@pytest.fixture(autouse=True)
def parrot(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Parrot, "fits", 0)
    monkeypatch.setattr(writers, "student", lambda name: Parrot)


def rows(count: int, answer: str = "red green blue", **more: Any) -> list[dict[str, Any]]:
    return [{"instruction": f"Name colour {n}.", "output": answer, **more} for n in range(count)]


def data(tmp_path: Path, test: list[dict[str, Any]], judge: Model | None = None, **given: Any) -> Data:
    sides = {name: Side(name, given.pop(name), COLUMNS) for name in ("real", "examples") if name in given}
    made = Side("made", given.pop("made", rows(12)), COLUMNS)
    settings = Evaluate(student="sft", **{"seeds": 2, **given})
    models = {"critic": judge.entry(temperature=0)} if judge else {}
    recipe = Recipe(models=models, source=Source(empty=1), steps=[{"map": {}}])
    return Data(
        settings, Resources(recipe, tmp_path), made, test=Side("test", test, COLUMNS), store=tmp_path / "store", **sides
    )


def figures(found: Any) -> dict[str, Any]:
    return {one.name: one for one in found.figures}


def table(found: Any, name: str) -> list[list[Any]]:
    (one,) = [one for one in found.tables if one.name == name]
    return [list(row) for row in one.rows]


def test_loss_and_overlap_before_and_after(tmp_path):
    found = generative(data(tmp_path, rows(20, "red green"), real=rows(6, "red green"), examples=rows(2, "red")))
    named = figures(found)
    loss = named["held_out_loss"]
    assert loss.value == pytest.approx(1.005)
    assert loss.beside == pytest.approx(3)
    assert loss.low < loss.value < loss.high  # two seeds differ
    less = named["held_out_loss_less_base"]
    assert less.value == pytest.approx(-1.995)
    assert less.high < 0
    assert named["held_out_loss_less_seeds"].value == pytest.approx(-1)
    assert named["rouge_l"].value == pytest.approx(0.8)
    assert named["rouge_l"].beside == 0
    lines = {row[0]: row for row in table(found, "writing")}
    assert list(lines) == ["base", "made", "real", "made_matched_rows", "seeds"]
    assert [lines[name][2:4] for name in lines] == [[0, 0], [12, 2], [6, 2], [6, 2], [2, 2]]
    assert "sft: 1 row was cut" in found.notes


def test_what_is_learned_is_remembered(tmp_path):
    first = generative(data(tmp_path, rows(5)))
    fits = Parrot.fits
    assert generative(data(tmp_path, rows(5))) == first
    assert Parrot.fits == fits == 2


def test_rows_without_an_answer_are_said(tmp_path):
    made = [*rows(4), {"instruction": "What?", "output": None}]
    found = generative(data(tmp_path, rows(5), made=made))
    assert any("1 made rows have no prompt or no answer" in note for note in found.notes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"made": [{"text": "a"}]}, "no made row has output and instruction or input"),
        ({"prompt": ["question"]}, "test: no row has a text in question"),
        ({"student_settings": {"judge": "critic"}}, "no model 'critic'"),
        ({"student_settings": {"epoch": 3}}, "epoch"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path, given, said):
    with pytest.raises(InputError, match=said):
        generative(data(tmp_path, rows(3), **given))


def test_instructions_are_checked_without_answers(tmp_path):
    comma = {"instruction_id_list": ["punctuation:no_comma", "keywords:rhyme"], "kwargs": [{}, None]}
    found = generative(data(tmp_path, rows(6, None, **comma)))
    followed = figures(found)["verifiable_prompts"]
    assert (followed.value, followed.beside) == (1, 0)
    assert "held_out_loss" not in figures(found)
    assert any("keywords:rhyme (6)" in note for note in found.notes)


def test_a_judge_compares_with_the_base_model_and_is_paid_once(tmp_path):
    judge = Model(prefers("red"))
    again = [data(tmp_path, rows(8), judge, student_settings={"judge": "critic"}) for _ in range(2)]
    found = generative(again[0])
    assert figures(found)["win_rate"].value == 1
    assert figures(found)["win_rate"].low == pytest.approx(8 / (8 + 1.96**2), abs=0.01)
    assert "14 against 20 characters" in figures(found)["win_rate"].detail
    assert [row[:2] for row in table(found, "judged")][1] == ["student's answer shorter", 8]
    asked = len(judge.asked)
    assert asked == 16  # each row in both orders
    assert figures(generative(again[1])) == figures(found)
    assert len(judge.asked) == asked


def test_equal_answers_are_ties_that_nobody_is_asked_about(tmp_path):
    judge = Model(prefers("red"))
    made = rows(3, "I do not know, sorry")
    found = generative(data(tmp_path, rows(4), judge, made=made, student_settings={"judge": "critic"}))
    assert figures(found)["win_rate"].value == 0.5
    assert not judge.asked


def test_an_answer_of_the_judge_that_cannot_be_read_does_not_count(tmp_path):
    judge = Model(lambda text, request: "who knows" if "colour 1." in text else json.dumps({"better": 1}))
    found = generative(data(tmp_path, rows(3), judge, student_settings={"judge": "critic"}))
    assert figures(found)["win_rate"].value == 0.5  # it prefers a place, and so abstains
    assert any("could not be read on 1 of 3" in note for note in found.notes)


def test_tasks_of_lm_eval_where_it_is_installed(tmp_path, monkeypatch):
    settings = {"lm_eval": ["arc"]}
    missing = generative(data(tmp_path, rows(3), student_settings=settings))
    assert any("lm-eval is not installed" in note for note in missing.notes)

    def simple_evaluate(model_args: str, tasks: list[str], **_: Any) -> dict[str, Any]:
        learned = json.loads(Path(model_args.removeprefix("pretrained="), "learned.json").read_text())
        return {"results": {tasks[0]: {"alias": "arc", "acc,none": 0.5 if learned else 0.25}}}

    module = types.ModuleType("lm_eval")
    module.simple_evaluate = simple_evaluate  # type: ignore[attr-defined]
    module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "lm_eval", module)
    found = generative(data(tmp_path, rows(3), student_settings=settings))
    assert table(found, "lm_eval") == [["arc", "acc,none", 0.25, 0.5]]


def test_many_test_rows_are_answered_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "ANSWERED", 4)
    found = generative(data(tmp_path, rows(9)))
    assert any("answered 4 of 9 test rows" in note for note in found.notes)
    assert "9 test rows" in figures(found)["held_out_loss"].detail


def test_without_test_rows_there_is_nothing_to_say(tmp_path):
    assert not generative(data(tmp_path, [])).figures
