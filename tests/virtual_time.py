"""Endpoints in virtual time: a loop whose clock jumps to the next timer, and a service that is only waited for."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from synth_llm.mock import ideal
from synth_llm.models.limit import Limiter

Result = TypeVar("Result")

TRIP = 0.0005
"""Seconds that a request, or an answer, is on its way."""
WORKERS = 400
STUCK = 5.0
"""Real seconds without a timer or a thread's message after which a test is stuck."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Never waits for a timer: its clock jumps. Hears of other threads when nothing else is due."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0
        self._real_select = self._selector.select  # type: ignore[attr-defined]
        self._selector.select = self._select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now

    def _select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None:
            self._now += max(0.0, timeout)
            return []
        events: list[Any] = self._real_select(STUCK)
        if not events:
            raise RuntimeError("everybody waits, and nothing will happen")
        return events


def virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@dataclass
class Endpoint:
    """Serves `slots` at once and lets the rest wait; answers 429 above `cap` in flight, or faster than `rate`."""

    slots: int | None = None
    cap: int | None = None
    rate: float | None = None
    burst: float = 60.0
    latency: float = 0.2
    """Mean seconds of service, log-normal."""
    sigma: float = 0.5
    busy: float = 0.0
    """The share of requests that is answered 429, whatever is in flight."""
    broken: float = 0.0
    """The share that is answered 500."""
    retry_after: float | None = None
    """What a 429 asks for, in seconds."""
    seed: int = 0
    sent: list[float] = field(default_factory=list)
    """When requests came."""
    refused: list[float] = field(default_factory=list)
    """When the client heard of a 429."""
    answered: list[float] = field(default_factory=list)
    """When it heard of an answer."""
    service: list[float] = field(default_factory=list)
    """Seconds of service, in the order in which requests were let in."""
    inside: int = 0
    most_inside: int = 0
    _serving: int = 0
    _queue: deque[asyncio.Future[None]] = field(default_factory=deque)
    _full_at: float = -math.inf
    """When the bucket of `burst` was, or will be, full."""

    def __post_init__(self) -> None:
        self._chance, self._lengths = random.Random(self.seed), random.Random(self.seed + 1)

    async def call(self) -> int:
        """The HTTP status of an answer, after the time that it takes."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(TRIP)
        self.sent.append(loop.time())
        status = self._admitted(loop.time())
        if status == 200:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            await self._serve()
            self.inside -= 1
        await asyncio.sleep(TRIP)
        if status != 500:
            (self.answered if status == 200 else self.refused).append(loop.time())
        return status

    def _admitted(self, now: float) -> int:
        if self.cap is not None and self.inside >= self.cap:
            return 429
        if self.rate is not None:
            full_at = max(self._full_at, now) + 1 / self.rate
            if full_at > now + self.burst / self.rate + 1e-9:
                return 429
            self._full_at = full_at
        chance = self._chance.random()
        return 429 if chance < self.busy else 500 if chance < self.busy + self.broken else 200

    async def _serve(self) -> None:
        seconds = self._lengths.lognormvariate(math.log(self.latency) - self.sigma**2 / 2, self.sigma)
        self.service.append(seconds)
        if self.slots is not None and self._serving >= self.slots:
            turn = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            await turn
        self._serving += 1
        await asyncio.sleep(seconds)
        self._serving -= 1
        if self._queue and self._serving < (self.slots or 0):
            self._queue.popleft().set_result(None)


@dataclass
class Run:
    """What became of some rows."""

    seconds: float
    efficiency: float
    """Best possible time over time."""
    requests: float
    """A row."""


async def serve(endpoint: Endpoint, limiter: Limiter, rows: int, workers: int = WORKERS) -> Run:
    """Ask for all rows, as often as it takes; `workers` rows at once."""
    loop = asyncio.get_running_loop()
    began, left = loop.time(), iter(range(rows))

    async def worker() -> None:
        for _ in left:
            await ask(endpoint, limiter)

    await asyncio.gather(*(worker() for _ in range(workers)))
    seconds = loop.time() - began
    return Run(seconds, _best(endpoint, rows) / seconds, len(endpoint.sent) / rows)


async def ask(endpoint: Endpoint, limiter: Limiter, priority: int = 0) -> None:
    """Ask until there is an answer; 0.2 s after an error, again."""
    while True:
        turn = await limiter.acquire(priority)
        status = await endpoint.call()
        if status == 200:
            limiter.answered(turn)
            return
        if status == 429:
            limiter.refused(turn, endpoint.retry_after)
        else:
            limiter.failed(turn)
            await asyncio.sleep(0.2)


def _best(endpoint: Endpoint, rows: int) -> float:
    """Seconds that the rows need at least."""
    slots = endpoint.slots or endpoint.cap
    if slots:
        return ideal(endpoint.service, slots)
    return (rows - endpoint.burst) / endpoint.rate if endpoint.rate else 0.0
