"""label_errors: finds planted errors, says what is confused, and leaves alone what it cannot judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import InputError
from synth_llm.measure.label_errors import (
    above_chance,
    agreement,
    combined,
    confident_learning,
    normalised_margin,
    out_of_fold,
    self_confidence,
    stratified_folds,
    thresholds,
)
from synth_llm.steps import LabelErrors
from synth_llm.steps.context import Resources
from tests.distribution import Outcome, context, rows_of

# Confident learning


def test_the_threshold_of_a_label_is_the_mean_confidence_in_it():
    proba = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    assert thresholds(proba, np.array([0, 0, 1])).tolist() == pytest.approx([0.7, 0.8])
    assert thresholds(proba, np.array([0, 0, 0]))[1] > 1  # no row: nothing reaches it


def test_as_many_rows_are_errors_as_are_confidently_of_another_label():
    proba = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.05, 0.95], [0.45, 0.55]])
    labels = np.array([0, 0, 1, 1, 0, 0])
    found = confident_learning(proba, labels)
    assert found.errors.tolist() == [False, False, False, False, True, False]
    assert found.likely.tolist() == [0, 0, 1, 1, 1, 0]
    assert agreement(proba, labels).errors.tolist() == [False, False, False, False, True, True]


def test_the_joint_sums_to_one_and_keeps_the_shares_of_the_given_labels():
    proba = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.05, 0.95], [0.45, 0.55]])
    labels = np.array([0, 0, 1, 1, 0, 0])
    joint = confident_learning(proba, labels).joint
    assert joint.sum(axis=1) == pytest.approx([4 / 6, 2 / 6])
    assert joint[0, 1] == pytest.approx(4 / 6 / 3)  # one of three rows that were counted


def test_rankings():
    proba = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
    assert self_confidence(proba, np.array([0, 2])).tolist() == [0.6, 0.3]
    assert normalised_margin(proba, np.array([0, 2])) == pytest.approx([0.3, -0.2])


def test_a_student_of_noise_is_not_above_chance():
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, 400)
    proba = draws.dirichlet([1, 1], 400)
    assert not above_chance(proba, labels)
    assert not above_chance(np.tile([0.9, 0.1], (400, 1)), (np.arange(400) % 10 == 0).astype(int))  # the commonest
    proba[np.arange(0, 400, 4)] = np.eye(2)[labels[::4]]
    assert above_chance(proba, labels)


def test_students_are_combined_by_the_geometric_mean():
    one, other = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    assert combined([one, other])[0] == pytest.approx([0.75, 0.25])
    assert combined([one])[0] == pytest.approx(one[0])


@st.composite
def judged(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    k, n = draw(st.integers(2, 4)), draw(st.integers(1, 30))
    cells = draw(st.lists(st.integers(1, 99), min_size=n * k, max_size=n * k))
    labels = draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    proba = np.array(cells, float).reshape(n, k)
    return proba / proba.sum(axis=1, keepdims=True), np.array(labels)


@settings(deadline=None)
@given(judged())
def test_what_is_found_is_consistent(case):
    proba, labels = case
    for found in (confident_learning(proba, labels), agreement(proba, labels)):
        assert ((found.likely != labels) == found.errors).all()
        assert (proba[np.arange(len(labels)), found.likely] >= self_confidence(proba, labels)).all()
        assert found.joint.min() >= 0
        assert found.joint.sum() == pytest.approx(1)
        assert (found.errors <= (normalised_margin(proba, labels) < 0)).all()
    assert (confident_learning(proba, labels).errors <= agreement(proba, labels).errors).all()


# Folds


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=80), st.integers(2, 5))
def test_a_group_is_never_divided(rows, folds):
    labels, groups = np.array([label for label, _ in rows]), [group for _, group in rows]
    place = stratified_folds(labels, groups, folds, seed=1)
    assert all(len({int(place[at]) for at, one in enumerate(groups) if one == group}) == 1 for group in groups)
    assert set(place.tolist()) <= set(range(folds))
    assert (place == stratified_folds(labels, groups, folds, seed=1)).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(2, 5), st.integers(0, 3))
def test_without_groups_each_label_is_spread_evenly(labels, folds, seed):
    place = stratified_folds(np.array(labels), range(len(labels)), folds, seed)
    for label in set(labels):
        counts = np.bincount(place[np.array(labels) == label], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_probabilities_are_of_students_that_did_not_see_the_row():
    features = np.eye(12)  # nothing to generalise from: only who has seen a row knows its label
    labels = np.arange(12) % 2
    proba = out_of_fold([features], [1e3], labels, np.arange(12) // 2 % 3)
    assert np.allclose(proba, 0.5, atol=0.01)


# The step


def planted(n: int = 60, wrong: int = 4) -> list[dict[str, Any]]:
    """Texts that are angles: the east is `yes`, the west is `no`; the first rows have the other label."""
    columns = []
    for at in range(n):
        east = at % 2 == 0
        angle = (0 if east else 180) + (at * 7 % 60) - 30 + at / 100
        label = "yes" if east != (at < wrong) else "no"
        columns.append({"text": f"{angle:g}", "label": label, "planted": at < wrong})
    return columns


def found_in(columns: list[dict[str, Any]], **kw: Any) -> Outcome:
    about = kw.pop("about", {})
    return Outcome(LabelErrors(encoder="circle", **kw), rows_of(*columns), **about)


@pytest.mark.parametrize("by", ["confident_learning", "agreement"])
def test_planted_errors_are_rejected_with_what_they_likely_are(by):
    outcome = found_in(planted(), by=by)
    assert set(outcome.rejects) == {"id0", "id1", "id2", "id3"}
    reject = outcome.rejects["id0"]
    assert reject.reason == "label error"
    assert reject.detail.startswith("given no; likely yes (0.")
    assert reject.value is not None
    assert reject.value < 0.5
    assert outcome.report["errors"] == 4
    assert outcome.report["judged"] == 60
    assert {(one["given"], one["likely"], one["rows"]) for one in outcome.report["confused"]} == {
        ("no", "yes", 2),
        ("yes", "no", 2),
    }
    scores = outcome.context.notes.as_dict()["scores"]["confidence"]["rows"]
    assert scores == {"kept": 56, "rejected": 4}


def test_relabelled_rows_say_what_they_were_given():
    outcome = found_in(planted(), on_error="relabel")
    assert not outcome.rejects
    assert [(row["label"], row["given"]) for row in outcome.kept[:2]] == [("yes", "no"), ("no", "yes")]
    assert all(row["label"] == row["given"] for row in outcome.kept[4:])


def test_flagged_rows_stay_with_what_was_found():
    outcome = found_in(planted(), on_error="flag")
    assert [row["label"] != row["likely"] for row in outcome.kept] == [row["planted"] for row in outcome.kept]
    assert all(0 <= row["confidence"] <= 1 for row in outcome.kept)


def test_labels_keep_their_type():
    columns = [{**row, "label": {"yes": 1, "no": 0}[row["label"]]} for row in planted()]
    outcome = found_in(columns, on_error="relabel")
    assert [row["label"] for row in outcome.kept[:2]] == [1, 0]


def test_what_cannot_be_judged_is_kept():
    odd = [{"text": " ", "label": "yes"}, {"text": "1", "label": None}, {"text": "2", "label": "rare"}]
    outcome = found_in([*planted(), *odd], on_error="flag")
    assert [row["confidence"] for row in outcome.kept[-3:]] == [None] * 3
    assert [row["likely"] for row in outcome.kept[-3:]] == ["yes", None, "rare"]
    assert outcome.report["not judged"] == 3


@pytest.mark.parametrize("columns", [[], planted(3), [{"text": f"{at}", "label": "one"} for at in range(20)]])
def test_too_few_rows_or_labels_are_all_kept(columns):
    outcome = found_in(columns)
    assert len(outcome.kept) == len(columns)
    assert outcome.report["judged"] == 0


def test_where_nothing_can_be_learned_no_row_is_judged():
    columns = [{"text": f"{at * 77 % 360}", "label": "ab"[at * at // 7 % 2]} for at in range(60)]
    outcome = found_in(columns)
    assert not outcome.rejects
    assert "no better than chance" in outcome.report["not learned"]


def test_copies_of_a_wrong_row_do_not_vouch_for_each_other():
    """Twenty copies of one mislabelled text: a student that had seen some of them would be sure of the others."""
    copies = [{"text": "5", "label": "no"}] * 8
    outcome = found_in([*planted(wrong=0), *copies])
    assert len(outcome.rejects) == 8


def test_children_of_one_parent_are_judged_together():
    rows = rows_of(*planted(wrong=0), *({"text": f"{5 + at / 10:g}", "label": "no"} for at in range(8)))
    for row in rows[-8:]:
        row["_parent"] = "one"
    assert len(Outcome(LabelErrors(encoder="circle"), rows).rejects) == 8


def test_trusted_examples_find_labels_that_are_wrong_in_one_way():
    """Half the west is called `yes`: the rows themselves cannot say that this is wrong, examples can."""
    columns = [{**row, "label": "yes" if at % 4 == 1 else row["label"]} for at, row in enumerate(planted(wrong=0))]
    step = LabelErrors(encoder="circle", trusted="examples", by="agreement")
    angles = {"yes": (-20, 0, 20), "no": (160, 180, 200)}
    examples = [{"text": f"{angle}", "label": label} for label, some in angles.items() for angle in some]
    ctx = context(step)
    ctx.use.__dict__["examples"] = examples
    rejected = [item.row["_id"] for item in step.split(rows_of(*columns), ctx) if not isinstance(item, dict)]
    assert rejected == [f"id{at}" for at in range(60) if at % 4 == 1]


def test_the_same_rows_have_the_same_outcome():
    one, other = (found_in(planted(), on_error="flag").kept for _ in range(2))
    assert one == other


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"text": st.sampled_from(["0", "10", "90", "170", "180", ""]), "label": st.sampled_from(["a", "b", None])}
        ),
        max_size=40,
    ),
    st.sampled_from(["drop", "relabel", "flag"]),
)
def test_every_row_comes_out_once(columns, on_error):
    outcome = found_in(columns, on_error=on_error)  # Outcome checks it
    assert len(outcome.kept) + len(outcome.rejects) == len(columns)


def test_a_column_that_is_not_there_is_refused():
    step = LabelErrors(label="lable")
    use: Resources = context(step).use
    with pytest.raises(InputError, match=r"label_errors needs column 'lable'.*did you mean 'label'"):
        step.columns(frozenset({"text", "label"}), use)


def test_label_noise_is_the_share_of_flips_and_none_where_nearly_all_rows_are_equal():
    from synth_llm.measure.label_errors import label_noise

    draw = np.random.default_rng(0)
    labels = np.arange(400) % 2
    vectors = draw.normal(size=(400, 3)) + 4 * labels[:, None]
    wrong = np.where(np.arange(400) % 5 == 0, 1 - labels, labels)
    assert label_noise(vectors, wrong.tolist()) == pytest.approx(0.2, abs=0.03)
    assert label_noise(vectors, labels.tolist()) == pytest.approx(0, abs=0.01)
    assert np.isnan(label_noise(np.ones((40, 3)), (labels[:40]).tolist()))
