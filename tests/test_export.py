"""Export: files that `datasets` loads with the values and the types that a trainer expects."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest

from synth_llm import Recipe, run
from synth_llm.cli import main
from synth_llm.errors import InputError
from synth_llm.publish.export import export


def folder(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    recipe = Recipe.model_validate(
        {"name": "it", "source": {"rows": list(rows)}, "steps": [{"map": {"set": {"n": "1"}}}]}
    )
    assert run(recipe, out=tmp_path / "run").complete
    return tmp_path / "run"


def load(out: Path, tmp_path: Path) -> datasets.Dataset:
    return datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))


LABELLED = [{"text": "Bad, really.", "label": "negative"}, {"text": "So good — so, so good.", "label": "positive"}]


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


CALLS = [
    {"role": "user", "content": "What time is it in Oslo, and 2 + 2?"},
    {"role": "assistant", "tool_calls": [call("now", city="Oslo"), call("add", a=2, b=2)]},
    {"role": "tool", "name": "now", "content": "12:00"},
    {"role": "assistant", "content": "Noon, and 4."},
]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_rows_as_they_are(tmp_path, kind):
    made = export(folder(tmp_path, *LABELLED), tmp_path / "out", files=kind)
    assert made.files == {tmp_path / "out" / f"train.{kind}": 2}
    assert list(load(tmp_path / "out", tmp_path)) == [{**row, "n": 1} for row in LABELLED]


def test_classes_are_numbered_in_parquet_and_named_elsewhere(tmp_path):
    run_folder = folder(tmp_path, *LABELLED)
    export(run_folder, tmp_path / "a", format="classification")
    loaded = load(tmp_path / "a", tmp_path)
    assert loaded.features["label"] == datasets.ClassLabel(names=["negative", "positive"])
    assert loaded["label"][:] == [0, 1]
    export(run_folder, tmp_path / "b", format="classification", files="jsonl")
    assert [json.loads(line) for line in (tmp_path / "b/train.jsonl").read_text().splitlines()] == LABELLED


def test_labels_of_tokens_are_classes_and_outside_is_the_first(tmp_path):
    spans = [{"text": "Oslo", "type": "place", "start": 0, "end": 4}]
    export(folder(tmp_path, {"text": "Oslo shines.", "entities": spans}), tmp_path / "out", format="token_labels")
    loaded = load(tmp_path / "out", tmp_path)
    assert loaded.features["labels"].feature.names == ["O", "B-place"]
    assert loaded[0] == {"tokens": ["Oslo", "shines", "."], "labels": [1, 0, 0]}


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_tool_calls_come_back_as_they_were_given(tmp_path, kind):
    tools = [
        {"type": "function", "function": {"name": "now", "parameters": {"properties": {"city": {"type": "string"}}}}}
    ]
    row = {"messages": json.dumps(CALLS), "tools": json.dumps(tools)}
    with pytest.raises(InputError, match="messages is no list"):
        export(folder(tmp_path, row), tmp_path / "out", format="tools")
    export(folder(tmp_path / "b", {"messages": CALLS, "tools": tools}), tmp_path / "out", format="tools", files=kind)
    (loaded,) = load(tmp_path / "out", tmp_path)
    assert loaded == {"messages": CALLS, "tools": tools}


def test_no_rows_are_a_file_with_its_columns(tmp_path):
    recipe = Recipe.model_validate(
        {"name": "it", "source": {"rows": LABELLED}, "steps": [{"filter": {"if": "text == ''"}}]}
    )
    run(recipe, out=tmp_path / "run")
    made = export(tmp_path / "run", tmp_path / "out", format="classification")
    assert list(made.files.values()) == [0]
    assert pq.read_schema(tmp_path / "out/train.parquet").names == ["text", "label"]


def test_the_same_rows_are_the_same_bytes(tmp_path):
    run_folder = folder(tmp_path, *LABELLED)
    for name in ("a", "b"):
        export(run_folder, tmp_path / name, format="classification")
    assert (tmp_path / "a/train.parquet").read_bytes() == (tmp_path / "b/train.parquet").read_bytes()


def test_a_row_that_does_not_fit_is_named_and_what_was_there_stays(tmp_path):
    first = folder(tmp_path, *LABELLED)
    export(first, tmp_path / "out", format="classification", files="jsonl")
    before = (tmp_path / "out/train.jsonl").read_bytes()
    second = folder(tmp_path / "b", LABELLED[0], {"text": "What?", "label": None})
    with pytest.raises(
        InputError, match=r"kept.parquet: row 2 \(\w+\) cannot be in format classification: column 'label'"
    ):
        export(second, tmp_path / "out", format="classification", files="jsonl")
    assert (tmp_path / "out/train.jsonl").read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train.jsonl"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"format": "messages", "files": "csv"}, "column 'messages' holds several values, which CSV cannot"),
        ({"files": "xml"}, "files: .*parquet"),
        ({"columns": {"prompt": "text"}}, "name the format too"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, settings, said):
    chat = {"messages": [{"role": "user", "content": "Hi"}]}
    with pytest.raises(InputError, match=said):
        export(folder(tmp_path, chat), tmp_path / "out", **settings)


def test_a_folder_that_is_no_run_is_said(tmp_path):
    with pytest.raises(InputError, match="is no run that has ended"):
        export(tmp_path, tmp_path / "out")
    run_folder = folder(tmp_path, *LABELLED)
    with pytest.raises(InputError, match="own folder"):
        export(run_folder, run_folder)


def test_what_means_nearly_the_same_stays_together_when_asked(tmp_path, monkeypatch):
    rows = [{"text": f"{'Wine' if n % 2 else 'Vino'} number {n // 2} of year {n // 2 * 7}."} for n in range(60)]
    run_folder = folder(tmp_path, *rows)

    def encode(texts):
        return np.eye(30, dtype="float32")[[int(text.split()[2]) for text in texts]]

    monkeypatch.setattr("synth_llm.publish.export._encoder", lambda: SimpleNamespace(encode=encode))
    export(run_folder, tmp_path / "out", files="jsonl", splits={"test": 0.5}, near="meaning")
    sides = {}
    for name in ("train", "test"):
        for line in (tmp_path / f"out/{name}.jsonl").read_text().splitlines():
            sides.setdefault(json.loads(line)["text"].split()[2], set()).add(name)
    assert len(sides) == 30 and all(len(found) == 1 for found in sides.values())
    with pytest.raises(InputError, match="near goes with splits"):
        export(run_folder, tmp_path / "b", near="meaning")


def test_an_older_export_beside_it_is_not_mixed_in(tmp_path):
    rows = [{"text": f"Text {n} about number {n * 7}."} for n in range(30)]
    run_folder = folder(tmp_path, *rows)
    export(run_folder, tmp_path / "out", splits={"test": 0.3})
    with pytest.raises(InputError, match=r"test.parquet: is of another export"):
        export(run_folder, tmp_path / "out")
    with pytest.raises(InputError, match=r"test.parquet: is of another export"):
        export(run_folder, tmp_path / "out", splits={"test": 0.3}, files="jsonl")
    assert pq.read_metadata(tmp_path / "out/train.parquet").num_rows < 30


@pytest.mark.parametrize("damage", ["{", "[]", '{"of": {}, "stratify": null}', '{"of": 3, "shares": {}}'])
def test_damaged_splits_are_said(tmp_path, damage):
    run_folder = folder(tmp_path, *LABELLED)
    (run_folder / "splits.json").write_text(damage)
    with pytest.raises(InputError, match=r"splits.json: is damaged; delete it"):
        export(run_folder, tmp_path / "out", splits={"test": 0.5})


def test_splits_are_files_of_one_dataset_with_the_same_classes(tmp_path):
    rows = [{"text": f"Text {n} about number {n * 7}.", "label": "rare" if n == 3 else "common"} for n in range(60)]
    run_folder = folder(tmp_path, *rows)
    made = export(run_folder, tmp_path / "out", format="classification", splits={"test": 0.2, "validation": 0.1})
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(loaded[name]) for name in loaded} == {path.stem: count for path, count in made.files.items()}
    assert sum(made.files.values()) == 60
    assert all(part.features["label"].names == ["common", "rare"] for part in loaded.values())
    texts = [text for part in loaded.values() for text in part["text"]]
    assert sorted(texts) == sorted(row["text"] for row in rows)


def test_a_second_export_of_more_rows_moves_none(tmp_path):
    rows = [{"text": f"Text {n} about number {n * 7}.", "label": str(n % 3)} for n in range(120)]
    recipe = {"name": "it", "source": {"rows": rows[:60]}, "steps": [{"map": {"set": {"n": "1"}}}]}
    places = []
    for count in (60, 120):
        recipe["source"] = {"rows": rows[:count]}
        run(Recipe.model_validate(recipe), out=tmp_path / "run")
        made = export(tmp_path / "run", tmp_path / "out", files="jsonl", splits={"test": 0.2}, stratify="label")
        where = {json.loads(line)["text"]: path.stem for path in made.files for line in path.read_text().splitlines()}
        assert len(where) == count
        assert sum(place == "test" for place in where.values()) == count // 5
        places.append(where)
    assert places[0].items() <= places[1].items()
    with pytest.raises(
        InputError, match=r"splits.json: the run was split into test 0.2, by label, near-copies by words, before"
    ):
        export(tmp_path / "run", tmp_path / "out", splits={"test": 0.3})


RECIPE = """\
source: {rows: [{question: Why?, reply: So., topic: tea}, {question: When?, reply: Now., topic: tea}]}
steps: [{filter: {if: "topic == 'tea'"}}]
publish: {format: messages, columns: {completion: reply}, splits: {test: 0.5}, files: jsonl}
"""


def test_a_recipe_says_how_its_rows_are_given_to_others(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    run(tmp_path / "r.yaml", out=tmp_path / "run")
    made = export(tmp_path / "run", tmp_path / "out")
    assert [path.name for path in made.files] == ["train.jsonl", "test.jsonl"]
    assert made.columns is not None
    assert made.columns.of == {"prompt": "question", "completion": "reply"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "reply}, splits",
            "replies}, splits",
            "r.yaml:3: publish: completion: no column 'replies'; did you mean 'reply'?",
        ),
        ("messages", "kto", "r.yaml:3: publish: format kto lacks wanted"),
        ("messages", "mesages", "r.yaml:3: publish.format: no format 'mesages'; did you mean 'messages'?"),
        ("0.5", "1.5", "r.yaml:3: publish.splits: test: 1.5 is no share between 0 and 1"),
        ("splits: {test: 0.5}", "stratify: topic", "r.yaml:3: publish: stratify goes with splits"),
    ],
)
def test_what_cannot_be_published_is_said_before_the_run(tmp_path, old, new, said):
    (tmp_path / "r.yaml").write_text(RECIPE.replace(old, new))
    with pytest.raises(InputError) as caught:
        run(tmp_path / "r.yaml", out=tmp_path / "run")
    assert said in str(caught.value)


def test_the_command_line(tmp_path, monkeypatch, capsys):
    def program(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(args)
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out + said.err

    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(RECIPE)
    assert program("run", "r.yaml")[0] == 0
    code, said = program("export", "r", "--format", "prompt_completion", "--column", "completion=topic")
    assert (code, "wrote exports/r-prompt_completion/train.jsonl:" in said) == (0, True)
    assert said.endswith("from prompt: question, completion: topic\n")
    assert program("export", "r", "--split", "test") == (2, "error: --split test: write NAME=SHARE, such as test=0.1\n")
    code, said = program("export", "r", "--split", "test=half")
    assert (code, "splits: test: Input should be a valid number" in said) == (2, True)


def test_a_recipe_with_a_format_and_no_splits_is_exported_as_it_says(tmp_path: Path) -> None:
    rows = [{"text": "a text", "label": "good"}, {"text": "another", "label": "bad"}]
    publish = {"format": "classification", "files": "jsonl"}
    recipe = Recipe.model_validate({"source": {"rows": rows}, "steps": [{"map": {"drop": []}}], "publish": publish})
    made = export(run(recipe, out=tmp_path / "run").path, tmp_path / "out")
    assert [path.name for path in made.files] == ["train.jsonl"]
    assert json.loads((tmp_path / "out/train.jsonl").read_text().splitlines()[0]) == {"text": "a text", "label": "good"}
