"""label_check: a judge labels a text without seeing its proposed label; agreement keeps."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.prompt import Prompt
from synth_llm.row import LINEAGE, Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.gold import Gold, Trial
from synth_llm.steps.panel import Ballot, Poll, check_blind, check_panel, names, poll, visible
from synth_llm.steps.sample import Sample
from synth_llm.steps.step import Columns, Rejected, Step, need
from synth_llm.verdicts import vote


class LabelCheck(Step):
    """Adds `judged` (the label most votes give) and `agreement` (the share of votes for the proposed label, 0 to 1).

    A judge that cannot be read is not a verdict: the row is rejected; of a panel, that judge has no vote.
    """

    type: ClassVar[str] = "label_check"

    prompt: str = "judge/label"
    """A prompt that gives one column, one of `labels`. It must not need the label's column."""
    model: str | list[str]
    """A model of the recipe, or several: a panel."""
    label: str = "label"
    """The column with the proposed label."""
    labels: list[str] = []
    """The labels to choose from; by default the values of the label's column in the source."""
    votes: int = Field(default=1, ge=1)
    """Answers of each judge for a row; more than one needs a temperature above 0."""
    vote: Literal["majority", "weighted"] = "majority"
    """How a panel decides: equal votes, or votes weighted by the log odds of each judge's accuracy on `gold`."""
    gold: Gold | None = None
    """Rows whose label is known to be right."""
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
        """One a vote of each judge."""
        return self.votes * len(names(self.model))

    def verdicts(self, use: Resources) -> frozenset[str]:
        """`judged` and `agreement`; no later judge sees them."""
        return frozenset({"judged", "agreement"})

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns, `judged` and `agreement`."""
        prompt = use.prompt(self.prompt)
        check_panel(self.model, self.vote == "weighted", self.gold is not None, use)
        check_blind(self, prompt, use)
        need([self.label], have, "label")
        if self.label in prompt.needs | prompt.optional:
            raise InputError(
                f"prompt {self.prompt} sees column '{self.label}', the label it is to check; a label check is blind"
            )
        if len(prompt.gives.columns) != 1 or prompt.gives.many:
            raise InputError(
                f"prompt {self.prompt} gives {', '.join(prompt.gives.columns)}; a label check needs one label"
            )
        self._check_shots(prompt, use)
        needed = self._needed(prompt, use)
        need(needed, have, f"prompt {self.prompt}")
        for judge in names(self.model):
            if self.votes > 1 and use.model(judge).temperature == 0:
                raise InputError(
                    f"votes: {self.votes} at temperature 0 would be one answer; raise the temperature of '{judge}'"
                )
        if len(self._labels(use)) < 2:
            raise InputError(f"labels: the source does not say which values '{self.label}' has; list them")
        if self.gold is not None:
            if self.gold.label in needed:
                raise InputError(f"prompt {self.prompt} sees '{self.gold.label}', the gold label")
            self.gold.rows(use, needed, self._labels(use))
        return have | {"judged", "agreement"}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with the verdict. Raises Reject as `disagreement`, or as what the first unreadable vote was."""
        weights = await self._trial(ctx).weights(ctx) if self.gold else {}
        answer = await self._ask(row, ctx)
        votes, counted = _votes(answer.ballots, weights)
        label = str(row[self.label])
        agreement = sum(weight for said, weight in zip(votes, counted, strict=True) if said == label) / sum(counted)
        judged = vote(votes, counted).value
        new = {**row, "judged": judged or Counter(votes).most_common(1)[0][0], "agreement": agreement}
        new[LINEAGE] = answer.lineage
        keep = agreement > self.agreement or self.on_disagreement == "flag"
        relabel = not keep and judged is not None and self.on_disagreement == "relabel"
        ctx.note("agreement", row, agreement, keep or relabel)
        if keep or relabel:
            return [{**new, self.label: judged} if relabel else new]
        counts = ", ".join(f"{name} {count}" for name, count in sorted(Counter(votes).items()))
        reject = Reject("disagreement", f"proposed {label}; votes: {counts}", value=agreement)
        reject.lineage = answer.lineage
        raise reject

    async def _ask(self, row: Row, ctx: Context) -> Poll:
        """All judges' votes. What the prompt does not need may have been drawn by the label: it is not shown."""
        prompt = ctx.use.prompt(self.prompt)
        hidden = [self.label, *prompt.optional, *([self.gold.label] if self.gold else [])]
        variables = {
            **visible(self, prompt, row, ctx, hidden),
            **ctx.cached("variables", lambda: self._variables(ctx)),
        }
        return await poll(ctx, self.model, prompt, row, [(variables, number) for number in range(self.votes)])

    def _trial(self, ctx: Context) -> Trial:
        assert self.gold is not None
        return Trial(
            self.gold,
            self._needed(ctx.use.prompt(self.prompt), ctx.use),
            lambda row: self._ask(row, ctx),
            lambda ballots, weights: vote(*_votes(ballots, weights)),
            label=str,
            weighted=self.vote == "weighted",
            values=len(self._labels(ctx.use)),
        )

    @property
    def _own(self) -> set[str]:
        """The variables that the step gives the prompt."""
        return {"labels", *self.with_} | ({"shots"} if self.shots else set())

    def _needed(self, prompt: Prompt, use: Resources) -> Columns:
        return prompt.needs - self._own - use.constants

    def _check_shots(self, prompt: Prompt, use: Resources) -> None:
        """Raises InputError when the prompt sees examples that were drawn by the label."""
        for step in use.recipe.steps:
            if isinstance(step, Sample) and self.label in step.matched and step.into in prompt.needs - self._own:
                raise InputError(
                    f"prompt {self.prompt} sees column '{step.into}', drawn by the label it is to check; "
                    "give the label check worked examples of its own: shots: 4"
                )

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


def _votes(ballots: Sequence[Ballot], weights: dict[str, float]) -> tuple[list[str], list[float]]:
    """All votes and their weights. A judge's weight is that of each of its votes: all judges have as many.

    Where only judges without weight could be read, they count equally: a vote of somebody is better than of nobody.
    """
    read = [ballot for ballot in ballots if ballot.answers]
    votes = [str(next(iter(record.values()))) for ballot in read for record in ballot.answers]
    counted = [weights.get(ballot.judge, 0.0) if weights else 1.0 for ballot in read for _ in ballot.answers]
    return votes, counted if any(counted) else [1.0] * len(votes)
