"""How fast an endpoint is sent requests: what it was told to take, or what it is found to take."""

from __future__ import annotations

FIRST_STEP, LAST_STEP = 0.5, 0.04
"""How much faster a found rate is tried when nothing was refused: halved each time that it was too much."""
CLEAN = 2
"""Looks in a row that saw no refusal, after which each doubles the step: a rate found in a bad moment is soon left."""
LOOK, FEW, SOME = 50, 0.04, 0.08
"""Requests between two looks at what was refused; with fewer than the first part of them it goes faster, with more than
the second slower."""
SLOW_LOOK, RETURN_LOOK, LONGEST_LOOK = 30, 3, 1.0
"""At a low rate so many requests are enough, after so many seconds; fewer on the way back to a rate that was taken."""
REFUSED, TAKEN, SURE = 1.455, -0.284, 6.0
"""A cumulative sum test (Page, 1954): what a refusal and another request add to the evidence that 30 % are refused and
not 7 %, and when that is believed. About one in some thousand requests of an endpoint that refuses 5 % by chance gets
there; five refusals in a row do."""
ROUNDING = 1e-6
"""Parts of a request that are as good as none."""


class Pace:
    """At most `rate` a second, evenly; what was not used is kept, up to `burst`."""

    def __init__(self, rate: float, burst: float = 1.0, now: float = 0.0) -> None:
        self.rate, self.burst = rate, burst
        self._credit, self._at = burst, now

    def wait(self, now: float) -> float:
        """Seconds until the next one may go."""
        self._credit = min(self.burst, self._credit + (now - self._at) * self.rate)
        self._at = now
        missing = min(1.0, self.burst) - self._credit
        return missing / self.rate if missing > ROUNDING else 0.0

    def take(self, amount: float = 1.0) -> None:
        """One goes; `amount` of it may be more than there is: then the next ones wait."""
        self._credit -= amount


class FoundRate:
    """The rate of an endpoint that answers 429 to what comes too fast, found from how much of it is refused."""

    def __init__(self) -> None:
        self.pace: Pace | None = None
        self._step = FIRST_STEP
        self._since, self._sent, self._refused, self._evidence = -1.0, 0, 0, 0.0
        self._slowed, self._clean, self._before = 0.0, 0, 0.0

    def sent(self, now: float) -> None:
        """A request goes."""
        if self._since < 0:
            self._since = now
        self._sent += 1
        self._evidence = max(0.0, self._evidence + TAKEN)
        if self.pace is not None:
            self.pace.take()
        few = RETURN_LOOK if self._returning else SLOW_LOOK
        if self._sent >= LOOK or (self._sent >= few and now - self._since > LONGEST_LOOK):
            self._look(now)

    def refused(self, sent_at: float, now: float) -> None:
        """A request was refused, and not for the number in flight; what was sent before the last slowing is known."""
        if sent_at < self._slowed:
            return
        self._refused += 1
        self._evidence += REFUSED - TAKEN  # instead of what it added when it was sent
        taken = self._sent - self._refused
        if self._evidence > SURE and taken > 0 and now > self._since:  # where none is taken, pauses take care of it
            took = taken / (now - self._since)
            if self._clean or not self._before:
                self._before = took if self.pace is None else self.pace.rate
            if self.pace is not None:
                took = min(took, self.pace.rate)
                self._step = max(LAST_STEP, self._step / 2)
            self.pace = Pace(took, max(1.0, took), now)
            self.pace.take(self.pace.burst)
            self._slowed, self._clean = now, 0
            self._restart(now)

    def wait(self, now: float) -> float:
        """Seconds until the next request may go."""
        return self.pace.wait(now) if self.pace is not None else 0.0

    def _look(self, now: float) -> None:
        """Go faster when what was sent at this rate was taken."""
        pace = self.pace
        if pace is not None and self._refused > SOME * self._sent:
            pace.rate *= 1 - self._refused / self._sent
        elif pace is not None and self._refused <= FEW * self._sent:
            used = (self._sent + 1) / max(now - self._since, 1e-9) / pace.rate
            if used > 0.9:
                self._faster(pace)
            elif used < 0.5 and not self._refused:
                self.pace = None  # something else is the limit
        self._restart(now)

    @property
    def _returning(self) -> bool:
        """Whether the rate is far below one that was taken before, and nothing is refused."""
        return self.pace is not None and self.pace.rate < self._before / 2 and not self._refused

    def _faster(self, pace: Pace) -> None:
        self._clean = 0 if self._refused else min(self._clean + 1, CLEAN + 4)
        step = min(FIRST_STEP, self._step * 2 ** max(0, self._clean - CLEAN))
        pace.rate *= 2 if self._returning else 1 + step

    def _restart(self, now: float) -> None:
        self._since, self._sent, self._refused, self._evidence = now, 0, 0, 0.0


def per_minute(limit: float | None, seconds: float) -> Pace | None:
    """The pace of a cap that holds in every minute; what `seconds` allow may go at once."""
    if limit is None:
        return None
    burst = max(1.0, limit / 60 * seconds)
    return Pace((limit - burst + 1) / 60, burst)
