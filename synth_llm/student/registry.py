"""The students by name: our own, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint

from synth_llm.errors import InputError, nearest
from synth_llm.installed import entry_points
from synth_llm.student.student import Student, Task

Kind = Callable[[Task, int], Student]
"""What makes a student of a task and a seed: most often its class."""

GROUP = "synth_llm.students"
"""The group of entry points by which a package offers students: `shallow = "my_package.shallow:Shallow"`."""
OWN = {
    "probe": ("synth_llm.student.probe", "ProbeStudent"),
    "classifier": ("synth_llm.student.classifier", "Classifier"),
    "sft": ("synth_llm.student.sft", "Sft"),
}
"""The module and class of each of ours; loaded when it is asked for."""


def student(name: str) -> Kind:
    """The kind of student of this name; ours come before those of packages.

    Raises InputError for an unknown name, with the nearest, or for a package that cannot be loaded.
    """
    kind: Kind
    if name in OWN:
        module, attribute = OWN[name]
        kind = getattr(import_module(module), attribute)
        return kind
    offered = _offered()
    if name not in offered:
        raise InputError(f"no student '{name}'{nearest(name, names())}")
    try:
        kind = offered[name].load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"the student '{name}' of an installed package cannot be loaded: {error}") from error
    return kind


def names() -> list[str]:
    """The names that `student` knows, sorted."""
    return sorted({*OWN, *_offered()})


def _offered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(GROUP)}
