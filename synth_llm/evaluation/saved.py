"""The student of a set, trained on all of it and saved as a folder for the Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from synth_llm.errors import InputError
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.part import Figure
from synth_llm.row import public
from synth_llm.student.card import Facts
from synth_llm.student.registry import student
from synth_llm.student.student import Task

SHOWN = ("tstr", "tstr_macro_f1", "tstr_accuracy", "held_out_loss")
"""Figures that the model card tells."""


def save_student(data: Data, figures: Mapping[str, Figure], folder: Path, name: str) -> Path:
    """Train the first student of the settings on all made rows, and save it; `name` is what the rows are called.

    Its card has the figures that were measured. Raises InputError when the folder holds files already, and what the
    student raises.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError("the folder for the student is not empty; name another", folder)
    kind = data.settings.student if isinstance(data.settings.student, str) else data.settings.student[0]
    settings = data.settings
    writes = kind == "sft"
    task = Task(
        data.made.columns,
        None if writes else data.made.label,
        settings.prompt if writes else [],
        settings.answer if writes else "",
        encode=data.encode,
        settings=settings.student_settings,
        doing=data.doing,
    )
    facts: Facts = {"data": name, "scores": {one: _score(figures[one]) for one in SHOWN if one in figures}}
    if settings.encoder is not None and kind == "probe":
        facts["encoder"] = settings.encoder
    if data.test is not None:
        facts["test"] = f"{len(data.test):,} real rows"
    student(kind)(task, data.seed).fit([public(row) for row in data.made.rows]).save(folder, facts)
    return folder


def _score(figure: Figure) -> float | Sequence[float | None] | None:
    return figure.value if figure.low is None else [figure.value, figure.low, figure.high]
