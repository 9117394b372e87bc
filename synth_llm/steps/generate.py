"""generate: a model makes new rows of each row."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, Any, ClassVar

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.row import Row, child_of
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Given, Rejected, Step, need

Warmth = Annotated[float, Field(gt=0, le=5)]


class Generate(Step):
    """Each answer becomes a child of the row, with the columns that the prompt gives; `n` answers a row.

    A prompt that gives many records makes a child of each. With `n: 1` a row whose answer cannot be used is
    rejected; of several answers, each that cannot be used is rejected as a child of its own.
    """

    type: ClassVar[str] = "generate"

    prompt: str
    """The prompt's name."""
    model: str | Annotated[list[str], Field(min_length=1)]
    """A model of the recipe, or several that answer in turn: the first answer is the first model's."""
    n: int = Field(default=1, ge=1)
    """Answers for each row."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Further variables of the prompt, the same for every row."""
    temperature: Annotated[list[Warmth], Field(min_length=2, max_length=2)] | None = None
    """`[low, high]`, instead of the model's own: the first while nothing is accepted, rising with what earlier rounds
    accepted to the second at a full target. Late rows have the most to differ from, and are drawn most freely."""
    gives: Given = None
    """What the prompt gives back, instead of what its own head says: in the short form, as a JSON Schema, or (from
    Python) as a Pydantic model."""

    @property
    def calls(self) -> int:
        """One a sample."""
        return self.n

    @property
    def makes(self) -> int:
        """One a sample; a prompt that gives many may make more."""
        return self.n

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and those the prompt gives."""
        prompt = use.prompt(self.prompt, self.gives)
        need(prompt.needs - set(self.with_) - use.constants, have, f"prompt {self.prompt}")
        for model, count in Counter(map(self._writer, range(self.n))).items():
            if use.model(model).temperature == 0 and count > 1:
                raise InputError(
                    f"n: {count} answers at temperature 0 would be one answer; raise the temperature of '{model}'"
                )
            if prompt.speaks == "user":
                use.template(model)
        if self.n < len(self.models):
            raise InputError(f"n: {self.n} leaves some of {', '.join(self.models)} without an answer to give")
        if self.temperature and use.recipe.target is None:
            raise InputError("temperature: [low, high] rises as a target fills; this recipe has no target")
        return have | set(prompt.gives.columns)

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The children, in the order of samples and records."""
        variables = {**ctx.use.variables(row), **self.with_}
        prompt = ctx.use.prompt(self.prompt, self.gives)
        many, warm = prompt.gives.many, self._temperature(ctx)
        if self.n == 1:
            return _children(row, 0, many, await ctx.ask(self._writer(0), prompt, row, variables, 0, warm))
        asked = [ctx.ask(self._writer(sample), prompt, row, variables, sample, warm) for sample in range(self.n)]
        children: list[Row | Rejected] = []
        for sample, answer in enumerate(await asyncio.gather(*asked, return_exceptions=True)):
            if isinstance(answer, Reject):
                number = (sample, 0) if many else (sample,)
                children.append(Rejected(child_of(row, number, {}, answer.lineage), answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                children += _children(row, sample, many, answer)
        return children

    def _temperature(self, ctx: Context) -> float | None:
        """This round's; None for the model's own."""
        if self.temperature is None:
            return None
        low, high = self.temperature
        return round(low + (high - low) * ctx.filled, 3)

    def _writer(self, sample: int) -> str:
        """The model that gives this answer."""
        models = self.models
        return models[sample % len(models)]


def _children(row: Row, sample: int, many: bool, answer: tuple[list[Row], list[Row]]) -> list[Row | Rejected]:
    records, lineage = answer
    return [
        child_of(row, (sample, number) if many else (sample,), record, lineage) for number, record in enumerate(records)
    ]
