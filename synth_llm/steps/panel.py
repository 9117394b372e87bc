"""What all judges share: one model or a panel of them, what they may see, and how they are asked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from synth_llm.errors import InputError, Reject
from synth_llm.prompt import Prompt
from synth_llm.row import LINEAGE, Row
from synth_llm.steps.step import Step
from synth_llm.verdicts import Decision

if TYPE_CHECKING:
    from synth_llm.steps.context import Context, Resources


class Ballot(NamedTuple):
    """What one judge answered for one row."""

    judge: str
    answers: list[Row]
    """One record an answer; none when one of its answers cannot be read: then it abstains."""
    keys: list[str]
    """The answers' keys in the journal."""


class Poll(NamedTuple):
    """What all judges answered for one row, and its lineage with their calls."""

    ballots: list[Ballot]
    lineage: list[dict[str, str]]


Answered = tuple[list[Row], list[Row]]
"""The records of an answer, and the row's lineage with the call."""

Decide = Callable[[Sequence[Ballot], dict[str, float]], Decision]
"""What ballots say together; the weights are by judge, all 1 when there are none."""


def names(model: str | list[str]) -> list[str]:
    """The judges of a panel."""
    return [model] if isinstance(model, str) else model


def check_panel(model: str | list[str], weighted: bool, calibrated: bool, use: Resources) -> None:
    """Raises InputError when there are no such judges, one stands twice, or votes have nothing to be weighted by."""
    judges = names(model)
    for judge in judges:
        use.model(judge)
    if not judges or len(set(judges)) < len(judges):
        raise InputError("model: a panel names one or more models, each once")
    if weighted and not calibrated:
        raise InputError("vote: weighted takes its weights from gold labels; add gold: {file: ..., label: ...}")
    if weighted and len(judges) == 1:
        raise InputError("vote: weighted needs a panel; name several models")


def check_blind(step: Step, prompt: Prompt, use: Resources) -> None:
    """Raises InputError when the prompt sees what another judge said of the row."""
    own = set(getattr(step, "with_", {}))
    for column, title in _said_before(step, use).items():
        if column in prompt.needs - own:
            raise InputError(
                f"prompt {prompt.name} sees column '{column}', the verdict of '{title}'; judges do not see each other"
            )


def visible(step: Step, prompt: Prompt, row: Row, ctx: Context, hidden: Collection[str] = ()) -> Row:
    """What a judge's prompt sees of a row: what it needs or tests for, without `hidden` and what other judges said."""
    wanted = ctx.cached(
        f"visible in {prompt.name}",
        lambda: sorted((prompt.needs | prompt.optional) - {*hidden, *_said_before(step, ctx.use)}),
    )
    variables = ctx.use.variables(row)
    return {name: variables[name] for name in wanted if name in variables}


def _said_before(step: Step, use: Resources) -> dict[str, str]:
    """The columns of earlier judges' verdicts, and who they are."""
    said: dict[str, str] = {}
    for other in use.recipe.steps:
        if other is step:
            break
        if verdicts := getattr(other, "verdicts", None):  # it is a judge
            said |= dict.fromkeys(verdicts(use), other.title)
    return said


async def poll(
    ctx: Context, model: str | list[str], prompt: Prompt, row: Row, asked: Sequence[tuple[Row, int]]
) -> Poll:
    """Ask every judge with each of `asked`, variables and a sample number, all at once.

    A judge of a panel that cannot be read abstains. Raises Reject, as the first unreadable answer was, when no judge
    can be read; and whenever an endpoint was unavailable, because then the panel is not whole yet.
    """
    judges = names(model)
    calls: list[Awaitable[Answered]] = [
        ctx.ask(judge, prompt, row, variables, sample) for judge in judges for variables, sample in asked
    ]
    answers = await _outcomes(calls)
    read: list[Answered | Reject] = []
    for answer in answers:
        if isinstance(answer, BaseException) and not (isinstance(answer, Reject) and answer.reason != "unavailable"):
            raise answer
        read.append(answer)
    past, size = row[LINEAGE], len(asked)
    ballots = [_ballot(judge, read[at * size : (at + 1) * size]) for at, judge in enumerate(judges)]
    if not any(ballot.answers for ballot in ballots):
        raise next(answer for answer in read if isinstance(answer, Reject))
    made = [(answer.lineage or past) if isinstance(answer, Reject) else answer[1] for answer in read]
    return Poll(ballots, [*past, *(call for lineage in made for call in lineage[len(past) :])])


async def _outcomes(calls: Sequence[Awaitable[Answered]]) -> Sequence[Answered | BaseException]:
    """What each call returned or raised; a single one needs no task of its own."""
    if len(calls) > 1:
        return await asyncio.gather(*calls, return_exceptions=True)
    try:
        return [await calls[0]]
    except Exception as error:
        return [error]


def _ballot(judge: str, answers: Sequence[Answered | Reject]) -> Ballot:
    records, keys = [], []
    for answer in answers:
        if isinstance(answer, Reject):
            return Ballot(judge, [], [])
        records.append(answer[0][0])
        keys.append(answer[1][-1]["key"])
    return Ballot(judge, records, keys)


def body_of(ctx: Context, judge: str, key: str) -> bytes:
    """The answer with this key as it came, from the journals; empty when they do not have it."""
    caller = ctx.callers[judge]
    for journal in (caller.journal, *caller.others):
        if (answer := journal.get(key)) is not None:
            return answer.body
    return b""


def mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """The weighted mean."""
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / math.fsum(weights)
