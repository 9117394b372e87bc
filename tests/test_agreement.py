"""Agreement: equal to what statsmodels and scikit-learn compute, and to figures worked out by hand."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.measure.agreement import (
    accuracy,
    cohen_kappa,
    confusion,
    fleiss_kappa,
    kappa_interval,
    krippendorff_alpha,
)

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40)


def columns(pairs):
    return [one for one, _ in pairs], [other for _, other in pairs]


def test_cohen_kappa_by_hand():
    one, other = [*"yyyyyyyyyy", *"nnnnnnnnnn"], [*"yyyyyyyynn", *"yyynnnnnnn"]
    assert cohen_kappa(one, other) == pytest.approx(0.5)
    assert cohen_kappa(one, one) == 1
    assert cohen_kappa([*"yn"], [*"ny"]) == -1
    assert math.isnan(cohen_kappa([*"yy"], [*"yy"])), "there is nothing left to measure"
    assert math.isnan(cohen_kappa([], []))
    with pytest.raises(ValueError):
        cohen_kappa([1], [1, 2])


def test_weights_count_how_far_apart_scores_are():
    gold, near, far = [1, 2, 3, 4, 5], [1, 2, 3, 4, 4], [1, 2, 3, 4, 1]
    assert cohen_kappa(gold, near, "quadratic") > cohen_kappa(gold, near, "linear") > cohen_kappa(gold, far, "linear")
    assert cohen_kappa([1, 10], [1, 9], "linear", scale=range(1, 11)) > cohen_kappa([1, 10], [1, 9], "linear")


@given(PAIRS)
def test_kappa_does_not_depend_on_names_or_who_is_first(pairs):
    one, other = columns(pairs)
    renamed = {"a": "z", "b": "q", "c": "m"}
    again = cohen_kappa([renamed[value] for value in other], [renamed[value] for value in one])
    assert again == pytest.approx(cohen_kappa(one, other), nan_ok=True)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_kappa_is_scikit_learns(weights):
    metrics = pytest.importorskip("sklearn.metrics")
    draw = random.Random(3)
    for _ in range(20):
        one = [draw.randrange(1, 6) for _ in range(30)]
        other = [min(5, max(1, value + draw.choice([-1, 0, 0, 1]))) for value in one]
        assert cohen_kappa(one, other, weights) == pytest.approx(
            metrics.cohen_kappa_score(one, other, weights=weights), abs=1e-12
        )


def test_fleiss_kappa_is_statsmodels():
    rater = pytest.importorskip("statsmodels.stats.inter_rater")
    draw = random.Random(5)
    items = [[draw.choice("abc") for _ in range(4)] for _ in range(25)]
    table = [[Counter(item)[value] for value in "abc"] for item in items]
    assert fleiss_kappa(items) == pytest.approx(rater.fleiss_kappa(table), abs=1e-12)


def test_fleiss_kappa_wants_equally_many_ratings():
    assert math.isnan(fleiss_kappa([["a", "a"], ["a", "a"]]))
    for items in ([["a"], ["b"]], [["a", "b"], ["a", "b", "b"]]):
        with pytest.raises(ValueError, match="same number of ratings"):
            fleiss_kappa(items)


def test_krippendorff_alpha_of_the_papers_example():
    """Krippendorff 2011, section C: four observers, twelve units, nominal data, some missing."""
    observers = (
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    )
    assert krippendorff_alpha([*zip(*observers, strict=True)]) == pytest.approx(0.743, abs=5e-4)
    assert math.isnan(krippendorff_alpha([["a", "a"]]))


@given(PAIRS)
def test_a_confusion_holds_every_pair_once(pairs):
    gold, said = columns(pairs)
    table = confusion(gold, said)
    assert sum(count for row in table.values() for count in row.values()) == len(pairs)
    assert {name: sum(row.values()) for name, row in table.items()} == Counter(gold)
    assert accuracy(gold, said).value == sum(row[name] for name, row in table.items()) / len(pairs)


@given(PAIRS)
def test_intervals_hold_their_figure_and_replay(pairs):
    one, other = columns(pairs)
    found = kappa_interval(one, other, seed="s")
    assert repr(found) == repr(kappa_interval(one, other, seed="s"))
    assert found.value == pytest.approx(cohen_kappa(one, other), nan_ok=True)
    assert math.isnan(found.low) or -1 <= found.low <= found.high <= 1


def test_more_pairs_give_a_narrower_interval():
    few, many = [kappa_interval([*"aabb"] * times, [*"aaba"] * times) for times in (5, 100)]
    assert few.value == pytest.approx(many.value)
    assert many.high - many.low < (few.high - few.low) / 3
    assert many.low < many.value < many.high
