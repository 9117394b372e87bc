"""Win rates: as AlpacaEval counts them, with the effect of length taken out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.measure.interval import wilson
from synth_llm.measure.win_rate import by_length, length_controlled, shares, standard_error, win_rate

SHARES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30)


def test_recorded_preferences_become_shares():
    assert shares([1, 2.0, 1.5, 0, 1.25, None, math.nan]) == [0, 1, 0.5, 0.5, 0.25, None, None]


@pytest.mark.parametrize("wrong", [-1, 0.5, 3])
def test_what_is_no_preference_is_refused(wrong):
    with pytest.raises(ValueError, match="a preference of"):
        shares([wrong])


@given(SHARES)
def test_rate_and_error_are_mean_and_standard_error_of_the_mean(preferences):
    known = np.array([value for value in preferences if value is not None])
    rate, error = win_rate(preferences), standard_error(preferences)
    if not len(known):
        assert math.isnan(rate.value)
        assert math.isnan(error)
        return
    assert rate.value == pytest.approx(known.mean(), abs=1e-12)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    if len(known) > 1:
        assert error == pytest.approx(known.std(ddof=1) / math.sqrt(len(known)), abs=1e-12)


def test_wins_and_losses_alone_have_the_interval_of_a_proportion():
    assert win_rate([1, 1, 0, 1]) == wilson(3, 4)


def test_a_number_outside_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1"):
        win_rate([2.0])


def judged(effect: float, length: float, seed: int = 3, rows: int = 600) -> tuple[list[float], list[float]]:
    """Preferences of a judge that likes length as much as `length`, and how much longer each answer was."""
    draws = np.random.default_rng(seed)
    longer = draws.normal(100, 100, rows)
    proba = 1 / (1 + np.exp(-(effect + length * np.tanh(longer / longer.std()))))
    return (draws.random(rows) < proba).astype(float).tolist(), longer.tolist()


def test_a_win_by_length_alone_is_no_win_at_equal_length():
    preferences, longer = judged(0.0, 3.0)
    found = length_controlled(preferences, longer, [0.0] * len(longer))
    assert win_rate(preferences).value > 0.7
    assert found.low <= 0.5 <= found.high


def test_without_an_effect_of_length_nothing_changes():
    preferences, longer = judged(1.0, 0.0)
    found = length_controlled(preferences, longer, [0.0] * len(longer))
    assert found.low <= 1 / (1 + math.exp(-1)) <= found.high
    same = length_controlled(preferences, [5.0] * len(longer), [5.0] * len(longer))
    assert same.value == pytest.approx(win_rate(preferences).value, abs=1e-6)


def test_the_regression_is_that_of_statsmodels():
    import statsmodels.api as sm

    preferences, longer = judged(0.5, 1.0, rows=4000)
    features = sm.add_constant(np.tanh(np.array(longer) / np.std(longer)))
    fitted = sm.Logit(preferences, features).fit(disp=False).params
    found = length_controlled(preferences, longer, [0.0] * len(longer)).value
    assert found == pytest.approx(1 / (1 + math.exp(-fitted[0])), abs=2e-3)  # a weak penalty apart


@pytest.mark.parametrize(("preferences", "rate"), [([1.0] * 5, 1.0), ([0.0] * 5, 0.0), ([0.5] * 5, 0.5)])
def test_judges_that_always_say_the_same(preferences, rate):
    assert length_controlled(preferences, [1, 2, 3, 4, 5], [3] * 5).value == pytest.approx(rate, abs=1e-6)


def test_a_length_that_decides_everything_is_no_error():
    found = length_controlled([1, 1, 1, 0, 0, 0], [9, 8, 9, 1, 2, 1], [5] * 6)
    assert 0.3 < found.value < 0.7


def test_nothing_that_could_be_read():
    assert math.isnan(length_controlled([None], [1], [2]).value)


def test_bins_by_length():
    bins = by_length([1, 0, 1, None], [10, 100, 200, 300], [100, 105, 100, 100])
    assert [(one.name, one.rows, one.rate.value) for one in bins] == [
        ("shorter", 1, 1.0),
        ("about as long", 1, 0.0),
        ("longer", 1, 1.0),
    ]
    assert by_length([1], [0], [0])[1].rows == 1
