"""One model of a run: journal before engine, retries, budget. The engine is a fake, the journal is real."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from typing import Any

import pytest

from synth_llm.errors import FatalError, Passing, Reject, Stopped
from synth_llm.journal import Journal
from synth_llm.models import call
from synth_llm.models.budget import Budget, Limits, Spent
from synth_llm.models.call import Caller, Endpoint
from synth_llm.models.limit import Limiter
from synth_llm.models.request import Answer, Request, body_of
from tests.virtual_time import virtually

Reply = Answer | Exception


class Engine:
    """Says what it is told to, one reply after the other; the last one for good."""

    name, revision = "m", ""

    def __init__(self, *replies: Reply) -> None:
        self.replies, self.asked = list(replies), 0

    async def answer(self, request: Request) -> Answer:
        self.asked += 1
        await asyncio.sleep(0)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def close(self) -> None: ...


def said(text: str = "ok", prompt: int = 10, answer: int = 5) -> Answer:
    return Answer(body_of(text, prompt_tokens=prompt, completion_tokens=answer))


def refused(text: str = "no") -> Answer:
    return Answer(json.dumps({"error": {"message": text}}).encode(), 400)


@pytest.fixture
def caller(tmp_path):
    journals = []

    def make(engine: Engine, name: str = "own", limits: Limits | None = None, **settings: Any) -> Caller:
        journal = Journal.open(tmp_path / f"{name}.sqlite")
        journals.append(journal)
        sampling = settings.pop("sampling", {"temperature": 0.5, "max_tokens": 20})
        endpoint, budget = Endpoint(lambda: engine, Limiter(4)), Budget(limits or Limits(), Spent())
        return Caller("w", "m", "", sampling, endpoint, journal, settings.pop("others", ()), budget, {}, **settings)

    yield make
    for journal in journals:
        journal.close()


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """What is slept for between retries; nobody really sleeps."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def quick(seconds: float, *rest: Any) -> None:
        if seconds:
            slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", quick)
    return slept


def a_request(caller: Caller, row: str = "row", attempt: int = 0) -> Request:
    return caller.request([{"role": "user", "content": "Hi"}], None, row, 0, attempt)


async def test_what_the_journal_holds_is_never_asked_again(caller):
    engine = Engine(said("once"))
    one = caller(engine)
    first, second = [await one.ask(a_request(one), 0, "s") for _ in range(2)]
    assert (first.replayed, second.replayed) == (False, True)
    assert first.answer == second.answer == said("once")
    assert (engine.asked, one.usage.sent, one.usage.replayed) == (1, 1, 1)


async def test_another_journals_answer_is_copied_to_our_own(caller):
    other = caller(Engine(said("paid elsewhere")), name="other")
    await other.ask(a_request(other), 0, "s")
    engine = Engine(FatalError("must not be asked"))
    own = caller(engine, others=[other.journal])
    assert (await own.ask(a_request(own), 0, "s")).said.text == "paid elsewhere"
    assert own.journal.get(a_request(own).key) == said("paid elsewhere")
    assert engine.asked == 0


async def test_sampled_requests_differ_by_row_and_attempt_and_greedy_ones_by_attempt_alone(caller):
    sampled, greedy = caller(Engine(said())), caller(Engine(said()), name="b", sampling={"temperature": 0})
    rows = [("a", 0), ("b", 0), ("a", 1)]
    assert len({a_request(sampled, *which).key for which in rows}) == 3
    assert a_request(greedy, "a").key == a_request(greedy, "b").key != a_request(greedy, "a", 1).key
    assert a_request(greedy).draw is None


async def test_equal_greedy_requests_in_flight_share_one_answer(caller):
    engine = Engine(said("same"))
    one = caller(engine, sampling={"temperature": 0})
    answers = await asyncio.gather(*(one.ask(a_request(one, str(n)), 0, "s") for n in range(10)))
    assert {asked.said.text for asked in answers} == {"same"}
    assert (engine.asked, one.usage.shared) == (1, 9)


async def test_who_waits_for_a_shared_answer_gets_its_failure_too(caller, pauses):
    one = caller(Engine(Passing("busy")), sampling={"temperature": 0}, retries=0)
    asked = [one.ask(a_request(one, str(n)), 0, "s") for n in range(3)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [getattr(result, "reason", None) for result in results] == ["unavailable"] * 3
    assert one.inflight == {}


async def test_passing_failures_are_tried_again(caller, pauses):
    engine = Engine(Passing("busy"), Passing("busy"), said("at last"))
    one = caller(engine, retries=2)
    assert (await one.ask(a_request(one), 0, "s")).said.text == "at last"
    assert engine.asked == one.usage.sent == one.budget.spent.requests == 3
    assert 0.07 <= pauses[0] <= 0.13
    assert 0.18 <= pauses[1] <= 0.32


async def test_waits_grow_up_to_a_bound(caller, pauses):
    one = caller(Engine(Passing("busy")), retries=9)
    with pytest.raises(Reject):
        await one.ask(a_request(one), 0, "s")
    assert all(before < after for before, after in itertools.pairwise(pauses[:6]))  # jitter is less than growth
    assert max(pauses) <= call.LONGEST_WAIT * 1.25


async def test_after_all_retries_a_row_is_unavailable_and_nothing_is_remembered(caller, pauses):
    engine = Engine(Passing("HTTP 503: busy"))
    one = caller(engine, retries=3)
    with pytest.raises(Reject, match="503: busy") as caught:
        await one.ask(a_request(one), 0, "s")
    assert caught.value.reason == "unavailable"
    assert engine.asked == 4
    assert one.known(a_request(one)) is None
    assert one.endpoint.limiter.used == 0
    assert one.budget.reserved == Spent()


async def test_retry_after_is_honoured(caller, pauses):
    one = caller(Engine(Passing("busy", 7.0), Passing("busy", 0.0), said()))
    await one.ask(a_request(one), 0, "s")
    assert 7.0 <= pauses[0] <= 7.0 * 1.25
    assert len(pauses) == 1, "a Retry-After of 0 is no pause"


async def test_a_row_that_waits_to_try_again_holds_no_slot(caller, monkeypatch):
    one = caller(Engine(Passing("busy"), said()))
    used = []
    sleep = asyncio.sleep

    async def look(seconds: float) -> None:
        if seconds:
            used.append(one.endpoint.limiter.used)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", look)
    await one.ask(a_request(one), 0, "s")
    assert used == [0]


async def test_a_refusal_is_of_the_row_and_final(caller):
    engine = Engine(refused("too long"), FatalError("must not be asked"))
    one = caller(engine)
    for replayed in (False, True):
        asked = await one.ask(a_request(one), 0, "s")
        assert (asked.said.reason, asked.said.detail) == ("bad request", "HTTP 400: too long")
        assert asked.replayed is replayed


async def test_five_identical_refusals_before_any_answer_are_fatal_and_forgotten(caller):
    one = caller(Engine(refused("no such parameter: top_z")))
    requests = [a_request(one, str(n)) for n in range(5)]
    for request in requests[:4]:
        await one.ask(request, 0, "s")
    with pytest.raises(FatalError, match="5 identical refusals and no answer: HTTP 400: no such parameter: top_z"):
        await one.ask(requests[4], 0, "s")
    assert [one.known(request) for request in requests] == [None] * 5


@pytest.mark.parametrize(
    "replies",
    [[said(), *[refused()] * 9], [*[refused()] * 4, said(), *[refused()] * 9], [refused(str(n)) for n in range(9)]],
    ids=["after an answer", "with an answer between", "each another text"],
)
async def test_other_refusals_are_of_their_rows(caller, replies):
    one = caller(Engine(*replies))
    for n in range(len(replies)):
        await one.ask(a_request(one, str(n)), 0, "s")
    assert one.known(a_request(one, "0")) is not None


async def test_a_fatal_error_is_raised_at_once(caller, pauses):
    engine = Engine(FatalError("HTTP 401: wrong key"))
    one = caller(engine)
    with pytest.raises(FatalError, match="401"):
        await one.ask(a_request(one), 0, "s")
    assert engine.asked == 1
    assert pauses == []
    assert one.endpoint.limiter.used == one.budget.reserved.requests == 0


async def test_tokens_and_dollars_are_counted_and_journaled(caller):
    one = caller(Engine(said(prompt=1000, answer=200)), price=(2.0, 10.0))
    await one.ask(a_request(one), 0, "s")
    await one.ask(a_request(one), 0, "s")
    assert (one.usage.prompt_tokens, one.usage.completion_tokens) == (1000, 200)
    assert one.usage.dollars == pytest.approx(0.004)
    spent = one.journal.spent()
    assert (spent.requests, spent.prompt_tokens, spent.completion_tokens) == (1, 1000, 200)
    assert spent.dollars == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("limits", "passed"),
    [({"requests": 3}, 3), ({"tokens": 90}, 4), ({"dollars": 0.00009}, 4)],
)
async def test_a_limit_holds_whatever_is_in_flight(caller, limits, passed):
    """A request reserves 18 prompt bytes and 20 answer tokens, and uses 15 tokens."""
    engine = Engine(said())
    one = caller(engine, limits=Limits(**limits), price=(1.0, 1.0))
    asked = [one.ask(a_request(one, str(n)), 0, "s") for n in range(20)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(result, Stopped) for result in results) == 20 - passed
    assert engine.asked == passed


async def test_retries_count_against_the_limit(caller, pauses):
    engine = Engine(Passing("busy"))
    one = caller(engine, limits=Limits(requests=3), retries=9)
    with pytest.raises(Stopped, match="limit reached: requests 3"):
        await one.ask(a_request(one), 0, "s")
    assert engine.asked == 3


async def test_a_replay_starts_no_engine(caller):
    one = caller(Engine(said()))
    await one.ask(a_request(one), 0, "s")

    def unwanted() -> Any:
        raise AssertionError("the engine was started")

    one.endpoint = Endpoint(unwanted, Limiter(1))
    assert (await one.ask(a_request(one), 0, "s")).replayed


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"<html>"), "unparseable"),
        (Answer(b"[" * 100_000), "unparseable"),
        (Answer(b'{"choices": []}'), "unparseable"),
        (Answer(b'{"choices": [{"message": {"content": null}}]}'), "unparseable"),
        (Answer(b'{"choices": [{"message": {"content": null, "refusal": "I cannot"}}]}'), "refused"),
        (Answer(b'{"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}'), "content filter"),
    ],
)
async def test_a_200_without_a_text_is_a_final_rejection(caller, answer, reason):
    one = caller(Engine(answer))
    assert (await one.ask(a_request(one), 0, "s")).said.reason == reason
    assert one.known(a_request(one)) == answer


# An endpoint that makes no progress


def ask_many(one: Caller, rows: int) -> tuple[float, list[Any]]:
    """Ask for some rows at once in virtual time; the seconds that it took, and what became of each."""

    async def main() -> tuple[float, list[Any]]:
        began = asyncio.get_running_loop().time()
        asked = [one.ask(a_request(one, str(n)), 0, "s") for n in range(rows)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        return asyncio.get_running_loop().time() - began, results

    return virtually(main())


def test_an_endpoint_that_is_always_busy_stops_the_run_in_one_line_after_some_patience(caller):
    engine = Engine(Passing("HTTP 429: slow down", limited=True))
    one = caller(engine)
    seconds, results = ask_many(one, 20)
    assert {type(result) for result in results} == {Stopped}
    assert re.fullmatch(
        r"model w: no answer for \d+ s, the last was: HTTP 429: slow down; run again to go on", one.budget.stop
    )
    assert call.PATIENCE <= seconds <= call.PATIENCE + 90
    assert engine.asked <= 60, "an endpoint that takes nothing is asked seldom"
    assert one.endpoint.limiter.used == 0


def test_an_endpoint_that_was_left_alone_for_long_is_not_busy(caller):
    """A step that waits for all rows asks nothing for minutes; one refusal after that is one refusal."""
    one = caller(Engine(said("first"), Passing("HTTP 429", limited=True), said("second")))

    async def main():
        first = await one.ask(a_request(one, "0"), 0, "s")
        await asyncio.sleep(3 * call.PATIENCE)
        return [first.said.text, (await one.ask(a_request(one, "1"), 0, "s")).said.text]

    assert virtually(main()) == ["first", "second"]


def test_who_is_told_to_wait_for_minutes_waits(caller):
    busy = [Passing("HTTP 429: later", 300.0, limited=True)] * 4
    one = caller(Engine(*busy, said("at last")))
    seconds, results = ask_many(one, 4)
    assert [asked.said.text for asked in results] == ["at last"] * 4
    assert seconds >= 300


def test_to_be_refused_for_what_others_send_costs_a_row_nothing(caller):
    """Refused more often than it has retries; the endpoint answers in the end."""
    one = caller(Engine(*[Passing("HTTP 429", limited=True)] * 12, said("at last")), retries=1)
    assert [asked.said.text for asked in ask_many(one, 1)[1]] == ["at last"]


def test_an_endpoint_that_takes_no_connections_stops_the_run_in_one_line(caller):
    one = caller(Engine(Passing("http://x/v1: Cannot connect to host x")), retries=2)
    _seconds, results = ask_many(one, 20)
    unavailable = [result for result in results if isinstance(result, Reject)]
    assert [result.reason for result in unavailable] == ["unavailable"] * (call.SILENT - 1)
    assert sum(isinstance(result, Stopped) for result in results) == 20 - len(unavailable)
    assert one.budget.stop == (
        "model w: no answer to 5 requests, each sent 3 times: http://x/v1: Cannot connect to host x; run again to go on"
    )


def test_failures_of_single_rows_stop_nothing(caller):
    """One row in three fails for good; the others are answered."""

    class Uneven(Engine):
        async def answer(self, request: Request) -> Answer:
            await asyncio.sleep(0.1)
            if int(request.key, 16) % 3 == 0:
                raise Passing("HTTP 500")
            return said()

    one = caller(Uneven(said()), retries=1)
    _seconds, results = ask_many(one, 60)
    failed = sum(isinstance(result, Reject) for result in results)
    assert failed >= call.SILENT
    assert not one.budget.stop
    assert sum(not isinstance(result, Exception) for result in results) == 60 - failed


async def test_a_row_that_is_always_answered_503_is_given_up_and_the_others_are_not(caller, pauses):
    """503 may be the fault of one request: only 429 is about all of them."""

    class Odd(Engine):
        async def answer(self, request: Request) -> Answer:
            if "row 3" in str(request.draw):
                raise Passing("HTTP 503: crashed", busy=True)
            return await super().answer(request)

    one = caller(Odd(said()), retries=3)
    asked = [one.ask(a_request(one, f"row {n}"), 0, "s") for n in range(6)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [getattr(result, "reason", "") for result in results] == ["", "", "", "unavailable", "", ""]
    assert one.budget.stop == ""
