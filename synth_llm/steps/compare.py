"""compare: judges say which of two columns is better, asked in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from synth_llm.errors import InputError, Reject
from synth_llm.gives import as_word
from synth_llm.prompt import Prompt
from synth_llm.row import LINEAGE, Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.gold import Gold, Trial
from synth_llm.steps.panel import Ballot, Poll, check_blind, check_panel, names, poll, visible
from synth_llm.steps.step import Columns, Rejected, Step, need
from synth_llm.verdicts import TIE, Decision, swapped, vote

WINNER, AGREEMENT = "winner", "agreement"
PLACES = ("first", "second")
"""What a prompt calls the two texts, in the order in which it is asked."""


class Compare(Step):
    """Adds `winner` (the name of the better column, or `tie`) and `agreement` (the share of the votes behind it).

    Each judge is asked twice, with the columns in either order; one that prefers a place and not a text abstains. A
    judge that cannot be read is not a verdict: the row is rejected; of a panel, that judge abstains.
    """

    type: ClassVar[str] = "compare"

    columns_: list[str] = Field(alias="columns", min_length=2, max_length=2)
    """The two columns that are compared. The prompt sees them as `first` and `second`, and never which is which."""
    prompt: str = "judge/compare"
    """A prompt that gives one column, 1 or 2 (or anything else, for neither)."""
    model: str | list[str]
    """A model of the recipe, or several: a panel."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Further variables of the prompt, the same for every row."""
    vote: Literal["majority", "weighted"] = "majority"
    """How a panel decides: equal votes, or votes weighted by the log odds of each judge's accuracy on `gold`."""
    on_tie: Literal["keep", "drop"] = "keep"
    """A row without a winner: kept with the winner `tie`, or rejected as `abstained`."""
    gold: Gold | None = None
    """Rows with a known winner: the column's name, or 1 or 2 for the first or second of `columns`; or `tie`."""

    @property
    def calls(self) -> int:
        """Two a judge."""
        return 2 * len(names(self.model))

    def verdicts(self, use: Resources) -> frozenset[str]:
        """`winner` and `agreement`; no later judge sees them."""
        return frozenset({WINNER, AGREEMENT})

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns, `winner` and `agreement`."""
        prompt = use.prompt(self.prompt)
        check_panel(self.model, self.vote == "weighted", self.gold is not None, use)
        check_blind(self, prompt, use)
        self._check_sides(have)
        self._check_prompt(prompt)
        needed = self._needed(prompt, use)
        need(needed, have, f"prompt {self.prompt}")
        if self.gold is not None:
            if self.gold.label in needed:
                raise InputError(f"prompt {self.prompt} sees '{self.gold.label}', the gold label")
            for row in self.gold.rows(use, needed | set(self.columns_)):
                self._side(row[self.gold.label])
        return have | {WINNER, AGREEMENT}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with the verdict. Raises Reject as the first unreadable answer was, or as `abstained`."""
        weights = await self._trial(ctx).weights(ctx) if self.gold else {}
        answer = await self._ask(row, ctx)
        value, agreement = self._together(answer.ballots, weights)
        winner, keep = value or TIE, value is not None or self.on_tie == "keep"
        ctx.note(AGREEMENT, row, agreement, keep)
        if not keep:
            reject = Reject("abstained", f"neither {self.columns_[0]} nor {self.columns_[1]} wins", value=agreement)
            reject.lineage = answer.lineage
            raise reject
        return [{**row, WINNER: winner, AGREEMENT: agreement, LINEAGE: answer.lineage}]

    async def _ask(self, row: Row, ctx: Context) -> Poll:
        """All judges' answers, in both orders."""
        prompt = ctx.use.prompt(self.prompt)
        one, other = self.columns_
        hidden = [one, other, WINNER, AGREEMENT, *([self.gold.label] if self.gold else [])]
        shown = {**visible(self, prompt, row, ctx, hidden), **self.with_}
        orders = [(row.get(one), row.get(other)), (row.get(other), row.get(one))]
        return await poll(
            ctx, self.model, prompt, row, [({**shown, **dict(zip(PLACES, order, strict=True))}, 0) for order in orders]
        )

    def _together(self, ballots: Sequence[Ballot], weights: dict[str, float]) -> Decision:
        """What the judges say together; a judge that contradicts itself is one that abstains."""
        sides = (self.columns_[0], self.columns_[1])
        votes: list[str | None] = []
        for ballot in ballots:
            said = [next(iter(record.values())) for record in ballot.answers]
            winner = swapped(said[0], said[1], sides) if said else TIE
            votes.append(None if winner == TIE else winner)
        return vote(votes, [weights.get(ballot.judge, 0.0) for ballot in ballots] if weights else [])

    def _trial(self, ctx: Context) -> Trial:
        assert self.gold is not None
        gold, prompt = self.gold, ctx.use.prompt(self.prompt)
        return Trial(
            gold,
            self._needed(prompt, ctx.use) | set(self.columns_),
            lambda row: self._ask(row, ctx),
            self._together,
            label=self._side,
            weighted=self.vote == "weighted",
            values=2,
        )

    def _needed(self, prompt: Prompt, use: Resources) -> Columns:
        return prompt.needs - set(self.with_) - set(PLACES) - use.constants

    def _side(self, label: Any) -> str:
        """A gold label as a column's name or `tie`. Raises InputError."""
        found = {"1": self.columns_[0], "2": self.columns_[1], "0": TIE}.get(as_word(label), as_word(label))
        if found not in (*self.columns_, TIE):
            raise InputError(f"gold: '{found[:60]}' is none of {', '.join(self.columns_)}, 1, 2, {TIE}")
        return found

    def _check_sides(self, have: Columns) -> None:
        need(self.columns_, have, "compare")
        if self.columns_[0] == self.columns_[1]:
            raise InputError(f"columns: '{self.columns_[0]}' stands twice; compare two columns")
        for column in (WINNER, AGREEMENT):
            if column in have:
                raise InputError(f"compare gives '{column}', which the rows already have; rename that column")

    def _check_prompt(self, prompt: Prompt) -> None:
        """Raises InputError when the prompt could tell the sides apart, or cannot say which one is better."""
        seen = (prompt.needs | prompt.optional) & set(self.columns_) - set(PLACES)
        if seen:
            raise InputError(
                f"prompt {self.prompt} sees column '{min(seen)}', one of those compared; show {{{{ fence(first) }}}} "
                "and {{ fence(second) }}, which come in both orders"
            )
        if missing := sorted(set(PLACES) - prompt.needs):
            raise InputError(f"prompt {self.prompt} does not show '{missing[0]}'; it must show first and second")
        [*columns] = prompt.gives.columns
        enum = prompt.gives.record["properties"][columns[0]].get("enum")
        choices = {as_word(value) for value in enum} if isinstance(enum, list) else set()
        if prompt.gives.many or len(columns) != 1 or not {"1", "2"} <= choices:
            raise InputError(f"prompt {self.prompt} must give one column, 1 or 2: `gives: {{better: [1, 2]}}`")
