"""judge: a model scores a row under a schema; its scores become columns."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from synth_llm.errors import InputError
from synth_llm.row import LINEAGE, Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Given, Rejected, Step, need


class Judge(Step):
    """The columns that the prompt gives are added to the row.

    A judge that cannot be read is not a verdict: the row is rejected.
    """

    type: ClassVar[str] = "judge"

    prompt: str
    """The prompt's name; it gives one record."""
    model: str
    """A model of the recipe."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Further variables of the prompt, the same for every row."""
    gives: Given = None
    """What the prompt gives back, instead of what its own head says: in the short form, as a JSON Schema, or (from
    Python) as a Pydantic model."""

    @property
    def calls(self) -> int:
        """One."""
        return 1

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and the scores. Raises InputError when a score would overwrite a column."""
        prompt = use.prompt(self.prompt, self.gives)
        use.model(self.model)
        need(prompt.needs - set(self.with_) - use.constants, have, f"prompt {self.prompt}")
        if prompt.gives.many:
            raise InputError(f"prompt {self.prompt} gives many records; a judge gives one")
        for column in prompt.gives.columns:
            if column in have:
                raise InputError(
                    f"prompt {self.prompt} gives '{column}', which the rows already have; rename one of them"
                )
        return have | set(prompt.gives.columns)

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with its scores."""
        variables = {**ctx.use.variables(row), **self.with_}
        prompt = ctx.use.prompt(self.prompt, self.gives)
        records, lineage = await ctx.ask(self.model, prompt, row, variables)
        return [{**row, **records[0], LINEAGE: lineage}]
