"""Divergences, tests and correlations: against scipy, and as one expects them at their ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from synth_llm.measure.distributions import (
    bin_edges,
    category_counts,
    chi_squared,
    correlation_distance,
    correlations,
    jensen_shannon,
    js_of,
    kl,
    kl_of,
    ks,
    number_counts,
    total_variation,
    variation_of,
)
from synth_llm.measure.metric import _known

labels = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=40)
counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12).filter(
    lambda pairs: all(map(sum, zip(*pairs, strict=True)))
)
numbers = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=60)
FEW = settings(max_examples=25, deadline=None)
DIVERGENCES = [jensen_shannon, kl, total_variation]


@FEW
@given(pairs=counts)
def test_divergences_of_histograms_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    made, real = (np.array(side, float) for side in zip(*pairs, strict=True))
    assert js_of(made, real) == pytest.approx(jensenshannon(made, real, base=2) ** 2, abs=1e-9)
    assert kl_of(made, real) == pytest.approx(stats.entropy(real + 0.5, made + 0.5, base=2), abs=1e-9)
    assert variation_of(made, real) == pytest.approx(abs(made / made.sum() - real / real.sum()).sum() / 2, abs=1e-9)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@FEW
@given(made=labels, real=labels, data=st.data())
def test_divergences_lie_in_their_range_and_do_not_see_the_order(
    divergence: Callable[..., float], made: list[str], real: list[str], data: st.DataObject
) -> None:
    facts = _known[divergence.__name__][0]
    found = divergence(made, real)
    assert facts.low <= found <= facts.high
    assert divergence(data.draw(st.permutations(made)), data.draw(st.permutations(real))) == pytest.approx(found)
    assert divergence(made, data.draw(st.permutations(made))) == pytest.approx(0, abs=1e-9)
    if divergence is not kl:
        assert divergence(real, made) == pytest.approx(found)


def test_samples_with_nothing_in_common_are_as_far_apart_as_can_be() -> None:
    assert jensen_shannon(["a", "b"], ["c"]) == pytest.approx(1)
    assert total_variation(["a", "b"], ["c"]) == pytest.approx(1)
    assert 0 < kl(["a", "b"], ["c"]) < math.inf


def test_what_was_never_made_costs_more_than_what_is_made_beside() -> None:
    both, one = ["a"] * 50 + ["b"] * 50, ["a"] * 100
    assert kl(one, both) > 2 * kl(both, one)


@pytest.mark.parametrize(
    "divergence", [*DIVERGENCES, lambda *given: ks(*given).value, lambda *given: chi_squared(*given).v]
)
def test_an_empty_sample_is_no_number(divergence: Callable[..., float]) -> None:
    assert math.isnan(divergence([], [1])) and math.isnan(divergence([1], []))


def test_a_number_and_its_text_are_two_categories() -> None:
    names, made, real = category_counts([1, "1", True], ["b"])
    assert sorted(map(str, names)) == ["1", "1", "b"] and made.tolist() == [2, 1, 0] and real.tolist() == [0, 0, 1]


@FEW
@given(real=numbers, made=numbers)
def test_bins_hold_every_number_once_and_real_ones_only_inside(real: list[float], made: list[float]) -> None:
    edges = bin_edges(real)
    assert len(edges) <= 21 and (np.diff(edges) > 0).all()
    found = number_counts(real, edges)
    assert found.sum() == len(real) and found[0] == found[-1] == 0
    found = number_counts(made, edges)
    assert found.sum() == len(made)
    assert found[0] == sum(value < min(real) for value in made)
    assert found[-1] == sum(value > max(real) for value in made)


def test_bins_hold_equally_many_real_numbers() -> None:
    values = np.random.default_rng(0).exponential(size=4000)
    assert number_counts(values, bin_edges(values))[1:-1].tolist() == [200] * 20


def test_a_column_of_one_value_differs_from_one_of_another() -> None:
    edges = bin_edges([5.0] * 30)
    assert js_of(number_counts([5.0] * 9, edges), number_counts([5.0] * 30, edges)) == 0
    for other in (4.999, 5.001, 7.0):
        assert js_of(number_counts([other] * 9, edges), number_counts([5.0] * 30, edges)) == 1


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_bins_want_finite_numbers(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        bin_edges(values)


@FEW
@given(made=numbers, real=numbers)
def test_ks_is_the_largest_gap_of_distribution_functions(made: list[float], real: list[float]) -> None:
    at = sorted({*made, *real})
    gap = max(abs(np.mean(np.array(made) <= value) - np.mean(np.array(real) <= value)) for value in at)
    found = ks(made, real)
    assert found.value == pytest.approx(gap) and 0 <= found.p <= 1
    assert ks(made, made).value == 0


@FEW
@given(pairs=counts.filter(lambda pairs: len(pairs) > 1 and all(map(sum, pairs))))
def test_chi_squared_is_that_of_its_formula(pairs: list[tuple[int, int]]) -> None:
    made, real = ([name for name, pair in enumerate(pairs) for _ in range(pair[side])] for side in (0, 1))
    table = np.array(pairs, float).T
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    statistic = ((table - expected) ** 2 / expected).sum()
    found = chi_squared(made, real)
    assert found.value == pytest.approx(statistic) and found.freedom == len(pairs) - 1
    assert found.p == pytest.approx(stats.chi2.sf(statistic, len(pairs) - 1))
    assert found.v == pytest.approx(stats.contingency.association(table.astype(int), method="cramer"))


@FEW
@given(st.integers(0, 10**6), st.integers(3, 40), st.integers(2, 5))
def test_correlations_are_those_of_scipy(seed: int, n: int, columns: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 9, (n, columns)).astype(float)
    assume((rows.min(0) < rows.max(0)).all())
    for ranks, function in ((False, stats.pearsonr), (True, stats.spearmanr)):
        found: Any = correlations(rows, ranks)
        for one in range(columns):
            for other in range(one):
                expected = function(rows[:, one], rows[:, other]).statistic
                assert found[one, other] == pytest.approx(expected, abs=1e-9) == found[other, one]


def test_distance_of_correlations() -> None:
    line = [[float(at), float(at)] for at in range(10)]
    back = [[float(at), -(float(at) ** 3)] for at in range(10)]
    assert correlation_distance(line, line) == 0
    assert correlation_distance(back, line, ranks=True) == pytest.approx(2)
    assert 1.5 < correlation_distance(back, line) < 2
    assert math.isnan(correlation_distance([[1.0, 0.1]] * 3, line)) and math.isnan(correlation_distance(line[:1], line))
