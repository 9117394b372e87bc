"""How long an answer takes: drawn from the body of its request, so that equal requests take equally long."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from synth_llm.errors import InputError

_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)\s*(ms|s|)")
_NORMAL, _LOGNORMAL = 2.0**-64, "lognormal:"


class Latency(NamedTuple):
    """A log-normal distribution, or one value where sigma is 0."""

    mean: float
    """Seconds: the mean of the distribution itself."""
    sigma: float = 0.0
    """The standard deviation of the logarithm."""

    def draw(self, seed: bytes) -> float:
        """Seconds, from the first 16 bytes of `seed` (Box and Muller, 1958)."""
        if not self.sigma:
            return self.mean
        first, second = int.from_bytes(seed[:8], "big") + 1, int.from_bytes(seed[8:16], "big")
        normal = math.sqrt(-2 * math.log(first * _NORMAL)) * math.cos(2 * math.pi * second * _NORMAL)
        return self.mean * math.exp(self.sigma * normal - self.sigma**2 / 2)


def latency(given: str | float) -> Latency:
    """Read `200ms`, `1.5s`, a number of seconds, or `lognormal:200ms,0.5` (mean; sigma of the logarithm).

    Raises InputError.
    """
    text = str(given)
    if not text.startswith(_LOGNORMAL):
        return Latency(duration(given, "latency"))
    mean, comma, sigma = text.removeprefix(_LOGNORMAL).partition(",")
    try:
        spread = float(sigma) if comma else 0.5
    except ValueError:
        spread = math.nan
    if not 0 <= spread <= 5:
        raise InputError(f"latency '{text}': sigma is a number from 0 to 5, as in lognormal:200ms,0.5")
    return Latency(duration(mean, "latency"), spread)


def duration(given: str | float, what: str) -> float:
    """Seconds of `200ms`, `1.5s` or a number of seconds. Raises InputError that names `what`.

    >>> duration("200ms", "latency")
    0.2
    """
    found = _DURATION.fullmatch(str(given).strip())
    if not found:
        raise InputError(f"{what} '{given}' is no duration; write 200ms, 1.5s or lognormal:200ms,0.5")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)
