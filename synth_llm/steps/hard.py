"""hard: keeps rows whose label a student of the rows so far gets wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from synth_llm.against import joined
from synth_llm.errors import InputError, Reject
from synth_llm.row import Row
from synth_llm.steps.classes import MISSING
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need

if TYPE_CHECKING:
    from synth_llm.student.student import Classifies

EASY, IMPROBABLE = "easy", "improbable"


class Hard(Step):
    """A student learns from the examples and from what earlier rounds accepted, and reads each new row.

    A row is missed when the student gives it another label than it has, and finds its label likely enough that it may
    be right. Among such rows are those with a wrong label: let a judge have the last word (`label_check`).
    """

    type: ClassVar[str] = "hard"

    column: str | list[str] = "text"
    """The column, or columns together, that the student reads."""
    label: str = "label"
    """The column that it predicts; the examples have it too."""
    student: str = "probe"
    """A student that says how sure it is: `probe`, or `classifier`."""
    least: float = Field(default=0.05, ge=0, lt=0.5)
    """A row whose own label the student finds less likely than this is rather wrong than hard."""
    on_easy: Literal["drop", "flag"] = "drop"
    """Reject what is not missed, as `easy` or `improbable`; or keep all rows, with the column `into`."""
    into: str = "missed"
    """The column that says whether a row is missed."""
    encoder: str | None = None
    """The encoder of the student `probe`; the packaged one when absent."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and `into`."""
        from synth_llm.student.registry import student

        need([*named(self.column), self.label], have, "hard")
        known = frozenset().union(*(frozenset(example) for example in use.examples))
        need([*named(self.column), self.label], known, "hard: the pool of examples")
        kind = student(self.student)
        if not hasattr(kind, "predict_proba"):
            raise InputError(f"hard: the student '{self.student}' does not say how sure it is; take `probe`")
        if len({str(example[self.label]) for example in use.examples if example.get(self.label) is not None}) < 2:
            raise InputError(f"hard: the examples have fewer than two values of '{self.label}'; nothing can be learned")
        if self.into in have:
            raise InputError(f"hard: the rows already have a column '{self.into}'; name another with 'into'")
        use.encoder(self.encoder)
        return have | {self.into}

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row with whether it is missed, or rejected."""
        from synth_llm.student.student import label_text

        student = self._taught(ctx)
        labels = {label: at for at, label in enumerate(student.labels)}
        some = list(rows)
        for row, chances in zip(some, student.predict_proba(some), strict=True) if some else ():
            label = label_text(row.get(self.label))
            if label is None or not joined(row, named(self.column)).strip():
                yield Rejected(row, Reject(MISSING, f"has no {self.label}, or no text"))
                continue
            own = float(chances[labels[label]]) if label in labels else 0.0
            said = student.labels[int(chances.argmax())]
            missed = said != label and (own >= self.least or label not in labels)
            ctx.note("the student's chance of the label", row, own, missed or self.on_easy == "flag")
            if missed or self.on_easy == "flag":
                yield {**row, self.into: missed}
            else:
                reason = EASY if said == label else IMPROBABLE
                yield Rejected(row, Reject(reason, f"{label}; the student says {said}, {label} {own:.2f}", value=own))

    def _taught(self, ctx: Context) -> Classifies:
        """The student of this round."""
        from synth_llm.student.registry import student
        from synth_llm.student.student import Task

        encode = partial(ctx.encode, encoder=self.encoder)
        task = Task(named(self.column), self.label, encode=encode)
        teaching = [row for row in [*ctx.use.examples, *ctx.accepted()] if row.get(self.label) is not None]
        made: Classifies = student(self.student)(task, ctx.seed).fit(teaching)  # type: ignore[assignment]
        ctx.report("rows the student learned from", len(teaching))
        return made
