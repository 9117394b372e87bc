from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.errors import Reject
from synth_llm.gives import Gives
from synth_llm.parse import parse

PAIR = Gives.of({"text": "string", "score": "1..5"})
PAIRS = Gives.of([{"q": "string", "a": "string"}])
LABEL = Gives.of({"label": ["good", "bad", "not bad"]})
TAGS = Gives.of([{"q": "string", "n": "1..5", "kind?": ["easy", "hard"]}], "tags")
LIST = Gives.of([{"task": "string"}], "list")
TEXT = Gives.of({"text": "string"})


def read(text: str, gives: Gives) -> list[dict[str, Any]]:
    return parse(text, gives, gives.schema({}))


def refused(text: str, gives: Gives) -> str:
    with pytest.raises(Reject) as caught:
        read(text, gives)
    assert (caught.value.reason, caught.value.raw) == ("unparseable", text)
    assert len(caught.value.detail) < 400
    return caught.value.detail


GOOD = '{"text": "a {b} ```", "score": 3}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\n {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"Here it is:\n```\n{GOOD}\n```\nBye.",
        f"Sure! {GOOD} Done.",
        '{"score": 3, "text": "a {b} ```"}',
    ],
)
def test_one_json_object_is_found(text: str) -> None:
    assert read(text, PAIR) == [{"text": "a {b} ```", "score": 3}]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("no", "no JSON"),
        (GOOD[:-1], "no JSON"),
        (GOOD + GOOD, "brackets"),
        (GOOD + "}", "brackets"),
        (f"[{GOOD}]", 'not of type "object"'),
        (f"Sure: [{GOOD}]", "brackets"),
        (f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```", "one block"),
        (f"{GOOD}\n```json\n{GOOD}\n```", "brackets"),
        (f'{{"x": {GOOD}', "no JSON"),
        ('{"text": "a", "text": "b", "score": 1}', "twice"),
        ('{"text": "a", "score": NaN}', "NaN"),
        ('{"text": "a", "score": 6}', "score: 6 is greater"),
        ('{"text": "a", "score": 3.0}', "score"),
        ('{"text": "a", "score": true}', "score"),
        ('{"text": "a", "score": "3"}', "score"),
        ('{"text": "a", "score": 1e999}', "large"),
        ('{"text": "a", "score": ' + "9" * 5000 + "}", "large"),
        ('{"text": "a"}', "score"),
        ('{"text": "a", "score": 1, "more": 1}', "more"),
        ('{"text": null, "score": 1}', "text"),
        (r'{"text": "\ud800", "score": 1}', "escape"),
        (r'{"text": "\u0000", "score": 1}', "escape"),
        ('{"text": "\ud800", "score": 1}', "surrogate"),
        ('{"text": "caf\ufffd", "score": 1}', "half a character"),
        ('{"text": "\0", "score": 1}', "U+0000"),
        ('{"a":' * 100_000, ""),
        ("[" * 100_000 + "]" * 100_000, ""),
        ('{"a":' * 100 + "1" + "}" * 100, "deep"),
        ("{'text': 'a', 'score': 1}", "no JSON"),
    ],
)
def test_what_is_not_plainly_the_object_is_refused(text: str, why: str) -> None:
    assert why in refused(text, PAIR)


def test_many_records() -> None:
    records = [{"q": "1", "a": "2"}, {"q": "3", "a": "4"}]
    assert read(json.dumps({"items": records}), PAIRS) == records
    assert read(json.dumps(records), PAIRS) == records
    assert "no records" in refused('{"items": []}', PAIRS)
    assert refused('{"items": [{"q": "1", "a": "2"}, {"q": "1"}]}', PAIRS).startswith("items.1: ")


def test_keys_that_may_be_null_may_be_missing() -> None:
    gives = Gives.of({"a": "string", "b?": ["string"], "c": [{"d?": "1..5"}]})
    assert read('{"a": "x", "c": [{}]}', gives) == [{"a": "x", "b": None, "c": [{"d": None}]}]


def test_a_full_schema_never_reaches_the_network() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "integer"}}}
    gives = Gives.of(schema)
    assert read('{"a": 1}', gives) == [{"a": 1}]
    assert "a: " in refused('{"a": "1"}', gives)


@pytest.mark.parametrize(
    "text", ["good", " Good.", "'good'", "**Good**", "Label: good", "label: **GOOD**.", "Answer: good"]
)
def test_a_label_is_one_word_of_the_enumeration(text: str) -> None:
    assert read(text, LABEL) == [{"label": "good"}]


@pytest.mark.parametrize("text", ["good or bad", "good\nbad", "goo", "It is good", "", "Label:", "good bad"])
def test_no_label_or_two_are_refused(text: str) -> None:
    refused(text, LABEL)


def test_labels_that_differ_in_case_only_are_taken_as_written() -> None:
    gives = Gives.of({"label": ["IT", "it", "C."]})
    assert read("it", gives) == [{"label": "it"}]
    assert read("C.", gives) == [{"label": "C."}]
    refused("It", gives)


def test_numbers_as_labels_keep_their_type() -> None:
    assert read("2", Gives.of({"stars": [1, 2]})) == [{"stars": 2}]


def test_labels_of_a_variable() -> None:
    gives = Gives.of({"label": "one of labels"})
    assert parse("X y", gives, gives.schema({"labels": ["x y", "z"]})) == [{"label": "x y"}]


def test_text_is_stripped_and_not_empty() -> None:
    assert read(" a\nb \n", TEXT) == [{"text": "a\nb"}]
    assert refused(" \n", TEXT) == "empty answer"


def test_tags() -> None:
    text = "Sure.\n<q>a <b>c</b></q>\n<n>2</n><kind>Easy</kind>\n<n>5</n>\n<q>d</q>"
    assert read(text, TAGS) == [{"q": "a <b>c</b>", "n": 2, "kind": "easy"}, {"q": "d", "n": 5, "kind": None}]


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "<q>a</q>",
        "<q>a<n>1</n></q>",
        "<q>a</q><n>1",
        "<q>a</n>",
        "</q><n>1</n>",
        "<q>a</q><n>6</n>",
        "<q>a</q><n>1.5</n>",
        "<q>a</q><n>one</n>",
        "<q> </q><n>1</n>",
        "<q>a</q><q>b</q><n>1</n>",
        "<q>a</q><n>1</n><kind>other</kind>",
    ],
)
def test_tags_that_do_not_pair_are_refused(text: str) -> None:
    refused(text, TAGS)


def test_tags_of_one_record_stand_once() -> None:
    refused("<a>1</a><a>2</a>", Gives.of({"a": "string"}, "tags"))


def test_lists() -> None:
    assert read("Here:\n\n1. one\n2. two\n   and more\n\n3) three", LIST) == [
        {"task": "one"},
        {"task": "two\nand more"},
        {"task": "three"},
    ]
    assert read("- a\n- b\n  - c", LIST) == [{"task": "a"}, {"task": "b\n- c"}]
    for text in ("no list", "- a\nloose", "1.\n2. b", "Here:", "- a\n1. b"):
        refused(text, LIST)


SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("string", st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
    ("integer", st.integers(-(2**63), 2**63 - 1)),
    ("number", st.floats(allow_nan=False, allow_infinity=False)),
    ("boolean", st.booleans()),
    ("1..5", st.integers(1, 5)),
    ("0.0..1.0", st.floats(0, 1)),
    (["a", "b"], st.sampled_from(["a", "b"])),
]


@st.composite
def shape(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """A short form, and the values that it allows."""
    kind = draw(st.integers(0, 3 if depth else 0))
    if kind < 2:
        return draw(st.sampled_from(SCALARS))
    if kind == 2:
        inner, values = draw(shape(depth - 1))
        return [inner], st.lists(values, max_size=3)
    keys = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True))
    shapes = {key: draw(shape(depth - 1)) for key in keys}
    return {key: short for key, (short, _) in shapes.items()}, st.fixed_dictionaries(
        {key: values for key, (_, values) in shapes.items()}
    )


@given(st.data())
def test_json_comes_back_as_it_was_sent(data: st.DataObject) -> None:
    shapes = data.draw(st.dictionaries(st.sampled_from("xyz"), shape(), min_size=1))
    record = {key: data.draw(values) for key, (_, values) in shapes.items()}
    gives = Gives.of({key: short for key, (short, _) in shapes.items()}, "json")
    ascii_only = data.draw(st.booleans())
    assert parse(json.dumps(record, ensure_ascii=ascii_only), gives, gives.schema({})) == [record]


PIECES = [
    '{"text": "',
    "<q>",
    "</q>",
    "<n>",
    "```json\n",
    "```",
    "1. ",
    "- ",
    "\n",
    '"',
    "{",
    "}",
    "[",
    "good",
    "\\u",
    "1e99",
]
ANY = st.one_of(st.text(st.characters()), st.lists(st.sampled_from(PIECES)).map("".join))


@given(ANY, st.sampled_from([PAIR, PAIRS, LABEL, TAGS, LIST, TEXT]))
def test_any_answer_is_records_or_a_rejection(text: str, gives: Gives) -> None:
    try:
        records = read(text, gives)
    except Reject as reject:
        assert reject.reason == "unparseable" and reject.raw == text
    else:
        assert records and all(tuple(record) == gives.columns for record in records)
        json.dumps(records, ensure_ascii=False).encode()
