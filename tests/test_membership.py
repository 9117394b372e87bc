"""Membership attacks: equal to scikit-learn's numbers, blind where there is nothing to see, honest where there is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm.measure import membership as module
from synth_llm.measure.membership import Attack, advantage, auroc, membership_by_distance, membership_by_loss

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=30)


@settings(deadline=None, max_examples=20)
@given(SCORES, SCORES, st.randoms())
def test_auroc_is_that_of_scikit_learn_in_any_order(members: list[float], others: list[float], draw) -> None:  # type: ignore[no-untyped-def]
    metrics = pytest.importorskip("sklearn.metrics")
    wanted = metrics.roc_auc_score([1] * len(members) + [0] * len(others), [*members, *others])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RESAMPLES", 50)
        found = auroc(members, others)
        assert found.value == pytest.approx(wanted, abs=1e-12)
        assert auroc(draw.sample(members, len(members)), draw.sample(others, len(others))) == found
        patch.setattr(module, "HELD", 1)
        assert auroc(members, others) == found


def test_an_advantage_of_nothing_is_nothing_and_not_what_the_best_threshold_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 2)  # the value is looked at
    draw, found, best = np.random.default_rng(0), [], []
    for _ in range(100):
        members, others = draw.normal(size=(2, 40))
        found.append(advantage(members, others).value)
        best.append(max(float((members >= one).mean() - (others >= one).mean()) for one in members))
    assert abs(np.mean(found)) < 3 * np.std(found) / 10
    assert np.mean(best) > 0.1  # what would be reported else


def test_an_advantage_is_that_of_theory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 100)
    draw, theory = np.random.default_rng(1), math.erf(0.5 / math.sqrt(2))  # Phi(1/2) - Phi(-1/2)
    found = [advantage(draw.normal(size=400) + 1, draw.normal(size=400)) for _ in range(40)]
    assert np.mean([one.value for one in found]) == pytest.approx(theory, abs=0.02)
    assert sum(one.low <= theory <= one.high for one in found) >= 36


def test_members_of_lower_loss_are_told() -> None:
    draw = np.random.default_rng(2)
    losses = draw.exponential(size=300)
    told = membership_by_loss(losses * 0.2, draw.exponential(size=300))
    assert told.auroc.low > 0.7 and told.advantage.low > 0.3 and (told.members, told.others) == (300, 300)
    blind = membership_by_loss(losses, draw.exponential(size=300))
    assert blind.auroc.low < 0.5 < blind.auroc.high and blind.advantage.low < 0 < blind.advantage.high
    assert blind.sure.low <= 0.01 + 0.02
    certain = membership_by_loss([0.0] * 100, [1.0] * 100)
    assert certain == Attack((1, 1, 1), (1, 1, 1), (1, 1, 1), 100, 100)  # type: ignore[arg-type]


def test_rows_that_data_was_made_from_are_told_by_distance() -> None:
    draw = np.random.default_rng(3)
    members, others = draw.normal(size=(2, 150, 8))
    copied = members[:100] + draw.normal(size=(100, 8)) * 0.1
    assert membership_by_distance(copied, members, others).auroc.low > 0.7
    free = membership_by_distance(draw.normal(size=(100, 8)), members, others)
    assert free.auroc.low < 0.5 < free.auroc.high


def test_what_cannot_be_attacked() -> None:
    for members, others in (([], [1.0]), ([1.0], []), ([math.nan], [1.0])):
        with pytest.raises(ValueError, match="members and others"):
            auroc(members, others)
    with pytest.raises(ValueError, match="halve"):
        advantage([1.0], [1.0, 2.0])
    assert math.isnan(membership_by_loss([0.1] * 5, [0.2] * 99).sure.value)
