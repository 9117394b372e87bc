"""The steps, by the name under which recipes know them. Each is imported when it is first used.

A built-in step stands in the module of its name; those of other packages are entry points of group `synth_llm.steps`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from synth_llm.installed import entry_points
from synth_llm.steps.step import DatasetStep, Rejected, Rows, RowStep, Step

if TYPE_CHECKING:
    from synth_llm.steps.augment import Augment
    from synth_llm.steps.balance import Balance
    from synth_llm.steps.chunk import Chunk
    from synth_llm.steps.compare import Compare
    from synth_llm.steps.converse import Converse
    from synth_llm.steps.decontaminate import Decontaminate
    from synth_llm.steps.dedup import Dedup
    from synth_llm.steps.draw import Draw
    from synth_llm.steps.edge import Edge
    from synth_llm.steps.filter import Filter
    from synth_llm.steps.generate import Generate
    from synth_llm.steps.grammar import Grammar
    from synth_llm.steps.hard import Hard
    from synth_llm.steps.judge import Judge
    from synth_llm.steps.label_check import LabelCheck
    from synth_llm.steps.label_errors import LabelErrors
    from synth_llm.steps.leak_check import LeakCheck
    from synth_llm.steps.locate import Locate
    from synth_llm.steps.map import Map
    from synth_llm.steps.match import Match
    from synth_llm.steps.mix import Mix
    from synth_llm.steps.pairs import Pairs
    from synth_llm.steps.quality import Quality
    from synth_llm.steps.redact import Redact
    from synth_llm.steps.sample import Sample
    from synth_llm.steps.score import Score
    from synth_llm.steps.select import Select
    from synth_llm.steps.similarity import Similarity
    from synth_llm.steps.slor import Slor

__all__ = [
    "Augment",
    "Balance",
    "Chunk",
    "Compare",
    "Converse",
    "DatasetStep",
    "Decontaminate",
    "Dedup",
    "Draw",
    "Edge",
    "Filter",
    "Generate",
    "Grammar",
    "Hard",
    "Judge",
    "LabelCheck",
    "LabelErrors",
    "LeakCheck",
    "Locate",
    "Map",
    "Match",
    "Mix",
    "Pairs",
    "Quality",
    "Redact",
    "Rejected",
    "RowStep",
    "Rows",
    "Sample",
    "Score",
    "Select",
    "Similarity",
    "Slor",
    "Step",
    "step_type",
    "step_types",
]

BUILT_IN = {
    "augment": "Augment",
    "balance": "Balance",
    "chunk": "Chunk",
    "compare": "Compare",
    "converse": "Converse",
    "decontaminate": "Decontaminate",
    "dedup": "Dedup",
    "draw": "Draw",
    "edge": "Edge",
    "filter": "Filter",
    "generate": "Generate",
    "grammar": "Grammar",
    "hard": "Hard",
    "judge": "Judge",
    "label_check": "LabelCheck",
    "label_errors": "LabelErrors",
    "leak_check": "LeakCheck",
    "locate": "Locate",
    "map": "Map",
    "match": "Match",
    "mix": "Mix",
    "pairs": "Pairs",
    "quality": "Quality",
    "redact": "Redact",
    "sample": "Sample",
    "score": "Score",
    "select": "Select",
    "similarity": "Similarity",
    "slor": "Slor",
}
"""The class in each module."""
_HOMES = {name: home for home, name in BUILT_IN.items()}
GROUP = "synth_llm.steps"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'synth_llm.steps' has no attribute '{name}'")
    globals()[name] = value = getattr(import_module(f"synth_llm.steps.{_HOMES[name]}"), name)
    return value


@cache
def step_type(name: str) -> type[Step] | None:
    """The type of a step by its name; None where nobody offers one of that name."""
    if name in BUILT_IN:
        found: type[Step] = getattr(import_module(f"synth_llm.steps.{name}"), BUILT_IN[name])
        return found
    entry = next((entry for entry in entry_points(GROUP) if entry.name == name), None)
    return None if entry is None else entry.load()


def step_types() -> dict[str, type[Step]]:
    """Every step type by name, sorted."""
    names = {*BUILT_IN, *(entry.name for entry in entry_points(GROUP))}
    return {name: found for name in sorted(names) if (found := step_type(name)) is not None}
