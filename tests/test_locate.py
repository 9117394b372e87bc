"""locate: where quotes stand in their text."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import Locate, Recipe, Row, Source
from synth_llm.errors import InputError, Reject
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.locate import located

TEXT = "Ann Lee met Ann in New York. New York University has “open”  doors; it opened in 1831–1835."
LETTERS = st.text("abAB '’-–.\n北", max_size=12)


def context(step: Locate) -> Context:
    recipe = Recipe(source=Source(rows=[{"text": "any"}]), steps=[step])
    return Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: ())


def placed(quotes: Any, text: str = TEXT, **settings: Any) -> Row:
    step = Locate(quotes="quotes", **settings)
    row = {"_id": "1", "_parent": None, "_lineage": [], "text": text, "quotes": quotes}
    (new,) = asyncio.run(step.apply(row, context(step)))
    assert isinstance(new, dict)
    return new


def test_a_text_gets_two_columns():
    new = placed("New York")
    assert (new["quotes"], new["quotes_start"], new["quotes_end"]) == ("New York", 19, 27)


def test_items_of_a_list_become_objects_with_their_places():
    assert placed(["Ann Lee", "1831"])["quotes"] == [
        {"text": "Ann Lee", "start": 0, "end": 7},
        {"text": "1831", "start": TEXT.index("1831"), "end": TEXT.index("1831") + 4},
    ]


def test_objects_keep_what_they_hold_and_their_order():
    people = [{"name": "Ann", "kind": "person"}, {"name": "Ann Lee", "kind": "person"}]
    assert placed(people, key="name")["quotes"] == [
        {"name": "Ann", "kind": "person", "start": 12, "end": 15},
        {"name": "Ann Lee", "kind": "person", "start": 0, "end": 7},
    ]


def test_each_mention_gets_the_next_place_and_one_mention_too_many_has_none():
    assert located(["a", "a", "a"], "a b a") == [(0, 1), (4, 5), None]


@pytest.mark.parametrize(
    ("quote", "own"),
    [
        ("new york university", "New York University"),
        ('has "open" doors', "has “open”  doors"),
        ("1831-1835", "1831–1835"),
        ('"Ann Lee."', "Ann Lee"),
    ],
)
def test_a_quote_in_another_form_becomes_the_texts_own_words(quote, own):
    new = placed(quote)
    assert new["quotes"] == own == TEXT[new["quotes_start"] : new["quotes_end"]]


def test_the_exact_form_comes_first():
    assert located(["us"], "US, not us") == [(8, 10)]


@pytest.mark.parametrize("quote", ["doors open", "York Univers", "831", "nn", "", " ", "."[:0], "Ann Lee met Bob"])
def test_what_is_not_in_the_text_or_part_of_a_word_rejects_the_row(quote):
    with pytest.raises(Reject, match="not found: quotes"):
        placed(quote, on_missing="drop_item")
    with pytest.raises(Reject, match="not found"):
        placed(["Ann", quote])


def test_what_is_not_found_can_be_left_out():
    assert [item["text"] for item in placed(["Ann", "Bob", "Ann Lee"], on_missing="drop_item")["quotes"]] == [
        "Ann",
        "Ann Lee",
    ]
    assert placed(["Bob"], on_missing="drop_item")["quotes"] == []


def test_a_script_without_spaces_has_quotes_anywhere():
    assert located(["北京"], "我在北京工作") == [(2, 4)]


@pytest.mark.parametrize("quotes", [None, 3, {"text": "Ann"}, [3], [{"word": "Ann"}], [None]])
def test_what_holds_no_quote_rejects_the_row(quotes):
    with pytest.raises(Reject, match="missing: quotes: neither"):
        placed(quotes)


def test_a_column_that_is_not_there_is_named():
    step = Locate(quotes="answer", **{"in": "passage"})
    with pytest.raises(InputError, match="locate needs column 'passage'"):
        step.columns(frozenset({"answer", "text"}), context(step).use)
    assert step.columns(frozenset({"answer", "passage"}), context(step).use) >= {"answer_start", "answer_end"}


@given(LETTERS, st.lists(LETTERS, max_size=4))
def test_the_text_between_the_places_is_the_quote_and_no_two_overlap(text, quotes):
    items = placed(quotes, text, on_missing="drop_item")["quotes"]
    assert all(text[item["start"] : item["end"]] == item["text"] != "" for item in items)
    spans = sorted((item["start"], item["end"]) for item in items)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


@given(st.lists(st.sampled_from(["Ann", "Bob", "Ann Lee", "the 3rd", "it's"]), max_size=6))
def test_what_was_cut_from_a_text_is_found_where_it_was(quotes):
    text = " / ".join(quotes)
    places = located(quotes, text)
    assert sorted(place for place in places if place) == sorted(set(filter(None, places)))
    assert [text[start:end] for start, end in filter(None, places)] == quotes
