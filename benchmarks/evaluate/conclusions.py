"""right conclusions: each thing that was planted is called by its own metric, and by none of the others'.

The parts diversity, fidelity, privacy and bias measure each set as `evaluate` does. A metric calls a set when its
figure leaves what it stands beside by more than LEVEL half widths of its 95 % interval, to the side that is bad; one of
fidelity, where its two intervals do not touch. That is some 3 in 1,000 by chance. Of the many figures each plant has
one that is its own, and `c2st` is the alarm for any difference: for the two halves it must be silent, as everything of
fidelity. (What stands beside a distance to real rows is itself measured on few held-out rows, which LEVEL leaves out.)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.evaluate import planted_privacy
from benchmarks.evaluate.planted import GROUPS, SETS, Planted
from synth_llm import Recipe, Source
from synth_llm.evaluation.bias import bias
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.diversity import diversity
from synth_llm.evaluation.fidelity import fidelity
from synth_llm.evaluation.part import Figure
from synth_llm.evaluation.privacy import privacy
from synth_llm.evaluation.settings import Evaluate
from synth_llm.steps import Filter
from synth_llm.steps.context import Resources

LEVEL = 1.5
ALARM = "c2st"
OWN = {
    "shift": "precision",
    "copies": "near_copies",
    "group bias": "gap_women",
    "collapse": "vendi",
    "label noise": "label_noise",
}
"""The metric of each plant: made rows where no real ones are; copies; gaps; too few different rows; wrong labels."""


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """A line for each plant: what called it, of the metrics that are some plant's own, and what else moved."""
    for name, make in SETS.items():
        figures = measured(make(0))
        calls = {one for one, figure in figures.items() if called(figure)}
        own = {OWN[name]} if name in OWN else set()
        others = calls & set(OWN.values()) - own
        shown = ", ".join(f"{one} {_shown(figures[one])}" for one in sorted(own | others | {ALARM}))
        rest = ", ".join(sorted(calls - set(OWN.values()) - {ALARM})) or "nothing"
        alarm = "" if ALARM in calls else " (silent)"
        callers = ", ".join(sorted(calls & set(OWN.values()))) or "none"
        figure = f"{name}: called by {callers}; {shown}{alarm}; also {rest}"
        silent = name in OWN or not any(_has_ceiling(figures[one]) for one in calls)
        ok = own <= calls and not others and silent
        yield "right_conclusions", figure, f"called by {OWN.get(name, 'none')} alone", ok
    yield from planted_privacy.bar()


def measured(sets: Planted) -> dict[str, Figure]:
    """All figures of a set by name."""
    settings = Evaluate(groups=GROUPS)
    recipe = Recipe(source=Source(rows=[{"text": "-"}]), steps=[Filter(use=["length"])])
    sides = {name: Side(name, rows, ["text"], "label") for name, rows in sets._asdict().items()}
    data = Data(settings, Resources(recipe, Path()), **sides)
    return {figure.name: figure for part in (diversity, fidelity, privacy, bias) for figure in part(data).figures}


def called(figure: Figure) -> bool:
    """Whether a figure says that something is wrong."""
    if figure.value is None or figure.beside is None or figure.low is None or figure.high is None:
        return False
    away = figure.value - figure.beside
    better = {"higher": 1, "lower": -1}.get(figure.direction, 0)
    if away * better > 0:
        return False
    if _has_ceiling(figure):
        return figure.detail.endswith("the two are apart")
    half = (figure.value - figure.low) if away > 0 else (figure.high - figure.value)
    return abs(away) > LEVEL * half


def _has_ceiling(figure: Figure) -> bool:
    """Whether it is one of fidelity."""
    return "two halves of the real rows" in figure.detail


def _shown(figure: Figure) -> str:
    if figure.value is None:
        return "none"
    beside = "" if figure.beside is None else f" beside {figure.beside:.3g}"
    return f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g}){beside}"
