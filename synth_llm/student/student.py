"""What a student is: a small model that learns from rows, so that one sees what the rows are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from synth_llm.against import joined
from synth_llm.errors import InputError, nearest
from synth_llm.row import Row, canonical

if TYPE_CHECKING:
    import numpy as np

Model = TypeVar("Model", bound=BaseModel)


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
    """Settings of the students, such as `epochs`; those of one among several under its name."""
    doing: Callable[[str, int, int], object] = lambda what, done, of: None
    """Told how far a fit is: `doing("epoch", 1, 3)`."""


class Student(Protocol):
    """Made as `Kind(task, seed)`, which raises InputError for settings that it does not have; learns once."""

    draws: ClassVar[bool]
    """Whether what it learns depends on the seed: then it is fitted with several."""

    def fit(self, rows: Sequence[Row]) -> Student:
        """Learn from rows with all columns of the task. Raises InputError when they cannot teach anything."""
        ...

    def predict(self, rows: Sequence[Row]) -> list[str]:
        """Of each row the class, as text, or the answer that it writes."""
        ...

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """A folder that can go to the Hub, with a model card that says what it learned from (`facts`, see `card`)."""
        ...


class Classifies(Student, Protocol):
    """A student that also says how sure it is of a class, as the built-in ones do that classify."""

    labels: list[str]
    """The k classes that it knows, sorted; empty before `fit`."""

    def predict_proba(self, rows: Sequence[Row]) -> np.ndarray:
        """(n, k) the probability of each of `labels`."""
        ...


def label_text(value: Any) -> str | None:
    """A class as text: 1, 1.0 and "1" are one class. None for none: a null, or not a number.

    >>> label_text(1.0), label_text("1"), label_text(True), label_text(None)
    ('1', '1', 'true', None)
    """
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else canonical(value)


def lesson(rows: Sequence[Row], task: Task) -> tuple[list[str], list[str]]:
    """The text and the class of each row to learn from.

    Raises InputError where the task or a row has no class, the rows have fewer than two classes, or no text at all.
    """
    if task.label is None:
        raise InputError("a student that classifies needs a label: name its column with `label`")
    texts = [joined(row, task.columns) for row in rows]
    classes: list[str] = []
    for number, row in enumerate(rows, 1):
        text = label_text(row.get(task.label))
        if text is None:
            raise InputError(f"row {number} of those to learn from has no '{task.label}': drop such rows before")
        classes.append(text)
    if len(set(classes)) < 2:
        only = f"all {len(rows)} have '{classes[0]}'" if rows else "there is no row"
        raise InputError(f"a student needs rows of at least two labels to learn from; {only}")
    if not any(map(str.strip, texts)):
        raise InputError(f"no row to learn from has a text in {', '.join(task.columns)}")
    return texts, classes


def own_settings(name: str, model: type[Model], given: Mapping[str, Any]) -> Model:
    """What the settings of a task say to the student `name`: those for all students, and over them its own.

    Those of one student are under its name (`{classifier: {epochs: 5}}`). Raises InputError for one it does not have.
    """
    common = {setting: value for setting, value in given.items() if not isinstance(value, Mapping)}
    of_one = {setting: value for setting, value in given.items() if isinstance(value, Mapping)}
    if of_one:
        from synth_llm.student.registry import names

        for setting in of_one.keys() - set(names()):
            raise InputError(f"student_settings: no student '{setting}'{nearest(setting, names())}")
    try:
        return model.model_validate(common | dict(of_one.get(name, {})))
    except ValidationError as error:
        raise _explained(name, model, error) from None


def _explained(name: str, model: type[BaseModel], error: ValidationError) -> InputError:
    """One line for the first setting that is wrong."""
    first = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")[0]
    setting = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        hint = nearest(setting, model.model_fields)
        if "did you mean" not in hint:
            hint += "; those of one student go under its name, such as `classifier: {epochs: 5}`"
        return InputError(f"student {name}: no setting '{setting}'{hint}")
    said = first["msg"][0].lower() + first["msg"][1:]
    return InputError(f"student {name}: {setting}: {said}, not {first['input']!r:.80}")
