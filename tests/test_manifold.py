"""Samples of vectors: formulas, and what each figure says of samples whose difference is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from synth_llm.measure import manifold
from synth_llm.measure.manifold import (
    covering,
    frechet,
    frontier_area,
    knn_coverage,
    knn_density,
    knn_precision,
    knn_recall,
    mauve,
)
from synth_llm.measure.two_sample import c2st, fold_numbers

seeds = st.integers(0, 10**6)
ONE_WAY = np.array([1.0, 0, 0, 0])
FEW = settings(max_examples=25, deadline=None)


def normal(seed: int, n: int, d: int = 4, shift: Any = 0.0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


@FEW
@given(seeds, st.integers(6, 40), st.integers(6, 40), st.integers(1, 5))
def test_frechet_is_its_formula(seed: int, n: int, m: int, d: int) -> None:
    one, other = normal(seed, n, d) * 2, normal(seed + 1, m, d, 1.0)
    a, b = (np.atleast_2d(np.cov(rows.T)) for rows in (one, other))
    root = np.atleast_2d(sqrtm(a @ b)).real
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root)
    assert frechet(one, other) == pytest.approx(expected, abs=1e-6) == frechet(other, one)


def test_frechet_of_fewer_rows_than_dimensions() -> None:
    one = normal(0, 5, 20)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet(one, one + 1) == pytest.approx(20)
    assert frechet(one, 3 * one - 2 * one.mean(0)) == pytest.approx(4 * np.trace(np.cov(one.T)))


@FEW
@given(seeds, st.integers(7, 30), st.integers(7, 30), st.integers(1, 5))
def test_covering_is_its_definition(seed: int, n: int, m: int, k: int) -> None:
    one, other = normal(seed, n), normal(seed + 1, m, shift=0.7)
    far = np.linalg.norm(one[:, None] - other, axis=2)
    reach = [np.sort(np.linalg.norm(rows[:, None] - rows, axis=2), axis=1)[:, k] for rows in (one, other)]
    found = covering(one, other, k)
    assert found.precision == pytest.approx((far < reach[1]).any(1).mean()) == knn_precision(one, other, k)
    assert found.recall == pytest.approx((far < reach[0][:, None]).any(0).mean()) == knn_recall(one, other, k)
    assert found.density == pytest.approx((far < reach[1]).sum(1).mean() / k) == knn_density(one, other, k)
    assert found.coverage == pytest.approx((far.min(0) < reach[1]).mean()) == knn_coverage(one, other, k)
    back = covering(other, one, k)
    assert (back.precision, back.recall) == (found.recall, found.precision)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = normal(0, 50), normal(1, 60)
    whole = covering(one, other)
    monkeypatch.setattr(manifold, "BLOCK", 7)
    assert covering(one, other) == whole


def test_collapse_costs_recall_and_strangers_cost_precision() -> None:
    real = normal(0, 200)
    collapsed = real[:10].repeat(20, axis=0) + normal(1, 200) * 0.01
    assert covering(collapsed, real).precision == 1 and covering(collapsed, real).recall < 0.2
    strangers = np.concatenate([normal(2, 150), normal(3, 50, shift=9.0)])
    assert covering(strangers, real).precision == pytest.approx(0.75, abs=0.05)
    assert covering(strangers, real).recall > 0.9


@FEW
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=15))
def test_the_area_is_symmetric_and_1_for_equal_shares_alone(pairs: list[tuple[int, int]]) -> None:
    made, real = (np.array(side) for side in zip(*[*pairs, (1, 1)], strict=True))
    area = frontier_area(made, real)
    assert 0 <= area <= 1 and frontier_area(real, made) == pytest.approx(area)
    assert frontier_area(real, 3 * real) == pytest.approx(1)
    order = np.random.default_rng(0).permutation(len(made))
    assert frontier_area(made[order], real[order]) == pytest.approx(area)
    if abs(made / made.sum() - real / real.sum()).max() > 0.05:
        assert area < 1 - 1e-6


def test_the_area_of_histograms_with_nothing_in_common() -> None:
    assert frontier_area([1, 0], [0, 1]) < 0.01


def test_mauve_falls_as_samples_part() -> None:
    real = normal(0, 300)
    found = [mauve(normal(1, 300, shift=ONE_WAY * shift), real) for shift in (0.0, 1.0, 3.0)]
    assert found[0] > 0.9 and found[0] > found[1] > found[2] and found[2] < 0.3
    assert mauve(real, real) == pytest.approx(1)
    assert mauve(real, normal(1, 300)) == mauve(real, normal(1, 300))


def test_a_blank_row_is_a_row() -> None:
    real = normal(0, 40)
    assert 0 < mauve(np.concatenate([real, np.zeros((3, 4))]), real) <= 1


@pytest.mark.parametrize("measure", [frechet, mauve, covering, c2st])
def test_too_few_rows_are_refused(measure: Any) -> None:
    with pytest.raises(ValueError, match="needs"):
        measure(np.zeros((0, 3)), normal(0, 20, 3))


def test_a_classifier_tells_a_shift_and_nothing_else() -> None:
    same = c2st(normal(0, 300), normal(1, 300))
    assert same.low < 0.5 < same.high and same.p > 0.02
    shifted = c2st(normal(0, 300, shift=ONE_WAY), normal(1, 300))
    assert shifted.low > 0.6 and shifted.value == pytest.approx(0.69, abs=0.06) and shifted.p < 1e-9


def test_copies_across_sets_and_within_are_never_learned_from() -> None:
    real = normal(0, 100, 50)
    copied = c2st(real, real)
    assert copied.value <= 0.55, "a copy's class says nothing"
    repeated = c2st(normal(1, 10, 50).repeat(10, axis=0), normal(2, 10, 50).repeat(10, axis=0))
    assert repeated.high - repeated.low > 0.3, "the interval of 20 rows, not of 200"


def test_rows_that_are_all_equal_cannot_be_told() -> None:
    assert c2st(np.ones((30, 3)), np.ones((30, 3))).value == 0.5


def test_the_larger_sample_is_drawn_from() -> None:
    found = c2st(normal(0, 500), normal(1, 50))
    assert found.high - found.low > 0.15, "an interval of 100 rows"
    assert found == c2st(normal(0, 500), normal(1, 50))


@FEW
@given(seeds, st.integers(10, 60))
def test_folds_keep_equal_rows_together_and_spread_classes(seed: int, n: int) -> None:
    draws = np.random.default_rng(seed)
    groups = draws.integers(0, 50, 2 * n)
    folds = fold_numbers(groups, n, draws)
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups.tolist()))
    alone = fold_numbers(np.arange(2 * n), n, draws)
    for part in (alone[:n], alone[n:]):
        assert np.ptp(np.bincount(part, minlength=5)) <= 1


def test_no_figure_is_no_number() -> None:
    one, other = np.zeros((20, 3)), np.zeros((20, 3))
    for value in (frechet(one, other), mauve(one, other), *covering(one, other), *c2st(one, other)):
        assert math.isfinite(value)
