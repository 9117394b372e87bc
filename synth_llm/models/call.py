"""One model of a run: the journal before the engine, slots, retries and budget around it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from synth_llm.errors import FatalError, Passing, Reject, SynthError
from synth_llm.journal import Journal
from synth_llm.models.budget import Budget, Priority, Slots, Spent
from synth_llm.models.request import BAD_REQUEST, Answer, Completion, Message, Model, Request, Schema, completion

SAME_REFUSALS = 5
"""So many identical 400s with no success before them prove that the request itself is wrong."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the first retry, doubled each time with jitter, and the most; unless the endpoint says how long."""


@dataclass
class Endpoint:
    """What the models behind one address or one set of weights share: the engine, its slots, its first refusals."""

    open: Callable[[], Model]
    slots: Slots
    engine: Model | None = None
    answered: bool = False
    refused: list[tuple[str, bytes]] = field(default_factory=list)

    def started(self) -> Model:
        """The engine, started when the first request really has to be sent."""
        self.engine = self.engine or self.open()
        return self.engine


@dataclass
class Usage:
    """What one model did in this invocation."""

    sent: int = 0
    replayed: int = 0
    shared: int = 0
    """Equal requests that waited for one answer."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0
    reported: dict[str, int] = field(default_factory=dict)
    """The model names the server reported, and how often."""


class Asked(NamedTuple):
    """An answer, as it came and as read, and whether a journal had it."""

    answer: Answer
    said: Completion
    replayed: bool = False


@dataclass
class Caller:
    """Asks one named model of a recipe: what the journal holds is never asked again."""

    name: str
    model: str
    revision: str
    sampling: dict[str, Any]
    endpoint: Endpoint
    journal: Journal
    others: Sequence[Journal]
    budget: Budget
    inflight: dict[str, asyncio.Future[Asked]]
    seed: int = 0
    retries: int = 6
    price: tuple[float, float] = (0.0, 0.0)
    """Dollars a million prompt tokens, and answer tokens."""
    usage: Usage = field(default_factory=Usage)

    @property
    def greedy(self) -> bool:
        """Whether equal requests have one answer."""
        return self.sampling.get("temperature") == 0

    def request(
        self, messages: Sequence[Message], schema: Schema | None, row_id: str, sample: int, attempt: int
    ) -> Request:
        """The logical request for one sample of one row."""
        draw: tuple[int | str, ...] | None = (self.seed, row_id, sample, attempt)
        if self.greedy:
            draw = (attempt,) if attempt else None
        return Request(self.model, tuple(messages), self.sampling, self.revision, schema, draw)

    def known(self, request: Request) -> Answer | None:
        """The answer a journal holds."""
        answer = self.journal.get(request.key)
        for other in self.others:
            answer = answer or other.get(request.key)
        return answer

    async def ask(self, request: Request, priority: Priority) -> Asked:
        """The answer. Raises Stopped, FatalError, or Reject as `unavailable`."""
        answer = self.known(request)
        if answer is not None:
            self.usage.replayed += 1
            if self.others and self.journal.get(request.key) is None:  # the run folder is to replay on its own
                await self.journal.put(request, answer, 0, 0)
            return Asked(answer, completion(answer), replayed=True)
        if not self.greedy:  # no other request is equal
            return await self._send(request, priority)
        waiting = self.inflight.get(request.key)
        if waiting is not None:
            self.usage.shared += 1
            return await asyncio.shield(waiting)
        future = self.inflight[request.key] = asyncio.get_running_loop().create_future()
        try:
            asked = await self._send(request, priority)
            future.set_result(asked)
            return asked
        except BaseException as error:
            future.set_exception(error if isinstance(error, SynthError) else asyncio.CancelledError())
            future.exception()  # seen: nobody may be waiting
            raise
        finally:
            del self.inflight[request.key]

    async def _send(self, request: Request, priority: Priority) -> Asked:
        """Send until there is a final answer; it is committed before its slot is free."""
        wait = FIRST_WAIT
        for left in range(self.retries, -1, -1):
            await self.endpoint.slots.acquire(priority)
            try:
                return await self._once(request)
            except Passing as error:
                if not left:
                    raise Reject("unavailable", str(error)) from error
                pause = error.retry_after
            finally:
                self.endpoint.slots.release()
            pause = min(wait, LONGEST_WAIT) if pause is None else pause
            await asyncio.sleep(pause * random.uniform(1.0, 1.25))
            wait *= 2
        raise AssertionError("unreachable")

    async def _once(self, request: Request) -> Asked:
        engine, want = self.endpoint.started(), self._most(request)
        await self.budget.reserve(want)
        used = Spent(requests=1)
        try:
            self.usage.sent += 1
            self.journal.spend(requests=1)
            answer = await engine.answer(request)
            said = completion(answer)
            used.tokens = said.prompt_tokens + said.completion_tokens
            used.dollars = self.cost(said.prompt_tokens, said.completion_tokens)
            self._count(said, used.dollars)
            await self.journal.put(request, answer, said.prompt_tokens, said.completion_tokens, used.dollars)
        finally:
            self.budget.settle(want, used)
        self._judge(request, answer, said)
        return Asked(answer, said)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars."""
        return (prompt_tokens * self.price[0] + completion_tokens * self.price[1]) / 1e6

    def _most(self, request: Request) -> Spent:
        """The most a request can use: a token is at least one byte, and a template adds a few a message."""
        limits = self.budget.limits
        if limits.tokens is None and limits.dollars is None:
            return Spent(requests=1)
        prompt = sum(len(message["content"].encode()) + 16 for message in request.messages)
        answer = int(self.sampling.get("max_tokens", 0))
        return Spent(requests=1, tokens=prompt + answer, dollars=self.cost(prompt, answer))

    def _count(self, said: Completion, dollars: float) -> None:
        usage = self.usage
        usage.prompt_tokens += said.prompt_tokens
        usage.completion_tokens += said.completion_tokens
        usage.dollars += dollars
        usage.reported[said.model] = usage.reported.get(said.model, 0) + 1

    def _judge(self, request: Request, answer: Answer, said: Completion) -> None:
        """Raises FatalError when the first answers are identical refusals: the request itself is wrong."""
        endpoint = self.endpoint
        if endpoint.answered:
            return
        if answer.status not in BAD_REQUEST:
            endpoint.answered, endpoint.refused = True, []
            return
        endpoint.refused.append((request.key, answer.body))
        same = [key for key, body in endpoint.refused if body == answer.body]
        if len(same) >= SAME_REFUSALS:
            self.journal.forget(same)
            raise FatalError(f"model {self.name}: {len(same)} identical refusals and no answer: {said.detail}")
