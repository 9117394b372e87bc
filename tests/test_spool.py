"""Rows on disk while a run works: every row comes back, in candidate order, whatever order it came in."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_llm.errors import Reject
from synth_llm.spool import BATCH, Spool, ordinal

PATHS = st.lists(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3).map(tuple), unique=True, max_size=30)
NAMES = itertools.count()


@pytest.fixture
def spool(tmp_path):
    it = Spool(tmp_path / "spool")
    yield it
    it.close()
    assert list(tmp_path.iterdir()) == []


def row(number: Any, **columns: Any) -> dict[str, Any]:
    return {"n": number, "_id": f"id{number}", "_parent": None, "_lineage": [], **columns}


@given(PATHS)
def test_ordinals_sort_as_their_paths(paths):
    assert sorted(ordinal(*path) for path in paths) == [ordinal(*path) for path in sorted(paths)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATHS, st.integers(0, 5))
def test_rows_come_back_in_candidate_order(tmp_path, paths, stage):
    it = Spool(tmp_path / f"spool{next(NAMES)}")
    try:
        for path in paths:
            it.put(stage, ordinal(*path), row(list(path)))
            it.put(stage + 1, ordinal(*path), row("another stage"))
        assert [found["n"] for _, found in it.rows(stage)] == [list(path) for path in sorted(paths)]
        since = sorted(paths)[len(paths) // 2 :]
        if since:
            assert [found["n"] for _, found in it.rows(stage, ordinal(*since[0]))] == [list(path) for path in since]
    finally:
        it.close()


def test_more_rows_than_a_batch_come_back_once_each(spool):
    count = 2 * BATCH + 3
    for n in reversed(range(count)):
        spool.put(0, ordinal(n), row(n))
        spool.reject(ordinal(n), "step", Reject("why"), row(n))
    assert [found["n"] for _, found in spool.rows(0)] == list(range(count))
    assert [item.row["n"] for _, item in spool.rejected()] == list(range(count))


def test_rows_may_be_put_while_others_are_read(spool):
    for n in range(BATCH + 10):
        spool.put(0, ordinal(n), row(n))
    seen = []
    for at, found in spool.rows(0):
        seen.append(found["n"])
        spool.put(1, at, found)
    assert seen == list(range(BATCH + 10)) == [found["n"] for _, found in spool.rows(1)]


def test_a_source_is_gone_through_cell_by_cell_and_again(spool):
    spool.load(("even" if n % 2 == 0 else "odd", {"n": n}) for n in range(2 * BATCH + 5))
    for _ in range(2):
        assert [(n, found["n"]) for n, found in spool.source("odd")] == [(n, n) for n in range(1, 2 * BATCH + 5, 2)]
    assert list(spool.source("none")) == []


def test_what_was_accepted_is_seen_and_its_ancestors_at_barriers(spool):
    spool.put(1, ordinal(0), row("parent"))
    spool.put(1, ordinal(1), row("childless"))
    for child in range(3):
        spool.put(3, ordinal(0, child), row(child))
    assert list(spool.rows(3, accepted=True)) == []
    spool.accept(3, [ordinal(0, 1)], [1])
    assert [found["n"] for _, found in spool.rows(3, accepted=True)] == [1]
    assert [found["n"] for _, found in spool.rows(1, accepted=True)] == ["parent"]
    spool.accept_all(3)
    assert [found["n"] for _, found in spool.rows(3, accepted=True)] == [0, 1, 2]


def test_rows_are_removed_one_or_from_a_place_on(spool):
    for n in range(6):
        spool.put(0, ordinal(n), row(n))
    spool.remove(0, ordinal(1), ordinal(1))
    assert [found["n"] for _, found in spool.rows(0)] == [0, 2, 3, 4, 5]
    spool.remove(0, ordinal(3))
    assert [found["n"] for _, found in spool.rows(0)] == [0, 2]


def test_a_rejected_row_keeps_why_and_the_lineage_of_the_call(spool):
    reject = Reject("cut", "too long", raw="half an ans", value=0.5)
    reject.lineage = [{"step": "s", "row": "r", "key": "k"}]
    spool.reject(ordinal(0), "generate", reject, row(0))
    ((_, item),) = spool.rejected()
    assert item[:6] == ("generate", "cut", "too long", 0.5, None, "half an ans")
    assert item.row == row(0, _lineage=reject.lineage)


def test_text_that_no_file_can_hold_is_written_with_a_mark(spool):
    spool.reject(ordinal(0), "s", Reject("r", "bad \ud800", raw="\udfff"), row(0))
    ((_, item),) = spool.rejected()
    assert (item.detail, item.raw) == ("bad ?", "?")


def test_what_an_earlier_process_left_is_forgotten(tmp_path):
    (tmp_path / "spool").write_bytes(b"left by a kill")
    it = Spool(tmp_path / "spool")
    assert list(it.rows(0)) == []
    it.close()
