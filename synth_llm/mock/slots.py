"""Who is served when: so many at once, the rest in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from synth_llm.errors import InputError
from synth_llm.mock.answer import Reply
from synth_llm.mock.http import Connection
from synth_llm.mock.stats import Stats

if TYPE_CHECKING:
    import asyncio


@dataclass(slots=True, eq=False)
class Call:
    """A request that was let in, with the reply that it will get."""

    connection: Connection
    reply: Reply
    seconds: float
    """Its service time."""
    arrived: float
    cut: bool = False
    """Whether the connection closes amid the answer."""
    begun: float = 0.0
    timer: asyncio.TimerHandle | None = None
    gone: bool = False
    """Whether the client went away while it waited."""


class Slots:
    """Serves at most `stats.slots` calls at once and hands each to `done` when its service time is over.

    Where calls wait, the next service begins at the very moment at which the one before should have ended, so that a
    timer that is late by a fraction of a millisecond makes no slot idle. Raises InputError on a number below 1.
    """

    def __init__(self, stats: Stats, done: Callable[[Call], None]) -> None:
        if stats.slots is not None and stats.slots < 1:
            raise InputError(f"slots {stats.slots}: at least 1")
        self._stats, self._done = stats, done
        self._waiting: deque[Call] = deque()

    def enter(self, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        """Serve a call, now or when a slot is free."""
        self._loop = loop
        if self._stats.slots is not None and self._stats.in_service >= self._stats.slots:
            self._waiting.append(call)
        else:
            self._begin(call, call.arrived, at_once=not call.seconds)

    def leave(self, call: Call) -> None:
        """Drop a call whose client went away."""
        if call.timer is None:
            call.gone = True
            return
        call.timer.cancel()
        now = monotonic()
        self._end(call, max(0.0, now - call.begun), now)

    def _begin(self, call: Call, when: float, *, at_once: bool = False) -> None:
        stats = self._stats
        stats.in_service += 1
        stats.most_in_service = max(stats.most_in_service, stats.in_service)
        call.begun = when
        if at_once:
            self._finish(call)
        else:
            left = when + call.seconds - monotonic()
            call.timer = self._loop.call_later(max(0.0, left), self._finish, call)

    def _finish(self, call: Call) -> None:
        self._done(call)
        self._end(call, call.seconds, call.begun + call.seconds)

    def _end(self, call: Call, held: float, when: float) -> None:
        """Free the slot of a call at `when`."""
        self._stats.in_service -= 1
        self._stats.busy += held
        while self._waiting:
            following = self._waiting.popleft()
            if not following.gone:
                self._begin(following, max(following.arrived, when))
                return
