"""Gold labels: what a judge is held against, before its verdicts count."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from synth_llm.calibrate import Judged, calibration, is_right, text_of
from synth_llm.errors import FatalError, InputError, Reject
from synth_llm.files import read_file
from synth_llm.inputs import resolve
from synth_llm.row import ID, LINEAGE, PARENT, Row, source_id
from synth_llm.steps.panel import Decide, Poll
from synth_llm.steps.step import Columns, need
from synth_llm.verdicts import Decision, log_odds

if TYPE_CHECKING:
    from synth_llm.steps.context import Context, Resources


class Gold(BaseModel):
    """Rows whose label is known: the judge answers them too, and the manifest says how often it is right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    """A file of rows, with the columns that the prompt needs."""
    label: str
    """The column that holds what the judge should say."""
    precision: float = Field(default=0.9, gt=0, le=1)
    """The threshold in the manifest is the lowest from which this share of the gold rows is right; by default .9, one
    wrong row in ten."""

    def rows(self, use: Resources, needed: Columns, known: Collection[str] = ()) -> list[Row]:
        """The rows with ids. Raises InputError, with file and line, when a column or a label is missing, or the label
        is none of those `known`, where they are known.
        """
        path = resolve(self.file, use.base)
        rows: list[Row] = []
        seen: dict[str, int] = {}
        for place, row in read_file(path):
            try:
                need([self.label, *sorted(needed)], frozenset(row), "gold")
            except InputError as error:
                raise place.error(error.message) from None
            if row[self.label] is None:
                raise place.error(f"gold: the label '{self.label}' is null")
            if known and text_of(row[self.label]) not in known:
                said = f"'{text_of(row[self.label])[:60]}' is none of {', '.join(known)}"
                raise place.error(f"gold: {said[:300]}")
            shown = {name: value for name, value in row.items() if name != self.label}
            again = seen[source_id(shown, 0)] = seen.get(source_id(shown, 0), -1) + 1
            label = _typed(row[self.label]) if path.suffix.lower() == ".csv" else row[self.label]
            rows.append({**shown, self.label: label, ID: source_id(shown, again), PARENT: None, LINEAGE: []})
        if not rows:
            raise InputError("gold: holds no rows", path)
        return rows


def _typed(label: Any) -> Any:
    """A label of a CSV file, where all values are texts, as the truth value or number that it is."""
    with suppress(ValueError):
        value = json.loads(str(label).strip().lower())
        return value if isinstance(value, bool | int | float) else label
    return label


@dataclass(frozen=True)
class Trial:
    """Holds judges against gold labels."""

    gold: Gold
    needed: Columns
    """Columns that the gold rows must have beside their label."""
    ask: Callable[[Row], Awaitable[Poll]]
    """Asks all judges for a gold row."""
    decide: Decide
    label: Callable[[Any], Any]
    """A gold label as a verdict says it."""
    weighted: bool
    """Whether votes are weighted by what the trial finds."""
    values: int
    """Values that a verdict can have."""

    async def weights(self, ctx: Context) -> dict[str, float]:
        """The weights of the judges' votes; empty when votes are equal. Asks once a round, journaled as any call.

        The manifest gets the figures of the panel and of each of its judges. Raises FatalError when votes are
        weighted and no judge is better than chance.
        """
        task = ctx.cached("trial", lambda: asyncio.ensure_future(self._hold(ctx)))
        return await asyncio.shield(task)

    async def _hold(self, ctx: Context) -> dict[str, float]:
        golden = self.gold.rows(ctx.use, self.needed)
        polls = await asyncio.gather(*map(self.ask, golden), return_exceptions=True)
        read: list[tuple[Row, Poll]] = []
        for row, answer in zip(golden, polls, strict=True):
            if isinstance(answer, Poll):
                read.append((row, answer))
            elif not isinstance(answer, Reject) or answer.reason == "unavailable":
                raise answer
        judges = dict.fromkeys(ballot.judge for _, answer in read for ballot in answer.ballots)
        alone = {judge: self._alone(judge, read) for judge in judges}
        weights = {
            judge: log_odds(sum(map(is_right, found)), sum(one.value is not None for one in found), self.values)
            for judge, found in alone.items()
        }
        if self.weighted and not any(weights.values()):
            raise FatalError(f"{ctx.step}: no judge of the panel is better than chance on {self.gold.file}")
        counting = weights if self.weighted else {}
        together = [
            Judged(self.label(row[self.gold.label]), *self.decide(answer.ballots, counting)) for row, answer in read
        ]
        facts = {"file": self.gold.file, "unread": len(golden) - len(read)}
        facts |= calibration(together, self.gold.precision)
        if len(judges) > 1:
            facts["judges"] = {
                judge: {"weight": round(weights[judge], 4), **calibration(found, self.gold.precision)}
                for judge, found in alone.items()
            }
        ctx.report("calibration", facts)
        return counting

    def _alone(self, judge: str, read: Sequence[tuple[Row, Poll]]) -> list[Judged]:
        """What one judge alone says of the gold rows."""
        found = []
        for row, answer in read:
            own = [ballot for ballot in answer.ballots if ballot.judge == judge and ballot.answers]
            found.append(
                Judged(self.label(row[self.gold.label]), *(self.decide(own, {}) if own else Decision(None, 0.0)))
            )
        return found
