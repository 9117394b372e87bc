"""judge and label_check: panels, expected scores, gold labels, and what a judge may see."""

from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from synth_llm import Answer, Filter, InputError, Judge, LabelCheck, Recipe, Source, run
from synth_llm.errors import FatalError
from synth_llm.estimate import estimate
from synth_llm.execute import prepare
from tests.project import Model, write_prompts

NUMBERS = itertools.count()
MORE = {
    "verdict": "---\ngives: {verdict: [good, bad], why: string}\n---\nVerdict: {{ fence(text) }}\n",
    "seen": "---\ngives: {second: 1..5}\n---\nScore: {{ text }} {{ score }}\n",
}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    write_prompts(tmp_path)
    for name, text in MORE.items():
        (tmp_path / "prompts" / f"{name}.jinja").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gold(rows: list[dict[str, Any]], label: str = "truth", **settings: Any) -> dict[str, Any]:
    Path("gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"file": "gold.jsonl", "label": label, **settings}


def judged(judges: dict[str, Any], rows: list[dict[str, Any]], step: Any, **models: Any) -> Any:
    """Run one step with judges by name, each a function of the prompt's text."""
    entries = {
        name: Model(say).entry(**{"temperature": 0, **models}).model_copy(update={"model": name})
        for name, say in judges.items()
    }
    recipe = Recipe(models=entries, source=Source(rows=rows), steps=[step] if not isinstance(step, list) else step)
    return run(recipe, out=f"runs/{next(NUMBERS)}")


def score(number: int) -> Any:
    return lambda text, request: json.dumps({"score": number})


def verdict(choose: Any) -> Any:
    def say(text: str, request: Any) -> str:
        value = choose(text)
        return json.dumps({"verdict": value, "why": f"it is {value}"}) if value else "I cannot say"

    return say


def by_word(text: str) -> str:
    return "bad" if "poor" in text else "good"


def panel(*judges: str, **settings: Any) -> Judge:
    return Judge(prompt="verdict", model=list(judges), **settings)


def report(result: Any, name: str = "calibration") -> Any:
    return result.manifest["funnel"][0]["report"][name]


# Panels


def test_a_panel_averages_scores():
    result = judged(
        {"a": score(5), "b": score(2), "c": score(2)}, [{"text": "x"}], Judge(prompt="score", model=["a", "b", "c"])
    )
    assert [row["score"] for row in result.kept] == [3.0]
    (row,) = result.kept
    assert len(row["_lineage"]) == 3


def test_a_panel_votes_on_choices_and_gives_the_words_of_one_that_won():
    judges = {"a": verdict(lambda _: "bad"), "b": verdict(by_word), "c": verdict(by_word)}
    result = judged(judges, [{"text": "fine"}, {"text": "poor"}], panel("a", "b", "c"))
    assert [(row["verdict"], row["why"]) for row in result.kept] == [("good", "it is good"), ("bad", "it is bad")]


@pytest.mark.parametrize("on_tie", ["drop", "keep"])
def test_a_split_panel_abstains(on_tie):
    judges = {"a": verdict(lambda _: "bad"), "b": verdict(lambda _: "good")}
    result = judged(judges, [{"text": "fine"}], panel("a", "b", on_tie=on_tie))
    if on_tie == "keep":
        assert [row["verdict"] for row in result.kept] == [None]
    else:
        (gone,) = result.rejected
        assert (gone["reason"], gone["detail"]) == ("abstained", "the panel is split on verdict")
        assert len(gone["_lineage"]) == 2


def test_a_judge_that_cannot_be_read_has_no_vote():
    judges = {"a": verdict(lambda _: None), "b": verdict(by_word), "c": verdict(by_word)}
    result = judged(judges, [{"text": "poor"}], panel("a", "b", "c"))
    assert [row["verdict"] for row in result.kept] == ["bad"]
    assert len(result.kept[0]["_lineage"]) == 3, "the call was made and paid"
    none = judged({"a": verdict(lambda _: None), "b": verdict(lambda _: None)}, [{"text": "x"}], panel("a", "b"))
    assert [gone["reason"] for gone in none.rejected] == ["unparseable"]


def test_a_panel_is_planned_and_estimated_for_each_of_its_judges():
    entries = {name: Model().entry(temperature=0).model_copy(update={"model": name}) for name in "abc"}
    source = Source(rows=[{"text": "x"}, {"text": "y"}])
    ready, _ = prepare(Recipe(models=entries, source=source, steps=[panel("a", "c")]))
    assert ready.used == ["a", "c"]
    assert ready.calls == {"judge verdict": 2}
    assert [(one.model, one.calls) for one in estimate(ready).steps] == [("a", 2), ("c", 2)]


def test_label_check_by_a_panel():
    labels = {"good": lambda text, request: "good", "bad": lambda text, request: "bad"}
    judges = {"a": labels["good"], "b": labels["bad"], "c": labels["bad"]}
    step = LabelCheck(prompt="label", model=["a", "b", "c"], labels=["good", "bad"], on_disagreement="flag")
    result = judged(judges, [{"text": "x", "label": "good"}], step)
    assert [(row["judged"], row["agreement"]) for row in result.kept] == [("bad", pytest.approx(1 / 3))]
    assert step.calls == 3


# Gold labels

GOLD = [{"text": f"{word} {number}", "truth": by_word(word)} for number in range(10) for word in ("fine", "poor")]


def often_wrong(text: str) -> str:
    right = by_word(text)
    return right if re.search(r" [^47]\n", text) else "good" if right == "bad" else "bad"


def test_gold_labels_say_how_good_a_judge_is():
    result = judged(
        {"a": verdict(often_wrong)}, [{"text": "fine"}], Judge(prompt="verdict", model="a", gold=gold(GOLD))
    )
    found = report(result)
    assert (found["rows"], found["unread"], found["file"]) == (20, 0, "gold.jsonl")
    assert found["accuracy"] == {"value": 0.8, "low": 0.584, "high": 0.9193}
    assert found["kappa"]["value"] == 0.6
    assert found["kappa"]["low"] < 0.6 < found["kappa"]["high"]
    assert found["confusion"] == {"bad": {"bad": 8, "good": 2}, "good": {"bad": 2, "good": 8}}
    assert [row["text"] for row in result.kept] == ["fine"], "gold rows are no rows of the run"


def test_gold_answers_are_journaled_and_replayed():
    judge = Model(verdict(often_wrong))
    step = Judge(prompt="verdict", model="a", gold=gold(GOLD))
    recipe = Recipe(models={"a": judge.entry(temperature=0)}, source=Source(rows=[{"text": "fine"}]), steps=[step])
    first = run(recipe, out="runs/x")
    assert len(judge.asked) == 21
    again = run(recipe, out="runs/x")
    assert len(judge.asked) == 21
    assert report(first) == report(again)


def test_a_weighted_panel_believes_who_was_right():
    bad = verdict(lambda text: "bad")
    judges = {"a": verdict(by_word), "b": bad, "c": bad}
    rows = [{"text": "fine"}]
    assert [row["verdict"] for row in judged(judges, rows, panel("a", "b", "c")).kept] == ["bad"]
    result = judged(judges, rows, panel("a", "b", "c", vote="weighted", gold=gold(GOLD)))
    assert [row["verdict"] for row in result.kept] == ["good"]
    found = report(result)
    assert found["judges"]["a"]["weight"] == round(math.log(21), 4)
    assert found["judges"]["b"]["weight"] == 0
    assert found["accuracy"]["value"] == 1.0, "of the panel"
    assert found["judges"]["b"]["accuracy"]["value"] == 0.5


def test_a_weighted_panel_without_one_good_judge_stops_the_run():
    wrong = verdict(lambda text: "good" if by_word(text) == "bad" else "bad")
    with pytest.raises(FatalError, match=r"no judge of the panel is better than chance on gold\.jsonl"):
        judged({"a": wrong, "b": wrong}, [{"text": "x"}], panel("a", "b", vote="weighted", gold=gold(GOLD)))


def test_the_threshold_that_meets_a_wanted_precision():
    def by_number(text: str, request: Any) -> str:
        return json.dumps({"score": int(text.split()[-1]) % 5 + 1})

    rows = [{"text": f"n {number}", "truth": number % 5 >= 3 or number == 2} for number in range(50)]
    result = judged({"a": by_number}, [{"text": "x 1"}], Judge(prompt="score", model="a", gold=gold(rows)))
    found = report(result)["threshold"]
    assert (found["threshold"], found["rows"]) == (4, 20)
    assert found["precision"]["value"] == 1
    assert found["recall"]["value"] == pytest.approx(20 / 21, abs=1e-4)
    less = Judge(prompt="score", model="a", gold=gold(rows, precision=0.6))
    assert report(judged({"a": by_number}, [{"text": "x 1"}], less))["threshold"]["threshold"] == 3


def test_scores_are_held_against_gold_scores():
    def by_number(text: str, request: Any) -> str:
        return json.dumps({"score": min(5, int(text.split()[-1]) + 1)})

    rows = [{"text": f"n {number}", "truth": number} for number in (1, 2, 3, 4, 5)]
    found = report(judged({"a": by_number}, [{"text": "x 1"}], Judge(prompt="score", model="a", gold=gold(rows))))
    assert found["accuracy"]["value"] == 0.2
    assert found["weighted kappa"]["value"] > found["kappa"]["value"]


def test_label_check_is_held_against_gold_and_never_sees_it():
    seen: list[str] = []

    def say(text: str, request: Any) -> str:
        seen.append(json.dumps(request.messages))
        return by_word(text)

    rows = [{"text": f"{word} {n}", "label": "ZEBRA"} for n in range(3) for word in ("fine", "poor")]
    step = LabelCheck(prompt="label", model="a", labels=["good", "bad", "ZEBRA"], gold=gold(rows, "label"))
    found = report(judged({"a": say}, [{"text": "fine", "label": "good"}], step))
    assert len(seen) == 7
    assert "ZEBRA" not in "".join(seen), "the prompt of this test does not name the labels"
    assert found["accuracy"]["value"] == 0


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (panel("a", "b", vote="weighted"), "add gold"),
        (Judge(prompt="verdict", model="a", vote="weighted", gold={"file": "g", "label": "x"}), "needs a panel"),
        (panel("a", "a"), "each once"),
        (panel("a", "z"), "no model 'z'"),
        (panel(), "one or more models"),
        (panel("a", gold={"file": "gone.jsonl", "label": "truth"}), r"no file or folder 'gone\.jsonl'"),
        (panel("a", gold={"file": "gold.jsonl", "label": "label"}), r"gold\.jsonl:1: gold needs column 'label'"),
        (panel("a", gold={"file": "null.jsonl", "label": "truth"}), r"null\.jsonl:2: gold: the label 'truth' is null"),
        (panel("a", gold={"file": "bare.jsonl", "label": "truth"}), r"bare\.jsonl:1: gold needs column 'text'"),
        (
            panel("a", gold={"file": "other.jsonl", "label": "truth"}),
            r"other\.jsonl:1: gold: 'fair' is none of good, bad",
        ),
        (
            Judge(prompt="score", model=["a", "b"], vote="weighted", gold={"file": "true.jsonl", "label": "truth"}),
            "on the judge's scale",
        ),
        (panel("a", gold={"file": "gold.jsonl", "label": "text"}), "sees 'text', the gold label"),
    ],
)
def test_what_cannot_be_held_against_gold_is_said_before_a_call(step, message, project):
    gold(GOLD)
    (project / "null.jsonl").write_text('{"text": "a", "truth": "good"}\n{"text": "a", "truth": null}\n')
    (project / "other.jsonl").write_text('{"text": "a", "truth": "fair"}\n')
    (project / "true.jsonl").write_text('{"text": "a", "truth": true}\n')
    (project / "bare.jsonl").write_text('{"truth": "good"}\n')
    entries = {name: Model().entry(temperature=0) for name in "ab"}
    with pytest.raises(InputError, match=message):
        prepare(Recipe(models=entries, source=Source(rows=[{"text": "x"}]), steps=[step]))


# What a judge sees


def test_a_judge_does_not_see_what_another_said():
    steps = [
        Judge(prompt="score", model="a"),
        Filter.model_validate({"if": "score > 1"}),
        Judge(prompt="seen", model="a"),
    ]
    with pytest.raises(
        InputError, match="sees column 'score', the verdict of 'judge score'; judges do not see each other"
    ):
        prepare(Recipe(models={"a": Model().entry()}, source=Source(rows=[{"text": "x"}]), steps=steps))


# Expected scores


def with_probabilities(**shares: float) -> Any:
    """A judge that says 4, with these probabilities of the other scores."""

    def say(text: str, request: Any) -> Answer:
        top = [{"token": name.strip("n"), "logprob": math.log(share)} for name, share in shares.items()]
        content = [
            {"token": '{"score": ', "logprob": 0.0, "top_logprobs": []},
            {"token": "4", "logprob": math.log(shares["n4"]), "top_logprobs": top},
            {"token": "}", "logprob": 0.0, "top_logprobs": []},
        ]
        choice = {"message": {"content": '{"score": 4}'}, "finish_reason": "stop", "logprobs": {"content": content}}
        return Answer(json.dumps({"choices": [choice]}).encode())

    return say


def test_a_score_is_the_expected_one_where_there_are_probabilities(monkeypatch):
    rows = [{"text": "x"}]
    plain = judged({"a": with_probabilities(n4=0.5, n1=0.5)}, rows, Judge(prompt="score", model="a"))
    assert [row["score"] for row in plain.kept] == [4]
    _allow_logprobs(monkeypatch)
    step = Judge(prompt="score", model="a")
    result = judged({"a": with_probabilities(n4=0.5, n1=0.5)}, rows, step, logprobs=5)
    assert [row["score"] for row in result.kept] == [pytest.approx(2.5)]
    assert report(result, "expected scores") == {"weighted": 1, "plain": {}}


def test_it_says_when_a_score_stays_plain(monkeypatch):
    _allow_logprobs(monkeypatch)
    result = judged({"a": score(4)}, [{"text": "x"}], Judge(prompt="score", model="a"), logprobs=5)
    assert [row["score"] for row in result.kept] == [4.0]
    assert report(result, "expected scores") == {"weighted": 0, "plain": {"no log-probabilities in the answer": 1}}


def _allow_logprobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function engine that answers with log-probabilities."""
    monkeypatch.setattr("synth_llm.recipe._OWN", {})
