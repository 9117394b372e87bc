import asyncio
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.errors import FatalError, InputError
from synth_llm.models.gather import Gather, Waiting, next_batch
from synth_llm.models.request import Answer, Request


def request(text, **sampling):
    return Request("", ({"role": "user", "content": text},), sampling)


def echo(batch):
    return [Answer(one.request.messages[0]["content"].encode()) for one in batch]


class Future:
    def done(self):
        return False


lengths = st.lists(st.tuples(st.integers(0, 50), st.sampled_from([0, 0.7])), min_size=1, max_size=20)


@given(lengths, st.integers(1, 8))
def test_a_batch_is_the_oldest_and_those_nearest_to_it_that_sample_alike(rows, size):
    waiting = [Waiting(request("x" * length, temperature=t), Future()) for length, t in rows]
    batch = next_batch(waiting, size)
    assert batch[0] is waiting[0]
    assert len(batch) == min(size, sum(t == rows[0][1] for _, t in rows))
    assert {one.request.sampling["temperature"] for one in batch} == {rows[0][1]}

    def distance(one):
        return abs(len(one.request.messages[0]["content"]) - rows[0][0])

    left = [one for one in waiting if one not in batch and one.request.sampling == batch[0].request.sampling]
    assert all(distance(one) <= distance(other) for one in batch for other in left)


def test_rows_with_and_without_a_schema_are_not_mixed():
    free, bound = request("a"), Request("", request("a").messages, {}, schema={"enum": ["x"]})
    assert len(next_batch([Waiting(one, Future()) for one in (free, bound, free)], 8)) == 2


async def test_what_waits_becomes_one_batch_and_the_loop_goes_on():
    sizes, threads = [], set()

    def work(batch):
        sizes.append(len(batch))
        threads.add(threading.current_thread())
        time.sleep(0.05)
        return echo(batch)

    gather = Gather(work, 4)
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticking = asyncio.create_task(tick())
    answers = await asyncio.gather(*[gather.answer(request(str(i))) for i in range(10)])
    assert [answer.body for answer in answers] == [str(i).encode() for i in range(10)]
    assert sizes == [4, 4, 2]
    assert len(threads) == 1 and threading.main_thread() not in threads
    assert ticks > 10
    ticking.cancel()
    await gather.close()


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (InputError("no such folder"), InputError, "^no such folder$"),
        (KeyError("x\ny"), FatalError, r"^the engine failed: KeyError: 'x\\ny'$"),
    ],
)
async def test_a_failure_is_everybody_s_and_the_next_batch_is_asked(raised, kind, says):
    def work(batch):
        if batch[0].request.messages[0]["content"] == "bad":
            raise raised
        return echo(batch)

    gather = Gather(work, 4)
    failed = await asyncio.gather(*[gather.answer(request("bad")) for _ in range(2)], return_exceptions=True)
    for error in failed:
        with pytest.raises(kind, match=says):
            raise error
    assert (await gather.answer(request("good"))).body == b"good"
    await gather.close()


async def test_a_cancelled_request_is_gone_from_its_batch_or_never_in_one():
    seen, begin = [], threading.Event()

    def work(batch):
        seen.append([one.request.messages[0]["content"] for one in batch])
        begin.set()
        while not batch[0].gone():
            time.sleep(0.001)
        return echo(batch)

    gather = Gather(work, 1)
    first, second = (asyncio.create_task(gather.answer(request(name))) for name in "ab")
    await asyncio.to_thread(begin.wait)
    second.cancel()
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    await gather.close()
    assert seen == [["a"]]


async def test_closing_breaks_off_what_waits():
    begin = threading.Event()

    def work(batch):
        begin.set()
        while not batch[0].gone():
            time.sleep(0.001)
        return echo(batch)

    gather = Gather(work, 1)
    tasks = [asyncio.create_task(gather.answer(request(name))) for name in "ab"]
    await asyncio.to_thread(begin.wait)
    await asyncio.wait_for(gather.close(), 5)
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in done)
