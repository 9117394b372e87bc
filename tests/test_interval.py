"""Intervals: equal to statsmodels', as wide as theory says, and honest about what cannot be known."""

import math

import numpy as np
import pytest

from synth_llm.measure.interval import bootstrap, quantile, wilson


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 1, 0.2065, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson(right, total, low, high):
    found = wilson(right, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert math.isnan(found.value) if total == 0 else found.value == right / total
    assert found.as_dict()["value"] == (None if total == 0 else right / total)


def test_wilson_refuses_what_is_no_share():
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_wilson_is_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for right, total in [(1, 3), (77, 100), (0, 5), (250, 251)]:
        assert wilson(right, total)[1:] == pytest.approx(
            proportion.proportion_confint(right, total, method="wilson"), abs=1e-12
        )


def test_a_bootstrapped_mean_has_the_interval_of_theory():
    values = np.array([float(value % 7) for value in range(700)])
    found = bootstrap(lambda at: values[at].mean(), 700)
    assert found.value == pytest.approx(3)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 2 / math.sqrt(700), rel=0.1)
    assert found == bootstrap(lambda at: values[at].mean(), 700)


def test_a_paired_difference_is_surer_than_two_samples():
    values = np.random.default_rng(1).normal(size=300)
    other = values - 0.1
    paired = bootstrap(lambda at: (values[at] - other[at]).mean(), 300, times=300)
    apart = bootstrap(lambda one, two: values[one].mean() - other[two].mean(), 300, 300, times=300)
    assert paired.low > 0.09 and paired.high < 0.11 and apart.low < 0 < apart.high


def test_resamples_without_a_value_are_left_out_and_no_rows_are_refused():
    rare = np.array([0.0] * 9 + [1.0])
    found = bootstrap(lambda at: 1.0 if rare[at].any() else math.nan, 10, times=200)
    assert (found.low, found.high) == (1.0, 1.0)
    assert math.isnan(bootstrap(lambda at: math.nan, 3, times=5).low)
    with pytest.raises(ValueError, match="without rows"):
        bootstrap(lambda at: 0.0, 0)


def test_the_interval_of_a_median_holds_it_in_95_of_100_samples_of_any_distribution():
    draws = np.random.default_rng(2)
    for values, middle in ((draws.exponential(size=(400, 200)), math.log(2)), (draws.normal(size=(400, 31)), 0.0)):
        found = [quantile(sample, 0.5) for sample in values]
        assert all(one.value == np.median(sample) for one, sample in zip(found, values, strict=True))
        assert 0.92 <= np.mean([one.low <= middle <= one.high for one in found]) <= 0.985
    assert quantile([3.0], 0.05) == (3, 3, 3) and math.isnan(quantile([], 0.5).value)
