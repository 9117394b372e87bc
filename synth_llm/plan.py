"""Checks a recipe before any call: columns, names, files; and says how much it will ask."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synth_llm.errors import InputError, nearest
from synth_llm.inputs import reading
from synth_llm.models.budget import Limits
from synth_llm.objectives import Placed, expanded
from synth_llm.prices import Priced, price_of
from synth_llm.recipe import Recipe
from synth_llm.source import Source
from synth_llm.source import columns as source_columns
from synth_llm.steps.context import Resources
from synth_llm.steps.step import Columns, Step

Where = Callable[[str, tuple[str | int, ...]], InputError]
"""Makes an error about a place in a recipe: its file's line when it has a file."""


@dataclass(frozen=True)
class PlannedStep:
    """A step, its name in the funnel, and the columns after it."""

    step: Step
    title: str
    columns: Columns
    rows: int
    """Rows expected to enter for one candidate, if none is rejected."""

    @property
    def is_barrier(self) -> bool:
        """Whether it sees all rows at once."""
        return hasattr(self.step, "split")


@dataclass(frozen=True)
class Plan:
    """A recipe that can run."""

    recipe: Recipe
    use: Resources
    source: Columns
    steps: list[PlannedStep]
    prices: dict[str, Priced]
    """What the models cost, by their names in the recipe."""
    written: Recipe
    """The recipe as it was given: `recipe` has the steps and the target of its objectives too."""

    @property
    def expected(self) -> int:
        """Rows one candidate becomes, if none is rejected."""
        return math.prod(step.step.makes for step in self.steps)

    @property
    def calls(self) -> dict[str, int]:
        """Model calls for one candidate, by step, if no row is rejected."""
        return {step.title: step.rows * step.step.calls for step in self.steps if step.step.calls}

    @property
    def closing(self) -> int:
        """How many steps come before those that run once, after the last round of a run with a target."""
        final = [number for number, planned in enumerate(self.steps) if planned.step.final]
        return final[0] if final and self.recipe.target else len(self.steps)

    @property
    def columns(self) -> list[str]:
        """The columns of kept rows, sorted."""
        return sorted(self.steps[-1].columns)

    @property
    def used(self) -> list[str]:
        """The names of the models that steps ask."""
        asking = {name for planned in self.steps if planned.step.calls for name in planned.step.models}
        return [name for name in self.recipe.models if name in asking]

    def check_dollars(self, limits: Limits, where: Where | None = None) -> None:
        """Raises InputError when dollars are limited and a step asks a model whose price nobody knows."""
        for name in self.used if limits.dollars is not None else ():
            price, origin = self.prices[name]
            if price is None:
                message = (
                    f"limits.dollars: model '{name}' has no price: {origin}; write what a million tokens cost at the "
                    "model: `price: {input: 0.25, output: 2}`, or into a prices.yaml"
                )
                raise where(message, ("models", name)) if where else InputError(message)


def plan(recipe: Recipe, base: Path, where: Where | None = None) -> Plan:
    """Check everything that can be checked without a model. Raises InputError with file, line and step."""
    where = where or (lambda message, loc: InputError(message))
    use = Resources(recipe, base)
    try:
        have = source = frozenset(source_columns(recipe.source, base))
    except InputError as error:
        raise _placed(error, where, "source", ("source",)) from None
    written, (recipe, placed) = recipe, _expanded(recipe, use, where)
    use = use if recipe is written else Resources(recipe, base)
    _check_target(recipe, source, where)
    steps, rows = [], 1
    for title, (step, loc) in zip(_titles(recipe), placed, strict=True):
        try:
            have = step.columns(have, use)  # type: ignore[attr-defined]
            for column in have:
                if column.startswith("_"):
                    raise InputError(f"'{column}' cannot be a column: names that start with _ are ours")
        except InputError as error:
            who = f"step {int(loc[1]) + 1} ({step.type})" if loc[0] == "steps" else ".".join(map(str, loc))
            raise _placed(error, where, who, loc) from None
        steps.append(PlannedStep(step, title, have, rows))
        rows *= step.makes
    _check_evaluate(recipe, base, have, where)
    _check_publish(recipe, have, where)
    prices = {name: price_of(entry, use.library) for name, entry in recipe.models.items()}
    ready = Plan(recipe, use, source, steps, prices, written)
    ready.check_dollars(recipe.limits, where)
    return ready


def _expanded(recipe: Recipe, use: Resources, where: Where) -> tuple[Recipe, list[Placed]]:
    """The recipe with the steps of its objectives, each objective's errors at its place."""
    placed = [Placed(step, ("steps", at, step.type)) for at, step in enumerate(recipe.steps)]
    for name, objective in recipe.objectives.given.items() if recipe.objectives else ():
        try:
            recipe, placed = expanded(name, objective, recipe, placed, use)
        except InputError as error:
            raise _placed(error, where, f"objectives.{name}", ("objectives", name)) from None
    return recipe, placed


def _placed(error: InputError, where: Where, who: str, loc: tuple[str | int, ...]) -> InputError:
    """The error at its place in the recipe, unless it already names a file."""
    return error if error.path is not None else where(f"{who}: {error.message}", loc)


def _check_target(recipe: Recipe, source: Columns, where: Where) -> None:
    target = recipe.target
    if target and target.per and target.per not in source:
        hint = nearest(target.per, source)
        raise where(f"target.per: the source has no column '{target.per}'{hint}", ("target", "per"))
    if target is None and recipe.source.empty is True:
        raise where("source.empty: how many rows? Give a number, or a target", ("source", "empty"))


def _check_evaluate(recipe: Recipe, base: Path, have: Columns, where: Where) -> None:
    """What the evaluation after the run will need; datasets of the Hub are not fetched for it."""
    settings = recipe.evaluate
    if settings is None:
        return
    columns = [settings.column] if isinstance(settings.column, str) else settings.column or []
    for name, column in [*(("column", one) for one in columns), ("label", settings.label)]:
        if column is not None and column not in have:
            message = f"evaluate.{name}: no column '{column}' after the last step{nearest(column, have)}"
            raise where(message, ("evaluate", name))
    for name in ("real", "test", "holdout"):
        source: Source | None = getattr(settings, name)
        if source is not None and source.dataset is None:
            try:
                with reading():  # the rows do not hang on it, so it is not theirs to take along
                    source_columns(source, base)
            except InputError as error:
                raise _placed(error, where, f"evaluate.{name}", ("evaluate", name)) from None


def _check_publish(recipe: Recipe, have: Columns, where: Where) -> None:
    if recipe.publish is not None:
        try:
            recipe.publish.columns_in(sorted(have))
        except InputError as error:
            raise _placed(error, where, "publish", ("publish",)) from None


def _titles(recipe: Recipe) -> list[str]:
    """The steps' names; a default name that comes again is counted."""
    seen: Counter[str] = Counter()
    titles = []
    for step in recipe.steps:
        seen[step.title] += 1
        titles.append(step.title if seen[step.title] == 1 else f"{step.title} {seen[step.title]}")
    return titles
