"""What earlier invocations in a run folder measured: what became of rows, tokens of answers by step, the pace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synth_llm.account import Account, Flow, StepUsage, read_account
from synth_llm.journal import Journal, Spent
from synth_llm.output import JOURNAL

ENOUGH = 10
"""Rows or answers after which older invocations are not looked at: the recipe may have been another one then."""
SURE = 1.64
"""Standard deviations of a 90 % interval."""


@dataclass(frozen=True)
class Mean:
    """The mean answer of one step and model."""

    answers: int
    """That it is the mean of; those without a word on their tokens are left out."""
    prompt_tokens: float
    answer_tokens: float


@dataclass(frozen=True)
class Measured:
    """What is known of a recipe's steps from earlier invocations."""

    candidates: int
    """That passed or left the first step, in the invocation whose rows are counted here."""
    flows: list[Flow]
    calls: dict[str, float]
    """Answers that a row needed, repairs included, by step."""
    means: dict[tuple[str, str], Mean]
    """By step and model."""
    pace: float
    """Requests a second, the best so far; 0 when hardly any was sent."""
    in_flight: float
    """Requests in flight then, in the mean."""
    spent: Spent
    """Over all invocations."""


def measured(folder: Path, steps: Sequence[str]) -> Measured | None:
    """What the journal of a run folder tells of a recipe with these steps; None when it tells nothing.

    Raises FatalError for a journal that cannot be read.
    """
    if not (folder / JOURNAL).exists():
        return None
    journal = Journal.open(folder / JOURNAL, read_only=True, on_notice=lambda notice: None)
    try:
        accounts = [read_account(account) for account in reversed(journal.accounts())]
        spent = journal.spent()
    finally:
        journal.close()
    same = [one for one in accounts if _is_of(one, steps) and one.flows[0].done]
    if not same:
        return None
    enough = min(ENOUGH, max(one.flows[0].done for one in same))
    base = next(one for one in same if one.flows[0].done >= enough)
    flows = base.flows[: len(steps)]
    calls = {flow.step: _answers(base, flow.step) / flow.done for flow in flows if flow.done}
    means = {(usage.step, usage.model): _mean(accounts, usage) for one in accounts for usage in one.usages}
    paces = [(one.sent / one.seconds, one.in_flight) for one in same if one.sent >= ENOUGH and one.seconds > 0]
    return Measured(flows[0].done, flows, calls, means, *max(paces, default=(0.0, 0.0)), spent)


def _is_of(account: Account, steps: Sequence[str]) -> bool:
    """Whether an account is of a recipe with these steps; a target counts rows behind the last."""
    named = [flow.step for flow in account.flows]
    return named == list(steps) or (named[:-1] == list(steps) and named[-1] == "target")


def _answers(account: Account, step: str) -> int:
    return sum(usage.answers + usage.replayed for usage in account.usages if usage.step == step)


def _mean(accounts: Sequence[Account], of: StepUsage) -> Mean:
    """The mean over the newest answers of a step and model, by whole invocations."""
    answers = prompt = completion = 0
    for account in accounts:
        for usage in account.usages:
            if (usage.step, usage.model) == (of.step, of.model) and answers < ENOUGH:
                answers += usage.answers - usage.unreported
                prompt, completion = prompt + usage.prompt_tokens, completion + usage.completion_tokens
    return Mean(answers, prompt / answers, completion / answers) if answers else Mean(0, 0.0, 0.0)


def interval(share: float, of: int) -> tuple[float, float]:
    """Between what a share, seen on so many, may lie in truth, with 90 % certainty (Wilson 1927).

    >>> [round(bound, 2) for bound in interval(0.8, 10)]
    [0.54, 0.93]
    """
    square = SURE * SURE
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = SURE / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return middle - half, middle + half
