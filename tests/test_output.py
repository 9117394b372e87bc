"""The run folder's files: any rows written are read back as they were, and nobody sees half a file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_llm import Row
from synth_llm.output import (
    CARD,
    GROUP,
    KEPT,
    MANIFEST,
    REJECTED,
    atomic,
    card,
    common,
    file_hash,
    kind_of,
    read_manifest,
    write_kept,
    write_manifest,
    write_rejected,
    write_text,
)
from synth_llm.spool import RejectedRow, dumps

OURS: Row = {"_id": "a", "_parent": None, "_lineage": [{"step": "s", "row": "r", "key": "k"}]}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3), max_size=5)


def kept(folder: Path, rows: list[Row], columns: tuple[str, ...] = ()) -> list[Row]:
    """Write rows and read them back."""
    write_kept(folder / KEPT, lambda: (dumps({**row, **OURS}) for row in rows), columns)
    return pq.read_table(folder / KEPT).to_pylist()


def same(wrote: Any, read: Any, kind: Any) -> bool:
    """Whether a value came back: as JSON text where its column has no common type; missing is null."""
    if kind == "json":
        return (read is None) if wrote is None else json.loads(read) == wrote
    if wrote is None or read is None:
        return wrote is None and read is None
    if isinstance(wrote, dict):
        return all(same(wrote.get(name), read[name], None) for name in read) and set(wrote) <= set(read)
    if isinstance(wrote, list):
        return len(wrote) == len(read) and all(same(one, other, None) for one, other in zip(wrote, read, strict=True))
    if isinstance(read, float) and isinstance(wrote, int):
        return math.isclose(wrote, read, rel_tol=1e-15)
    return bool(wrote == read) and type(wrote) is type(read)


def column_kind(rows: list[Row], name: str) -> Any:
    kind: Any = "null"
    for row in rows:
        kind = common(kind, kind_of(row.get(name)))
    return kind


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_any_rows_come_back(tmp_path, rows):
    back = kept(tmp_path, rows)
    assert len(back) == len(rows)
    for wrote, read in zip(rows, back, strict=True):
        for name in ("_id", "_parent", "_lineage"):
            assert read[name] == OURS[name]
        for name in set(wrote) | set(read) - set(OURS):
            assert same(wrote.get(name), read[name], column_kind(rows, name)), (name, wrote, read)


@given(VALUES, VALUES, VALUES)
def test_the_common_type_does_not_depend_on_order(one, two, three):
    def shape(kind: Any) -> Any:
        if isinstance(kind, tuple) and kind[0] == "struct":
            return "struct", {name: shape(inner) for name, inner in sorted(kind[1].items())}
        return (kind[0], shape(kind[1])) if isinstance(kind, tuple) else kind

    a, b, c = map(kind_of, (one, two, three))
    assert common(a, a) == a
    assert shape(common(a, b)) == shape(common(b, a))
    assert shape(common(common(a, b), c)) == shape(common(a, common(b, c)))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], "null"),
        ([1, None], "int"),
        ([1, 2.5], "float"),
        ([True, 1], "json"),
        ([2**63], "json"),
        (["a", 1], "json"),
        ([[], ["a"]], ("list", "string")),
        ([["a"], [1]], "json"),
        ([{}], "json"),
        ([{"x": 1}, {"y": "a"}], ("struct", {"x": "int", "y": "string"})),
        ([{"x": 1}, {"x": "a"}], "json"),
        ([{"x": 1}, "a"], "json"),
    ],
)
def test_kinds(values, kind):
    assert column_kind([{"v": value} for value in values], "v") == kind


def test_columns_keep_their_order_and_ours_come_last(tmp_path):
    back = kept(tmp_path, [{"z": 1}, {"a": 2, "z": 3}], columns=("m", "z"))
    assert list(back[0]) == ["z", "a", "m", "_id", "_parent", "_lineage"]
    assert list(pq.read_schema(tmp_path / KEPT).names) == list(back[0])


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "objects"])
def test_what_is_nested_deeply_is_json_text_that_readers_can_read(tmp_path, wrap):
    value: Any = 1
    for _ in range(62):
        value = wrap(value)
    (back,) = kept(tmp_path, [{"x": value}])
    assert json.loads(back["x"]) == value


def test_no_rows_have_their_columns(tmp_path):
    assert kept(tmp_path, [], columns=("label", "text")) == []
    assert pq.read_schema(tmp_path / KEPT).names == ["label", "text", "_id", "_parent", "_lineage"]


def test_many_rows_are_written_in_groups_and_equal_rows_give_equal_bytes(tmp_path):
    rows = [{"n": n, "text": f"row {n}"} for n in range(GROUP + 5)]
    assert [row["n"] for row in kept(tmp_path, rows)] == list(range(GROUP + 5))
    assert pq.ParquetFile(tmp_path / KEPT).num_row_groups == 2
    before = file_hash(tmp_path / KEPT)
    kept(tmp_path, rows)
    assert file_hash(tmp_path / KEPT) == before


def test_rejected_rows_come_back_with_why(tmp_path):
    row = {"text": "é\n", "n": [1, {"x": None}], **OURS}
    lines = [
        RejectedRow("filter", "length", "too short", 2.0, None, None, row),
        RejectedRow("g", "cut", "", None, None, "raw", row),
    ]
    write_rejected(tmp_path / REJECTED, lines)
    first, second = pq.read_table(tmp_path / REJECTED).to_pylist()
    assert json.loads(first.pop("row")) == {"text": "é\n", "n": [1, {"x": None}]}
    assert first == {
        "step": "filter",
        "reason": "length",
        "detail": "too short",
        "value": 2.0,
        "other": None,
        "raw": None,
        **OURS,
    }
    assert (second["value"], second["raw"]) == (None, "raw")
    write_rejected(tmp_path / REJECTED, [])
    assert pq.read_table(tmp_path / REJECTED).num_rows == 0


def test_a_file_takes_its_place_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "before")
    with pytest.raises(ZeroDivisionError), atomic(path) as beside:
        beside.write_text("half")
        assert path.read_text() == "before"
        raise ZeroDivisionError
    assert path.read_text() == "before"
    with atomic(path) as beside:
        beside.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_rows_that_fail_in_the_middle_leave_the_former_file(tmp_path):
    kept(tmp_path, [{"text": "before"}])

    def failing() -> Any:
        yield {"text": "x", **OURS}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_rejected(tmp_path / KEPT, (RejectedRow("s", "r", "", None, None, None, row) for row in failing()))
    assert pq.read_table(tmp_path / KEPT).to_pylist()[0]["text"] == "before"
    assert [file.name for file in tmp_path.iterdir()] == [KEPT]


MADE: dict[str, Any] = {
    "name": 'a: "name"',
    "about": "",
    "complete": False,
    "why": "limit reached",
    "counts": {"kept": 1234, "rejected": 1},
    "funnel": [{"step": "filter", "entered": 1235, "left": 1234, "rejected": {"length": 1}}],
    "models": {"w": {"engine": "local", "model": None, "revision": "abc" * 20}},
    "versions": {"synth-llm": "1"},
}


def test_the_manifest_holds_the_hashes_of_both_outputs(tmp_path):
    assert read_manifest(tmp_path) == {}
    kept(tmp_path, [{"a": 1}])
    write_rejected(tmp_path / REJECTED, [])
    write_manifest(tmp_path, MADE)
    hashes = {name: file_hash(tmp_path / name) for name in (KEPT, REJECTED)}
    assert read_manifest(tmp_path) == {**MADE, "sha256": hashes}
    assert (tmp_path / MANIFEST).read_text().endswith("}\n")


def test_the_card_is_yaml_and_says_what_there_is(tmp_path):
    import yaml

    write_text(tmp_path / CARD, card(MADE))
    _, head, body = (tmp_path / CARD).read_text().split("---\n", 2)
    meta = yaml.safe_load(head)
    assert meta["pretty_name"] == 'a: "name"'
    assert meta["size_categories"] == ["1K<n<10K"]
    assert [config["config_name"] for config in meta["configs"]] == ["kept", "rejected"]
    assert "1,234 rows kept, 1 rejected (incomplete: limit reached)" in body
    assert "| filter | 1,235 | 1,234 | length 1 |" in body
    assert "- `w`: local  abcabcabcabc\n" in body
