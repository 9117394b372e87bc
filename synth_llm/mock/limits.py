"""What an endpoint refuses because it is asked too much: a token bucket, and a cap on requests in flight."""

from __future__ import annotations

import math

from synth_llm.errors import InputError


class Limits:
    """A bucket of `burst` requests that fills with `rate` a second; at most `cap` requests in flight.

    Raises InputError on numbers that let nothing through.
    """

    def __init__(
        self, rate: float | None, burst: int | None, cap: int | None, *, retry_after: bool, headers: bool
    ) -> None:
        if rate is not None and not 0 < rate < math.inf:
            raise InputError(f"rate {rate}: requests a second, more than 0")
        if burst is not None and (rate is None or burst < 1):
            raise InputError(f"burst {burst}: at least 1, and only with a rate")
        if cap is not None and cap < 1:
            raise InputError(f"cap {cap}: requests in flight, at least 1")
        self._rate, self._cap, self._retry_after, self._headers = rate, cap, retry_after, headers and rate is not None
        self._burst = float(burst or math.ceil(rate or 1))
        self._tokens, self._filled = self._burst, -math.inf

    def admit(self, now: float, in_flight: int) -> str | None:
        """Take a request in, or say why not. `now` in seconds."""
        if self._cap is not None and in_flight >= self._cap:
            return f"more than {self._cap} requests in flight"
        if self._rate is not None:
            self._fill(now)
            if self._tokens < 1:
                return f"more than {self._rate:g} requests a second"
            self._tokens -= 1
        return None

    def headers(self, status: int) -> str:
        """Header lines that tell a client how it stands, where asked for."""
        lines = ""
        if status == 429 and self._retry_after:
            lines = f"Retry-After: {max(1, math.ceil(self._until(1)))}\r\n"
        if self._headers:
            lines += (
                f"x-ratelimit-limit-requests: {self._burst:g}\r\n"
                f"x-ratelimit-remaining-requests: {int(self._tokens)}\r\n"
                f"x-ratelimit-reset-requests: {math.ceil(self._until(self._burst) * 1000)}ms\r\n"
            )
        return lines

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * (self._rate or 0))
        self._filled = now

    def _until(self, tokens: float) -> float:
        """Seconds until the bucket holds so many tokens."""
        return max(0.0, tokens - self._tokens) / self._rate if self._rate else 0.0
