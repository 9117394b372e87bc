"""Students by name, their settings, classes as text, and the model card."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from pydantic import BaseModel, ConfigDict, Field

from synth_llm import InputError
from synth_llm.student import registry
from synth_llm.student.card import write_card
from synth_llm.student.probe import ProbeStudent
from synth_llm.student.registry import names, student
from synth_llm.student.student import Task, label_text, own_settings


class Own(BaseModel):
    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(default=3, ge=1)
    learning_rate: float = 1e-3


def offer(monkeypatch: pytest.MonkeyPatch, **offered: str) -> None:
    """Let installed packages offer these students."""
    entries = EntryPoints([EntryPoint(name, value, registry.GROUP) for name, value in offered.items()])
    monkeypatch.setattr(registry, "entry_points", lambda group: entries.select(group=group))


def test_students_are_found_by_name():
    assert student("probe") is ProbeStudent
    assert {"probe", "classifier", "sft"} <= set(names())


def test_an_unknown_student_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="no student 'prob'; did you mean 'probe'"):
        student("prob")


def test_packages_offer_students(monkeypatch: pytest.MonkeyPatch):
    offer(monkeypatch, shallow="synth_llm.student.probe:ProbeStudent", probe="no.such:Thing")
    assert "shallow" in names()
    assert student("shallow") is ProbeStudent
    assert student("probe") is ProbeStudent, "ours come first"


@pytest.mark.parametrize("where", ["no_such_package:Thing", "synth_llm.student.probe:NoSuchThing"])
def test_a_broken_package_is_named(monkeypatch: pytest.MonkeyPatch, where: str):
    offer(monkeypatch, deep=where)
    with pytest.raises(InputError, match="the student 'deep' of an installed package cannot be loaded"):
        student("deep")


def test_settings_for_all_students_and_for_one():
    assert own_settings("classifier", Own, {}) == Own()
    both = {"epochs": 2, "classifier": {"epochs": 5}, "sft": {"rank": 8}}
    assert own_settings("classifier", Own, both) == Own(epochs=5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epoch": 2}, "student classifier: no setting 'epoch'; did you mean 'epochs'?"),
        ({"rank": 2}, "no setting 'rank'; known: epochs, learning_rate; those of one student go under its name"),
        ({"epochs": 0}, "student classifier: epochs: input should be greater than or equal to 1, not 0"),
        ({"learning_rate": "fast"}, "learning_rate: input should be a valid number"),
        ({"clasifier": {"epochs": 2}}, "no student 'clasifier'; did you mean 'classifier'?"),
    ],
)
def test_wrong_settings_are_one_line(given: dict[str, Any], said: str):
    with pytest.raises(InputError) as caught:
        own_settings("classifier", Own, given)
    assert said in str(caught.value)


def test_the_probe_has_no_settings():
    with pytest.raises(InputError, match="student probe: no setting 'epochs'"):
        ProbeStudent(Task(["text"], settings={"epochs": 3}))
    ProbeStudent(Task(["text"], settings={"classifier": {"epochs": 3}}))


def test_classes_are_texts():
    assert [label_text(value) for value in (1, 1.0, "1", 1.5, True, ["a"])] == ["1", "1", "1", "1.5", "true", '["a"]']
    assert label_text(None) is None
    assert label_text(float("nan")) is None


def test_a_card_says_what_was_learned(tmp_path: Path):
    write_card(
        tmp_path,
        {
            "name": "little: student",
            "data": "a recipe | of mine",
            "datasets": ["org/data"],
            "rows": 1200,
            "seed": 3,
            "test": "300 rows of SST-2",
            "scores": {"accuracy": [0.8123, 0.77, 0.85], "rows": 300, "loss": [0.5, None, None]},
        },
        about="It tells good from bad.",
        task="text-classification",
        load="load()",
        library="transformers",
        base="org/base",
        settings={"epochs": 3},
    )
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.datasets == ["org/data"]
    assert card.data.base_model == "org/base"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.license is None, "that of the data is not known"
    for line in (
        "# little: student",
        "| Learned from | a recipe \\| of mine, org/data |",
        "| Rows | 1,200 |",
        "| Setting `epochs` | 3 |",
        "Scores on 300 rows of SST-2:",
        "| accuracy | 0.8123 | 0.77 to 0.85 |",
        "| rows | 300 |  |",
        "| loss | 0.5 |  |",
    ):
        assert line in card.text.splitlines() or line in card.content.splitlines(), line


def test_a_card_of_nothing_is_a_card(tmp_path: Path):
    write_card(tmp_path, {}, about="It is.", task="text-generation", load="load()")
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.base_model is None and card.data.datasets is None
    assert f"# {tmp_path.name}" in card.text
