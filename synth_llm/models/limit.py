"""One endpoint's limiter: who may send now, shared by all models and steps that ask there."""

from __future__ import annotations

import asyncio
import heapq
import random
from typing import NamedTuple

from synth_llm.models.pace import FoundRate, per_minute
from synth_llm.models.window import MOST, START, Sent, Window

Priority = int
"""Minus the step's number: the deepest step goes first, and among equals who came first."""

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 30.0
"""Seconds for which nobody sends after a refusal that does not say how long, doubled while nothing is answered."""
AT_ONCE, TOKENS_AT_ONCE = 0.1, 1.0
"""What so many seconds allow may go at once, under a cap a minute; of tokens more, because one request takes many."""
UNSAVED = 32
"""Of so many in flight one more may be sent before the last answer is on disk, so that the endpoint need not wait for
the disk; with fewer, none."""
FOREVER = float("inf")


class _Turn(NamedTuple):
    """A request that waits."""

    priority: Priority
    order: int
    tokens: int
    admitted: asyncio.Future[Sent]


class Limiter:
    """Lets requests go when the endpoint will take them.

    `most` is the number in flight that the user allows, and then also where it starts; without it the best number is
    found. `requests` and `tokens` are caps a minute. What is let go by `acquire` comes back by `answered`, `refused` or
    `failed`, once.
    """

    def __init__(self, most: int | None = None, *, requests: float | None = None, tokens: float | None = None) -> None:
        self.window = Window(most or START, most or MOST)
        self.used = 0
        """Requests at the endpoint."""
        self.unsaved = 0
        """Answers that are not on disk yet: a kill would lose them too."""
        self._found = FoundRate()
        self._requests, self._tokens = per_minute(requests, AT_ONCE), per_minute(tokens, TOKENS_AT_ONCE)
        self._waiting: list[_Turn] = []
        self._count = self._sent = 0
        self._refused_at = self._paused_until = 0.0
        self._refusals = 0
        self._timer: asyncio.TimerHandle | None = None
        self._opened = self._shallow_first = False
        self._loop: asyncio.AbstractEventLoop  # the one that `acquire` was called in last

    async def acquire(self, priority: Priority, tokens: int = 0) -> Sent:
        """Wait for a turn. `tokens` is the most that the request can use, for a cap on tokens."""
        loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._waiting and not self._blocked(now):
            return self._go(now, tokens)
        self._count += 1
        turn = _Turn(-priority if self._shallow_first else priority, self._count, tokens, loop.create_future())
        heapq.heappush(self._waiting, turn)
        self._let_go()
        try:
            return await turn.admitted
        except asyncio.CancelledError:
            if turn.admitted.done() and not turn.admitted.cancelled():
                self.failed(turn.admitted.result())
            raise

    def answered(self, sent: Sent, tokens: int = 0, pause: float = 0.0, *, unsaved: bool = False) -> float:
        """The endpoint answered, whatever it said: it used so many `tokens`, and takes no more for `pause` seconds.

        With `unsaved`, `saved` is called when the answer is on disk. Returns the time, in seconds of the loop's clock.
        """
        now, used = self._loop.time(), self.used
        self.used -= 1
        self.unsaved += unsaved
        if self._tokens is not None:
            self._tokens.take(tokens - sent.tokens)
        if pause:
            self._pause(pause)
        self._refusals = 0
        self.window.answered(sent, now, used, self._sent, bool(self._waiting))
        self._let_go()
        return now

    def saved(self) -> None:
        """An answer is on disk, or was given up."""
        self.unsaved -= 1
        if self._waiting:
            self._let_go()

    def refused(self, sent: Sent, retry_after: float | None = None, *, limited: bool = True) -> None:
        """The endpoint refused for now: for `retry_after` seconds, if it says so, nobody sends.

        `limited`: it refuses our requests because of how many they are (429), and would refuse the next one too. Else
        it is only known to be overloaded (503).
        """
        now, used = self._loop.time(), self.used
        self.used -= 1
        explained = self.window.refused(sent, used, self._sent, retry_after or 0.0)
        if limited and not explained:
            self._found.refused(sent.at, now)
        if limited and sent.at >= self._refused_at:
            self._refusals, self._refused_at = min(self._refusals + 1, 16), now
            if not self.used or (self._refusals > 1 and not explained):
                self._pause(min(FIRST_PAUSE * 2**self._refusals, LONGEST_PAUSE))
        if retry_after is not None:
            self._pause(retry_after)
        self._let_go()

    def failed(self, sent: Sent) -> None:
        """No answer, for a reason that says nothing about load; or the request was given up."""
        self.used -= 1
        self._let_go()

    def _pause(self, seconds: float) -> None:
        """Nobody sends for so long, and a little more by chance, so that not all clients come back at once."""
        until = self._loop.time() + seconds * random.uniform(1.0, 1.1)
        self._paused_until = max(self._paused_until, until)

    def shallow_first(self, on: bool) -> None:
        """Turn the order around, or back: when no new rows come, those with the longest way to go should go first."""
        if on != self._shallow_first:
            self._shallow_first = on
            self._waiting = [turn._replace(priority=-turn.priority) for turn in self._waiting]
            heapq.heapify(self._waiting)

    def open(self) -> None:
        """Let everybody go: the run asks nothing more, so that those who wait only have to hear of it."""
        self._opened = True
        self._let_go()

    @property
    def size(self) -> int:
        """How many may be in flight now."""
        return self.window.size

    @property
    def counts_tokens(self) -> bool:
        """Whether there is a cap on tokens."""
        return self._tokens is not None

    def _blocked(self, now: float) -> float:
        """Seconds until a request may go, as far as they are known: 0 now, FOREVER when something must happen first."""
        if self._opened:
            return 0.0
        size = self.window.size
        if self.used >= size or self.used + self.unsaved >= size + size // UNSAVED or (self._refusals and self.used):
            return FOREVER
        wait = max(self._paused_until - now, self._found.wait(now))
        for pace in (self._requests, self._tokens):
            if pace is not None:
                wait = max(wait, pace.wait(now))
        return max(0.0, wait)

    def _go(self, now: float, tokens: int) -> Sent:
        self.used += 1
        self._sent += 1
        self.window.sent(self.used)
        self._found.sent(now)
        if self._requests is not None:
            self._requests.take()
        if self._tokens is not None:
            self._tokens.take(tokens)
        return Sent(self.used, now, self._sent, tokens)

    def _let_go(self) -> None:
        """Let those go who may, and come back when the next one may."""
        if not self._waiting:
            return
        now = self._loop.time()
        while self._waiting:
            if self._waiting[0].admitted.done():  # cancelled meanwhile
                heapq.heappop(self._waiting)
                continue
            wait = self._blocked(now)
            if wait:
                if wait < FOREVER and (self._timer is None or self._timer.when() > now + wait):
                    if self._timer is not None:
                        self._timer.cancel()
                    self._timer = self._loop.call_at(now + wait, self._on_timer)
                return
            turn = heapq.heappop(self._waiting)
            turn.admitted.set_result(self._go(now, turn.tokens))

    def _on_timer(self) -> None:
        self._timer = None
        self._let_go()
