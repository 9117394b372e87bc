"""The results of an evaluation: as JSON for programs, as Markdown for a reader, in short for a terminal and a card."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from synth_llm import screen
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Table
from synth_llm.evaluation.parts import Outcome, as_json
from synth_llm.evaluation.settings import Evaluate
from synth_llm.installed import versions
from synth_llm.output import write_text

JSON, MARKDOWN, PLOTS = "results.json", "results.md", "plots"
HEAD = ("figure", "value", "95 % interval", "beside", "better")
HEADLINE = (
    *("distinct_2", "vendi", "novelty", "mauve", "c2st", "label_noise", "tstr", "trtr", "tstr_random", "seeds_only"),
    *("held_out_loss", "rouge_l", "win_rate_length_controlled", "verifiable_prompts"),
    *("tstr_less_random", "pii", "near_copies", "dcr_share", "mia_distance", "contaminated"),
)
"""What a terminal and a card show, beside what a gate names; the files have all figures."""
SHOWN = 60
"""Rows of a table that the Markdown shows; the JSON has all."""
READING = (
    "Figures with their 95 % intervals. *Beside* is what a figure is read against: the same measure of the real rows, "
    "or between two halves of them."
)
PACKAGES = ("synth-llm", "numpy", "scipy", "scikit-learn", "sentence-transformers", "torch", "transformers", "trl")


@dataclass
class Evaluation:
    """What an evaluation found."""

    settings: Evaluate
    path: Path
    """The folder with `results.json`, `results.md` and `plots/`."""
    outcomes: list[Outcome] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    """A line for each figure that the gate does not let pass."""
    notes: list[str] = field(default_factory=list)

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """All figures by name."""
        return {figure.name: figure for outcome in self.outcomes for figure in outcome.part.figures}

    @property
    def headline(self) -> list[Figure]:
        """The figures to look at first."""
        students = [given] if isinstance(given := self.settings.student, str) else given
        names = {*HEADLINE, *self.settings.gate, *(f"{name}_{one}" for name in HEADLINE for one in students)}
        always = [one for name, one in self.figures.items() if name.startswith(("rate_", "gap_", "worth_"))]
        return [one for name, one in self.figures.items() if name in names or one in always]

    @property
    def tables(self) -> list[Table]:
        """All tables, in the order of the parts."""
        return [table for outcome in self.outcomes for table in outcome.part.tables]

    @property
    def failed(self) -> list[str]:
        """A line for each part that could not be measured."""
        return [f"{outcome.name}: {outcome.why}" for outcome in self.outcomes if outcome.state == "failed"]


def write(found: Evaluation, data: Data) -> None:
    """Write `results.json` and `results.md`."""
    found.path.mkdir(parents=True, exist_ok=True)
    value = as_value(found, data)
    write_text(found.path / JSON, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(found.path / MARKDOWN, markdown(found, data))


def as_value(found: Evaluation, data: Data) -> dict[str, Any]:
    """All that was found, as a JSON value."""
    times = {name: {"seconds": round(seconds, 3), "cpu": round(cpu, 3)} for name, seconds, cpu in _times(found)}
    return {
        "figures": {name: _without_name(figure) for name, figure in found.figures.items()},
        "gate": {"wanted": data.settings.gate, "short": found.short},
        "parts": {
            one.name: {"state": one.state, **({"why": one.why} if one.why else {}), **as_json(one.part)}
            for one in found.outcomes
        },
        "notes": found.notes,
        "times": times,
        "sides": {side.name: _facts(side) for side in sides(data)},
        "settings": data.settings.model_dump(mode="json", exclude_defaults=True),
        "seed": data.seed,
        "versions": {"python": platform.python_version(), **versions(*PACKAGES)},
    }


def markdown(found: Evaluation, data: Data) -> str:
    """The results for a reader: the figures first, then what was compared, then each part's tables and notes."""
    lines = ["# Evaluation", "", READING, "", *_markdown(_figures(found.figures.values())), ""]
    lines += [f"- gate: **{line}**" for line in found.short] + [""] * bool(found.short)
    for one in found.outcomes:
        lines += [f"## {one.name.capitalize()}", ""]
        about = [_why(one)] if one.why else []
        about += _details(one.part.figures)
        about += one.part.notes
        lines += [f"- {line}" for line in about] + [""] * bool(about)
        for table in one.part.tables:
            rows = [[cell(value) for value in row] for row in table.rows[:SHOWN]]
            more = len(table.rows) - SHOWN
            lines += [f"### {table.title}", "", *_markdown((table.columns, rows)), ""]
            lines += [f"and {more:,} more rows in `{JSON}`", ""] * (more > 0)
    lines += ["## What was compared", "", *_markdown((SIDES, [_side(side) for side in sides(data)])), ""]
    lines += [f"- {note}" for note in found.notes] + [""] * bool(found.notes)
    lines += ["## Time", "", *_markdown((("part", "seconds", "of the processor", "share"), _shares(found))), ""]
    plots = sorted(path.name for path in (found.path / PLOTS).glob("*.png"))
    lines += [f"![{Path(name).stem.replace('_', ' ')}]({PLOTS}/{name})\n" for name in plots]
    return "\n".join(lines).rstrip() + "\n"


def summary(found: Evaluation) -> str:
    """What a terminal shows: the figures, what was left out, what the gate says, where the rest is."""
    shown = found.headline
    lines = [screen.table(HEAD, _figures(shown)[1], HEAD[1:4])] if shown else []
    more = len(found.figures) - len(shown)
    lines += [f"and {more} more figures" if shown else f"{more} figures"] * (more > 0)
    lines += [f"{one.name}: {_why(one)}" for one in found.outcomes if one.why]
    silent = [one for one in found.outcomes if one.is_measured and not one.part.figures]
    lines += [f"{one.name}: {note}" for one in silent for note in one.part.notes]
    seconds = sum(one.seconds + one.embedding[0] for one in found.outcomes if one.state != "stored")
    lines += ["", f"in {found.path}: {MARKDOWN}, {JSON}, {PLOTS}/; {screen.duration(seconds)}"]
    return "\n".join([*lines, *(f"gate: {line}" for line in found.short)])


def for_card(found: Evaluation) -> str:
    """The section of a dataset card with the figures."""
    short = [f"- not as it must be: {line}" for line in found.short]
    parts = ["## Evaluation", "", READING, "", *_markdown(_figures(found.headline)), "", *short]
    return "\n".join(parts).rstrip() + "\n"


def cell(value: Any) -> str:
    """A cell of a table; an interval as `value [low, high]`.

    >>> cell(0.81234), cell([0.5, 0.4, 0.6]), cell(None), cell(12345), cell("a | b")
    ('0.8123', '0.5 [0.4, 0.6]', '-', '12,345', 'a | b')
    """
    if (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(isinstance(one, float | int | None) for one in value)
    ):
        ends = "" if value[1] is None or value[2] is None else f" [{cell(value[1])}, {cell(value[2])}]"
        return cell(value[0]) + ends
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
    return screen.one_line(value)


def sides(data: Data) -> list[Side]:
    """The rows that were given."""
    return [side for side in (data.made, data.real, data.test, data.holdout, data.examples) if side is not None]


SIDES = ("rows of", "number", "columns", "class", "hash")


def _side(side: Side) -> list[str]:
    return [side.name, f"{len(side):,}", ", ".join(side.columns), side.label or "-", side.mark[:12]]


def _facts(side: Side) -> dict[str, Any]:
    return {"rows": len(side), "columns": side.columns, "label": side.label, "hash": side.mark}


def _figures(figures: Iterable[Figure]) -> tuple[Sequence[str], list[list[str]]]:
    rows = []
    for one in figures:
        ends = "" if one.low is None or one.high is None else f"{cell(one.low)} to {cell(one.high)}"
        beside = "" if one.beside is None else cell(one.beside)
        better = "" if one.direction == "neither" else one.direction
        rows.append([one.name, cell(one.value) + (f" {one.unit}" if one.unit else ""), ends, beside, better])
    return HEAD, rows


def _details(figures: Iterable[Figure]) -> list[str]:
    """On what figures were computed; those with the same words together."""
    found: dict[str, list[str]] = {}
    for figure in figures:
        if figure.detail:
            found.setdefault(figure.detail, []).append(f"`{figure.name}`")
    return [f"{', '.join(names)}: {detail}" for detail, names in found.items()]


def _why(one: Outcome) -> str:
    return f"failed: {one.why}" if one.state == "failed" else f"left out: it needs {one.why}"


def _markdown(table: tuple[Sequence[str], Sequence[Sequence[str]]]) -> list[str]:
    head, rows = table
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(one).replace("|", "\\|") for one in line) + " |" for line in lines]


def _times(found: Evaluation) -> list[tuple[str, float, float]]:
    """Seconds, and seconds of the processor, of the vectors and of each part beside its vectors."""
    ran = [(one.name, one.seconds, one.cpu) for one in found.outcomes if one.state != "left out"]
    wall, cpu = (sum(one.embedding[end] for one in found.outcomes) for end in (0, 1))
    return [("embedding", wall, cpu), *ran]


def _shares(found: Evaluation) -> list[list[str]]:
    times = _times(found)
    total = sum(cpu for *_, cpu in times) or 1.0
    return [[name, f"{seconds:.1f}", f"{cpu:.1f}", f"{cpu / total:.0%}"] for name, seconds, cpu in times]


def _without_name(figure: Figure) -> dict[str, Any]:
    return {name: value for name, value in figure._asdict().items() if name != "name"}
