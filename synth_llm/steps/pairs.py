"""pairs: of several rated answers to one instruction, the best against the worst."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.row import ID, LINEAGE, Row, child_of
from synth_llm.steps.classes import class_of, number, ranks
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need

PAIR = ("chosen", "rejected", "chosen_score", "rejected_score")


class Pairs(Step):
    """Makes one preference pair of each group of rated rows, or keeps the best row of each, the worst, or both.

    The best row is replaced by its child, which has `chosen`, `rejected`, `chosen_score` and `rejected_score` in place
    of its text and score. One pair a group, and its ends: so every instruction weighs the same, and the pair is the one
    that a noisy judge is least likely to have the wrong way round. All other rows are rejected and name the row that
    stands for them. Rows with equal scores are ranked by the hash of their ids, so their order changes nothing.
    """

    type: ClassVar[str] = "pairs"

    by: str | list[str] = "instruction"
    """Rows with the same value in this column (or these) are one group."""
    text: str = "output"
    """The column with the answer."""
    score: str = "rating"
    """The column with the number that ranks the answers of a group."""
    margin: Annotated[float, Field(gt=0)] = 1
    """How far the best and the worst score lie apart at least; a group whose scores do not is rejected as `tied`."""
    keep: Literal["pair", "both", "best", "worst"] = "pair"
    """`pair`: the best and the worst as one row. `both`: as two, each with `best`, true or false, for training on
    single answers. `best` or `worst`: that row as it is (best-of-n, worst-of-n), with no margin."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns; of a pair, the four of the pair in place of the text and the score."""
        need([*named(self.by), self.text, self.score], have, "pairs")
        if self.keep == "both":
            if "best" in have:
                raise InputError("pairs gives 'best', which the rows already have; rename that column")
            return have | {"best"}
        if self.keep != "pair":
            return have
        rest = have - {self.text, self.score}
        if there := [column for column in PAIR if column in rest]:
            raise InputError(f"pairs gives '{there[0]}', which the rows already have; rename that column")
        return rest | set(PAIR)

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected | list[Row]]:
        """Each row: replaced by its pair, kept, or rejected as `not selected`, `tied` or `missing`."""
        order = ranks(rows, self.score, ctx)
        groups: dict[str, list[int]] = {}
        lacks: dict[int, str] = {}
        for at, row in enumerate(rows):
            if lack := self._lacks(row):
                lacks[at] = lack
            else:
                groups.setdefault(class_of(row, named(self.by)), []).append(at)
        ends = {name: self._ends(of, order) for name, of in groups.items()}
        wanted = {at for pair in ends.values() for at in pair}
        held = {at: row for at, row in enumerate(rows) if at in wanted}
        for at, row in enumerate(rows):
            if at in lacks:
                yield Rejected(row, Reject("missing", lacks[at]))
            else:
                best, worst = (held[end] for end in ends[class_of(row, named(self.by))])
                yield self._outcome(row, best, worst, ctx)

    def _lacks(self, row: Row) -> str:
        """What a row lacks to be in a group, or nothing."""
        if not class_of(row, named(self.by)):
            return f"has no {' and '.join(named(self.by))}"
        if number(row, self.score) is None:
            return f"{self.score} holds no number"
        return "" if row.get(self.text) else f"has no {self.text}"

    def _ends(self, of: list[int], order: list[tuple[float, str]]) -> tuple[int, int]:
        """The best and the worst row of a group."""
        ranked = sorted(of, key=order.__getitem__)
        return ranked[0], ranked[-1]

    def _outcome(self, row: Row, best: Row, worst: Row, ctx: Context) -> Row | Rejected | list[Row]:
        """What becomes of a row whose group has these ends."""
        if self.keep in ("best", "worst"):
            end = best if self.keep == "best" else worst
            return row if row[ID] == end[ID] else Rejected(row, _passed_over(f"not the {self.keep} answer", end[ID]))
        apart = (number(best, self.score) or 0.0) - (number(worst, self.score) or 0.0)
        if row[ID] == best[ID]:
            ctx.note("margin", row, apart, apart >= self.margin)
        if apart < self.margin or best[self.text] == worst[self.text]:
            said = f"the best and the worst {self.score} lie {apart:g} apart"
            said = "the best and the worst answer say the same" if apart >= self.margin else said
            return Rejected(row, Reject("tied", "the only answer" if best is worst else said, value=apart))
        neither = "neither the best nor the worst answer"
        if self.keep == "both":
            at_end = row[ID] in (best[ID], worst[ID])
            return {**row, "best": row[ID] == best[ID]} if at_end else Rejected(row, _passed_over(neither, best[ID]))
        pair = self._pair(best, worst)
        if row[ID] == best[ID]:
            return [pair]
        said = "is the rejected answer of its pair" if row[ID] == worst[ID] else neither
        return Rejected(row, _passed_over(said, pair[ID]))

    def _pair(self, best: Row, worst: Row) -> Row:
        """The child of the best row; its lineage holds the calls behind both answers."""
        values = (best[self.text], worst[self.text], best[self.score], worst[self.score])
        lineage = [*best[LINEAGE], *(call for call in worst[LINEAGE] if call not in best[LINEAGE])]
        rest = {column: value for column, value in best.items() if column not in (self.text, self.score)}
        return child_of(rest, (0,), dict(zip(PAIR, values, strict=True)), lineage)


def _passed_over(said: str, stands: str) -> Reject:
    return Reject("not selected", said, other=stands)
