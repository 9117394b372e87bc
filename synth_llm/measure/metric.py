"""What is known of a metric beside its code: what it takes, its range, direction, unit and source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, TypeVar

Kind = Literal["text", "label", "number", "vector", "texts"]
"""What a metric takes a list of: texts, labels (text), numbers, vectors (lists of numbers), or lists of texts."""
Direction = Literal["higher", "lower", "neither"]
"""Which is better; `neither` where it depends on what is compared with."""

HOMES = (
    "agreement",
    "diversity",
    "overlap",
    "distributions",
    "manifold",
    "two_sample",
    "copies",
    "privacy",
    "membership",
    "bias",
    "label_errors",
    "win_rate",
    "classification",
)
"""The modules of `measure` with metrics."""

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Facts:
    """What a reader needs to read a figure."""

    name: str
    takes: tuple[Kind, ...]
    """Of each positional argument, in order: what is measured, and what it is measured against, if anything."""
    low: float
    high: float
    direction: Direction
    unit: str
    source: str
    """The paper and section, or the book, that defines it."""
    about: str
    """The first line of its docstring."""


_known: dict[str, tuple[Facts, Callable[..., Any]]] = {}


def metric(
    *takes: Kind, range: tuple[float, float], direction: Direction, unit: str, source: str
) -> Callable[[Function], Function]:
    """Make a function a metric: `@metric("text", range=(0, 1), direction="higher", unit="share", source="...")`.

    Raises ValueError when another module has a metric of that name.
    """

    def register(function: Function) -> Function:
        taken = _known.get(function.__name__)
        if taken is not None and taken[1].__module__ != function.__module__:
            raise ValueError(f"{function.__module__}: {taken[1].__module__} has a metric '{function.__name__}'")
        about = (function.__doc__ or "").strip().partition("\n")[0]
        _known[function.__name__] = (
            Facts(function.__name__, takes, *range, direction, unit, source, about),
            function,
        )
        return function

    return register


def facts(name: str) -> Facts:
    """Of a metric whose module is imported."""
    return _known[name][0]


def metrics() -> dict[str, tuple[Facts, Callable[..., Any]]]:
    """All metrics by name, sorted."""
    for home in HOMES:
        import_module(f"synth_llm.measure.{home}")
    return dict(sorted(_known.items()))
