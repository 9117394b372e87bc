"""Scores of predicted classes, against scikit-learn; intervals over test rows and draws, against plain loops."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef, precision_recall_fscore_support

from synth_llm.measure.agreement import accuracy
from synth_llm.measure.classification import macro_f1, matthews, per_class
from synth_llm.measure.interval import wilson
from synth_llm.measure.metric import facts
from synth_llm.measure.two_level import accuracies, difference, interval, macro_f1s

PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abc")), min_size=1, max_size=40)


@settings(deadline=None, max_examples=30)
@given(pairs=PAIRS)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    said, gold = [one for one, _ in pairs], [other for _, other in pairs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of classes that come on one side only
        assert macro_f1(said, gold) == pytest.approx(f1_score(gold, said, average="macro"), abs=1e-12)
        assert matthews(said, gold) == pytest.approx(matthews_corrcoef(gold, said), abs=1e-12)
        theirs = precision_recall_fscore_support(gold, said, labels=sorted({*said, *gold}), zero_division=np.nan)
    ours = per_class(said, gold)
    assert [one.label for one in ours] == sorted({*said, *gold})
    for at, column in enumerate(theirs, 1):
        assert [one[at] for one in ours] == pytest.approx(column.tolist(), abs=1e-12, nan_ok=True)


@settings(deadline=None, max_examples=20)
@given(pairs=PAIRS, seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(pairs: list[tuple[str, str]], seed: int) -> None:
    other = [pairs[at] for at in np.random.default_rng(seed).permutation(len(pairs))]
    for score in (macro_f1, matthews):
        assert score(*zip(*pairs, strict=True)) == pytest.approx(score(*zip(*other, strict=True)))


def test_what_is_not_defined_is_said() -> None:
    assert np.isnan(macro_f1([], [])) and np.isnan(matthews([], [])) and per_class([], []) == []
    assert matthews(["a", "a"], ["a", "b"]) == 0
    with pytest.raises(ValueError, match="longer"):
        macro_f1(["a"], ["a", "b"])


def test_they_are_metrics() -> None:
    for one in (accuracy, macro_f1, matthews):
        assert facts(one.__name__).takes == ("label", "label") and facts(one.__name__).direction == "higher"


# Intervals


def noisy(gold: list[str], right: float, draws: np.random.Generator) -> list[str]:
    return [one if draws.random() < right else "abc"[draws.integers(3)] for one in gold]


def test_resamples_are_paired_and_equal_a_loop_over_rows() -> None:
    draws, times = np.random.default_rng(0), 25
    gold = noisy(["a", "b", "c"] * 20, 0.9, draws)
    said = {"one": [noisy(gold, 0.8, draws) for _ in range(3)], "other": [noisy(gold, 0.6, draws)]}
    right = [np.array(gold)[at] for at in np.random.default_rng(5).integers(0, 60, (times, 60))]
    for function, score in (
        (accuracies, lambda one, two: float(np.mean(one == two))),
        (macro_f1s, lambda one, two: f1_score(two, one, average="macro")),
    ):
        found = function(gold, said, seed=5, times=times)
        for name, predictions in said.items():
            assert found[name].each == pytest.approx([score(np.array(one), np.array(gold)) for one in predictions])
            resampled = np.random.default_rng(5).integers(0, 60, (times, 60))
            loop = [
                np.mean([score(np.array(one)[at], right[number]) for one in predictions])
                for number, at in enumerate(resampled)
            ]
            assert found[name].again == pytest.approx(loop, abs=1e-6)


def test_a_difference_of_equal_predictions_is_none() -> None:
    gold = ["a", "b"] * 50
    said = noisy(gold, 0.7, np.random.default_rng(1))
    found = accuracies(gold, {"one": [said], "same": [said]})
    assert difference(found["one"], found["same"]) == (0, 0, 0)


def test_where_all_is_right_the_interval_is_wilsons() -> None:
    gold = ["a", "b"] * 10
    found = accuracies(gold, {"one": [gold, gold]})["one"]
    assert interval(found) == wilson(20, 20)


def test_more_draws_make_the_mean_surer_and_pairs_take_out_what_they_share() -> None:
    draws = np.random.default_rng(2)
    gold = noisy(["a", "b", "c"] * 100, 1, draws)
    shared = [0.5, 0.6, 0.7, 0.8, 0.9]
    one = [noisy(gold, right, draws) for right in shared]
    other = [noisy(gold, right - 0.1, draws) for right in shared]
    found = accuracies(gold, {"one": one, "other": other, "two": one[1:4:2]})
    apart, together = difference(found["one"], found["other"]), difference(found["one"], found["other"], paired=True)
    assert apart.value == together.value
    assert together.high - together.low < (apart.high - apart.low) / 2
    wide, narrow = interval(found["two"]), interval(found["one"])
    assert wide.high - wide.low > narrow.high - narrow.low
    with pytest.raises(ValueError, match="draws"):
        difference(found["one"], found["two"], paired=True)


def test_the_interval_holds_what_it_should_hold() -> None:
    """Rows differ in how hard they are, draws in how good; the true mean, .693, is in about 95 of 100."""
    draws, held, tries = np.random.default_rng(3), 0, 100
    for _ in range(tries):
        hard = draws.normal(0, 0.2, 80)
        students = [
            np.where(draws.random(80) < np.clip(0.7 + hard + shift, 0, 1), "a", "b")
            for shift in draws.normal(0, 0.05, 4)
        ]
        found = accuracies(["a"] * 80, {"one": [one.tolist() for one in students]}, times=300)["one"]
        held += interval(found).low <= 0.693 <= interval(found).high
    assert held / tries >= 0.9


def test_without_test_rows_there_is_no_interval() -> None:
    with pytest.raises(ValueError, match="no test rows"):
        accuracies([], {"one": [[]]})
