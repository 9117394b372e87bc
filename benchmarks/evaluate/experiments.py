"""experiments: the three that the survey proposes, each beside its baseline; honest tables, also without a gain.

`make experiments` writes them to runs/experiments/; journals stay there, so that a second call generates nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.evaluate import experiments_balance, experiments_instructions, experiments_nusax
from benchmarks.peers import ROOT
from benchmarks.runner import Failed
from synth_llm.evaluation.part import Part
from synth_llm.evaluation.techniques import markdown

PLACE = ROOT / "runs" / "experiments"
EXPERIMENTS: dict[str, Callable[[Path, bool], Part]] = {
    "1 rule-based augmentation of an imbalanced set": experiments_balance.experiment,
    "2 a small model writes for a low-resource task": experiments_nusax.experiment,
    "3 in-context generation, filtered by similarity": experiments_instructions.experiment,
}


def bar(small: bool = False) -> Iterator[tuple[str, str, str, bool]]:
    """A line an experiment: what came out, whatever it is; it is good when its table is whole."""
    for name, experiment in EXPERIMENTS.items():
        folder = PLACE / (f"{name[0]}-small" if small else name[0])
        folder.mkdir(parents=True, exist_ok=True)
        try:
            part = experiment(folder, small)
        except Failed as error:
            yield "experiments", f"{name}: {error}", "a table", False
            continue
        (folder / "table.md").write_text(f"# {name[2:].capitalize()}\n\n{markdown(part)}", encoding="utf-8")
        said = [
            f"{figure.name} {_number(figure.value)} ({_number(figure.low)} to {_number(figure.high)})"
            for figure in part.figures
        ]
        ok = bool(part.figures) and all(figure.low is not None for figure in part.figures)
        yield "experiments", f"{name}: {', '.join(said)}", "a whole table with intervals, gain or not", ok


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:+.3f}"


if __name__ == "__main__":
    short = 0
    for _, figure, goal, ok in bar(small="--small" in sys.argv[1:]):
        short += not ok
        print(f"{'ok   ' if ok else 'short'}  {figure}  (goal: {goal})", flush=True)
    print(f"tables in {PLACE}")
    sys.exit(bool(short))
