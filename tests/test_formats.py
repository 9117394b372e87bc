"""Formats: what a trainer reads is made of the row's own values, and of nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synth_llm.errors import InputError, Reject
from synth_llm.publish.formats import FORMATS, columns_of
from synth_llm.row import Row

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
CALL = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "now", "arguments": {}}}]}


def made(name: str, row: Row, **columns: str) -> Row:
    return columns_of(name, list(row), columns).make(row)


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("messages", {"instruction": "Hi", "output": "Hello."}, {"messages": CHAT}),
        ("messages", {"messages": CHAT, "topic": "tea"}, {"messages": CHAT}),
        (
            "messages",
            {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]},
            {"messages": CHAT},
        ),
        (
            "messages",
            {"system": "Be brief.", "prompt": "Add.", "input": "1, 2", "completion": "3"},
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Add.\n\n1, 2"},
                    {"role": "assistant", "content": "3"},
                ]
            },
        ),
        ("prompt_completion", {"question": "1 + 1?", "answer": "2"}, {"prompt": "1 + 1?", "completion": "2"}),
        ("prompt_completion", {"messages": CHAT}, {"prompt": CHAT[:1], "completion": CHAT[1:]}),
        (
            "alpaca",
            {"instruction": "Add.", "input": None, "output": "3"},
            {"instruction": "Add.", "input": "", "output": "3", "system": ""},
        ),
        ("alpaca", {"messages": CHAT}, {"instruction": "Hi", "input": "", "output": "Hello.", "system": ""}),
        (
            "sharegpt",
            {"messages": CHAT},
            {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]},
        ),
        (
            "tools",
            {"messages": [CHAT[0], CALL], "tools": [{"type": "function"}]},
            {"messages": [CHAT[0], CALL], "tools": [{"type": "function"}]},
        ),
        (
            "preference",
            {"prompt": "Hi", "chosen": "Hello.", "rejected": "No.", "chosen_score": 4},
            {"prompt": "Hi", "chosen": "Hello.", "rejected": "No."},
        ),
        ("kto", {"prompt": "a", "completion": "b", "label": False}, {"prompt": "a", "completion": "b", "label": False}),
        ("classification", {"text": "Good.", "label": 1}, {"text": "Good.", "label": "1"}),
        ("several_labels", {"text": "Good.", "labels": ["food"]}, {"text": "Good.", "label": ["food"]}),
        (
            "token_labels",
            {
                "text": "Ada Lovelace met Bob's aunt.",
                "entities": [{"start": 17, "end": 20, "type": "person"}, {"start": 0, "end": 12, "type": "person"}],
            },
            {
                "tokens": ["Ada", "Lovelace", "met", "Bob", "'", "s", "aunt", "."],
                "labels": ["B-person", "I-person", "O", "B-person", "O", "O", "O", "O"],
            },
        ),
        (
            "pairs",
            {"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment"},
            {"sentence1": "It rains.", "sentence2": "It is wet.", "label": "entailment"},
        ),
        ("pairs", {"first": "a", "second": "b", "score": 3}, {"sentence1": "a", "sentence2": "b", "score": 3.0}),
        ("pairs", {"original": "a", "text": "b"}, {"sentence1": "a", "sentence2": "b"}),
        (
            "triplets",
            {"query": "q", "positive": "p", "negative": "n"},
            {"anchor": "q", "positive": "p", "negative": "n"},
        ),
        ("text", {"text": "Once."}, {"text": "Once."}),
    ],
)  # fmt: skip
def test_a_row_in_its_format(name, row, expected):
    assert made(name, row) == expected
    assert set(FORMATS[name].spec(columns_of(name, list(row)).of)) == set(expected)


def test_named_columns_come_before_known_ones():
    row = {"prompt": "not this", "topic": "tea", "completion": "green"}
    assert made("prompt_completion", row, prompt="topic")["prompt"] == "tea"
    row = {"messages": CHAT, "ask": "Why?", "reply": "So."}
    assert made("prompt_completion", row, prompt="ask", completion="reply") == {"prompt": "Why?", "completion": "So."}


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("messages", {"messages": [{"role": "user"}]}, "a message of the user has no content"),
        ("messages", {"messages": [*CHAT, CALL]}, "take the format tools"),
        ("messages", {"messages": []}, "no list with something in it"),
        ("messages", {"instruction": "Hi", "output": ""}, "column 'output' holds nothing"),
        ("prompt_completion", {"messages": CHAT[:1]}, "does not end with an answer"),
        ("alpaca", {"messages": CHAT * 2}, "one exchange"),
        ("preference", {"prompt": "Hi", "chosen": "a", "rejected": "a"}, "are the same"),
        ("kto", {"prompt": "Hi", "completion": "a", "label": "yes"}, "true or false"),
        ("classification", {"text": "a", "label": ["x"]}, "take the format several_labels"),
        ("classification", {"text": "a", "label": 0.5}, "no text and no whole number"),
        ("token_labels", {"text": "a", "spans": [{"start": 0, "end": 2, "type": "x"}]}, "does not stand in the text"),
        ("pairs", {"first": "a", "second": "b", "score": "much"}, "the score is no number"),
        ("text", {"text": 3}, "the text is no text"),
    ],
)
def test_a_row_that_cannot_be_in_it_says_why(name, row, said):
    with pytest.raises(Reject) as caught:
        made(name, row)
    assert said in caught.value.detail


@pytest.mark.parametrize(
    ("name", "have", "columns", "said"),
    [
        ("mesages", ["text"], {}, "no format 'mesages'; did you mean 'messages'?"),
        (
            "messages",
            ["text", "label"],
            {},
            "format messages lacks messages or prompt/completion: the rows have text, label",
        ),
        ("kto", ["prompt", "completion"], {}, "lacks wanted"),
        ("text", ["body"], {"text": "bodi"}, "text: no column 'bodi'; did you mean 'body'?"),
        ("text", ["body"], {"txt": "body"}, "format text takes no 'txt'; did you mean 'text'?"),
    ],
)
def test_what_a_format_does_not_find_is_named(name, have, columns, said):
    with pytest.raises(InputError, match=re.escape(said)):
        columns_of(name, have, columns)


@example("0\r0", {1, 3})
@given(st.text(max_size=40), st.sets(st.integers(0, 40), max_size=8))
def test_tokens_are_the_text_without_its_spaces_and_each_span_begins_once(text, cuts):
    ends = sorted(cut for cut in cuts if cut <= len(text))
    spans = [
        {"start": a, "end": b, "type": "x"} for a, b in zip(ends[::2], ends[1::2], strict=False) if text[a:b].strip()
    ]
    row = columns_of("token_labels", ["text", "spans"]).format.make({"text": text, "spans": spans})
    assert "".join(row["tokens"]) == "".join(text.split())
    assert len(row["labels"]) == len(row["tokens"])
    assert row["labels"].count("B-x") <= len(spans)
    assert all(before != "O" for before, label in zip(row["labels"], row["labels"][1:], strict=False) if label == "I-x")
