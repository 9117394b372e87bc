"""The steps, by the name under which recipes know them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from synth_llm.steps.chunk import Chunk
from synth_llm.steps.decontaminate import Decontaminate
from synth_llm.steps.dedup import Dedup
from synth_llm.steps.filter import Filter
from synth_llm.steps.generate import Generate
from synth_llm.steps.judge import Judge
from synth_llm.steps.label_check import LabelCheck
from synth_llm.steps.leak_check import LeakCheck
from synth_llm.steps.map import Map
from synth_llm.steps.sample import Sample
from synth_llm.steps.step import DatasetStep, Rejected, Rows, RowStep, Step

__all__ = [
    "Chunk",
    "DatasetStep",
    "Decontaminate",
    "Dedup",
    "Filter",
    "Generate",
    "Judge",
    "LabelCheck",
    "LeakCheck",
    "Map",
    "Rejected",
    "RowStep",
    "Rows",
    "Sample",
    "Step",
    "step_types",
]

BUILT_IN: tuple[type[Step], ...] = (
    Chunk,
    Decontaminate,
    Dedup,
    Filter,
    Generate,
    Judge,
    LabelCheck,
    LeakCheck,
    Map,
    Sample,
)


@cache
def step_types() -> dict[str, type[Step]]:
    """Every step type by name: the built-in ones, and those of entry points of group `synth_llm.steps`."""
    types = {step.type: step for step in BUILT_IN}
    for entry in entry_points(group="synth_llm.steps"):
        types.setdefault(entry.name, entry.load())
    return types
