"""What a recipe will ask of its models, counted before anything is asked."""

from __future__ import annotations

import asyncio
import itertools
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from synth_llm.errors import Reject
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
    """What one step asks of its model."""

    step: str
    model: str
    a_candidate: float
    """Calls for one candidate, if no later row is rejected."""
    calls: int
    prompt_tokens: int
    """About: prompts are rendered on a few source rows; where that needs a model's answer, the template's size."""
    answer_tokens: int
    """At most: `max_tokens` for each call."""
    dollars: float | None
    """At most; None when the model has no price."""


@dataclass(frozen=True)
class Estimate:
    """What a whole run asks, if nothing is in its journal yet."""

    source_rows: int | None
    """Rows of one pass; None when they have no end."""
    candidates: int
    """Taken up: all rows of the source, or at least so many for the target."""
    is_least: bool
    """Whether rejected rows will cost more candidates than this, because there is a target."""
    steps: list[Asked]


def estimate(ready: Plan) -> Estimate:
    """Count calls and tokens of a checked recipe.

    Raises InputError for a malformed row, because the whole source is read, and for local weights that nobody knows.
    """
    recipe, size = ready.recipe, _size(ready)
    for entry in recipe.models.values():
        identity(entry, ready.use.base)
    rows, each = 1.0, []
    for planned, (becomes, tokens) in zip(ready.steps, asyncio.run(_measured(ready)), strict=True):
        each.append((planned.title, planned.step, rows * planned.step.calls, tokens))
        rows *= becomes
    candidates = size or 0
    if recipe.target is not None:
        candidates = math.ceil(recipe.target.rows / rows) if rows else recipe.target.rows
    asked = [
        _asked(ready, title, step, calls, math.ceil(calls * candidates), tokens)
        for title, step, calls, tokens in each
        if calls
    ]
    return Estimate(size, candidates, recipe.target is not None, asked)


def _asked(ready: Plan, title: str, step: Step, a_candidate: float, calls: int, prompt: float) -> Asked:
    name = str(getattr(step, "model", ""))
    entry = ready.recipe.models.get(name)
    prompts, answers = round(calls * prompt), calls * (entry.max_tokens if entry else 0)
    price = entry.price if entry else None
    dollars = (prompts * price.input + answers * price.output) / 1e6 if price else None
    return Asked(title, name, a_candidate, calls, prompts, answers, dollars)


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
