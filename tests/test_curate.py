"""`synth-llm curate`: a recipe's steps on rows that are there already."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from synth_llm import InputError
from synth_llm.cli import app
from synth_llm.curate import source_of

RECIPE = """
source: {rows: [{text: not read}], examples: [{text: seen before}]}
steps:
  - filter: {use: [{length: {min_words: 2}}]}
  - dedup: {by: exact, against: [examples]}
"""
ROWS = ["one two", "short", "One two.", "three four", "seen before"]


@pytest.fixture(autouse=True)
def recipe(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steps.yaml").write_text(RECIPE)
    return tmp_path / "steps.yaml"


def curate(*args: str) -> list[str]:
    """The kept texts."""
    done = CliRunner().invoke(app, ["curate", *args, "--with", "steps.yaml", "--out", "out"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return [row["text"] for row in pq.read_table("out/kept.parquet").to_pylist()]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        path.write_text("text\n" + "".join(f"{row['text']}\n" for row in rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("name", ["data.jsonl", "data.csv", "data.parquet"])
def test_a_file_goes_through_the_steps_of_a_recipe_and_stays_as_it_is(name, tmp_path):
    write(tmp_path / name, [{"text": text} for text in ROWS])
    before = (tmp_path / name).read_bytes()
    assert curate(name) == ["one two", "three four"]
    assert (tmp_path / name).read_bytes() == before
    rejected = pq.read_table("out/rejected.parquet").to_pylist()
    assert [row["reason"] for row in rejected] == ["length", "duplicate", "duplicate"]


def test_kept_rows_of_a_run_can_be_curated_again(tmp_path):
    write(tmp_path / "data.jsonl", [{"text": text} for text in ROWS])
    curate("data.jsonl")
    (tmp_path / "out").rename(tmp_path / "first")
    assert curate("first") == ["one two", "three four"]


def test_columns_by_other_names_are_renamed(tmp_path):
    write(tmp_path / "data.jsonl", [{"prompt": text} for text in ROWS])
    assert curate("data.jsonl", "--rename", "prompt=text") == ["one two", "three four"]


def test_the_run_is_named_by_data_and_recipe(recipe, tmp_path):
    write(tmp_path / "my data.jsonl", [{"text": "a"}])
    assert source_of("my data.jsonl", recipe, {}, None)[0] == "my-data"
    assert source_of("org/name", recipe, {}, "test")[0] == "org-name"


@pytest.mark.parametrize("name", ["nothing.jsonl", "./nothing", "/no/such/folder"])
def test_what_is_not_there_is_named(name, recipe):
    with pytest.raises(InputError, match=r"no such file or folder"):
        source_of(name, recipe, {}, None)


def test_a_split_of_a_file_is_refused(recipe, tmp_path):
    write(tmp_path / "data.jsonl", [{"text": "a"}])
    with pytest.raises(InputError, match="--split is for datasets"):
        source_of("data.jsonl", recipe, {}, "test")
