"""Requests in flight, gathered into batches for an engine that answers one batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from synth_llm.errors import FatalError, SynthError
from synth_llm.models.request import Answer, Request
from synth_llm.row import canonical

PAUSE = 0.02
"""Seconds without a new request after which a batch that is not full begins: rows come back one after the other."""


@dataclass(eq=False)
class Waiting:
    """A request and who waits for its answer."""

    request: Request
    future: asyncio.Future[Answer]

    def gone(self) -> bool:
        """Whether nobody waits any more. May be asked from any thread."""
        return self.future.done()


Work = Callable[[Sequence[Waiting]], list[Answer]]
"""Answers one batch, in a thread of its own."""


class Gather:
    """All that wait when a batch ends become the next one, at most `size` of them; one thread works."""

    def __init__(self, work: Work, size: int) -> None:
        self._work, self._size = work, size
        self._waiting: list[Waiting] = []
        self._thread = ThreadPoolExecutor(1, "synth-llm-batch")
        self._running: asyncio.Task[None] | None = None

    async def answer(self, request: Request) -> Answer:
        """Answer one request. Raises what the work raised, as an error of ours."""
        one = Waiting(request, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        try:
            return await one.future
        finally:
            if one in self._waiting:
                self._waiting.remove(one)

    async def close(self) -> None:
        """Answer nothing more; the batch at work ends at its next look at who has gone."""
        for one in self._waiting:
            one.future.cancel()
        if self._running is not None:
            self._running.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self) -> None:
        """Work until nobody waits."""
        while self._waiting:
            await self._gathered()
            batch = next_batch(self._waiting, self._size)
            self._waiting = [one for one in self._waiting if one not in batch]
            try:
                await self._answered(batch)
            finally:
                for one in batch:  # those that are left when this task is broken off
                    one.future.cancel()

    async def _gathered(self) -> None:
        """Wait while more requests come."""
        before = -1
        while before < len(self._waiting) < self._size:
            before = len(self._waiting)
            await asyncio.sleep(PAUSE)

    async def _answered(self, batch: Sequence[Waiting]) -> None:
        """Let the thread answer one batch, and hand the answers out."""
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, self._work, batch)
        except SynthError as error:
            _fail(batch, error)
        except Exception as error:  # of the library at work: whatever it is, it ends the run in one line
            _fail(batch, FatalError(f"the engine failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"))
        else:
            for one, answer in zip(batch, answers, strict=True):
                if not one.gone():
                    one.future.set_result(answer)


def _fail(batch: Sequence[Waiting], error: SynthError) -> None:
    for one in batch:
        if not one.gone():
            one.future.set_exception(error)


def next_batch(waiting: Sequence[Waiting], size: int) -> list[Waiting]:
    """The oldest request, and those that sample as it does, the nearest in length first: little is padded."""
    oldest = waiting[0].request
    alike = [one for one in waiting if _form(one.request) == _form(oldest)]
    return sorted(alike, key=lambda one: abs(_length(one.request) - _length(oldest)))[:size]


def _form(request: Request) -> tuple[str, bool]:
    """What is equal for all rows of a batch."""
    return canonical(request.sampling), request.schema is None


def _length(request: Request) -> int:
    """Characters: near enough to tokens, and known before a tokenizer is."""
    return sum(len(message["content"]) for message in request.messages)
