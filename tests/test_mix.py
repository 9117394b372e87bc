"""mix: origins in a stated ratio."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import InputError
from synth_llm.quotas import apportioned, how_many, mixed
from synth_llm.steps import Mix
from tests.distribution import Outcome, context, rows_of


def of(**counts: int) -> list:
    return rows_of(*({"origin": name, "n": n} for name, count in counts.items() for n in range(count)))


def origins(outcome: Outcome) -> dict[str, int]:
    return dict(Counter(outcome.values("origin")))


def test_the_origin_with_too_many_rows_is_thinned_to_the_ratio():
    outcome = Outcome(Mix(shares={"real": 1, "synthetic": 3}), of(real=10, synthetic=200))
    assert origins(outcome) == {"real": 10, "synthetic": 30}
    assert outcome.report["origins"]["synthetic"] == {"rows": 200, "kept": 30}
    assert {one.reason for one in outcome.rejects.values()} == {"surplus"}


def test_copies_of_the_scarcer_origin_lose_fewer_of_the_other():
    outcome = Outcome(Mix(shares={"real": 0.5, "synthetic": 0.5}, copies=4), of(real=10, synthetic=200))
    assert origins(outcome) == {"real": 40, "synthetic": 40}
    assert origins(Outcome(Mix(shares={"real": 1, "synthetic": 1}, copies=4), of(real=9, synthetic=9))) == {
        "real": 9,
        "synthetic": 9,
    }


def test_the_best_rows_stay():
    assert Outcome(Mix(shares={"real": 1, "synthetic": 1}, keep="n"), of(real=2, synthetic=5)).values("n") == [
        0,
        1,
        3,
        4,
    ]


def test_an_origin_without_a_share_is_rejected_in_words():
    outcome = Outcome(Mix(shares={"real": 1, "synthetic": 0}), of(real=2, synthetic=1, other=1))
    assert origins(outcome) == {"real": 2}
    assert outcome.rejects["id2"].detail == "origin 'synthetic' gets no rows"
    assert outcome.rejects["id3"].detail == "origin 'other' gets no rows"


def test_a_ratio_that_cannot_be_kept_keeps_nothing():
    outcome = Outcome(Mix(shares={"real": 1, "synthetic": 1}), of(synthetic=3))
    assert not outcome.kept
    assert len(outcome.rejects) == 3


def test_shares_that_are_all_0_are_refused():
    step = Mix(shares={"real": 0})
    with pytest.raises(InputError, match="every share is 0"):
        step.columns(frozenset({"origin"}), context(step).use)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.floats(0.01, 10)), min_size=2, max_size=4),
    st.integers(1, 5),
)
def test_the_ratio_holds_to_a_row_and_as_much_as_possible_is_kept(origins, copies):
    counts = {str(at): count for at, (count, _) in enumerate(origins)}
    shares = {str(at): share for at, (_, share) in enumerate(origins)}
    sizes = mixed(counts, shares, copies)
    total, whole = sum(sizes.values()), math.fsum(shares.values())
    assert all(size <= counts[name] * copies for name, size in sizes.items())
    assert all(abs(size - total * shares[name] / whole) <= 1 for name, size in sizes.items())
    assert any(size + 1 > counts[name] - 1e-6 for name, size in sizes.items()), "some origin is used up"


@given(
    st.integers(0, 300),
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 60)), min_size=1, max_size=8),
)
def test_apportioned_places_add_up_and_stay_within_what_there_is(total, cells):
    weights, most = [weight for weight, _ in cells], [count for _, count in cells]
    places = apportioned(total, weights, most)
    assert all(0 <= place <= limit for place, limit in zip(places, most, strict=True))
    assert sum(places) == min(total, sum(limit for weight, limit in cells if weight > 0))


def test_how_many_reads_a_number_or_a_share():
    assert [how_many(amount, 50) for amount in (10, 1, 0.5, 0.001, 80)] == [10, 1, 25, 1, 50]
    assert how_many(0.5, 0) == 0
