"""balance: every class gets its size, the best rows stay, and copies are rows of their own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import InputError, Recipe, Source, run
from synth_llm.steps import Balance
from tests.distribution import Outcome, context, rows_of


def labelled(*counts: int) -> list[Any]:
    return rows_of(*({"label": "abcdef"[at], "n": n} for at, count in enumerate(counts) for n in range(count)))


def sizes(outcome: Outcome) -> dict[str, int]:
    return dict(sorted(Counter(outcome.values("label")).items()))


def test_down_brings_every_class_to_the_rarest():
    outcome = Outcome(Balance(), labelled(9, 4, 2))
    assert sizes(outcome) == {"a": 2, "b": 2, "c": 2}
    reject = next(iter(outcome.rejects.values()))
    assert (reject.reason, reject.detail) == ("surplus", "label 'a' has its 2 of 9 rows")


def test_over_copies_the_rare_classes_evenly():
    outcome = Outcome(Balance(to="over"), labelled(9, 4))
    assert sizes(outcome) == {"a": 9, "b": 9}
    assert not outcome.rejects
    times = Counter(row["n"] for row in outcome.kept if row["label"] == "b")
    assert sorted(times.values()) == [2, 2, 2, 3]


def test_a_row_that_is_not_copied_keeps_its_id_and_copies_have_their_own():
    outcome = Outcome(Balance(to=3), labelled(3, 1))
    assert [row["_id"] for row in outcome.kept[:3]] == ["id0", "id1", "id2"]
    assert [row["_parent"] for row in outcome.kept] == [None, None, None, "id3", "id3", "id3"]


def test_copies_bounds_how_often_a_row_stands_and_the_rest_is_reported_missing():
    outcome = Outcome(Balance(to=6, copies=2), labelled(9, 2))
    assert sizes(outcome) == {"a": 6, "b": 4}
    assert outcome.report["classes"] == {
        "a": {"rows": 9, "kept": 6, "missing": 0},
        "b": {"rows": 2, "kept": 4, "missing": 4},
    }


def test_a_class_of_the_grid_without_rows_is_reported():
    outcome = Outcome(Balance(to=2, copies=1), labelled(2), grid={"label": ["a", "z"]})
    assert outcome.report["classes"]["z"] == {"rows": 0, "kept": 0, "missing": 2}


def test_the_best_by_a_score_are_kept_and_rows_without_one_go_first():
    rows = rows_of(*({"label": label, "q": q} for label, q in zip("aaaab", [0.1, None, 0.9, 0.5, 0.2], strict=True)))
    outcome = Outcome(Balance(keep="q"), rows)
    assert outcome.values("q") == [0.9, 0.2]
    assert outcome.rejects["id0"].value == 0.1


def test_without_a_score_the_choice_is_by_hash_of_seed_and_id():
    rows = labelled(40, 20)
    ids = [{row["_id"] for row in Outcome(Balance(), rows, seed=seed).kept} for seed in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]
    backwards = Outcome(Balance(), rows[::-1]).kept
    assert {row["_id"] for row in backwards} == ids[0], "the order of the rows decides nothing"


def test_a_row_without_a_class_is_rejected():
    outcome = Outcome(Balance(), rows_of({"label": "a"}, {"label": None}, {}, {"label": "b"}, {"label": 0}))
    assert {name: (one.reason, one.detail) for name, one in outcome.rejects.items()} == {
        "id1": ("missing", "has no label"),
        "id2": ("missing", "has no label"),
    }


def test_several_columns_make_a_class_together():
    rows = rows_of(*({"label": a, "style": b} for a, b in ("xs", "xs", "xt", "ys")))
    assert len(Outcome(Balance(column=["label", "style"]), rows).kept) == 3


def test_no_rows_are_no_trouble():
    assert Outcome(Balance(to="over"), []).items == []


def test_a_column_that_is_not_there_is_named():
    step = Balance(column="labels", keep="q")
    with pytest.raises(InputError, match=r"balance needs column 'labels'; .* did you mean 'label'"):
        step.columns(frozenset({"label"}), context(step).use)


@pytest.mark.parametrize("to", ["up", 0, 2.5, True, None])
def test_a_size_that_is_none_is_refused_in_words(to):
    with pytest.raises(ValueError, match="write down, over, or the number of rows"):
        Balance(to=to)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.sampled_from(["down", "over", 5]), st.integers(1, 4))
def test_every_row_comes_out_once_and_sizes_are_as_asked(counts, to, copies):
    outcome = Outcome(Balance(to=to, copies=copies), labelled(*counts))
    want = min(counts) if to == "down" else max(counts) if to == "over" else to
    assert list(sizes(outcome).values()) == [min(want, count * copies) for count in counts]


def test_in_a_run_copies_are_kept_rows_and_the_manifest_has_the_classes(tmp_path: Path):
    rows = [{"text": f"text {n}", "label": "a" if n else "b"} for n in range(4)]
    result = run(Recipe(source=Source(rows=rows), steps=[Balance(to="over")]), out=tmp_path / "run")
    assert result.complete
    assert Counter(result.kept["label"]) == {"a": 3, "b": 3}
    assert result.kept["text"].count("text 0") == 3
    assert "missing" in str(result.manifest)
