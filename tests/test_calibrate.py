"""Calibration: what gold labels say of a judge, and the threshold that meets a wanted precision."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.calibrate import Judged, calibration, is_right, threshold

SCORED = st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=30)


@given(SCORED, st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_the_threshold_is_the_lowest_that_meets_the_precision(rows, wanted):
    scores, right = [score for score, _ in rows], [one for _, one in rows]
    found = threshold(scores, right, wanted)["threshold"]

    def precision(least):
        kept = [one for score, one in rows if score >= least]
        return sum(kept) / len(kept)

    meets = [score for score in scores if precision(score) >= wanted - 1e-12]
    assert found == min(meets, default=None)


def test_a_precision_that_no_score_reaches():
    found = threshold([3, 2, 1], [False, True, True], 0.9)
    assert found["threshold"] is None
    assert (found["rows"], found["precision"]["value"]) == (1, 0.0), "the best there is to be said of the highest score"
    assert threshold([], [], 0.9)["precision"] == {"value": None, "low": 0.0, "high": 1.0}


def test_its_interval_tells_a_few_rows_from_many():
    few, many = (threshold([5] * count, [True] * count, 0.9)["precision"]["low"] for count in (3, 300))
    assert few < 0.5 < 0.98 < many


def test_an_abstention_is_counted_and_no_error():
    rows = [Judged("a", "a"), Judged("b", "a"), Judged("b", None, 0.5), Judged("b", "b")]
    found = calibration(rows)
    assert found["coverage"]["value"] == 0.75
    assert found["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["confusion"]["b"] == {"(none)": 1, "a": 1, "b": 1}


def test_true_and_false_beside_a_score():
    rows = [Judged(score > 3, score) for score in (1, 2, 3, 4, 5)]
    found = calibration(rows, 0.9)
    assert found["threshold"]["threshold"] == 4
    assert found["accuracy"]["value"] == 1
    assert found["confusion"] == {"false": {"false": 3, "true": 0}, "true": {"false": 0, "true": 2}}


def test_expected_scores_count_as_the_score_they_round_to():
    assert is_right(Judged(4, 4.49)) and is_right(Judged(4, 3.5))
    assert not is_right(Judged(4, 4.5)) and not is_right(Judged(4, None))
    found = calibration([Judged(1, 1.2), Judged(5, 4.6), Judged(3, 1.9)])
    assert found["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["weighted kappa"]["value"] > found["kappa"]["value"]


def test_truth_values_are_labels_too():
    found = calibration([Judged(True, True), Judged(False, True), Judged(False, False)])
    assert found["confusion"]["false"] == {"false": 1, "true": 1}
    assert is_right(Judged(True, "true"))


def test_labels_that_never_differ_leave_kappa_open():
    found = calibration([Judged("a", "a")] * 3)
    assert found["kappa"] == {"value": None, "low": None, "high": None}
    assert not math.isnan(found["accuracy"]["low"])
