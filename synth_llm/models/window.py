"""How many requests an endpoint is best sent at once, found from what it answers.

Slow start as in TCP (RFC 5681, section 3.1): one more for each answer, so that the number doubles every round trip,
until throughput no longer grows with it, or the endpoint refuses. Then it is held, and now and then a little more is
tried.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

START, MOST = 32, 1024
"""Requests in flight at first, and ever, at an endpoint whose limit nobody told."""
ENOUGH = 24
"""Answers that a measurement needs at least: with fewer, chance decides."""
GROWN = 1.5
"""Measurements are compared when so many times more was in flight."""
WORTH = 0.3
"""Growth goes on while throughput gains at least this part of what the number in flight gained."""
ROOM = 1.25
"""Held above what last paid, so that the endpoint always has somebody to serve next."""
FIRST_GAP, LONGEST_GAP = 2, 64
"""Round trips between two trials of more: doubled after each that did not pay."""
SURE = 3
"""Refusals, and more than answers, from a number in flight on, until the endpoint is believed to allow less."""
APART = 20.0
"""How many times as long as a trial that failed made everybody wait, until the next."""
_GROWING, _HELD, _REFUSED = "growing", "held", "refused"
"""How the size stands: it grows; throughput no longer grew with it; the endpoint refused more."""


@dataclass(slots=True)
class Sent:
    """A request in flight."""

    number: int
    """How many were in flight when it was sent, itself included."""
    at: float
    """Seconds, of the loop's clock."""
    turn: int
    """Which request to this endpoint it was."""
    tokens: int = 0
    """The most that it may use."""


@dataclass(slots=True)
class _Level:
    """A throughput (answers a second), and the number in flight that it was measured at."""

    number: float
    rate: float


class Window:
    """The number of requests that may be in flight: `size`, between 1 and `most`."""

    def __init__(self, start: int, most: int) -> None:
        self.size, self.most = min(start, most), most
        self._phase = _GROWING
        self._base: _Level | None = None
        self._before_trial = 0
        self._gap = self._rest = FIRST_GAP
        self._step, self._next_round, self._not_before = 1, 0, 0.0
        self._decided, self._proved = 0, most  # when a refusal last changed the size, and what is allowed since
        self._latency = 0.0
        self._began = -1.0
        self._answers = self._numbers = 0
        self._sent, self._sent_before = Counter[int](), Counter[int]()
        self._refused, self._refused_before = Counter[int](), Counter[int]()

    def sent(self, number: int) -> None:
        """A request goes, as this one of those in flight."""
        self._sent[number] += 1

    def answered(self, sent: Sent, now: float, used: int, turn: int, wanted: bool) -> None:
        """Take note of an answer: `used` were in flight with it, `turn` requests were sent so far, and `wanted` tells
        whether more would be sent at once."""
        if self._phase == _GROWING:
            if wanted and used >= self.size < self.most:
                self.size += 1
        elif self._phase == _REFUSED:
            self._after_refusal(sent, min(sent.number, used), turn, wanted)
        latency = now - sent.at
        self._latency += (latency - self._latency) * (0.05 if self._latency else 1.0)
        if self._began < 0:
            self._began = now
            return
        self._answers += 1
        self._numbers += used
        span = now - self._began
        if self._answers >= ENOUGH and span >= self._latency:
            level = _Level(self._numbers / self._answers, self._answers / span)
            self._restart(now)
            if self._before_trial or self.size < self.most:
                self._measured(level)

    def refused(self, sent: Sent, used: int, turn: int, pause: float) -> bool:
        """Take note of a refusal, which costs everybody a pause of so many seconds; `used` were in flight with it.

        Returns whether the number in flight explains it. It does not when as few were allowed before, and this one was
        sent after that: then the endpoint refuses for another reason, such as a rate. (`used`, not the number at
        sending: of a burst, the network decides which ones the endpoint sees first, but what is left in flight is what
        it took.)
        """
        self._refused[used] += 1
        explained = sent.turn <= self._decided or used > self._proved
        allowed = self._allowed()
        if allowed < self.size:
            self.size = self._proved = allowed
            if self._phase == _REFUSED and sent.turn >= self._next_round:
                self._gap = min(2 * self._gap, LONGEST_GAP)
            self._phase, self._step, self._rest = _REFUSED, 1, self._gap
            self._next_round = self._decided = turn
            self._not_before = sent.at + APART * pause
        return explained

    def _allowed(self) -> int:
        """The number in flight above which most of what was sent lately was refused."""
        margin, best, allowed = 0, SURE - 1, self.most
        refused, sent = self._refused + self._refused_before, self._sent + self._sent_before
        for number in sorted(refused.keys() | sent.keys(), reverse=True):
            margin += 2 * refused[number] - sent[number]
            if margin > best:
                best, allowed = margin, max(1, number - 1)
        return allowed

    def _after_refusal(self, sent: Sent, used: int, turn: int, wanted: bool) -> None:
        """Try more after some round trips: one, then two, four, and when all that is taken, grow as at the start."""
        if used > self._proved:
            self._proved = min(used, self.most)
            self.size = max(self.size, self._proved)  # so much is not refused after all
        if sent.turn < self._next_round:
            return
        self._next_round = turn
        self._rest -= 1
        if self._rest > 0 or not wanted or sent.at < self._not_before:
            return
        if self._step > 4:
            self._phase, self._base, self._gap = _GROWING, None, FIRST_GAP
            return
        self.size = min(self.most, self.size + self._step)
        self._step, self._rest = 2 * self._step, 2

    def _restart(self, now: float) -> None:
        self._sent_before, self._sent = self._sent, Counter()
        self._refused_before, self._refused = self._refused, Counter()
        self._began, self._answers, self._numbers = now, 0, 0

    def _measured(self, level: _Level) -> None:
        base = self._base
        if self._phase == _GROWING:
            if base is None:
                self._base = level
            elif level.number >= GROWN * base.number:
                self._base = level
                if _gain(base, level) < WORTH:
                    self.size = max(1, min(self.size, round(ROOM * base.number)))
                    self._hold()
        elif self._phase == _HELD:
            if self._before_trial:
                self._judge_trial(level)
            elif self._rest > 0:
                self._rest, self._base = self._rest - 1, level
            else:
                self._before_trial = self.size
                self.size = min(self.most, self.size + max(1, self.size // 4))

    def _judge_trial(self, level: _Level) -> None:
        base = self._base
        if base is not None and level.number > base.number and _gain(base, level) >= 2 * WORTH:
            self._phase, self._before_trial, self._base, self._gap = _GROWING, 0, level, FIRST_GAP
            return
        self.size = self._before_trial
        self._gap = min(2 * self._gap, LONGEST_GAP)
        self._hold()

    def _hold(self) -> None:
        self._phase, self._before_trial, self._base, self._rest = _HELD, 0, None, self._gap


def _gain(base: _Level, level: _Level) -> float:
    """How much of the growth in flight came back as growth of throughput: 1 all, 0 none."""
    return (level.rate / base.rate - 1) / max(level.number / base.number - 1, 1e-9)
