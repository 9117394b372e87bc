"""select: the best by a score, from every cluster; or a cover of all rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import InputError
from synth_llm.geometry import distances, k_center, k_means
from synth_llm.steps import Select
from tests.distribution import Outcome, at_angles, circle, context, rows_of


def scored(*scores: float | None) -> list:
    return rows_of(*({"q": score} for score in scores))


def test_the_highest_scores_are_kept_in_the_order_of_the_rows():
    outcome = Outcome(Select(rows=2, by="q"), scored(0.2, 0.9, 0.1, 0.5))
    assert outcome.values("q") == [0.9, 0.5]
    reject = outcome.rejects["id0"]
    assert (reject.reason, reject.value) == ("not selected", 0.2)
    assert reject.detail == "q 0.2: number 3 of 4 in all, where 2 are kept"


def test_rows_below_1_is_a_share():
    assert len(Outcome(Select(rows=0.25, by="q"), scored(*range(8))).kept) == 2
    assert len(Outcome(Select(rows=99, by="q"), scored(*range(8))).kept) == 8


def test_a_row_without_a_score_is_rejected_as_such():
    outcome = Outcome(Select(rows=3, by="q"), scored(0.2, None, float("nan"), True))
    assert outcome.values("q") == [0.2]
    assert {one.detail for one in outcome.rejects.values()} == {"has no number in 'q'"}


CLUSTERED = [*at_angles(*range(0, 20), q=1.0), *at_angles(*range(120, 130), q=0.5), *at_angles(*range(240, 250), q=0.1)]
for at, one in enumerate(CLUSTERED):
    one["_id"] = f"id{at}"


def test_clusters_have_places_in_proportion_to_their_rows():
    outcome = Outcome(Select(rows=8, by="q", clusters=3, encoder="circle"), CLUSTERED)
    assert sorted(outcome.values("q")) == [0.1] * 2 + [0.5] * 2 + [1.0] * 4
    assert sorted((one["rows"], one["kept"]) for one in outcome.report["clusters"]) == [(10, 2), (10, 2), (20, 4)]


def test_clusters_can_have_equally_many_places():
    outcome = Outcome(Select(rows=9, by="q", clusters=3, quota="equal", encoder="circle"), CLUSTERED)
    assert sorted(outcome.values("q")) == [0.1] * 3 + [0.5] * 3 + [1.0] * 3


def test_a_cover_takes_one_row_of_each_group_and_names_what_stands_for_the_others():
    rows = at_angles(0, 1, 2, 120, 121, 122, 240, 241, 242)
    outcome = Outcome(Select(rows=3, encoder="circle"), rows)
    assert sorted(int(text) // 120 for text in outcome.values()) == [0, 1, 2]
    for name, reject in outcome.rejects.items():
        assert int(reject.other[2:]) // 3 == int(name[2:]) // 3
        assert reject.value < 0.1
    assert outcome.report["farthest"] < 0.1


def test_a_cover_of_more_rows_than_there_are_keeps_all_even_equal_ones():
    assert len(Outcome(Select(rows=9, encoder="circle"), at_angles(5, 5, 5, 90)).kept) == 4
    assert Outcome(Select(rows=9, encoder="circle"), []).items == []


def test_a_blank_text_is_rejected_as_such():
    rows = rows_of({"text": "10"}, {"text": " "}, {"text": None}, {"text": "200"})
    for step in (Select(rows=3, encoder="circle"), Select(rows=3, by="_n", clusters=2, encoder="circle")):
        outcome = Outcome(step, [{**row, "_n": 1} for row in rows])
        assert {name: one.detail[:11] for name, one in outcome.rejects.items()} == {
            "id1": "has no text",
            "id2": "has no text",
        }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rows": 2.5}, "is 2.5; write a whole number of rows, or a share below 1"),
        ({"rows": 2, "clusters": 3}, "'clusters' goes with a score column"),
        ({"rows": 2, "by": "q", "quota": "equal"}, "'quota' goes with 'clusters'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Select(**settings)


def test_columns_are_checked_before_the_run():
    step = Select(rows=2, by="quality")
    with pytest.raises(InputError, match="select by needs column 'quality'"):
        step.columns(frozenset({"text"}), context(step).use)


@given(st.lists(st.integers(0, 359), min_size=1, max_size=30), st.integers(1, 30))
def test_a_cover_is_at_most_twice_as_wide_as_any(angles, k):
    vectors = np.array(circle([str(angle) for angle in angles]), dtype=np.float32)
    chosen, nearest, far = k_center(vectors, k)
    assert len(set(chosen.tolist())) == min(k, len(angles))
    between = distances(vectors, vectors[chosen])
    assert np.allclose(far, between.min(axis=1), atol=2e-3)
    assert np.allclose(
        far, [distances(vectors[i : i + 1], vectors[j : j + 1])[0, 0] for i, j in enumerate(nearest)], atol=2e-3
    )
    apart = distances(vectors[chosen], vectors[chosen])[~np.eye(len(chosen), dtype=bool)]
    assert far.max() <= apart.min(initial=2.0) + 2e-3, "no row is farther from its centre than two centres are apart"


def test_k_means_finds_separate_groups_and_the_same_again():
    vectors = np.array(circle([row["text"] for row in CLUSTERED]), dtype=np.float32)
    first, again = (k_means(vectors, 3, np.random.default_rng(7)) for _ in range(2))
    assert (first == again).all()
    assert [len(set(part.tolist())) for part in np.split(first, [20, 30])] == [1, 1, 1]
    assert len(set(first.tolist())) == 3


def test_k_means_of_fewer_points_than_cells():
    vectors = np.array(circle(["1", "1", "90"]), dtype=np.float32)
    cells = k_means(vectors, 5, np.random.default_rng(0)).tolist()
    assert cells[0] == cells[1] != cells[2]
    assert k_means(vectors[:0], 5, np.random.default_rng(0)).tolist() == []
