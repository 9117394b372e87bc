"""What each part of an evaluation gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from synth_llm.evaluation.data import Data
from synth_llm.measure.interval import Interval


class Figure(NamedTuple):
    """One number that a gate can name."""

    name: str
    """In the words of gates: small letters and underscores."""
    value: float | None
    """None where it is not defined for these rows."""
    low: float | None = None
    high: float | None = None
    """The ends of its 95 % interval, where it is an estimate."""
    beside: float | None = None
    """What it is read against: the same measure between two halves of the real data, or on the real rows."""
    unit: str = ""
    direction: str = "neither"
    """`higher` or `lower` is better, or `neither`."""
    detail: str = ""
    """On what it was computed, in a few words."""

    @classmethod
    def of(cls, name: str, interval: Interval, **more: Any) -> Figure:
        """A figure with its interval."""
        return cls(name, *interval, **more)


class Table(NamedTuple):
    """Numbers that belong together."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    """JSON values; a cell that is an interval is `[value, low, high]`."""


@dataclass
class Part:
    """What a part found."""

    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader must know: what was left out and why, how much was sampled."""


class Measure(Protocol):
    """A part: `diversity(data)`, `fidelity(data)` and so on, in the module of its name."""

    def __call__(self, data: Data) -> Part:
        """Measure. Raises InputError when the rows cannot be used, MissingExtra for a missing package."""
        ...
