"""What each step of a run was worth: a student learns again with the rows that the step rejected put back."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from synth_llm.errors import InputError
from synth_llm.evaluation.contrast import Bench, Difference, difference, holm, labelled
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.files import read_parquet
from synth_llm.output import REJECTED, read_manifest
from synth_llm.row import Row, canonical, public

SURE = 0.05
"""The chance of any wrong verdict in the table, where no step makes a difference."""
EARNED, COST, NOTHING = "earned", "cost", "no difference"
KEPT = "kept rows"
PASSED = {"over target", "unavailable"}
"""Reasons that say nothing of a row."""


@dataclass
class Drop:
    """Rows that one step rejected; or one of its filters, where several rejected some."""

    step: str
    reason: str | None
    rejected: int
    back: list[Row]
    """Those with a text and a label, as they were when they were rejected."""

    @property
    def name(self) -> str:
        """As the table shows it."""
        return self.step if self.reason is None else f"{self.step}: {self.reason}"


class Worth(NamedTuple):
    """What a drop was worth."""

    drop: Drop
    union: float
    """The score of the student of kept and rejected rows."""
    more: Difference
    """The score without the rejected rows, less that with them."""
    same_size: Difference
    """The same, with as many rows on both sides."""


def ablation(data: Data) -> Part:
    """What each step of the run was worth to the first student, asking no model again.

    For each step that rejected rows the student learns from the kept rows, and from these and the rejected ones. The
    difference is what the step was worth; its interval covers the test rows and the draw of the training rows (see
    `contrast.difference`). Because more rows alone can teach more, the same is asked at equal size: kept rows
    against as many out of both. The verdict follows from the first, corrected for the number of questions (Holm 1979).

    A row put back is not shown to the steps that would have come after. Raises InputError without a run folder or a
    labelled test set.
    """
    if data.run is None:
        raise InputError("--ablate needs the folder of a run, whose rejected rows are put back; a file has none")
    bench = Bench(data)
    kept = labelled(data.made.rows, data.made)
    if not kept:
        raise InputError(f"{data.run}: no kept row has a text and a label")
    drops, passed = dropped(data)
    part = Part(notes=_notes(bench, drops, passed))
    there = [drop for drop in drops if drop.back]
    if not there:
        part.notes.append("No step rejected rows with a text and a label: there is nothing to put back.")
        return part
    worths, alone = _worths(data, bench, kept, there)
    part.tables.append(_table(bench, alone, worths))
    part.figures += [
        Figure.of(
            f"worth_{_slug(one.drop.name)}",
            one.more.interval,
            unit=bench.score_name,
            direction="higher",
            detail=f"{one.drop.name}: without {len(one.drop.back):,} rejected rows, less with them; "
            f"{_verdict(one, each, same)[0]}",
        )
        for one, each, same in _corrected(worths)
    ]
    part.notes += _said(worths)
    return part


def dropped(data: Data) -> tuple[list[Drop], Counter[str]]:
    """What each step rejected, in the order of the run; and how many rows were rejected for other causes, by reason."""
    assert data.run is not None
    lines: dict[str, list[Row]] = {}
    passed: Counter[str] = Counter()
    for line in rejected_rows(data.run):
        if line["reason"] in PASSED:
            passed[line["reason"]] += 1
        else:
            lines.setdefault(line["step"], []).append(line)
    order = {step["step"]: number for number, step in enumerate(read_manifest(data.run).get("funnel", []))}
    found: list[Drop] = []
    for step in sorted(lines, key=lambda step: (order.get(step, len(order)), step)):
        by_reason: dict[str, list[Row]] = {}
        for line in lines[step]:
            by_reason.setdefault(line["reason"], []).append(line)
        groups = [Drop(step, name, len(of), _back(of, data)) for name, of in sorted(by_reason.items())]
        usable = [group for group in groups if group.back]
        found.append(Drop(step, None, len(lines[step]), [row for group in groups for row in group.back]))
        found += usable if len(usable) > 1 else []
    return found, passed


def rejected_rows(run: Path) -> list[Row]:
    """The lines of the rejected output, with the ids of the rows. Raises InputError when it cannot be read."""
    if not (run / REJECTED).is_file():
        raise InputError("the run has no rejected.parquet; `synth-llm run` writes it", run)
    return [line for _, line in read_parquet(run / REJECTED, own_columns=True)]


def _back(lines: Sequence[Row], data: Data) -> list[Row]:
    """The rows inside these lines, in an order of their own."""
    return sorted(labelled([json.loads(line["row"]) for line in lines], data.made), key=canonical)


def _worths(data: Data, bench: Bench, kept: list[Row], drops: Sequence[Drop]) -> tuple[list[Worth], float]:
    """Each drop's worth, and the score of the student of the kept rows."""
    kept = sorted(kept, key=lambda row: canonical(public(row)))
    fits, done = (len(drops) * 2 + 1) * bench.draws + len(drops) + 1, 0

    def learn(rows: Sequence[Row], seed: int) -> list[str]:
        nonlocal done
        done += 1
        data.doing("ablation", done, fits)
        return bench.learn(rows, seed)

    again = [bench.resampled(kept, "kept", draw) for draw in range(bench.draws)]
    said = {KEPT: [learn(kept, 0)], f"{KEPT} again": [learn(rows, draw) for draw, rows in enumerate(again)]}
    for drop in drops:
        both = [*kept, *drop.back]
        said[drop.name] = [learn(both, 0)]
        said[f"{drop.name} again"] = [
            learn([*rows, *bench.resampled(drop.back, drop.name, draw)], draw) for draw, rows in enumerate(again)
        ]
        said[f"{drop.name} same size"] = [
            learn(bench.resampled(both, drop.name, "same size", draw, size=len(kept)), draw)
            for draw in range(bench.draws)
        ]
    scores = bench.scores(said)
    kept_again = scores[f"{KEPT} again"]
    found = []
    for drop in drops:
        union, union_again, same = (scores[f"{drop.name}{end}"] for end in ("", " again", " same size"))
        more = difference(scores[KEPT], union, (kept_again, union_again))
        found.append(Worth(drop, float(union.each[0]), more, difference(kept_again, same, (kept_again, same))))
    return found, float(scores[KEPT].each[0])


def _corrected(worths: Sequence[Worth]) -> list[tuple[Worth, float, float]]:
    """Each with its two p-values, corrected for the number of drops."""
    more, same = (holm([one.more.p for one in worths]), holm([one.same_size.p for one in worths]))
    return list(zip(worths, more, same, strict=True))


def _verdict(worth: Worth, p: float, p_same: float) -> tuple[str, str]:
    """What the step did, and why one can say so."""
    apart, same = worth.more.interval.value, worth.same_size.interval.value
    if p < SURE and apart > 0:
        return EARNED, "a student learns better without the rows it rejected"
    if p < SURE:
        better = p_same < SURE and same < 0
        return COST, "it rejected rows that teach more than those kept" if better else "more rows teach more"
    if p_same < SURE:
        return NOTHING, f"at equal size, the kept rows teach {'more' if same > 0 else 'less'}"
    return NOTHING, ""


def _table(bench: Bench, alone: float, worths: Sequence[Worth]) -> Table:
    def cell(difference: Difference) -> list[float]:
        return [round(value, 4) for value in difference.interval]

    def line(one: Worth, p: float, same: float) -> list[Any]:
        verdict, why = _verdict(one, p, same)
        scores = round(one.union, 4), round(alone, 4)
        sizes = one.drop.rejected, len(one.drop.back)
        return [one.drop.name, *sizes, *scores, cell(one.more), round(p, 4), cell(one.same_size), verdict, why]

    columns = ["step", "rejected", "put back", f"{bench.score_name} with", f"{bench.score_name} without"]
    columns += ["difference", "p", "difference at equal size", "verdict", "why"]
    return Table("ablation", "What each step was worth", columns, [line(*each) for each in _corrected(worths)])


def _notes(bench: Bench, drops: Sequence[Drop], passed: Counter[str]) -> list[str]:
    steps = [drop for drop in drops if drop.reason is None]
    notes = [
        f"Ablation: {bench.student} learns anew with the rows that a step rejected, as they were then; steps after it "
        f"do not see them. Differences are of {bench.score_name}, with 95 % intervals over {len(bench.test):,} test "
        f"rows and {bench.draws} draws of the training rows; p-values are Holm-corrected for the steps in the table."
    ]
    notes += [
        f"{drop.name}: {missing:,} of {drop.rejected:,} rejected rows have no text or label"
        for drop in steps
        if (missing := drop.rejected - len(drop.back))
    ]
    if passed:
        notes.append(
            "Not put back, because no step judged them: "
            + ", ".join(f"{count:,} rows '{reason}'" for reason, count in sorted(passed.items()))
        )
    return notes


def _said(worths: Sequence[Worth]) -> list[str]:
    """The verdicts that say something, in words."""
    said = []
    for one, p, same in _corrected(worths):
        verdict, why = _verdict(one, p, same)
        if verdict != NOTHING or why:
            value, low, high = (one.more if verdict != NOTHING else one.same_size).interval
            said.append(f"{one.drop.name}: {verdict} ({value:+.3f}, {low:+.3f} to {high:+.3f}): {why}")
    return said or ["No step made a difference that these test rows can show."]


def _slug(title: str) -> str:
    """A step's title in the words of figures.

    >>> _slug("filter 2: same_final_answer")
    'filter_2_same_final_answer'
    """
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
