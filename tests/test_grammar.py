"""grammar: texts out of templates with slots, all different, and errors before anything runs."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import Grammar, Recipe, Row, Source
from synth_llm.errors import InputError, MissingExtra, Reject
from synth_llm.rules.grammar import Rules
from synth_llm.steps.context import Context, Resources

WANT = {"text": ["I want to {verb} my {thing}."], "verb": ["sell", "mend"], "thing": ["{colour} bike", "car"]}


def context(step: Grammar, *rows: Row) -> Context:
    recipe = Recipe(source=Source(rows=list(rows) or [{"label": "any"}]), steps=[step])
    return Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: ())


def check(step: Grammar, *rows: Row) -> None:
    step.columns(frozenset(rows[0] if rows else ()), context(step, *rows).use)


def made(step: Grammar, number: int = 0, **columns: Any) -> list[str]:
    row = {"_id": f"id{number}", "_parent": None, "_lineage": [], **columns}
    return [child[step.column] for child in asyncio.run(step.apply(row, context(step))) if isinstance(child, dict)]


def test_texts_follow_the_rules_and_the_row_and_all_differ():
    step = Grammar(rules=WANT, n=4)
    check(step, {"colour": "red"})
    assert set(made(step, colour="red")) == {
        f"I want to {verb} my {thing}." for verb in ("sell", "mend") for thing in ("red bike", "car")
    }
    assert made(step, colour="red") == made(step, colour="red")
    assert [made(step, number, colour="red") for number in range(9)] != [made(step, colour="red")] * 9


def test_more_texts_than_there_can_be_are_refused_and_none_waits_for_ever():
    with pytest.raises(InputError, match="rule 'text' can make 4 at most"):
        check(Grammar(rules=WANT, n=5), {"colour": "red"})
    assert len(made(Grammar(rules={"text": ["{a}{b}"], "a": ["", "x"], "b": ["", "x"]}, n=4))) == 3


def test_a_column_may_name_the_rule_to_start_from():
    step = Grammar(rules={"sport": ["a match"], "food": ["a soup"]}, start="label", n=1)
    check(step, {"label": "sport"}, {"label": "food"})
    assert (made(step, label="sport"), made(step, label="food")) == (["a match"], ["a soup"])
    with pytest.raises(InputError, match="'foods' in column 'label' names no rule; did you mean 'food'"):
        check(step, {"label": "foods"})
    with pytest.raises(Reject, match="missing"):
        made(step, label="other")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"text": ["my {thin}"], "thing": ["car"]}, "{thin} is neither a rule nor a column.*did you mean 'thing'"),
        ({"text": ["my {thing"]}, "single '{'"),
        ({"text": ["{a}"], "a": ["x {b}"], "b": ["y {a}"]}, "rules.a: .*never ends"),
        ({"text": ["{a}"], "a": []}, "rules.a: there is no template"),
        ({"other": ["x"]}, "there is no rule 'text'"),
        ({"text": ["{faker.citty}"]}, "no such provider; did you mean 'city'"),
        ({"text": ["{faker._x}"]}, "no such provider"),
    ],
)
def test_what_is_wrong_with_rules_is_said_before_the_run(rules, said):
    pytest.importorskip("faker")
    with pytest.raises(InputError, match=said):
        check(Grammar(rules=rules, n=1))


def test_braces_stand_for_themselves_when_doubled():
    assert made(Grammar(rules={"text": ['{{"a": "{x}"}}'], "x": ["1"]}, n=1)) == ['{"a": "1"}']


@settings(deadline=None)
@given(st.integers())
def test_rules_that_lead_back_to_themselves_end(seed):
    rules = Rules({"s": ["{s} and {s}", "{s} or {t}", "{t}"], "t": ["yes", "not {t}"]})
    rules.check("s")
    text = rules.draw("s", random.Random(seed), lambda name: name)
    assert len(text.split()) < 2**10
    assert rules.count("s") is None


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(["{b}", "{c}", "x", ""]), max_size=3).map("".join), min_size=1, max_size=4))
def test_there_are_never_more_texts_than_counted(templates):
    rules = Rules({"a": templates, "b": ["1", "2"], "c": ["{b}{b}", "3"]})
    count = rules.count("a")
    assert count is not None
    assert 1 <= len(rules.texts("a", 50, random.Random(0), lambda name: name)) <= count


def test_faker_fills_slots_the_same_for_a_row_in_every_run_and_in_its_language():
    pytest.importorskip("faker")
    step = Grammar(rules={"text": ["{faker.name}, {faker.city}"]}, n=3)
    check(step)
    assert made(step) == made(step)
    assert len(set(made(step)) | set(made(step, 1))) == 6
    assert made(Grammar(rules=step.rules, n=3, locale="de_DE")) != made(step)
    with pytest.raises(InputError, match="locale"):
        check(Grammar(rules=step.rules, locale="xx_XX"))


def test_without_faker_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faker", None)
    with pytest.raises(MissingExtra, match=r"synth-llm\[augment\]"):
        check(Grammar(rules={"text": ["{faker.city}"]}, n=1))


def test_a_column_without_a_value_rejects_the_row():
    with pytest.raises(Reject, match="colour: nothing to put"):
        made(Grammar(rules={"text": ["{colour}"]}, n=1), colour=None)
