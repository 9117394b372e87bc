from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from synth_llm.errors import InputError, Reject
from synth_llm.gives import Gives
from synth_llm.strict_yaml import parse


@pytest.mark.parametrize(
    ("short", "column", "form"),
    [
        ("string", {"type": "string"}, "text"),
        ("integer", {"type": "integer"}, "json"),
        ("1..5", {"type": "integer", "minimum": 1, "maximum": 5}, "json"),
        ("-1..0.5", {"type": "number", "minimum": -1.0, "maximum": 0.5}, "json"),
        (["a", "b"], {"type": "string", "enum": ["a", "b"]}, "label"),
        (["string"], {"type": "array", "items": {"type": "string"}}, "json"),
        ([["a", "b"]], {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}, "json"),
    ],
)
def test_the_short_form(short: Any, column: dict[str, Any], form: str) -> None:
    gives = Gives.of({"x": short})
    assert gives.record["properties"] == {"x": column}
    assert (gives.columns, gives.many, gives.format) == (("x",), False, form)


def test_objects_are_closed_and_every_key_is_asked_for() -> None:
    schema = Gives.of({"title": "string", "tags?": ["string"], "by": {"name": "string"}}).schema({})
    assert schema == {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
            "by": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
        "required": ["title", "tags", "by"],
        "additionalProperties": False,
    }


def test_many_records_are_asked_for_as_items() -> None:
    gives = Gives.of([{"question": "string", "answer": "string"}])
    schema = gives.schema({})
    assert gives.many and gives.columns == ("question", "answer") and gives.format == "json"
    assert schema is not None and schema["required"] == ["items"]
    assert schema["properties"]["items"]["items"] == gives.record


def test_plain_formats_send_no_schema() -> None:
    assert Gives.of({"text": "string"}).schema({}) is None
    assert Gives.of({"a": "string", "b": "1..5"}, "tags").schema({}) is None
    assert Gives.of([{"text": "string"}], "list").schema({}) is None


def test_labels_are_sent_as_words() -> None:
    assert Gives.of({"label": [1, 2]}).schema({}) == {"enum": ["1", "2"]}


def test_labels_from_a_variable() -> None:
    gives = Gives.of({"label": "one of labels"})
    assert gives.needs == {"labels"} and gives.format == "label"
    first = gives.schema({"labels": ["a", "b"]})
    assert first == {"enum": ["a", "b"]}
    assert gives.schema({"labels": ["a", "b"]}) is first, "equal labels give the same object"
    assert gives.schema({"labels": ["c"]}) == {"enum": ["c"]}
    for wrong in (None, "ab", [], [1], ["a", "a"]):
        with pytest.raises(Reject, match="labels"):
            gives.schema({"labels": wrong})
    inner = Gives.of({"text": "string", "label": "one of labels"}).schema({"labels": ["x"]})
    assert inner is not None and inner["properties"]["label"] == {"type": "string", "enum": ["x"]}


class Inner(BaseModel):
    why: str


class Judged(BaseModel):
    score: int
    notes: list[Inner]
    extra: str | None = None


def test_a_pydantic_model_is_a_full_schema() -> None:
    gives = Gives.of(Judged.model_json_schema())
    assert gives.columns == ("score", "notes", "extra")
    schema = Gives.of([Judged.model_json_schema()]).schema({})
    assert schema is not None and "Inner" in schema["$defs"], "references still resolve inside items"
    assert gives.schema({})["additionalProperties"] is False  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("gives: string", 1, "gives: write the columns"),
        ("gives:\n  a: strng", 2, "gives.a: no type 'strng'; did you mean 'string'?"),
        ("gives:\n  a: string\n  b:\n    c: 5..1", 4, "gives.b.c: 5..1"),
        ("gives: {a: 5}", 1, "gives.a"),
        ("gives: {a: null}", 1, "gives.a"),
        ("gives: {a: [b, b]}", 1, "twice"),
        ("gives: {a: [b, [c]]}", 1, "enumeration"),
        ("gives: {_id: string}", 1, "_id"),
        ("gives: {a b: string}", 1, "'a b'"),
        ('gives: {a: string, "a?": string}', 1, "differ"),
        ("gives: []", 1, "columns"),
        ("gives: [{a: string}, {b: string}]", 1, "columns"),
        ("gives: {a: string}\nformat: txt", 2, "'text'"),
        ("gives: {a: string}\nformat: label", 2, "enumeration"),
        ("gives: {a: string}\nformat: list", 2, "many"),
        ("gives: {a: [string]}\nformat: tags", 2, "one value"),
        ("gives: {a: one of b}\nformat: tags", 1, "one of"),
        ("gives: {a: {$schema: x}}", 1, "whole"),
        ("gives: {type: object, properties: {a: {type: 5}}}", 1, "no JSON Schema"),
        ("gives: {type: object, properties: {a: {$ref: 'http://x/y'}}}", 1, "$ref"),
        ("gives: {type: object, properties: {a: {}}, additionalProperties: true}", 1, "additionalProperties"),
        ("gives: {$schema: x}", 1, "type: object"),
    ],
)
def test_mistakes_are_named_with_key_and_line(text: str, line: int, said: str) -> None:
    head = parse(text, "p.jinja")
    with pytest.raises(InputError) as caught:
        Gives.of(head.value["gives"], head.value.get("format"), document=head, path=Path("p.jinja"))
    assert str(caught.value).startswith(f"p.jinja:{line}: ") and said in str(caught.value)
