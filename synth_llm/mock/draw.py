"""Draws from some bytes alone: the same in every version of Python, and sooner begun than `random.Random`."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

Item = TypeVar("Item")


class Draw:
    """A linear congruential generator of 64 bits (Knuth's MMIX), of which the upper bits are used."""

    def __init__(self, seed: bytes) -> None:
        self._state = int.from_bytes(blake2b(seed, digest_size=8).digest(), "big")

    def below(self, end: int) -> int:
        """A whole number from 0 to `end` - 1, where `end` is at most 2**32; beyond, only some are drawn."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        return (self._state >> 32) * end >> 32

    def unit(self) -> float:
        """A number from 0 to below 1."""
        return self.below(1 << 32) / (1 << 32)

    def of(self, items: Sequence[Item]) -> Item:
        """One of some items. Raises IndexError when there is none."""
        return items[self.below(len(items))]
