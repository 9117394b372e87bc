"""The budget: a limit holds whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from synth_llm.errors import Stopped
from synth_llm.models.budget import Budget, Limits, Spent


@settings(max_examples=60, deadline=None)
@given(
    requests=st.none() | st.integers(0, 12),
    tokens=st.none() | st.integers(0, 300),
    dollars=st.none() | st.integers(0, 30),
    before=st.integers(0, 3),
    seed=st.integers(0, 2**20),
)
def test_a_budget_is_never_exceeded(requests, tokens, dollars, before, seed):
    chance = random.Random(seed)
    limits = Limits(requests=requests, tokens=tokens, dollars=None if dollars is None else dollars / 10)
    spent = Spent(before, before * 10, before * 0.1)
    budget, most = Budget(limits, spent), Spent(**vars(spent))
    asked = 0

    async def ask() -> None:
        nonlocal asked
        want = Spent(1, chance.randrange(1, 60), chance.randrange(1, 5) / 10)
        await budget.reserve(want)
        asked += 1
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        share = chance.random()
        budget.settle(want, Spent(1, int(want.tokens * share), want.dollars * share))
        within()

    def within() -> None:
        now = budget.spent
        assert requests is None or now.requests <= max(requests, most.requests)
        assert tokens is None or now.tokens <= max(tokens, most.tokens)
        assert dollars is None or now.dollars <= max(dollars / 10, most.dollars) + 1e-9

    async def play() -> list[object]:
        tasks = [asyncio.create_task(ask()) for _ in range(20)]
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)

    results = asyncio.run(play())
    assert all(result is None or isinstance(result, Stopped) for result in results), results
    assert asked == sum(result is None for result in results) == budget.spent.requests - before
    assert bool(budget.stop) is (asked < 20)
    if requests is not None and tokens is None and dollars is None:
        assert asked == min(20, max(0, requests - before)), "and what may be asked is asked"


async def test_who_would_break_a_limit_waits_for_what_is_in_flight():
    budget = Budget(Limits(tokens=100), Spent())
    await budget.reserve(Spent(1, 80))
    second = asyncio.create_task(budget.reserve(Spent(1, 80)))
    await asyncio.sleep(0.01)
    assert not second.done()
    budget.settle(Spent(1, 80), Spent(1, 15))
    await asyncio.wait_for(second, 1)
    budget.settle(Spent(1, 80), Spent(1, 80))
    with pytest.raises(Stopped, match=r"^limit reached: tokens 100; raise limits\.tokens to go on$"):
        await budget.reserve(Spent(1, 80))


async def test_once_stopped_nothing_more_is_let_through_and_who_waits_is_told():
    budget = Budget(Limits(requests=1), Spent())
    await budget.reserve(Spent(1))
    waiting = asyncio.create_task(budget.reserve(Spent(1)))
    await asyncio.sleep(0)
    budget.halt("stopped by hand")
    budget.halt("another reason")
    with pytest.raises(Stopped, match="stopped by hand"):
        await asyncio.wait_for(waiting, 1)
    with pytest.raises(Stopped, match="stopped by hand"):
        await Budget(Limits(), Spent(), stop="stopped by hand").reserve(Spent(1))


async def test_time_is_limited_over_all_invocations_and_does_not_wait_for_what_is_in_flight():
    budget = Budget(Limits(seconds=10), Spent(seconds=4), started=time.monotonic() - 5)
    await budget.reserve(Spent(1))
    budget.started -= 2
    with pytest.raises(Stopped, match="limit reached: seconds 10"):
        await asyncio.wait_for(budget.reserve(Spent(1)), 1)


@pytest.mark.parametrize("given_", [{"requests": -1}, {"dollars": -0.1}, {"request": 1}, {"tokens": "many"}])
def test_limits_are_numbers_from_zero(given_):
    with pytest.raises(ValidationError):
        Limits.model_validate(given_)
