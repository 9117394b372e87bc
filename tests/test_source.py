import datetime
import decimal
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from synth_llm.described import descriptions
from synth_llm.errors import InputError
from synth_llm.row import public, source_id
from synth_llm.source import (
    Source,
    columns,
    endless,
    identified,
    read_examples,
    read_rows,
    resolve,
)

BASE = Path()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, data: bytes | str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return name


def rows(**source: Any) -> list[dict[str, Any]]:
    return list(read_rows(Source(**source), BASE))


# --- what is read


def test_jsonl_with_bom_crlf_blank_lines_and_differing_columns() -> None:
    data = '\ufeff{"a": 1, "b": "ü😀"}\r\n\r\n{"a": null}\r\n  {"c": [1, {"d": 2.5}], "e": "\\ud83d\\ude00"}'
    name = write("x.JSONL", data)
    assert rows(file=name) == [{"a": 1, "b": "ü😀"}, {"a": None}, {"c": [1, {"d": 2.5}], "e": "😀"}]
    assert columns(Source(file=name), BASE) == ["a", "b", "c", "e"]


def test_csv_is_text_with_quotes_line_ends_and_long_fields() -> None:
    long = "x" * 300_000
    name = write("x.csv", f'\ufefftext,label\r\n"a, ""b""\nc",01\r\n\r\n{long},\r\n')
    assert rows(file=name) == [{"text": 'a, "b"\nc', "label": "01"}, {"text": long, "label": ""}]


def test_json_list() -> None:
    name = write("x.json", '\ufeff [\r\n {"a": "]"} ,\n{"a": 2}\n]\n')
    assert rows(file=name) == [{"a": "]"}, {"a": 2}]


def test_parquet_values_become_json_values() -> None:
    day = datetime.date(2024, 1, 2)
    table = pa.table(
        {
            "day": [day],
            "time": [datetime.datetime(2024, 1, 2, 3, 4, 5)],
            "nan": [float("nan")],
            "dec": [decimal.Decimal("1.25")],
            "deep": [[{"x": [day, None]}]],
            "small": pa.array([3], pa.int8()),
        }
    )
    pq.write_table(table, "x.parquet")
    assert rows(file="x.parquet") == [
        {
            "day": "2024-01-02",
            "time": "2024-01-02T03:04:05",
            "nan": None,
            "dec": 1.25,
            "deep": [{"x": ["2024-01-02", None]}],
            "small": 3,
        }
    ]


def test_run_gives_its_public_columns() -> None:
    Path("runs/a").mkdir(parents=True)
    pq.write_table(pa.table({"text": ["x"], "_id": ["0"], "_lineage": [[{"step": "s"}]]}), "runs/a/kept.parquet")
    assert rows(run="runs/a") == [{"text": "x"}]
    with pytest.raises(InputError, match="runs: is not a run folder"):
        rows(run="runs")


def test_texts() -> None:
    write("docs/b.md", "\ufeffB\r\nb\n")
    write("docs/a/z.TXT", "Z")
    write("docs/.git/no.md", "no")
    write("docs/no.py", "no")
    assert rows(texts="docs") == [{"file": "a/z.TXT", "text": "Z"}, {"file": "b.md", "text": "B\nb\n"}]


def test_inline_rows_from_python_may_hold_numpy() -> None:
    got = rows(rows=[{"a": np.int64(1), "b": np.array([1.5, np.nan])}])
    assert json.dumps(got) == '[{"a": 1, "b": [1.5, null]}]'


def test_examples() -> None:
    name = write("seeds.jsonl", '{"text": "x"}\n')
    assert read_examples(Source(empty=1, examples=name), BASE) == [{"text": "x"}]
    assert read_examples(Source(empty=1, examples=[{"text": "y"}]), BASE) == [{"text": "y"}]
    assert read_examples(Source(empty=1), BASE) == []


def test_resolve(here: Path) -> None:
    recipes = here / "project" / "recipes"
    recipes.mkdir(parents=True)
    write("data.csv", "cwd")
    assert resolve("data.csv", recipes).read_text() == "cwd"
    write("project/data.csv", "project")
    assert resolve("data.csv", recipes).read_text() == "project"
    write("project/recipes/data.csv", "recipe")
    assert resolve("data.csv", recipes).read_text() == "recipe"
    assert resolve(str(here / "data.csv"), recipes).read_text() == "cwd"
    with pytest.raises(InputError, match=r"no file or folder 'dat\.csv'; tried .*recipes.dat\.csv, .*project.dat\.csv"):
        resolve("dat.csv", recipes)


# --- grids and empty rows


def test_grid_is_a_product_whose_last_attribute_varies_fastest() -> None:
    source = Source(grid={"label": ["p", "n"], "style": [1, 2, 3]})
    got = list(read_rows(source, BASE))
    assert got[:4] == [
        {"label": "p", "style": 1},
        {"label": "p", "style": 2},
        {"label": "p", "style": 3},
        {"label": "n", "style": 1},
    ]
    assert len(got) == 6
    assert columns(source, BASE) == ["label", "style"]
    assert list(got[0]) == ["label", "style"]


def test_empty_rows_differ_in_their_ids_only() -> None:
    ids = [row["_id"] for row in identified(Source(empty=1000), BASE)]
    assert len(set(ids)) == 1000
    assert rows(empty=2) == [{}, {}]
    assert rows(empty=True) == [{}]
    assert [row["_id"] for row in identified(Source(empty=True), BASE)] == ids[:1]
    assert columns(Source(empty=3), BASE) == []


def test_endless() -> None:
    assert endless(Source(empty=1))
    assert endless(Source(grid={"a": [1]}))
    assert endless(Source(file="x.jsonl", repeat=True))
    assert not endless(Source(file="x.jsonl"))


# --- ids


def test_ids_by_content_and_occurrence() -> None:
    a, b, a2 = identified(Source(rows=[{"x": 1, "y": 2}, {"x": 2}, {"y": 2, "x": 1}]), BASE)
    assert a["_id"] == source_id({"x": 1, "y": 2}, 0)
    assert a2["_id"] == source_id({"x": 1, "y": 2}, 1)
    assert public(a) == {"x": 1, "y": 2}
    assert (a["_parent"], a["_lineage"]) == (None, [])
    assert a["_lineage"] is not b["_lineage"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("ab"), st.integers(0, 2)), min_size=1, max_size=30))
def test_ids_differ_and_do_not_depend_on_later_rows(content: list[dict[str, int]]) -> None:
    ids = [row["_id"] for row in identified(Source(rows=content), BASE)]
    assert len(set(ids)) == len(ids)
    first = Source(rows=content[: len(content) // 2 + 1])
    assert [row["_id"] for row in identified(first, BASE)] == ids[: len(content) // 2 + 1]


def test_id_column() -> None:
    source = Source(rows=[{"k": "a"}, {"k": 7}, {"k": True}], id="k")
    assert [row["_id"] for row in identified(source, BASE)] == ["a", "7", "true"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"key": 1}\n{"key": "1"}\n', "x.jsonl:2: id '1' (column 'key') stands twice"),
        ('{"key": 1}\n{"kee": 2}\n', "x.jsonl:2: has no id column 'key'; did you mean 'kee'?"),
        ('{"key": null}\n', "x.jsonl:1: its id (column 'key') must be a text or a number, not None"),
        ('{"key": [1]}\n', "x.jsonl:1: its id (column 'key') must be"),
        ('{"key": ""}\n', "x.jsonl:1: its id (column 'key') must be"),
    ],
)
def test_bad_ids(text: str, message: str) -> None:
    source = Source(file=write("x.jsonl", text), id="key")
    with pytest.raises(InputError) as error:
        list(identified(source, BASE))
    assert str(error.value).startswith(message)


# --- bad input

BAD_FILES = [
    ("x.jsonl", '{"a": 1}\n{"a": \n', "2: not JSON"),
    ("x.jsonl", '{"a": 1}\n[1]\n', "2: is a list, not an object"),
    ("x.jsonl", '{"a": 1}\n\n"x"\n', "3: is a text, not an object"),
    ("x.jsonl", "null\n", "1: is null, not an object"),
    ("x.jsonl", '{"a": NaN}\n', "1: NaN is not JSON"),
    ("x.jsonl", '{"a": -Infinity}\n', "1: -Infinity is not JSON"),
    ("x.jsonl", '{"a": 1e999}\n', "1: infinity"),
    ("x.jsonl", '{"a": 1, "a": 2}\n', "1: key 'a' stands twice"),
    ("x.jsonl", '{"a": {"b": 1, "b": 2}}\n', "1: key 'b' stands twice"),
    ("x.jsonl", '{"a": "\\ud800"}\n', "1: a text holds half of a surrogate pair"),
    ("x.jsonl", '{"\\udc00": 1}\n', "1: a text holds half of a surrogate pair"),
    ("x.jsonl", b'{"a": 1}\n{"a": "caf\xe9"}\n', "2: is not UTF-8"),
    ("x.jsonl", '{"a": 1}'.encode("utf-16"), "1: is not UTF-8"),
    ("x.jsonl", '{"a": "\0"}\n', "1: not JSON"),
    ("x.jsonl", '{"a": "\\u0000"}\n', "1: a text holds the character NUL"),
    ("x.jsonl", '{"a": 1} {"a": 2}\n', "1: not JSON: something follows the object (column 9)"),
    ("x.jsonl", '{"_id": 1}\n', "1: column '_id': names that start with '_'"),
    ("x.jsonl", '{"": 1}\n', "1: a column has no name"),
    ("x.jsonl", '{"a": ' + "9" * 5000 + "}\n", "1: "),
    ("x.jsonl", '{"a": ' + "[" * 100_000 + "\n", "1: is nested too deeply"),
    ("x.jsonl", '{"a": ' + "[" * 100 + "]" * 100 + "}\n", "1: is nested deeper than 64 levels"),
    ("x.jsonl", '[\n{"a": 1}\n]\n', "1: not JSON"),
    ("x.jsonl", "", " holds no rows"),
    ("x.jsonl", "\n\n", " holds no rows"),
    ("x.json", "", "1: is not a list of rows"),
    ("x.json", '{"a": 1}\n{"a": 2}\n', "1: is not a list of rows; rows that stand one a line belong in a .jsonl file"),
    ("x.json", '[\n{"a": 1},\n\n 3]', "4: is a number, not an object"),
    ("x.json", '[\n{"a": 1}\n{"a": 2}]', "2: not JSON: ',' or ']' is missing after the row"),
    ("x.json", '[\n{"a": 1},\n]', "3: not JSON"),
    ("x.json", '[\n{"a": 1}\n', "2: not JSON: ',' or ']' is missing"),
    ("x.json", '[\n{"a": 1,\n"b" 2}]', "3: not JSON"),
    ("x.json", '[\n{"a": 1}\n]\nx', "3: not JSON: something follows the list"),
    ("x.json", "[]", " holds no rows"),
    ("x.json", b'[\n{"a": "\xff"}]', "2: is not UTF-8"),
    ("x.csv", "a,b\n1,2\n1,2,3\n", "3: has 3 fields, but the header has 2"),
    ("x.csv", 'a,b\n"1\n\n",2\n1\n', "5: has 1 fields, but the header has 2"),
    ("x.csv", "a,a\n1,2\n", "1: column 'a' stands twice"),
    ("x.csv", "a,\n1,2\n", "1: a column has no name"),
    ("x.csv", "a,_b\n1,2\n", "1: column '_b'"),
    ("x.csv", 'a,b\n1,2\n1,"open\n\n', "3: not CSV"),
    ("x.csv", 'a,b\n1,"x"y\n', "2: not CSV"),
    ("x.csv", "a,b\n1,x\0y\n", "2: "),
    ("x.csv", b"a,b\n1,2\n1,\xff\n", "3: is not UTF-8"),
    ("x.csv", "a,b\n", " holds no rows"),
    ("x.csv", "", " holds no rows"),
    ("x.parquet", "not parquet", " cannot be read as Parquet"),
    ("x.parquet", "", " cannot be read as Parquet"),
    ("x.jsonl.gz", "", " is compressed (.gz); unpack it first"),
    ("x.csv.zst", "", " is compressed (.zst); unpack it first"),
    ("x.xlsx", "", " rows are read from .csv, .json, .jsonl, .parquet files"),
    ("x", "", " rows are read from"),
]


@pytest.mark.parametrize(("name", "data", "message"), BAD_FILES)
def test_bad_files_are_one_line_with_a_place(name: str, data: bytes | str, message: str) -> None:
    for read in (lambda source: list(read_rows(source, BASE)), lambda source: list(identified(source, BASE))):
        with pytest.raises(InputError) as error:
            read(Source(file=write(name, data)))
        assert str(error.value).startswith(f"{name}:{message}")
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="x"):
        read_examples(Source(empty=1, examples=name), BASE)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"a": [1.0, float("inf")]}), "x.parquet: row 2: column 'a': infinity"),
        (pa.table({"a": [b"x"]}), "x.parquet: row 1: column 'a': a value of type bytes has no JSON form"),
        (pa.table({"a": [datetime.timedelta(1)]}), "x.parquet: row 1: column 'a': a value of type"),
        (pa.table({"_id": [1]}), "x.parquet: column '_id': names that start with '_'"),
        (pa.table([[1], [2]], names=["a", "a"]), "x.parquet: column 'a' stands twice"),
        (pa.table({"a": pa.array([], pa.int8())}), "x.parquet: holds no rows"),
    ],
)
def test_bad_parquet(table: pa.Table, message: str) -> None:
    pq.write_table(table, "x.parquet")
    with pytest.raises(InputError) as error:
        rows(file="x.parquet")
    assert str(error.value).startswith(message)


def test_truncated_parquet_is_one_error() -> None:
    pq.write_table(pa.table({"a": [os.urandom(50).hex() for _ in range(3000)]}), "x.parquet")
    data = Path("x.parquet").read_bytes()
    for damaged in (data[:-10], data[: len(data) // 2], data[:1000] + b"\xff" * 5000 + data[6000:]):
        write("x.parquet", damaged)
        with pytest.raises(InputError, match=r"^x\.parquet: cannot be read as Parquet"):
            rows(file="x.parquet")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"file": "none.csv"}, "no file or folder 'none.csv'; tried none.csv"),
        ({"file": ""}, "the path of a file or folder is empty"),
        ({"file": "folder.csv"}, "folder.csv: cannot be read: Is a directory"),
        ({"run": "none"}, "no file or folder 'none'"),
        ({"texts": "one.txt"}, "one.txt: is not a folder of texts"),
        ({"texts": "folder.csv"}, "folder.csv: holds no .txt, .md, .html, .htm, .pdf files"),
        ({"texts": "bad"}, "bad/x.txt:2: is not UTF-8"),
        ({"dataset": "one.txt"}, "one.txt: is a file; name it with 'file'"),
        ({"dataset": "./nowhere"}, "no folder './nowhere'"),
        ({"dataset": "bad", "revision": "x"}, "bad: 'revision' is for datasets on the Hub"),
    ],
)
def test_bad_paths(source: dict[str, str], message: str) -> None:
    Path("folder.csv").mkdir()
    write("one.txt", "x")
    write("bad/x.txt", b"ok\n\xff")
    with pytest.raises(InputError) as error:
        rows(**source)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "give exactly one of rows, file, dataset, run, texts, parts, grid, empty, not none"),
        ({"file": "x", "grid": {"a": [1]}}, "not file and grid"),
        ({"file": "x", "split": "test"}, "'split' goes with 'dataset' only"),
        ({"empty": 3, "id": "x"}, "'id' does not go with 'empty'"),
        ({"grid": {"a": [1]}, "repeat": True}, "'repeat' does not go with 'grid'"),
        ({"empty": 0}, "greater than or equal to 1"),
        ({"empty": False}, "True"),
        ({"rows": []}, "at least 1"),
        ({"rows": [{"a": 1}, {"_b": 1}]}, "column '_b'"),
        ({"rows": [{"a": float("inf")}]}, "infinity"),
        ({"grid": {}}, "at least 1"),
        ({"grid": {"a": []}}, "attribute 'a' has no values"),
        ({"grid": {"_a": [1]}}, "column '_a'"),
        ({"fil": "x"}, "Extra inputs"),
    ],
)
def test_bad_sources(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Source(**source)


def test_a_bad_inline_row_is_located() -> None:
    with pytest.raises(ValidationError) as error:
        Source(rows=[{"a": 1}, {"_b": 1}])
    assert error.value.errors()[0]["loc"] == ("rows", 1)


def test_every_field_says_what_it_means() -> None:
    assert descriptions(Source).keys() == Source.model_fields.keys()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["x.jsonl", "x.json", "x.csv", "x.parquet"]))
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes, name: str) -> None:
    try:
        rows(file=write(name, data))
    except InputError as error:
        assert "\n" not in str(error)
        assert str(error).startswith(name)


def test_jsonl_streams(here: Path) -> None:
    import tracemalloc

    with (here / "big.jsonl").open("w") as file:
        for number in range(5_000):
            file.write(json.dumps({"n": number, "text": "x" * 1000}) + "\n")
    source = Source(file="big.jsonl")
    tracemalloc.start()
    total = sum(1 for _ in identified(source, BASE))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 5_000
    assert peak < 150 * total + 500_000


# --- datasets


@pytest.fixture
def cache(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", here / "cache")
    datasets.disable_progress_bars()


@pytest.mark.usefixtures("cache")
def test_saved_dataset() -> None:
    import datasets

    parts = {"train": datasets.Dataset.from_dict({"a": [1, 2]}), "test": datasets.Dataset.from_dict({"a": [3]})}
    datasets.DatasetDict(parts).save_to_disk("both")
    assert rows(dataset="both") == [{"a": 1}, {"a": 2}]
    assert rows(dataset="both", split="test") == [{"a": 3}]
    with pytest.raises(InputError, match="both: no split 'tset'; did you mean 'test'"):
        rows(dataset="both", split="tset")
    parts["train"].save_to_disk("one")
    assert rows(dataset="one") == [{"a": 1}, {"a": 2}]
    with pytest.raises(InputError, match="one: no split 'test'"):
        rows(dataset="one", split="test")


@pytest.mark.usefixtures("cache")
def test_dataset_repository() -> None:
    write("repo/data/train.jsonl", '{"a": 1}\n')
    write("repo/data/test.jsonl", '{"a": 2}\n')
    assert rows(dataset="repo", split="test") == [{"a": 2}]
    with pytest.raises(InputError, match=r"^repo: the dataset cannot be loaded.*train.*test"):
        rows(dataset="repo", split="dev")


@pytest.mark.usefixtures("cache")
def test_a_dataset_that_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr("datasets.load_dataset", load)
    with pytest.raises(InputError, match=r"^org/name: the dataset cannot be loaded: ConnectionError: no network"):
        rows(dataset="org/name")


def test_parts_come_one_after_the_other_and_say_which_they_are(tmp_path):
    (tmp_path / "real.jsonl").write_text('{"text": "a", "who": "x"}\n')
    source = Source(
        parts={"real": Source(file="real.jsonl"), "made": Source(rows=[{"prompt": "b"}], rename={"prompt": "text"})}
    )
    assert list(read_rows(source, tmp_path)) == [
        {"text": "a", "who": "x", "origin": "real"},
        {"text": "b", "origin": "made"},
    ]
    assert columns(source, tmp_path) == ["text", "origin"]


def test_renamed_columns_may_be_swapped_and_must_be_there(tmp_path):
    swapped = Source(rows=[{"a": 1, "b": 2}], rename={"a": "b", "b": "a"})
    assert list(read_rows(swapped, tmp_path)) == [{"b": 1, "a": 2}]
    with pytest.raises(InputError, match="rename: has no column 'text'; did you mean 'texts'"):
        list(read_rows(Source(rows=[{"texts": 1}], rename={"text": "t"}), tmp_path))
    with pytest.raises(InputError, match="'a' would overwrite the column 'b'"):
        list(read_rows(Source(rows=[{"a": 1, "b": 2}], rename={"a": "b"}), tmp_path))


def test_a_part_has_no_settings_of_the_whole():
    with pytest.raises(ValueError, match=r"parts.real: 'examples' does not go into a part"):
        Source(parts={"real": Source(rows=[{"a": 1}], examples=[{"a": 1}])})
