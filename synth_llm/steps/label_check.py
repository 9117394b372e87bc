"""label_check: a judge labels a text without seeing its proposed label; agreement keeps."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any, ClassVar, Literal

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.row import LINEAGE, Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.sample import Sample
from synth_llm.steps.step import Columns, Rejected, Step, need


class LabelCheck(Step):
    """Adds `judged` (the label most votes give) and `agreement` (the share of votes for the proposed label, 0 to 1)."""

    type: ClassVar[str] = "label_check"

    prompt: str = "judge/label"
    """A prompt that gives one column, one of `labels`. It must not need the label's column."""
    model: str
    """A model of the recipe."""
    label: str = "label"
    """The column with the proposed label."""
    labels: list[str] = []
    """The labels to choose from; by default the values of the label's column in the source."""
    votes: int = Field(default=1, ge=1)
    """Answers a row; more than one needs a temperature above 0."""
    agreement: float = Field(default=0.5, ge=0, le=1)
    """A row agrees when more than this share of the votes gives the proposed label."""
    on_disagreement: Literal["drop", "relabel", "flag"] = "drop"
    """Reject the row; or give it the label of most votes (a tie is rejected); or keep it, for a later step to see."""
    shots: int = Field(default=0, ge=0)
    """So many worked examples of each label: the first in the source's `examples`, in turn. The prompt's `shots`."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Further variables of the prompt, such as worked examples."""

    @property
    def calls(self) -> int:
        """One a vote."""
        return self.votes

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns, `judged` and `agreement`."""
        prompt, entry = use.prompt(self.prompt), use.model(self.model)
        need([self.label], have, "label")
        if self.label in prompt.needs | prompt.optional:
            raise InputError(
                f"prompt {self.prompt} sees column '{self.label}', the label it is to check; a label check is blind"
            )
        if len(prompt.gives.columns) != 1 or prompt.gives.many:
            raise InputError(
                f"prompt {self.prompt} gives {', '.join(prompt.gives.columns)}; a label check needs one label"
            )
        own = {"labels", *self.with_} | ({"shots"} if self.shots else set())
        for step in use.recipe.steps:
            if isinstance(step, Sample) and self.label in step.matched and step.into in prompt.needs - own:
                raise InputError(
                    f"prompt {self.prompt} sees column '{step.into}', drawn by the label it is to check; "
                    "give the label check worked examples of its own: shots: 4"
                )
        need(prompt.needs - own - use.constants, have, f"prompt {self.prompt}")
        if self.votes > 1 and entry.temperature == 0:
            raise InputError(
                f"votes: {self.votes} at temperature 0 would be one answer; raise the temperature of '{self.model}'"
            )
        if len(self._labels(use)) < 2:
            raise InputError(f"labels: the source does not say which values '{self.label}' has; list them")
        return have | {"judged", "agreement"}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with the verdict. Raises Reject as `disagreement`, or as what the first unreadable vote was."""
        prompt = ctx.use.prompt(self.prompt)
        blind = {  # what the prompt does not need may have been drawn by the label: not from the row
            name: value for name, value in ctx.use.variables(row).items() if name in prompt.needs and name != self.label
        }
        variables = {**blind, **ctx.cached("variables", lambda: self._variables(ctx))}
        asked = [ctx.ask(self.model, prompt, row, variables, vote) for vote in range(self.votes)]
        votes, lineage = [], list(row[LINEAGE])
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
            votes.append(str(next(iter(answer[0][0].values()))))
            lineage += answer[1][len(row[LINEAGE]) :]
        return [self._verdict(row, Counter(votes), lineage)]

    def _verdict(self, row: Row, votes: Counter[str], lineage: list[dict[str, str]]) -> Row:
        label = str(row[self.label])
        agreement = votes[label] / votes.total()
        (judged, most), *rest = votes.most_common()
        new = {**row, "judged": judged, "agreement": agreement, LINEAGE: lineage}
        if agreement > self.agreement or self.on_disagreement == "flag":
            return new
        tie = bool(rest) and rest[0][1] == most
        if self.on_disagreement == "relabel" and not tie:
            return {**new, self.label: judged}
        counts = ", ".join(f"{name} {count}" for name, count in sorted(votes.items()))
        reject = Reject("disagreement", f"proposed {label}; votes: {counts}", value=agreement)
        reject.lineage = lineage
        raise reject

    def _variables(self, ctx: Context) -> dict[str, Any]:
        """What is the same for all rows: the labels, the worked examples in turn by label, the step's own settings."""
        labels = self._labels(ctx.use)
        variables: dict[str, Any] = {"labels": labels, **self.with_}
        if self.shots:
            pool = ctx.use.examples
            groups = [[one for one in pool if str(one.get(self.label)) == label][: self.shots] for label in labels]
            turns = itertools.zip_longest(*groups)
            variables["shots"] = [
                {**one, "label": one[self.label]} for turn in turns for one in turn if one is not None
            ]
        return variables

    def _labels(self, use: Resources) -> list[str]:
        return self.labels or use.labels(self.label)
