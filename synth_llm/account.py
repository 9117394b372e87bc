"""What invocations did and used, by step and model: each says it in the journal, beside its answers, while it works."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth_llm.manifest import State


@dataclass
class StepUsage:
    """What one step asked of one model, and what that used."""

    step: str
    model: str
    """Its name in the recipe."""
    requests: int = 0
    """Sent, those included that failed and were sent again."""
    answers: int = 0
    """That came to them."""
    unreported: int = 0
    """Answers without a word on their tokens: these are in none of the sums below."""
    replayed: int = 0
    """Answers that a journal had."""
    shared: int = 0
    """Equal requests that waited for one answer."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """How long the answers took, all together."""
    dollars: float | None = 0.0
    """None when the price is unknown, or the tokens are not reported."""

    @property
    def tokens(self) -> int:
        """Of prompts and answers, as far as they were reported."""
        return self.prompt_tokens + self.completion_tokens

    def add(self, other: StepUsage) -> None:
        """Add what another invocation, step or model used."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        known = self.dollars is not None and other.dollars is not None
        self.dollars = (self.dollars or 0.0) + (other.dollars or 0.0) if known else None


_COUNTS = [field.name for field in fields(StepUsage) if field.name not in {"step", "model", "dollars"}]


@dataclass(frozen=True)
class Flow:
    """What became of one step's rows."""

    step: str
    done: int
    """Rows that entered and did not stay unfinished."""
    left: int
    """Rows that went on, children included."""


@dataclass(frozen=True)
class Account:
    """What one invocation did."""

    candidates: int
    seconds: float
    """Until its last request was sent or answered."""
    flows: list[Flow]
    usages: list[StepUsage]

    @property
    def sent(self) -> int:
        """Requests."""
        return sum(usage.requests for usage in self.usages)

    @property
    def in_flight(self) -> float:
        """Requests in flight, in the mean."""
        return sum(usage.seconds for usage in self.usages) / self.seconds if self.seconds else 0.0


def usages(state: State) -> list[StepUsage]:
    """What this invocation used so far, in the order of the steps."""
    found, order = [], {tally.step: number for number, tally in enumerate(state.tallies)}
    for name, caller in list(state.callers.items()):
        for step, usage in list(caller.usages.items()):
            answers = sum(list(usage.reported.values()))
            priced = state.prices.get(name)
            price = priced.price if priced else None
            unknown = price is None or (usage.unreported and (price.input or price.output))
            counts = usage.sent, answers, usage.unreported, usage.replayed, usage.shared
            used = usage.prompt_tokens, usage.completion_tokens, round(usage.seconds, 3)
            found.append(StepUsage(step, name, *counts, *used, None if unknown else round(usage.dollars, 9)))
    return sorted(found, key=lambda usage: order.get(usage.step, len(order)))


def flows(state: State) -> list[Flow]:
    """What became of the rows of each step so far."""
    found = []
    for tally in state.tallies:
        left = tally.left
        done = left + sum(list(tally.rejected.values())) + tally.replaced - tally.made
        found.append(Flow(tally.step, max(0, done), left))
    return found


def account_text(state: State, seconds: float) -> str:
    """What this invocation did so far, as JSON."""
    used, flow = [vars(usage) for usage in usages(state)], [vars(flow) for flow in flows(state)]  # asdict is slow
    return json.dumps({"candidates": state.candidates, "seconds": seconds, "flows": flow, "usages": used})


def read_account(value: Mapping[str, Any]) -> Account:
    """An account as a journal holds it. What a newer version says beside it is left out."""

    def known(kind: type, values: Mapping[str, Any]) -> Any:
        names = {field.name for field in fields(kind)}
        return kind(**{name: one for name, one in values.items() if name in names})

    return Account(
        int(value["candidates"]),
        float(value["seconds"]),
        [known(Flow, flow) for flow in value["flows"]],
        [known(StepUsage, usage) for usage in value["usages"]],
    )


def total(accounts: Iterable[Account]) -> list[StepUsage]:
    """What all invocations used together, by step and model, in the order in which they came."""
    sums: dict[tuple[str, str], StepUsage] = {}
    for account in accounts:
        for usage in account.usages:
            sums.setdefault((usage.step, usage.model), StepUsage(usage.step, usage.model)).add(usage)
    return list(sums.values())


def by_model(usages: Iterable[StepUsage]) -> list[StepUsage]:
    """The usages of each model together; their step is empty."""
    sums: dict[str, StepUsage] = {}
    for usage in usages:
        sums.setdefault(usage.model, StepUsage("", usage.model)).add(usage)
    return list(sums.values())


def together(usages: Iterable[StepUsage]) -> StepUsage:
    """All usages as one, whose step and model are empty."""
    everything = StepUsage("", "")
    for usage in usages:
        everything.add(usage)
    return everything
