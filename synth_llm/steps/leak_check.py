"""leak_check: a judge says whether a row is an evaluation item in other words; the last tier of decontamination."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from synth_llm.against import joined
from synth_llm.errors import InputError, Reject
from synth_llm.row import LINEAGE, Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, named, need

SUSPECTS = "suspects"
"""The column in which `decontaminate` leaves what this step asks about: a list of {item, text, similarity}."""
TOP = 3
"""A row's suspects, at most."""
SHOWN = 80
"""Characters of an item that a rejection shows."""
OWN = {"text", "item"}


class LeakCheck(Step):
    """Asks about each of a row's `suspects`, the nearest first, until one is the same; then the row is rejected.

    The column `suspects` comes from `decontaminate` with the tier `judge`, and is taken away. A judge that cannot be
    read is not a verdict: the row is rejected.
    """

    type: ClassVar[str] = "leak_check"

    prompt: str = "judge/contaminated"
    """A prompt that gives one truth value from `text` (the row's) and `item` (what it may repeat)."""
    model: str
    """A model of the recipe."""
    column: str | list[str] = "text"
    """The column, or columns together, of which `decontaminate` found that they may repeat an item."""

    @property
    def calls(self) -> int:
        """Three at most; a row without suspects is asked nothing."""
        return TOP

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns without `suspects`."""
        if SUSPECTS not in have:
            raise InputError("leak_check asks about what `decontaminate` marks; add it before, with the tier 'judge'")
        need(named(self.column), have, "leak_check")
        prompt = use.prompt(self.prompt)
        use.model(self.model)
        need(prompt.needs - OWN - use.constants, have, f"prompt {self.prompt}")
        values = list(prompt.gives.record["properties"].values())
        if prompt.gives.many or [value.get("type") for value in values] != ["boolean"]:
            raise InputError(f"prompt {self.prompt} must give one truth value, as {{same: boolean}}")
        return have - {SUSPECTS}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row without its suspects. Raises Reject as `contaminated`, or as what an unreadable answer was."""
        prompt, lineage = ctx.use.prompt(self.prompt), row[LINEAGE]
        text = joined(row, named(self.column))
        for suspect in row[SUSPECTS]:
            variables = {**ctx.use.variables(row), "text": text, "item": suspect["text"]}
            records, lineage = await ctx.ask(self.model, prompt, {**row, LINEAGE: lineage}, variables)
            same = next(iter(records[0].values()))
            ctx.note("similarity", row, suspect["similarity"], not same)
            if same:
                how = Closeness("judge", suspect["similarity"], f"{suspect['similarity']:.2f}", suspect["text"])
                reject = leak(suspect["item"], how)
                reject.lineage = lineage
                raise reject
        return [{**{name: value for name, value in row.items() if name != SUSPECTS}, LINEAGE: lineage}]


class Closeness(NamedTuple):
    """How close a row is to an item, by which tier, and what they share."""

    tier: str
    value: float
    said: str
    text: str


def leak(label: str, how: Closeness) -> Reject:
    """The rejection of a row that repeats the item of that label."""
    text = " ".join(how.text.split())
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    detail = f'repeats {label} ({how.tier}, {how.said}): "{shown}"'
    return Reject("contaminated", detail, value=how.value, other=label)
