"""judge: a model, or a panel of models, scores a row under a schema; its scores become columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from synth_llm.calibrate import text_of
from synth_llm.errors import InputError, Reject
from synth_llm.models.request import Schema
from synth_llm.prompt import Prompt
from synth_llm.row import LINEAGE, Row
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.gold import Gold, Trial
from synth_llm.steps.panel import Ballot, Poll, body_of, check_blind, check_panel, mean, names, poll, visible
from synth_llm.steps.step import Columns, Given, Rejected, Step, need
from synth_llm.verdicts import Decision, expected_score, vote


class Judge(Step):
    """The columns that the prompt gives are added to the row.

    A judge that cannot be read is not a verdict: the row is rejected. Where the model's entry has `logprobs`, an
    integer score is the expected one over the probabilities of its token (G-Eval). Of a panel, scores are averaged and
    choices are voted on (Verga et al. 2024, arXiv 2404.18796, section 2); a judge that cannot be read abstains.
    """

    type: ClassVar[str] = "judge"

    prompt: str
    """The prompt's name; it gives one record."""
    model: str | list[str]
    """A model of the recipe, or several: a panel."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Further variables of the prompt, the same for every row."""
    gives: Given = None
    """What the prompt gives back, instead of what its own head says: in the short form, as a JSON Schema, or (from
    Python) as a Pydantic model."""
    vote: Literal["majority", "weighted"] = "majority"
    """How a panel decides: equal votes, or votes weighted by the log odds of each judge's accuracy on `gold`."""
    on_tie: Literal["drop", "keep"] = "drop"
    """A row on whose choice the panel is split: rejected as `abstained`, or kept with null for a choice."""
    gold: Gold | None = None
    """Rows with a known label, for the first choice or score that the prompt gives."""

    @property
    def calls(self) -> int:
        """One a judge."""
        return len(names(self.model))

    def verdicts(self, use: Resources) -> frozenset[str]:
        """The columns that the prompt gives; no later judge sees them."""
        return frozenset(use.prompt(self.prompt, self.gives).gives.columns)

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and the scores. Raises InputError when a score would overwrite a column."""
        prompt = use.prompt(self.prompt, self.gives)
        check_panel(self.model, self.vote == "weighted", self.gold is not None, use)
        check_blind(self, prompt, use)
        needed = prompt.needs - set(self.with_) - use.constants
        need(needed, have, f"prompt {self.prompt}")
        if prompt.gives.many:
            raise InputError(f"prompt {self.prompt} gives many records; a judge gives one")
        for column in prompt.gives.columns:
            if column in have:
                raise InputError(
                    f"prompt {self.prompt} gives '{column}', which the rows already have; rename one of them"
                )
        if self.gold is not None:
            if self.gold.label in needed:
                raise InputError(f"prompt {self.prompt} sees '{self.gold.label}', the gold label")
            self._check_gold(self.gold, prompt, needed, use)
        return have | set(prompt.gives.columns)

    def _check_gold(self, gold: Gold, prompt: Prompt, needed: Columns, use: Resources) -> None:
        """Raises InputError for gold labels that the judge's word cannot be held against."""
        schema = _plain(prompt.gives.record["properties"][self._deciding(prompt)])
        choices = [text_of(value) for value in schema["enum"]] if isinstance(schema.get("enum"), list) else []
        rows = gold.rows(use, needed, choices)
        on_scale = schema.get("type") not in {"integer", "number"} or not any(
            isinstance(row[gold.label], bool) for row in rows
        )
        if self.vote == "weighted" and not on_scale:
            raise InputError("vote: weighted needs gold labels on the judge's scale, not true and false")

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row with its scores. Raises Reject as the answer was, or as `abstained`."""
        weights = await self._trial(ctx).weights(ctx) if self.gold else {}
        answer = await self._ask(row, ctx)
        prompt = ctx.use.prompt(self.prompt, self.gives)
        columns = ctx.cached("voted", lambda: _voted(prompt))
        read = [ballot.answers[0] for ballot in answer.ballots if ballot.answers]
        if len(read) == 1 and not weights:  # it speaks for all
            like, scores = read[0], {column: read[0][column] for column in columns}
        else:
            scores = {column: self._together(prompt, column, answer.ballots, weights).value for column in columns}
            split = [column for column, value in scores.items() if value is None and self._was_split(column, answer)]
            if split and self.on_tie == "drop":
                reject = Reject("abstained", f"the panel is split on {', '.join(split)}")
                reject.lineage = answer.lineage
                raise reject
            like = min(read, key=lambda record: _distance(record, scores))
        new = {**row, **like, **scores, LINEAGE: answer.lineage}
        for column, score in scores.items():
            if isinstance(score, int | float) and not isinstance(score, bool):
                ctx.note(column, row, score, True)
        return [new]

    async def _ask(self, row: Row, ctx: Context) -> Poll:
        """All judges' answers, with expected scores where there are log-probabilities."""
        prompt = ctx.use.prompt(self.prompt, self.gives)
        hidden = [self.gold.label] if self.gold else []
        variables = {**visible(self, prompt, row, ctx, hidden), **self.with_}
        answer = await poll(ctx, self.model, prompt, row, [(variables, 0)])
        return Poll([_expected(ballot, prompt, ctx) for ballot in answer.ballots], answer.lineage)

    def _trial(self, ctx: Context) -> Trial:
        assert self.gold is not None
        prompt = ctx.use.prompt(self.prompt, self.gives)
        column = self._deciding(prompt)
        return Trial(
            self.gold,
            prompt.needs - set(self.with_) - ctx.use.constants,
            lambda row: self._ask(row, ctx),
            lambda ballots, weights: self._together(prompt, column, ballots, weights),
            label=lambda label: label,
            weighted=self.vote == "weighted",
            values=max(2, len(_allowed(prompt, column) or ())),
        )

    def _deciding(self, prompt: Prompt) -> str:
        """The column that gold labels are held against: the first choice or score."""
        if not (columns := _voted(prompt)):
            raise InputError(f"gold: prompt {self.prompt} gives no choice and no score")
        return columns[0]

    def _together(self, prompt: Prompt, column: str, ballots: Sequence[Ballot], weights: dict[str, float]) -> Decision:
        """What the judges say together: the mean of scores, the choice with most votes."""
        read = [ballot for ballot in ballots if ballot.answers and ballot.answers[0][column] is not None]
        values = [ballot.answers[0][column] for ballot in read]
        counted = [weights.get(ballot.judge, 0.0) if weights else 1.0 for ballot in read]
        if not any(counted):
            return Decision(None, 0.0)
        if len(values) == 1:
            return Decision(values[0], 1.0)
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            return Decision(mean(values, counted), 1.0)
        return vote(values, counted)

    def _was_split(self, column: str, answer: Poll) -> bool:
        """Whether a null is the panel's and not the judges' own."""
        return any(ballot.answers and ballot.answers[0][column] is not None for ballot in answer.ballots)


def _voted(prompt: Prompt) -> list[str]:
    """The columns that hold a choice or a score: neither free text nor lists."""
    properties = prompt.gives.record["properties"]
    return [name for name in prompt.gives.columns if _is_verdict(_plain(properties[name]))]


def _is_verdict(schema: Schema) -> bool:
    return "enum" in schema or schema.get("type") in {"integer", "number", "boolean"}


def _plain(schema: Schema) -> Schema:
    """A column's schema without its null."""
    found: Schema = schema["anyOf"][0] if "anyOf" in schema else schema
    return found


def _allowed(prompt: Prompt, column: str) -> list[Any] | None:
    """The values that a column can have; None when they are not known."""
    schema = _plain(prompt.gives.record["properties"][column])
    if isinstance(schema.get("enum"), list):
        return list(schema["enum"])
    if schema.get("type") == "integer" and {"minimum", "maximum"} <= schema.keys():
        low, high = schema["minimum"], schema["maximum"]
        return list(range(low, high + 1)) if high - low < 1000 else None
    return None


def _distance(record: Row, scores: Row) -> float:
    """How far one judge's record is from the panel's: what it says in words goes with the nearest one."""
    far = 0.0
    for column, score in scores.items():
        value = record[column]
        both = [one for one in (value, score) if isinstance(one, int | float)]
        far += abs(both[0] - both[1]) if len(both) == 2 else float(value != score)
    return far


def _expected(ballot: Ballot, prompt: Prompt, ctx: Context) -> Ballot:
    """The ballot with expected scores in the place of integer ones; the manifest counts those that stay plain."""
    if not ballot.answers or ctx.use.model(ballot.judge).logprobs is None:
        return ballot
    record = dict(ballot.answers[0])
    told = ctx.notes.report.setdefault("expected scores", {"weighted": 0, "plain": {}})
    for column in _voted(prompt):
        allowed, value = _allowed(prompt, column), record[column]
        if isinstance(value, bool) or not isinstance(value, int) or not all(type(one) is int for one in allowed or ""):
            continue
        found = expected_score(body_of(ctx, ballot.judge, ballot.keys[0]), column, allowed or ())
        if found.score is None:
            told["plain"][found.why] = told["plain"].get(found.why, 0) + 1
        else:
            told["weighted"] += 1
        record[column] = float(value) if found.score is None else found.score
    return ballot._replace(answers=[record])
