"""The limiter, in virtual time: how close it comes to what an endpoint can do, and what it never does."""

from __future__ import annotations

import asyncio
import bisect
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm.models.limit import Limiter
from tests.virtual_time import Endpoint, Run, ask, serve, virtually


@pytest.fixture(autouse=True)
def the_same_chance() -> None:
    """Pauses are a little longer by chance: the same chance in every run of the tests."""
    random.seed(7)


def run(endpoint: Endpoint, limiter: Limiter, rows: int, *changes: tuple[float, str, Any]) -> Run:
    """Ask for some rows; `changes` are (seconds, setting, value) of the endpoint."""

    async def main() -> Run:
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(when, setattr, endpoint, name, value) for when, name, value in changes]
        done = await serve(endpoint, limiter, rows)
        for timer in timers:
            timer.cancel()
        return done

    done = virtually(main())
    assert len(endpoint.answered) == rows
    assert limiter.used == 0, "every request has come back"
    return done


def between(times: list[float], start: float, end: float) -> int:
    """How many of some rising times, as seconds after 1000, lie there."""
    return bisect.bisect_left(times, 1000 + end) - bisect.bisect_left(times, 1000 + start)


# What an endpoint can do


@pytest.mark.parametrize("seed", range(3))
def test_64_slots_that_nobody_told_of_are_kept_busy(seed):
    assert run(Endpoint(slots=64, seed=seed), Limiter(), 640).efficiency >= 0.93


def test_over_many_rows_what_finding_the_number_costs_is_nothing():
    endpoint = Endpoint(slots=64)
    assert run(endpoint, Limiter(), 5_000).efficiency >= 0.985
    assert endpoint.most_inside <= 400, "the queue at the endpoint is bounded"


def test_a_number_that_was_told_is_started_with_and_never_exceeded():
    endpoint = Endpoint(slots=64)
    assert run(endpoint, Limiter(64), 640).efficiency >= 0.98
    assert endpoint.most_inside == 64


def test_a_small_endpoint_is_not_buried():
    endpoint = Endpoint(slots=4)
    assert run(endpoint, Limiter(), 1_000).efficiency >= 0.99
    assert endpoint.most_inside <= 256


@pytest.mark.parametrize(("latency", "goal"), [(0.05, 0.97), (0.2, 0.95), (0.5, 0.85)])
def test_a_rate_that_nobody_told_of_is_found(latency, goal):
    done = run(Endpoint(rate=60, latency=latency), Limiter(), 1_000)
    assert done.efficiency >= goal
    assert done.requests <= 1.13


def test_a_rate_is_found_whatever_chance_does():
    """What was sent before the rate was lowered says nothing about the lower one: else it falls again and again."""
    found = []
    for seed in range(6):
        random.seed(seed)
        found.append(run(Endpoint(rate=60, latency=0.1, seed=seed), Limiter(), 600).efficiency)
    assert min(found) >= 0.94


@pytest.mark.parametrize(("latency", "goal"), [(0.05, 0.87), (0.2, 0.84), (0.5, 0.78)])
def test_a_rate_is_found_where_everybody_is_told_to_wait(latency, goal):
    done = run(Endpoint(rate=60, latency=latency, retry_after=1.0), Limiter(), 1_000)
    assert done.efficiency >= goal
    assert done.requests <= 1.05


@pytest.mark.parametrize(
    ("cap", "rows", "wait", "goal"), [(16, 600, None, 0.97), (16, 600, 1.0, 0.85), (2, 300, None, 0.97)]
)
def test_a_cap_in_flight_that_nobody_told_of_is_found(cap, rows, wait, goal):
    endpoint = Endpoint(cap=cap, retry_after=wait)
    assert run(endpoint, Limiter(), rows).efficiency >= goal
    assert len(endpoint.sent) <= 1.08 * rows + 32, "the first ones are sent before the first refusal is heard"


@pytest.mark.parametrize("seed", range(3))
def test_refusals_and_errors_by_chance_slow_nobody_down(seed):
    endpoint = Endpoint(slots=64, latency=0.1, busy=0.05, broken=0.05, seed=seed)
    assert run(endpoint, Limiter(), 2_000).efficiency >= 0.85


def test_a_cap_that_rises_is_used_within_seconds():
    endpoint = Endpoint(cap=8)
    run(endpoint, Limiter(), 3_000, (10.0, "cap", 64))
    assert between(endpoint.answered, 16, 20) >= 0.9 * 4 * 64 / 0.2


def test_a_cap_that_falls_is_obeyed_and_used():
    endpoint = Endpoint(cap=64)
    run(endpoint, Limiter(), 3_600, (10.0, "cap", 8))
    assert between(endpoint.refused, 10, 60) <= 60
    assert between(endpoint.answered, 15, 25) >= 0.5 * 10 * 8 / 0.2


def test_slots_that_become_fewer_are_kept_busy_and_asked_for_no_more_than_before():
    endpoint = Endpoint(slots=64)
    run(endpoint, Limiter(), 1_500, (2.0, "slots", 8))
    assert between(endpoint.answered, 4, 12) >= 0.9 * 8 * 8 / 0.2
    assert endpoint.most_inside <= 256


def test_after_a_moment_without_service_the_rate_is_found_again():
    """A rate measured in a bad moment is left again within seconds, not minutes."""
    endpoint = Endpoint(rate=60)
    run(endpoint, Limiter(), 2_000, (5.0, "busy", 1.0), (6.0, "busy", 0.0))
    assert between(endpoint.answered, 21, 31) >= 0.7 * 10 * 60


def test_after_a_moment_without_service_slots_are_soon_kept_busy_again():
    endpoint = Endpoint(slots=64, latency=0.1)
    done = run(endpoint, Limiter(), 4_000, (1.0, "busy", 1.0), (2.0, "busy", 0.0))
    assert done.seconds <= 28, "7 s is the best there is; a rate that was never left again took a minute"


# What it never does


def test_retry_after_holds_for_everybody():
    endpoint = Endpoint(cap=16, retry_after=2.0)
    run(endpoint, Limiter(), 300)
    assert endpoint.refused
    for heard in endpoint.refused:
        sent = [when for when in endpoint.sent if heard + 0.001 < when < heard + 2.0]
        assert sent == [], f"sent {sent[0] - heard:.3f} s after a refusal that said 2 s"


def test_what_an_answer_says_of_the_rate_limit_holds_for_everybody():
    async def main() -> float:
        limiter, loop = Limiter(), asyncio.get_running_loop()
        limiter.answered(await limiter.acquire(0), pause=3.0)
        began = loop.time()
        limiter.failed(await limiter.acquire(0))
        return loop.time() - began

    assert 3.0 <= virtually(main()) <= 3.4


@pytest.mark.parametrize("limit", [30, 120, 3_000])
def test_a_cap_on_requests_holds_in_every_minute_and_is_used(limit):
    endpoint = Endpoint(latency=0.1)
    run(endpoint, Limiter(requests=limit), min(3 * limit, 4_000))
    busiest = max(between(endpoint.sent, at - 1000, at - 1000 + 60) for at in endpoint.sent)
    assert busiest <= limit
    assert busiest >= 0.97 * limit


@pytest.mark.parametrize("used", [100, 400])
def test_a_cap_on_tokens_holds_in_every_minute_and_is_used(used):
    """A request that may use 400 tokens counts as 400 until its answer says what it used."""
    limit, size = 60_000, 400

    async def main() -> list[float]:
        limiter, loop = Limiter(tokens=limit), asyncio.get_running_loop()
        sent: list[float] = []

        async def worker() -> None:
            while loop.time() < 1180:
                turn = await limiter.acquire(0, size)
                sent.append(loop.time())
                await asyncio.sleep(0.2)
                limiter.answered(turn, used)

        await asyncio.gather(*(worker() for _ in range(100)))
        return sent

    sent = virtually(main())
    busiest = max(between(sent, at - 1000, at - 1000 + 60) for at in sent)
    assert busiest * used <= limit + size
    assert busiest * used >= 0.97 * limit


def test_the_deepest_step_goes_first_then_who_came_first():
    async def main() -> str:
        limiter, order = Limiter(1), []
        first = await limiter.acquire(0)

        async def worker(name: str, step: int) -> None:
            turn = await limiter.acquire(-step)
            order.append(name)
            limiter.answered(turn)

        tasks = []
        for name, step in (("a", 0), ("b", 2), ("c", 1), ("d", 2), ("e", 0)):
            tasks.append(asyncio.create_task(worker(name, step)))
            await asyncio.sleep(0)
        limiter.answered(first)
        await asyncio.gather(*tasks)
        assert limiter.used == 0
        return "".join(order)

    assert virtually(main()) == "bdcae"


def test_the_deepest_step_goes_first_when_everybody_was_told_to_wait():
    async def main() -> list[int]:
        endpoint, limiter, order = Endpoint(cap=2), Limiter(4), []
        limiter.answered(await limiter.acquire(0), pause=5.0)

        async def worker(step: int) -> None:
            await ask(endpoint, limiter, -step)
            order.append(step)

        await asyncio.gather(*(worker(step) for step in (0, 0, 0, 0, 3, 3, 3, 3)))
        return order

    assert virtually(main())[:3] == [3, 3, 3]


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 5), workers=st.integers(1, 30), seed=st.integers(0, 2**20))
def test_places_are_never_exceeded_or_lost_even_by_who_is_cancelled(size, workers, seed):
    chance = random.Random(seed)
    busy = done = 0

    async def worker(limiter: Limiter, priority: int) -> None:
        nonlocal busy, done
        turn = await limiter.acquire(priority)
        busy += 1
        assert busy <= size
        try:
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(chance.choice((0, 0.01)))
        except asyncio.CancelledError:
            busy -= 1
            limiter.failed(turn)
            raise
        busy -= 1
        if chance.random() < 0.2:
            limiter.refused(turn, chance.choice((None, 0.5)))
        else:
            limiter.answered(turn)
        done += 1

    async def play() -> int:
        limiter = Limiter(size)
        tasks = [asyncio.create_task(worker(limiter, -chance.randrange(3))) for _ in range(workers)]
        for _ in range(chance.randrange(10)):
            await asyncio.sleep(chance.choice((0, 0.01)))
            if chance.random() < 0.5:
                chance.choice(tasks).cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert limiter.used == 0
        limiter.answered(await limiter.acquire(0))
        return sum(isinstance(result, asyncio.CancelledError) for result in results)

    assert done + virtually(play()) == workers


def test_when_no_new_rows_come_those_with_the_longest_way_to_go_are_first():
    async def order() -> str:
        limiter, went = Limiter(1), []
        first = await limiter.acquire(0)

        async def worker(name: str, step: int) -> None:
            sent = await limiter.acquire(-step)
            went.append(name)
            limiter.answered(sent)

        tasks = [asyncio.create_task(worker("a", 1)), asyncio.create_task(worker("b", 0))]
        await asyncio.sleep(0)
        limiter.shallow_first(True)
        tasks.append(asyncio.create_task(worker("c", 2)))
        tasks.append(asyncio.create_task(worker("d", 0)))
        await asyncio.sleep(0)
        limiter.answered(first)
        await asyncio.gather(*tasks)
        return "".join(went)

    assert asyncio.run(order()) == "bdac"
