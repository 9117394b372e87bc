"""What a student is: a small model that learns from rows, so that one sees what the rows are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from synth_llm.row import Row

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Task:
    """What there is to learn, the same for every student of an evaluation."""

    columns: list[str]
    """The columns that together are a row's text."""
    label: str | None = None
    """The column with the class; None where students write."""
    prompt: list[str] = field(default_factory=list)
    """The columns that a student which writes is given."""
    answer: str = ""
    """The column that it learns to write."""
    encode: Callable[[Sequence[str]], np.ndarray] | None = None
    """Texts as (n, d) vectors, each made once."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the students, such as `epochs`."""
    doing: Callable[[str, int, int], object] = lambda what, done, of: None
    """Told how far a fit is: `doing("epoch", 1, 3)`."""


class Student(Protocol):
    """Made as `Kind(task, seed)`; learns once."""

    draws: ClassVar[bool]
    """Whether what it learns depends on the seed: then it is fitted with several."""

    def fit(self, rows: Sequence[Row]) -> Student:
        """Learn from rows with all columns of the task. Raises InputError when they cannot teach anything."""
        ...

    def predict(self, rows: Sequence[Row]) -> list[str]:
        """Of each row the class, as text, or the answer that it writes."""
        ...

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """A folder that can go to the Hub, with a model card that says what it learned from (`facts`)."""
        ...
