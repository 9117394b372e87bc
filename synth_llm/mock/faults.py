"""What goes wrong on purpose: drawn from a body and how often it has come, so that trying again gets through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from synth_llm.errors import InputError, nearest

HANG, DROP, HALF, GARBAGE = KINDS = ("hang", "drop", "half", "garbage")
"""No answer ever; the connection closed before one, or amid one; status 200 with what no model answers."""

BODIES = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b"OK",
    b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    b'{"choices":[]}',
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":null},"finish_reason":"stop"}]}',
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"The quiet riv',
    b'data: {"choices":[{"delta":{"content":"The"}}]}\n\ndata: [DONE]\n\n',
    b'{"error":{"message":"upstream failed","type":"server_error","code":null}}',
    b"\xff\xfe\x00\x01",
)
"""Garbage."""

_UNIT = 2.0**-64


class Faults:
    """Which request fails, and how: `{"429": "5%", "hang": 0.01}`. Raises InputError."""

    def __init__(self, shares: Mapping[str, str | float]) -> None:
        self._ends: list[tuple[float, str]] = []
        end = 0.0
        for kind, share in shares.items():
            if kind not in KINDS and not (kind.isascii() and kind.isdigit() and 400 <= int(kind) <= 599):
                raise InputError(f"fault '{kind}': no such fault, and no status from 400 to 599{nearest(kind, KINDS)}")
            end += _share(kind, share)
            self._ends.append((end, kind))
        if end > 1 + 1e-9:
            raise InputError(f"the faults add up to {end:.0%} of the requests; at most 100%")

    def draw(self, seed: bytes, earlier: int) -> str | None:
        """What happens to the request whose body came `earlier` times before."""
        if not self._ends:
            return None
        place = int.from_bytes(blake2b(b"%d" % earlier, key=seed, digest_size=8).digest(), "big") * _UNIT
        return next((kind for end, kind in self._ends if place < end), None)


def faults(given: Iterable[str]) -> dict[str, str]:
    """Read `429=5%` and its like. Raises InputError."""
    shares: dict[str, str] = {}
    for item in given:
        kind, equals, share = item.partition("=")
        if not equals or kind in shares:
            raise InputError(f"fault '{item}': write each kind once, as 429=5% or hang=1%")
        shares[kind] = share
    return shares


def garbage(seed: bytes) -> bytes:
    """One of BODIES."""
    return BODIES[seed[-1] % len(BODIES)]


def _share(kind: str, given: str | float) -> float:
    text = str(given).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InputError(f"fault {kind}: '{given}' is no share; write 5% or 0.05")
    return share
