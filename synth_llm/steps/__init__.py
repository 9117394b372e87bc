"""The steps, by the name under which recipes know them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from synth_llm.steps.balance import Balance
from synth_llm.steps.chunk import Chunk
from synth_llm.steps.compare import Compare
from synth_llm.steps.decontaminate import Decontaminate
from synth_llm.steps.dedup import Dedup
from synth_llm.steps.edge import Edge
from synth_llm.steps.filter import Filter
from synth_llm.steps.generate import Generate
from synth_llm.steps.judge import Judge
from synth_llm.steps.label_check import LabelCheck
from synth_llm.steps.label_errors import LabelErrors
from synth_llm.steps.leak_check import LeakCheck
from synth_llm.steps.map import Map
from synth_llm.steps.match import Match
from synth_llm.steps.mix import Mix
from synth_llm.steps.quality import Quality
from synth_llm.steps.redact import Redact
from synth_llm.steps.sample import Sample
from synth_llm.steps.score import Score
from synth_llm.steps.select import Select
from synth_llm.steps.slor import Slor
from synth_llm.steps.step import DatasetStep, Rejected, Rows, RowStep, Step

__all__ = [
    "Balance",
    "Chunk",
    "Compare",
    "DatasetStep",
    "Decontaminate",
    "Dedup",
    "Edge",
    "Filter",
    "Generate",
    "Judge",
    "LabelCheck",
    "LabelErrors",
    "LeakCheck",
    "Map",
    "Match",
    "Mix",
    "Quality",
    "Redact",
    "Rejected",
    "RowStep",
    "Rows",
    "Sample",
    "Score",
    "Select",
    "Slor",
    "Step",
    "step_types",
]

BUILT_IN: tuple[type[Step], ...] = (
    Balance,
    Chunk,
    Compare,
    Decontaminate,
    Dedup,
    Edge,
    Filter,
    Generate,
    Judge,
    LabelCheck,
    LabelErrors,
    LeakCheck,
    Map,
    Match,
    Mix,
    Quality,
    Redact,
    Sample,
    Score,
    Slor,
    Select,
)


@cache
def step_types() -> dict[str, type[Step]]:
    """Every step type by name: the built-in ones, and those of entry points of group `synth_llm.steps`."""
    types = {step.type: step for step in BUILT_IN}
    for entry in entry_points(group="synth_llm.steps"):
        types.setdefault(entry.name, entry.load())
    return types
