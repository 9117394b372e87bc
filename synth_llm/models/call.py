"""One model of a run: the journal before the engine, slots, retries and budget around it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from synth_llm.errors import FatalError, Passing, Reject, Stopped, SynthError
from synth_llm.journal import Journal
from synth_llm.models.budget import Budget, Spent
from synth_llm.models.limit import Limiter, Priority
from synth_llm.models.request import BAD_REQUEST, TEXT, Answer, Completion, Message, Model, Request, Schema, completion
from synth_llm.models.window import Sent
from synth_llm.row import canonical

SAME_REFUSALS = 5
"""So many identical 400s with no success before them prove that the request itself is wrong."""
FIRST_WAIT, LONGER, LONGEST_WAIT = 0.1, 2.5, 30.0
"""Seconds before the first retry, how many times as long before each next one, with jitter, and the most; unless the
endpoint says how long."""
SILENT = 5
"""So many requests that run out of retries, with no answer to any since, prove that it is the endpoint that fails."""
LONG = 10.0
"""Seconds of waiting for a busy endpoint that the user is told of."""
PATIENCE = 120.0
"""Seconds without an answer after which an endpoint that says it is busy is believed to stay so."""

_ONE = Spent(requests=1)


@dataclass
class Endpoint:
    """What the models behind one address or one set of weights share: the engine, its limiter, its first refusals."""

    open: Callable[[], Model]
    limiter: Limiter
    engine: Model | None = None
    answered: bool = False
    refused: list[tuple[str, bytes]] = field(default_factory=list)
    last_answer: float = 0.0
    """When an answer came last; seconds of the loop's clock."""
    busy_since: float | None = None
    """When it first refused our requests for being too many, since it last answered: not how long it was left alone."""
    given_up: int = 0
    """Requests that ran out of retries since."""
    say: Callable[[str], None] = lambda line: None
    """Tells the user one line."""
    said: bool = False
    """Whether the user was told that it is busy, since it last answered."""

    def started(self) -> Model:
        """The engine, started when the first request really has to be sent."""
        self.engine = self.engine or self.open()
        return self.engine


@dataclass
class Usage:
    """What one model did in this invocation, for one step or for all."""

    sent: int = 0
    replayed: int = 0
    shared: int = 0
    """Equal requests that waited for one answer."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0
    seconds: float = 0.0
    """How long the answers took, all together."""
    unreported: int = 0
    """Answers that did not say how many tokens they used."""
    reported: dict[str, int] = field(default_factory=dict)
    """The model names the server reported, and how often."""

    def add(self, other: Usage) -> None:
        """Add what another one counts."""
        for name in ("sent", "replayed", "shared", "prompt_tokens", "completion_tokens", "dollars", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.unreported += other.unreported
        for model, count in other.reported.items():
            self.reported[model] = self.reported.get(model, 0) + count


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
    retries: int = 8
    price: tuple[float, float] = (0.0, 0.0)
    """Dollars a million prompt tokens, and answer tokens."""
    chat: bool = True
    """Whether the model is asked for chat completions, or to go on with a text."""
    repairs: int = 0
    """How often an answer that cannot be read is shown to the model with what is wrong."""
    usages: dict[str, Usage] = field(default_factory=dict)
    """By step."""
    _changed: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def usage(self) -> Usage:
        """Of all steps."""
        total = Usage()
        for usage in self.usages.values():
            total.add(usage)
        return total

    def request(
        self,
        messages: Sequence[Message],
        schema: Schema | None,
        row_id: str,
        sample: int,
        attempt: int,
        repair: int = 0,
        changed: Mapping[str, Any] | None = None,
    ) -> Request:
        """The logical request for one sample of one row; `repair` tells those apart that show the same wrong answer.

        With sampling parameters `changed` from the model's own.
        """
        sampling = self._with(changed) if changed else self.sampling
        draw: tuple[int | str, ...] | None = (self.seed, row_id, sample, attempt, *([repair] if repair else ()))
        if sampling.get("temperature") == 0:
            draw = (attempt,) if attempt else None
        if not self.chat and not any(message["role"] == TEXT for message in messages):
            if any(message["role"] != "user" for message in messages):
                raise FatalError(
                    f"model {self.name}: `api: completions` goes on with a text; this prompt has a system message or "
                    "worked answers, which need a chat model"
                )
            messages = [{"role": TEXT, "content": "".join(message["content"] for message in messages)}]
        return Request(self.model, tuple(messages), sampling, self.revision, schema, draw)

    def _with(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """The sampling parameters, changed: one object for all its requests, which encode it once."""
        return self._changed.setdefault(canonical(changed), {**self.sampling, **changed})

    def known(self, request: Request) -> Answer | None:
        """The answer a journal holds."""
        answer = self.journal.get(request.key)
        for other in self.others:
            answer = answer or other.get(request.key)
        return answer

    async def ask(self, request: Request, priority: Priority, step: str) -> Asked:
        """The answer, for a step. Raises Stopped, FatalError, or Reject as `unavailable`."""
        usage = self.usages.get(step)
        if usage is None:
            usage = self.usages[step] = Usage()
        answer = self.known(request)
        if answer is not None:
            usage.replayed += 1
            if self.others and self.journal.get(request.key) is None:  # the run folder is to replay on its own
                await self.journal.put(request, answer, 0, 0)
            return Asked(answer, completion(answer), replayed=True)
        if request.sampling.get("temperature") != 0:  # no other request is equal
            return await self._send(request, priority, usage)
        waiting = self.inflight.get(request.key)
        if waiting is not None:
            usage.shared += 1
            return await asyncio.shield(waiting)
        future = self.inflight[request.key] = asyncio.get_running_loop().create_future()
        try:
            asked = await self._send(request, priority, usage)
            future.set_result(asked)
            return asked
        except BaseException as error:
            future.set_exception(error if isinstance(error, SynthError) else asyncio.CancelledError())
            future.exception()  # seen: nobody may be waiting
            raise
        finally:
            del self.inflight[request.key]

    async def _send(self, request: Request, priority: Priority, usage: Usage) -> Asked:
        """Send until there is a final answer; it is on disk before anybody reads it.

        To be refused because others were sent too much is no failure of the request: it waits for its turn again, for
        as long as the endpoint answers anybody.
        """
        limiter = self.endpoint.limiter
        want, left, wait, began = self._most(request), self.retries, FIRST_WAIT, -1.0
        while True:
            sent = await limiter.acquire(priority, want.tokens)
            began = sent.at if began < 0 else began
            try:
                return await self._once(request, want, usage, sent)
            except Passing as error:
                if error.busy:
                    limiter.refused(sent, error.retry_after, limited=error.limited)
                else:
                    limiter.failed(sent)
                if error.limited:
                    self._patient(error, asyncio.get_running_loop().time())
                    continue
                left -= 1
                if left < 0:
                    raise self._out_of_retries(error, began) from error
                pause = random.uniform(0.75, 1.25) * min(wait, LONGEST_WAIT)
                if error.retry_after is not None:
                    pause = error.retry_after * random.uniform(1.0, 1.25)
            await self.budget.pause(pause)
            wait *= LONGER

    def _patient(self, error: Passing, now: float) -> None:
        """Raises Stopped when the endpoint has refused everybody for so long that it will not take more."""
        endpoint = self.endpoint
        if endpoint.busy_since is None:
            endpoint.busy_since = now
        silent = now - endpoint.busy_since
        if max(silent, error.retry_after or 0.0) > LONG and not endpoint.said:
            endpoint.said = True
            endpoint.say(f"model {self.name}: the endpoint is busy; waiting ({error})")
        if silent > PATIENCE + (error.retry_after or 0.0):
            self._stop(f"no answer for {silent:.0f} s, the last was: {error}")

    def _out_of_retries(self, error: Passing, began: float) -> SynthError:
        """What to raise: for this row, or when nothing else is answered either, for the run."""
        endpoint = self.endpoint
        if endpoint.last_answer <= began:
            endpoint.given_up += 1
            if endpoint.given_up >= SILENT:
                self._stop(f"no answer to {endpoint.given_up} requests, each sent {self.retries + 1} times: {error}")
        return Reject("unavailable", str(error))

    def _stop(self, why: str) -> None:
        """The endpoint makes no progress: nothing more is asked, and the run resumes when it is run again."""
        self.budget.halt(f"model {self.name}: {why}; run again to go on")
        raise Stopped(self.budget.stop)

    async def _once(self, request: Request, want: Spent, usage: Usage, sent: Sent) -> Asked:
        """Send once. Raises Passing, and leaves it to the caller to give the place in flight back."""
        try:
            engine = self.endpoint.started()
            await self.budget.reserve(want)
        except BaseException:
            self.endpoint.limiter.failed(sent)
            raise
        used = Spent(requests=1)
        try:
            usage.sent += 1
            self.journal.spend(requests=1)
            try:
                answer = await engine.answer(request)
            except Passing:
                raise
            except BaseException:
                self.endpoint.limiter.failed(sent)
                raise
            said = completion(answer)
            self._answered(sent, said, answer.pause, usage)
            used.tokens = said.prompt_tokens + said.completion_tokens
            used.dollars = cost = self.cost(said.prompt_tokens, said.completion_tokens)
            if not used.tokens and answer.status == 200:  # not reported: what it may have used counts
                used.tokens, used.dollars = want.tokens, want.dollars
                self.journal.spend(prompt_tokens=want.tokens, dollars=want.dollars)
            self._count(said, cost, usage)
            try:
                await self.journal.put(request, answer, said.prompt_tokens, said.completion_tokens, cost)
            finally:
                self.endpoint.limiter.saved()
        finally:
            self.budget.settle(want, used)
        self._judge(request, answer, said)
        return Asked(answer, said)

    def _answered(self, sent: Sent, said: Completion, pause: float, usage: Usage) -> None:
        endpoint = self.endpoint
        used = said.prompt_tokens + said.completion_tokens
        endpoint.last_answer = endpoint.limiter.answered(sent, used, pause, unsaved=True)
        endpoint.busy_since, endpoint.given_up, endpoint.said = None, 0, False
        usage.seconds += endpoint.last_answer - sent.at

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars."""
        return (prompt_tokens * self.price[0] + completion_tokens * self.price[1]) / 1e6

    def _most(self, request: Request) -> Spent:
        """The most a request can use: a token is at least one byte, and a template adds a few a message."""
        limits = self.budget.limits
        if limits.tokens is None and limits.dollars is None and not self.endpoint.limiter.counts_tokens:
            return _ONE
        prompt = sum(len(message["content"].encode()) + 16 for message in request.messages)
        answer = int(self.sampling.get("max_tokens", 0))
        return Spent(requests=1, tokens=prompt + answer, dollars=self.cost(prompt, answer))

    def _count(self, said: Completion, cost: float, usage: Usage) -> None:
        usage.prompt_tokens += said.prompt_tokens
        usage.completion_tokens += said.completion_tokens
        usage.dollars += cost
        usage.unreported += not said.prompt_tokens and not said.reason
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
