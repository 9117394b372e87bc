"""How much may be asked: hard limits over all invocations of a run folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from synth_llm.errors import Stopped


class Limits(BaseModel):
    """Hard limits, over all invocations of a run folder. What is not given is not limited."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int | None = Field(default=None, ge=0)
    """Requests sent, retries included."""
    tokens: int | None = Field(default=None, ge=0)
    """Prompt and answer tokens. A request reserves its prompt's bytes and its `max_tokens` before it is sent."""
    dollars: float | None = Field(default=None, ge=0)
    """By the `price` of each model."""
    seconds: float | None = Field(default=None, ge=0)
    """Time spent running."""
    candidates: int | None = Field(default=None, ge=0)
    """Source rows taken up."""


@dataclass
class Spent:
    """What was used: over all invocations, or reserved by one request."""

    requests: int = 0
    tokens: int = 0
    dollars: float = 0.0
    seconds: float = 0.0

    def add(self, other: Spent, sign: int = 1) -> None:
        """Add what another one counts (`sign=-1`: take it off)."""
        self.requests += sign * other.requests
        self.tokens += sign * other.tokens
        self.dollars += sign * other.dollars


@dataclass
class Budget:
    """Lets a request through only when all limits hold even if it uses everything it reserved."""

    limits: Limits
    spent: Spent
    """Earlier invocations and this one's finished requests."""
    reserved: Spent = field(default_factory=Spent)
    stop: str = ""
    """Why nothing more may be asked; empty while asking goes on."""
    started: float = field(default_factory=time.monotonic)
    on_halt: list[Callable[[], None]] = field(default_factory=list)
    """What else to wake when nothing more may be asked."""
    _freed: asyncio.Event = field(default_factory=asyncio.Event)
    _halted: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, want: Spent) -> None:
        """Reserve, waiting while what is in flight may still free enough. Raises Stopped when it cannot."""
        while True:
            if self.stop:
                raise Stopped(self.stop)
            short = self._short(want)
            if not short:
                self.reserved.add(want)
                return
            if not self.reserved.requests or short == "seconds":
                self.halt(self._reached(short))
                raise Stopped(self.stop)
            self._freed.clear()
            await self._freed.wait()

    def settle(self, want: Spent, used: Spent) -> None:
        """Replace a reservation by what was really used."""
        self.reserved.add(want, -1)
        self.spent.add(used)
        self._freed.set()

    def halt(self, why: str) -> None:
        """Let nothing more be asked in this invocation. Who waits for a turn or a pause waits no longer."""
        self.stop = self.stop or why
        self._freed.set()
        self._halted.set()
        for wake in self.on_halt:
            wake()

    async def pause(self, seconds: float) -> None:
        """Sleep, but for no longer than asking goes on."""
        tasks = [asyncio.ensure_future(asyncio.sleep(seconds)), asyncio.ensure_future(self._halted.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def halt_in_time(self) -> asyncio.TimerHandle | None:
        """Halt when `limits.seconds` are over, even if everybody waits then."""
        if self.limits.seconds is None:
            return None
        left = self.limits.seconds - self.spent.seconds - self.seconds
        return asyncio.get_running_loop().call_later(max(0.0, left), self.halt, self._reached("seconds"))

    @property
    def seconds(self) -> float:
        """Seconds of this invocation."""
        return time.monotonic() - self.started

    def _reached(self, name: str) -> str:
        return f"limit reached: {name} {getattr(self.limits, name):g}; raise limits.{name} to go on"

    def _short(self, want: Spent) -> str:
        """The name of the first limit that `want` would break, or nothing."""
        limits, spent, reserved = self.limits, self.spent, self.reserved
        if limits.requests is not None and spent.requests + reserved.requests + want.requests > limits.requests:
            return "requests"
        if limits.tokens is not None and spent.tokens + reserved.tokens + want.tokens > limits.tokens:
            return "tokens"
        if limits.dollars is not None and spent.dollars + reserved.dollars + want.dollars > limits.dollars + 1e-12:
            return "dollars"
        if limits.seconds is not None and spent.seconds + self.seconds > limits.seconds:
            return "seconds"
        return ""
