"""compare: both orders, abstention, panels, gold labels, and a judge that does not know which is which."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from synth_llm import InputError, Recipe, Source, run
from synth_llm.execute import prepare
from synth_llm.steps import Compare
from tests.project import Model

NUMBERS = itertools.count()
ROW = {"instruction": "Say hello.", "mine": "hello", "theirs": "goodbye"}
ANSWER = re.compile(r"<answer (\w+)>\n(.*?)\n</answer \1>", re.S)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "prompts").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prefers(text: str) -> Any:
    """A judge that prefers the answer which holds this text; the first one when both or none do."""

    def say(prompt: str, request: Any) -> str:
        (_, first), (_, second) = ANSWER.findall(prompt)
        return json.dumps({"better": 2 if text in second and text not in first else 1})

    return say


def always(place: int) -> Any:
    return lambda prompt, request: json.dumps({"better": place})


def compare(judges: dict[str, Any], rows: list[dict[str, Any]] | None = None, **settings: Any) -> Any:
    entries = {name: Model(say).entry(temperature=0).model_copy(update={"model": name}) for name, say in judges.items()}
    model = next(iter(judges)) if len(judges) == 1 else list(judges)
    step = Compare.model_validate({"columns": ["mine", "theirs"], "model": model, **settings})
    recipe = Recipe(models=entries, source=Source(rows=rows or [ROW]), steps=[step])
    return run(recipe, out=f"runs/{next(NUMBERS)}")


def outcome(result: Any) -> list[tuple[str, float]]:
    return [(row["winner"], row["agreement"]) for row in result.kept]


@pytest.mark.parametrize(("text", "winner"), [("hello", "mine"), ("goodbye", "theirs")])
def test_a_judge_that_means_a_text_decides(text, winner):
    result = compare({"a": prefers(text)})
    assert outcome(result) == [(winner, 1.0)]
    assert len(result.kept[0]["_lineage"]) == 2


@pytest.mark.parametrize("place", [1, 2])
def test_a_judge_that_means_a_place_abstains(place):
    assert outcome(compare({"a": always(place)})) == [("tie", 0.0)]
    (gone,) = compare({"a": always(place)}, on_tie="drop").rejected
    assert (gone["reason"], gone["detail"]) == ("abstained", "neither mine nor theirs wins")
    assert len(gone["_lineage"]) == 2


def test_equal_texts_tie():
    assert outcome(compare({"a": prefers("hello")}, [{**ROW, "theirs": "hello"}])) == [("tie", 0.0)]


def test_a_panel_decides_by_those_that_mean_a_text():
    judges = {"a": always(1), "b": prefers("goodbye"), "c": always(2)}
    assert outcome(compare(judges)) == [("theirs", pytest.approx(1 / 3))]
    split = {"a": prefers("hello"), "b": prefers("goodbye")}
    assert outcome(compare(split)) == [("tie", 0.5)]


def test_a_judge_that_cannot_be_read_is_not_a_verdict():
    def unreadable(prompt: str, request: Any) -> str:
        return "hm"

    assert [gone["reason"] for gone in compare({"a": unreadable}).rejected] == ["unparseable"]
    assert outcome(compare({"a": unreadable, "b": prefers("hello")})) == [("mine", 0.5)]


def test_the_two_orders_differ_in_nothing_but_the_order():
    seen: list[str] = []

    def say(prompt: str, request: Any) -> str:
        seen.append(json.dumps(request.messages))
        return '{"better": 1}'

    compare({"a": say}, [{**ROW, "winner_of_before": "mine"}])
    one, other = seen
    assert "mine" not in one + other and "theirs" not in one + other
    assert sorted(re.findall(r"\w+", one)) == sorted(re.findall(r"\w+", other))


GOLD = [
    {"instruction": "Say hello.", "mine": f"hello {n}", "theirs": f"bye {n}", "best": "mine" if n % 2 else 1}
    for n in range(6)
] + [{"instruction": "Say hello.", "mine": "bye", "theirs": "hello", "best": 2}]


def test_gold_winners_weigh_a_panel(project):
    (project / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GOLD))
    gold = {"file": "gold.jsonl", "label": "best"}
    judges = {"a": prefers("hello"), "b": prefers("bye"), "c": prefers("bye")}
    assert outcome(compare(judges)) == [("theirs", pytest.approx(2 / 3))]
    result = compare(judges, vote="weighted", gold=gold)
    assert outcome(result) == [("mine", 1.0)]
    found = result.manifest["funnel"][0]["report"]["calibration"]
    assert (found["rows"], found["accuracy"]["value"], found["coverage"]["value"]) == (7, 1.0, 1.0)
    assert found["judges"]["b"]["accuracy"]["value"] == 0
    assert found["judges"]["b"]["confusion"] == {"mine": {"mine": 0, "theirs": 6}, "theirs": {"mine": 1, "theirs": 0}}


def test_a_judge_that_always_abstains_covers_nothing(project):
    (project / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GOLD))
    result = compare({"a": always(1)}, gold={"file": "gold.jsonl", "label": "best"})
    found = result.manifest["funnel"][0]["report"]["calibration"]
    assert found["coverage"]["value"] == 0
    assert "accuracy" not in found


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("---\ngives: {better: [1, 2]}\n---\n{{ first }} {{ second }} {{ mine }}", "sees column 'mine'"),
        ("---\ngives: {better: [1, 2]}\n---\n{{ first }}", "does not show 'second'"),
        ("---\ngives: {better: [a, b]}\n---\n{{ first }} {{ second }}", "must give one column, 1 or 2"),
        ("---\ngives: {better: 1..2}\n---\n{{ first }} {{ second }}", "must give one column, 1 or 2"),
    ],
)
def test_a_prompt_that_could_not_be_fair_is_refused(project, prompt, message):
    (project / "prompts" / "p.jinja").write_text(prompt)
    assert message in error(prompt="p")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": ["mine", "mine"]}, "stands twice"),
        ({"columns": ["mine", "their"]}, "needs column 'their'"),
        ({"gold": {"file": "wrong.jsonl", "label": "best"}}, "'nobody' is none of mine, theirs, 1, 2, tie"),
    ],
)
def test_bad_settings_are_said_before_a_call(project, settings, message):
    (project / "wrong.jsonl").write_text(json.dumps({**ROW, "best": "nobody"}) + "\n")
    assert message in error(**settings)


def test_it_overwrites_no_column():
    assert "gives 'winner', which the rows already have" in error([{**ROW, "winner": "x"}])


def error(rows: list[dict[str, Any]] | None = None, **settings: Any) -> str:
    step = Compare.model_validate({"columns": ["mine", "theirs"], "model": "a", **settings})
    with pytest.raises(InputError) as caught:
        prepare(Recipe(models={"a": Model().entry()}, source=Source(rows=rows or [ROW]), steps=[step]))
    return str(caught.value)
