"""What must not come again: entries of recipes, read with the place of every item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from synth_llm import InputError, Recipe, Source
from synth_llm.against import Against, joined, read_against
from synth_llm.steps.context import Resources


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def use(**source: Any) -> Resources:
    return Resources(
        Recipe(source=Source(rows=[{"text": "any"}], **source), steps=[{"map": {"set": {"a": "1"}}}]), Path()
    )


def read(*entries: Any, columns: tuple[str, ...] = ("text",), **source: Any) -> list[tuple[str, str]]:
    return [
        tuple(item) for item in read_against([Against.model_validate(one) for one in entries], use(**source), columns)
    ]


def refused(*entries: Any, columns: tuple[str, ...] = ("text",), **source: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(*entries, columns=columns, **source)
    return str(caught.value)


def write(path: str, rows: list[dict[str, Any]]) -> str:
    Path(path).parent.mkdir(exist_ok=True, parents=True)
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_items_say_where_they_stand():
    write("data/test.jsonl", [{"text": "one"}, {"text": "two", "more": 1}])
    Path("test.csv").write_text("text\nthree\n\nfour\n")
    assert read("examples", "data/test.jsonl", "test.csv", examples=[{"text": "zero"}]) == [
        ("examples 1", "zero"),
        ("test.jsonl 1", "one"),
        ("test.jsonl 2", "two"),
        ("test.csv 2", "three"),
        ("test.csv 4", "four"),
    ]


def test_files_of_one_name_are_told_apart():
    write("a/test.jsonl", [{"text": "one"}])
    write("b/test.jsonl", [{"text": "two"}])
    assert [label for label, _ in read("a/test.jsonl", "b/test.jsonl")] == ["a/test.jsonl 1", "b/test.jsonl 1"]


def test_a_run_folder_gives_its_kept_rows():
    Path("runs/first").mkdir(parents=True)
    pq.write_table(pa.table({"text": ["kept"], "_id": ["1"]}), "runs/first/kept.parquet")
    assert read("runs/first") == read({"run": "runs/first"}) == [("first 1", "kept")]


def test_a_dataset_is_named_with_its_subset_and_split(monkeypatch):
    asked = []
    monkeypatch.setattr("synth_llm.against.read_rows", lambda source, base: asked.append(source) or [{"text": "one"}])
    entry = {"dataset": "org/set", "subset": "main", "revision": "v1"}
    assert read(entry) == [("org/set main test 1", "one")]
    assert asked == [Source(dataset="org/set", subset="main", split="test", revision="v1")]


def test_an_entry_names_its_own_columns_and_blank_items_are_left_out():
    path = write("test.jsonl", [{"q": " "}, {"q": "Which?", "choices": ["one", "two"], "n": None}])
    assert read({"file": path, "column": ["q", "choices", "n"]}) == [("test.jsonl 2", "Which?\none\ntwo")]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "test.jsonl",
            "against test.jsonl: no column 'text' in its rows, which have question, tex; did you mean 'tex'?",
        ),
        ({"file": "test.jsonl", "column": "tex"}, "against test.jsonl: its rows have no text in tex"),
        ("missing.jsonl", "no file or folder 'missing.jsonl'"),
        ("notes.txt", "rows are read from .csv, .json, .jsonl, .parquet files"),
        (".", "is not a run folder"),
        ("examples", "the recipe's source has no 'examples'"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(entry, said):
    write("test.jsonl", [{"question": "Which?", "tex": ""}])
    Path("notes.txt").write_text("text")
    assert said in refused(entry)
    assert "\n" not in refused(entry)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "not none"),
        ({"file": "a.jsonl", "run": "b"}, "not file and run"),
        ({"file": "a.jsonl", "split": "test"}, "'split' goes with 'dataset' only"),
        ({"fil": "a.jsonl"}, "no setting 'fil'; did you mean 'file'?"),
        ({"file": "a.jsonl", "column": []}, "at least 1 item"),
        (3, "write `examples`, a file, or"),
    ],
)
def test_an_entry_is_one_of_its_kinds(entry, said):
    with pytest.raises(ValidationError, match=said):
        Against.model_validate(entry)


@settings(max_examples=50)
@given(st.recursive(st.text() | st.integers() | st.none() | st.booleans(), lambda each: st.lists(each, max_size=3)))
def test_every_text_of_a_value_is_compared(value):
    def texts(one: Any) -> list[str]:
        return [text for each in one for text in texts(each)] if isinstance(one, list) else [one]

    whole = joined({"text": value}, ["text"])
    assert all(text in whole for text in texts(value) if isinstance(text, str))
