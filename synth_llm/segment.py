"""A segment: rows stream through row steps, the deepest step first, and only rows in flight are in memory."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from synth_llm.errors import FatalError, Reject, Stopped
from synth_llm.row import ID, Row
from synth_llm.scores import Notes
from synth_llm.spool import Ordinal, ordinal
from synth_llm.steps.context import Context
from synth_llm.steps.step import Rejected, Step

BREATH = 64
"""Rows a worker takes before it lets others run, when nothing it does waits."""


@dataclass
class Tally:
    """What one step did, over all rounds: entered + made = left + rejected + replaced + unfinished."""

    step: str
    entered: int = 0
    made: int = 0
    replaced: int = 0
    left: int = 0
    unfinished: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    notes: Notes = field(default_factory=Notes)

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        own = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ("rejected", "notes")}
        return {**own, "rejected": dict(sorted(self.rejected.items())), **self.notes.as_dict()}


@dataclass
class Stage:
    """A step with its context and its tally."""

    step: Step
    context: Context
    tally: Tally


class Segment:
    """Carries rows through consecutive row steps with as many workers as `workers` says, whenever all are busy."""

    def __init__(
        self,
        stages: list[Stage],
        workers: Callable[[], int],
        leave: Callable[[Ordinal, Row], None],
        reject: Callable[[Ordinal, str, Reject, Row], None],
        halt: Callable[[str], None],
        drained: Callable[[bool], None] = lambda yes: None,
    ) -> None:
        self.stages, self.workers, self.leave, self.reject, self.halt = stages, workers, leave, reject, halt
        self.drained = drained
        """Told that no new rows come, so that only those on their way are left; or that some do again."""
        self._heap: list[tuple[int, Ordinal, Row]] = []
        self._source: Iterator[tuple[Ordinal, Row]] = iter(())
        self._busy = 0
        self._work = asyncio.Event()
        self._failure: BaseException | None = None
        self._staff: set[asyncio.Task[None]] = set()

    async def run(self, rows: Iterator[tuple[Ordinal, Row]]) -> None:
        """Carry all rows. An error that is no row's lets the others finish what they asked, and is raised last."""
        self._source = rows
        self.drained(False)
        self._hire()
        while self._staff:
            await asyncio.wait(self._staff, return_when=asyncio.FIRST_EXCEPTION)
            for worker in [worker for worker in self._staff if worker.done()]:
                self._staff.remove(worker)
                worker.result()
        if self._failure is not None:
            raise self._failure

    def _hire(self) -> None:
        """More workers, while there are too few; none ever leaves before the work is done."""
        while len(self._staff) < self.workers():
            self._staff.add(asyncio.create_task(self._worker()))

    async def _worker(self) -> None:
        taken = 0
        while True:
            item = self._next()
            if item is None:
                if not self._busy:
                    self._work.set()
                    return
                self._work.clear()
                await self._work.wait()
                continue
            self._busy += 1
            if self._busy == len(self._staff):
                self._hire()
            try:
                await self._carry(*item)
            except Exception as error:
                self._failure = self._failure or error
                self.halt("an error stopped the run")
            finally:
                self._busy -= 1
                if not self._busy:
                    self._work.set()
            taken += 1
            if taken % BREATH == 0:
                await asyncio.sleep(0)

    def _next(self) -> tuple[int, Ordinal, Row] | None:
        """The deepest row that waits, else the next of the source."""
        if self._heap:
            depth, at, row = heapq.heappop(self._heap)
            return -depth, at, row
        if self._failure is not None:
            return None
        item = next(self._source, None)
        if item is None:
            self.drained(True)
            return None
        return 0, *item

    async def _carry(self, depth: int, at: Ordinal, row: Row) -> None:
        """Take one row from step `depth` on; of children, go on with the first and leave the rest to all workers."""
        for number in range(depth, len(self.stages)):
            stage = self.stages[number]
            tally = stage.tally
            tally.entered += 1
            try:
                out = await stage.step.apply(row, stage.context)  # type: ignore[attr-defined]
            except Reject as reject:
                tally.rejected[reject.reason] += 1
                self.reject(at, tally.step, reject, row)
                return
            except Stopped:
                tally.unfinished += 1
                return
            if len(out) == 1 and not isinstance(out[0], Rejected) and out[0][ID] == row[ID]:
                row = out[0]
                tally.left += 1
                continue
            next_one = self._replace(number, at, row, out)
            if next_one is None:
                return
            at, row = next_one
        self.leave(at, row)

    def _replace(self, number: int, at: Ordinal, row: Row, out: list[Any]) -> tuple[Ordinal, Row] | None:
        """Count and queue the children of a row; returns the first that goes on."""
        tally = self.stages[number].tally
        if not out or len(
            {(child.row if isinstance(child, Rejected) else child)[ID] for child in out} | {row[ID]}
        ) <= len(out):
            raise FatalError(
                f"step {tally.step}: row {row[ID]} became {len(out)} rows without ids of their own; a step's bug"
            )
        tally.replaced += 1
        tally.made += len(out)
        alive = []
        for count, child in enumerate(out):
            place = at + ordinal(count)
            if isinstance(child, Rejected):
                tally.rejected[child.reject.reason] += 1
                self.reject(place, tally.step, child.reject, child.row)
            else:
                alive.append((place, child))
        tally.left += len(alive)
        for place, child in alive[1:]:
            heapq.heappush(self._heap, (-(number + 1), place, child))
        if len(alive) > 1:
            self._work.set()
        return alive[0] if alive else None
