"""The plots of an evaluation."""

from __future__ import annotations

from synth_llm.evaluation.results import Evaluation


def draw(found: Evaluation) -> None:
    """Write the plots."""
