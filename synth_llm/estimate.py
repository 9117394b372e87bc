"""What a recipe will ask of its models and what that costs: from what was measured, else a guess before anything."""

from __future__ import annotations

import asyncio
import itertools
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth_llm.errors import Reject
from synth_llm.measured import Measured, interval, measured
from synth_llm.models import identity
from synth_llm.plan import Plan, PlannedStep
from synth_llm.row import ID, LINEAGE, PARENT, Row, source_id
from synth_llm.source import identified
from synth_llm.steps import LabelCheck, Rejected, Step
from synth_llm.steps.context import Context
from synth_llm.strict_yaml import read_text

TRIED = 8
"""Source rows on which prompts are rendered."""
BYTES_A_TOKEN, TOKENS_A_MESSAGE = 4, 4
"""Rough, for English text; only the model's own tokenizer knows."""


@dataclass(frozen=True)
class Asked:
    """What one step asks of its model in a whole run."""

    step: str
    model: str
    a_candidate: float
    """Calls for one candidate."""
    calls: int
    prompt_tokens: int
    """About. Without answers to measure: prompts are rendered on a few source rows, or the template's size."""
    answer_tokens: int
    """About. Without answers to measure, at most: `max_tokens` for each call."""
    dollars: float | None
    """None when the price is unknown."""
    answers: int
    """Answers whose mean this is; 0 when it is a guess."""


@dataclass(frozen=True)
class Estimate:
    """What a whole run asks, with what its journal holds already."""

    source_rows: int | None
    """Rows of one pass; None when they have no end."""
    candidates: int
    """Taken up: all rows of the source, or so many for the target."""
    is_least: bool
    """Whether rejected rows will cost more candidates than this: there is a target, and nothing to tell their share."""
    share: tuple[float, float]
    """The factors to multiply by for as few and as many candidates as the target may need (90 % certain)."""
    steps: list[Asked]
    known: Measured | None
    """What was measured in the run folder."""

    @property
    def calls(self) -> int:
        """Of all steps."""
        return sum(step.calls for step in self.steps)

    @property
    def known_dollars(self) -> float:
        """Of the steps whose model has a known price."""
        return math.fsum(step.dollars or 0.0 for step in self.steps)

    @property
    def dollars(self) -> float | None:
        """Of all steps; None when a price is unknown."""
        return None if any(step.dollars is None for step in self.steps) else self.known_dollars

    @property
    def seconds(self) -> float | None:
        """At the best pace measured; None when there is none."""
        return self.calls / self.known.pace if self.known and self.known.pace else None


def estimate(ready: Plan, folder: Path | None = None) -> Estimate:
    """Count calls, tokens and dollars of a checked recipe, by what was measured in its run folder, as far as it was.

    Raises InputError for a malformed row, because the whole source is read, and for local weights that nobody knows;
    FatalError for a journal that cannot be read.
    """
    recipe, size = ready.recipe, _size(ready)
    for entry in recipe.models.values():
        identity(entry, ready.use.base)
    known = measured(folder, [planned.title for planned in ready.steps]) if folder else None
    rows, each = 1.0, []
    for number, (planned, (becomes, tokens)) in enumerate(zip(ready.steps, asyncio.run(_measured(ready)), strict=True)):
        flow = known.flows[number] if known else None
        calls = known.calls.get(planned.title, planned.step.calls) if known else planned.step.calls
        each.append((planned, rows * calls if planned.step.calls else 0.0, tokens))
        rows *= flow.left / flow.done if flow and flow.done else becomes
    none_accepted = known is not None and not rows
    candidates = size or 0
    if recipe.target is not None:
        yielded = rows or ready.expected
        candidates = math.ceil(recipe.target.rows / yielded)
    asked = [
        _asked(ready, planned, name, calls / len(planned.step.models), candidates, tokens, known)
        for planned, calls, tokens in each
        if planned.step.calls
        for name in planned.step.models
    ]
    is_least = recipe.target is not None and (known is None or none_accepted)
    return Estimate(size, candidates, is_least, _spread(ready, known, rows), asked, known)


def _spread(ready: Plan, known: Measured | None, rows: float) -> tuple[float, float]:
    """How far the candidates that a target needs may lie from the estimate, as factors."""
    share = rows / ready.expected
    if ready.recipe.target is None or known is None or not 0 < share <= 1:
        return 1.0, 1.0
    low, high = interval(share, known.candidates)
    return share / high, share / low


def _asked(
    ready: Plan,
    planned: PlannedStep,
    name: str,
    a_candidate: float,
    candidates: int,
    prompt: float,
    known: Measured | None,
) -> Asked:
    calls = math.ceil(a_candidate * candidates)
    mean = known.means.get((planned.title, name)) if known else None
    if mean is not None and mean.answers:
        prompts, answers = round(calls * mean.prompt_tokens), round(calls * mean.answer_tokens)
    else:
        prompts, answers = round(calls * prompt), calls * ready.recipe.models[name].max_tokens
    price = ready.prices[name].price
    dollars = (prompts * price.input + answers * price.output) / 1e6 if price else None
    return Asked(planned.title, name, a_candidate, calls, prompts, answers, dollars, mean.answers if mean else 0)


def _size(ready: Plan) -> int | None:
    source = ready.recipe.source
    if source.empty is not None:
        return None if source.empty is True else source.empty
    return sum(1 for _ in identified(source, ready.use.base))


async def _measured(ready: Plan) -> list[tuple[float, float]]:
    """For each step, rows that one row becomes, and tokens of its prompt.

    The first source rows go through the steps as far as no model is needed.
    """
    source = ready.recipe.source
    nothing: Row = {ID: source_id({}, 0), PARENT: None, LINEAGE: []}
    rows = [nothing] if source.empty is not None else [*itertools.islice(identified(source, ready.use.base), TRIED)]
    measured, all_known = [], True
    for number, planned in enumerate(ready.steps):
        step, becomes = planned.step, float(planned.step.makes)
        tokens = _tokens(ready, step, rows) if step.calls else 0.0
        all_known = all_known and not step.calls
        if all_known and not planned.is_barrier:
            after = await _applied(ready, planned, number, rows)
            if after:
                becomes, rows = len(after) / len(rows), after
        measured.append((becomes, tokens))
    return measured


async def _applied(ready: Plan, planned: PlannedStep, number: int, rows: list[Row]) -> list[Row]:
    """The rows after a step that asks no model; those that it rejects are left out."""
    context = Context(planned.title, number, ready.use, {}, frozenset(), lambda: ())
    after: list[Row] = []
    for row in rows:
        with suppress(Reject):
            out = await planned.step.apply(row, context)  # type: ignore[attr-defined]
            after += [item for item in out if not isinstance(item, Rejected)]
    return after


def _tokens(ready: Plan, step: Step, rows: list[Row]) -> float:
    """Tokens of a step's prompt: the mean over the rows on which it renders, else by the size of its file."""
    name = getattr(step, "prompt", None)
    if name is None:
        return 0.0
    prompt = ready.use.prompt(name)
    given: dict[str, Any] = dict(getattr(step, "with_", {}))
    if isinstance(step, LabelCheck):
        given = {"labels": step.labels or ready.use.labels(step.label), **given}
    sizes = []
    for row in rows:
        with suppress(Reject):
            said = prompt.render({**ready.use.variables(row), **given})
            sizes.append(sum(_of(message["content"]) + TOKENS_A_MESSAGE for message in said))
    return sum(sizes) / len(sizes) if sizes else _of(read_text(prompt.path))


def _of(text: str) -> float:
    return len(text.encode()) / BYTES_A_TOKEN
