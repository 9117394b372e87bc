"""From a task and a handful of examples to a curated dataset: the public names, and nothing else.

Each is imported when it is first used, so that `import synth_llm` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth_llm.against import Against
    from synth_llm.encoders import EncoderEntry
    from synth_llm.errors import FatalError, InputError, MissingExtra, SynthError
    from synth_llm.evaluation.evaluate import evaluate
    from synth_llm.evaluation.settings import Evaluate
    from synth_llm.execute import Result, run, run_async
    from synth_llm.models.budget import Limits
    from synth_llm.models.request import Answer, Request
    from synth_llm.new import Project, new_project
    from synth_llm.recipe import ModelEntry, Recipe, Target
    from synth_llm.row import Row, Verdict
    from synth_llm.source import Source
    from synth_llm.steps import (
        Augment,
        Balance,
        Chunk,
        Compare,
        Converse,
        Decontaminate,
        Dedup,
        Draw,
        Edge,
        Filter,
        Generate,
        Grammar,
        Hard,
        Judge,
        LabelCheck,
        LabelErrors,
        LeakCheck,
        Locate,
        Map,
        Match,
        Mix,
        Pairs,
        Quality,
        Redact,
        Sample,
        Score,
        Select,
        Similarity,
        Slor,
    )

_HOMES = {
    "synth_llm.against": ("Against",),
    "synth_llm.encoders": ("EncoderEntry",),
    "synth_llm.errors": ("FatalError", "InputError", "MissingExtra", "SynthError"),
    "synth_llm.models.budget": ("Limits",),
    "synth_llm.models.request": ("Answer", "Request"),
    "synth_llm.new": ("Project", "new_project"),
    "synth_llm.recipe": ("ModelEntry", "Recipe", "Target"),
    "synth_llm.row": ("Row", "Verdict"),
    "synth_llm.evaluation.evaluate": ("evaluate",),
    "synth_llm.evaluation.settings": ("Evaluate",),
    "synth_llm.execute": ("Result", "run", "run_async"),
    "synth_llm.source": ("Source",),
    "synth_llm.steps": (
        "Augment",
        "Balance",
        "Chunk",
        "Compare",
        "Converse",
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
        "Sample",
        "Score",
        "Select",
        "Similarity",
        "Slor",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Against",
    "Answer",
    "Augment",
    "Balance",
    "Chunk",
    "Compare",
    "Converse",
    "Decontaminate",
    "Dedup",
    "Draw",
    "Edge",
    "EncoderEntry",
    "Evaluate",
    "FatalError",
    "Filter",
    "Generate",
    "Grammar",
    "Hard",
    "InputError",
    "Judge",
    "LabelCheck",
    "LabelErrors",
    "LeakCheck",
    "Limits",
    "Locate",
    "Map",
    "Match",
    "MissingExtra",
    "Mix",
    "ModelEntry",
    "Pairs",
    "Project",
    "Quality",
    "Recipe",
    "Redact",
    "Request",
    "Result",
    "Row",
    "Sample",
    "Score",
    "Select",
    "Similarity",
    "Slor",
    "Source",
    "SynthError",
    "Target",
    "Verdict",
    "evaluate",
    "new_project",
    "run",
    "run_async",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'synth_llm' has no attribute '{name}'")
    globals()[name] = value = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
