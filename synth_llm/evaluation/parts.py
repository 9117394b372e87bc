"""Which parts of an evaluation run, one after the other, and what each of them came to."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

import synth_llm
from synth_llm.errors import InputError, MissingExtra
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.part import Figure, Measure, Part, Table
from synth_llm.evaluation.settings import PART_NAMES
from synth_llm.output import read_manifest, write_text
from synth_llm.row import canonical, digest
from synth_llm.student.registry import student

LAST = ("ablation", "grid")
"""Parts that run only when they are asked for."""


@dataclass
class Outcome:
    """What became of one part."""

    name: str
    part: Part = field(default_factory=Part)
    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of the processor, over all its cores."""
    embedding: tuple[float, float] = (0.0, 0.0)
    """The same two for the vectors that it was the first to need; not counted above."""
    state: str = "done"
    """`done`, `stored` (by an earlier evaluation), `left out` or `failed`."""
    why: str = ""
    """What it would need, or what went wrong."""

    @property
    def is_measured(self) -> bool:
        """Whether it has figures."""
        return self.state in ("done", "stored")


def lacks(name: str, data: Data) -> str:
    """What a part would need, or nothing."""
    settings = data.settings
    if name == "fidelity" and data.real is None:
        return "real rows: --real FILE"
    if name == "utility" and data.test is None:
        return "test rows: --test FILE"
    if name == "utility" and "sft" not in _students(data) and not (data.made.label and data.test and data.test.label):
        return "a class in every row, of the data and of the test rows: --label COLUMN"
    if name == "bias" and not settings.groups:
        return "groups of people: `groups: {women: [she, her], men: [he, his]}`"
    if name == "contamination" and not settings.against:
        return "evaluation sets: `against: [{dataset: openai/gsm8k, split: test}]`"
    if name == "ablation" and data.run is None:
        return "a run folder as its data: only that has the rows which steps rejected"
    if name in LAST and not (data.test and data.test.label and data.made.label):
        return "test rows with a class: --test FILE"
    return ""


def chosen(data: Data, ablate: bool, grid: str | None) -> dict[str, str]:
    """The parts in order, each with what it lacks.

    Raises InputError when one that was asked for cannot run, and for an unknown student.
    """
    names = [name for name in PART_NAMES if data.settings.parts is None or name in data.settings.parts]
    asked = list(data.settings.parts or ()) + ["ablation"] * ablate + ["grid"] * (grid is not None)
    found = {name: lacks(name, data) for name in [*names, *(name for name in LAST if name in asked)]}
    for name in asked:
        if found[name]:
            raise InputError(f"{name} needs {found[name]}")
    for one in _students(data):
        student(one)
    return found


def measured(name: str, data: Data, grid: str | None) -> Outcome:
    """Run one part, or take what an earlier evaluation of the same rows with the same settings found."""
    place = None
    if data.store is not None and name != "contamination":  # its evaluation sets may have changed
        place = data.store / f"part-{name}-{_mark(name, data, grid)}.json"
    if place is not None and (found := _stored(name, place)) is not None:
        return found
    began, used, before = time.monotonic(), time.process_time(), list(data.embedding)
    outcome = Outcome(name)
    try:
        measure = measure_of(name)
        outcome.part = measure(data) if name != "grid" else measure(data, grid)  # type: ignore[call-arg]
    except (InputError, MissingExtra) as error:
        outcome.state, outcome.why = "failed", str(error)
    outcome.embedding = (data.embedding[0] - before[0], data.embedding[1] - before[1])
    outcome.seconds = time.monotonic() - began - outcome.embedding[0]
    outcome.cpu = time.process_time() - used - outcome.embedding[1]
    outcome.part = _cleaned(outcome.part)
    if place is not None and outcome.is_measured:
        place.parent.mkdir(parents=True, exist_ok=True)
        times = {"seconds": outcome.seconds, "cpu": outcome.cpu, "embedding": outcome.embedding}
        write_text(place, json.dumps({**as_json(outcome.part), **times}))
    return outcome


def measure_of(name: str) -> Measure:
    """A part's function: that of its name, in the module of its name."""
    found: Measure = getattr(import_module(f"synth_llm.evaluation.{name}"), name)
    return found


def as_json(part: Part) -> dict[str, Any]:
    """A part as JSON values."""
    return {
        "figures": [figure._asdict() for figure in part.figures],
        "tables": [table._asdict() for table in part.tables],
        "notes": part.notes,
    }


def clean(value: Any) -> Any:
    """A JSON value: NumPy's numbers as Python's, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): clean(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean(one) for one in value]
    if hasattr(value, "tolist"):
        return clean(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"{type(value).__name__} in a table of results")


@cache
def code() -> str:
    """A mark of this package's source: what another version computed is computed again."""
    root = Path(synth_llm.__file__).parent
    found = blake2b(digest_size=8)
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def store_of(folder: Path, data: Data) -> Path:
    """The folder for what is computed with this code and this encoder."""
    name = data.settings.encoder
    encoders = data.use.recipe.encoders
    entry = encoders[name].model_dump(mode="json") if name in encoders else None
    return folder / ".cache" / digest(code(), name, entry)[:16]


def _cleaned(part: Part) -> Part:
    """The part as JSON values can hold it."""
    figures = [Figure(*clean(tuple(figure))) for figure in part.figures]
    tables = [Table(*clean(tuple(table))) for table in part.tables]
    return Part(figures, tables, [str(note) for note in part.notes])


def _mark(name: str, data: Data, grid: str | None) -> str:
    """What tells this part's work from that on other rows or with other settings."""
    settings = data.settings.model_dump(mode="json", exclude={"gate", "parts", "real", "test", "holdout"})
    sides = (data.made, data.real, data.test, data.holdout, data.examples)
    marks = [side and [side.mark, side.columns, side.label] for side in sides]
    recipe = data.use.recipe.model_dump(mode="json", include={"seed", "models", "encoders"})
    run = read_manifest(data.run).get("sha256") if data.run else None
    return digest(name, canonical(settings), canonical(marks), canonical(recipe), run, grid)[:24]


def _stored(name: str, place: Path) -> Outcome | None:
    try:
        value = json.loads(place.read_text(encoding="utf-8"))
        figures = [Figure(**one) for one in value["figures"]]
        tables = [Table(**one) for one in value["tables"]]
        times = value["seconds"], value["cpu"], tuple(value["embedding"])
        return Outcome(name, Part(figures, tables, value["notes"]), *times, "stored")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _students(data: Data) -> list[str]:
    given = data.settings.student
    return [given] if isinstance(given, str) else given
