"""draw: values by chance, the same for a row in every run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import Draw, Recipe, Row, Source
from synth_llm.errors import InputError, Reject
from synth_llm.steps.context import Context, Resources


def context(step: Draw, seed: int = 0) -> Context:
    recipe = Recipe(source=Source(rows=[{"text": "any"}]), steps=[step], seed=seed)
    return Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: ())


def drawn(step: Draw, number: int, seed: int = 0, **columns: Any) -> Row:
    row = {"_id": f"id{number}", "_parent": None, "_lineage": [], **columns}
    (new,) = asyncio.run(step.apply(row, context(step, seed)))
    assert isinstance(new, dict)
    return new


def test_every_value_is_drawn_about_as_often():
    step = Draw(set={"style": ["terse", "polite", "rude"]})
    styles = [drawn(step, number)["style"] for number in range(600)]
    assert {style: styles.count(style) for style in step.set["style"]} == pytest.approx(
        {"terse": 200, "polite": 200, "rude": 200}, abs=45
    )


def test_a_row_draws_the_same_again_and_another_under_another_seed():
    step = Draw(set={"number": list(range(1000))})
    assert drawn(step, 1) == drawn(step, 1)
    assert drawn(step, 1)["number"] != drawn(step, 1, seed=1)["number"]
    assert drawn(step, 1)["number"] != drawn(step, 2)["number"]


def test_a_list_may_stand_in_a_column():
    assert drawn(Draw(set={"topic": "topics"}), 1, topics=["rain"])["topic"] == "rain"


@given(st.lists(st.integers(0, 5), min_size=1), st.integers(1, 8))
def test_several_are_different_and_as_many_as_there_are(values, n):
    new = drawn(Draw(set={"some": "all"}, n=n), 1, all=values)["some"]
    assert len(new) == len(set(new)) == min(n, len(set(values)))
    assert set(new) <= set(values)


@pytest.mark.parametrize("wrong", [[], "text", None, {"a": 1}])
def test_a_column_that_holds_no_list_rejects_the_row(wrong):
    with pytest.raises(Reject, match="topics: no list to draw topic from"):
        drawn(Draw(set={"topic": "topics"}), 1, topics=wrong)


def test_a_value_that_stands_twice_is_refused():
    step = Draw(set={"style": ["terse", "terse"]})
    with pytest.raises(InputError, match=r"set\.style: a value stands twice"):
        step.columns(frozenset(), context(step).use)
