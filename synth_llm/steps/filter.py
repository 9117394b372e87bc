"""filter: drops rows, each with a reason, by filters or by a condition."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from pydantic import Field, model_validator

from synth_llm.errors import InputError, Reject, SynthError
from synth_llm.expression import Expression
from synth_llm.library import check_settings
from synth_llm.row import Row, Verdict
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

DEFAULT = ("length", "repetition", "refusal", "boilerplate", "placeholder", "echo", "merged")
"""The filters that `filter: {}` applies."""


class Filter(Step):
    """The first filter that drops a row gives the reason: its name."""

    type: ClassVar[str] = "filter"

    use: list[str | dict[str, dict[str, Any]]] = list(DEFAULT)
    """Filters by name, with settings: `[length, {language: {is: en}}]`."""
    column: str | list[str] = "text"
    """The column, or columns, that they look at; a filter's own `column` setting comes first."""
    if_: str | None = Field(default=None, alias="if")
    """A Jinja expression over the row's columns; a row of which it is not true is dropped as `condition`."""

    @model_validator(mode="before")
    @classmethod
    def _condition_alone(cls, settings: Any) -> Any:
        """With `if` alone, no filters are applied."""
        if isinstance(settings, dict) and settings.keys() & {"if", "if_"} and "use" not in settings:
            return {**settings, "use": []}
        return settings

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The same columns."""
        for _, column, check in self._checks(use):
            need([column], have, "filter")
            _try_once(check, column)
        if self.if_ is not None:
            need(Expression.of(self.if_).needs, have, f"condition '{self.if_}'")
        return have

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The row itself. Raises Reject for the first filter that drops it."""
        for name, column, check in ctx.cached("checks", lambda: self._checks(ctx.use)):
            try:
                verdict: Verdict = check(row, column)
                if not isinstance(verdict, Verdict):
                    raise TypeError(f"returned {verdict!r:.80}, not a Verdict")
            except Exception as error:  # a filter's code is the user's: its failure on a row is recorded as that row's
                raise Reject("filter error", f"{name}: {type(error).__name__}: {error}") from error
            ctx.note(name if column == "text" else f"{name} {column}", row, verdict.value, verdict.keep)
            if not verdict.keep:
                raise Reject(name, f"{column}: {verdict.reason}", value=verdict.value)
        if self.if_ is not None and (value := Expression.of(self.if_)(row)) is not True:
            if value is not False:
                raise Reject("template", f"condition '{self.if_}' is {value!r}, neither true nor false")
            raise Reject("condition", self.if_)
        return [row]

    def _checks(self, use: Resources) -> list[tuple[str, str, Any]]:
        """(name, column, function) in order."""
        checks = []
        for item in self.use:
            if isinstance(item, dict) and len(item) != 1:
                raise InputError(f"each filter is a name or one name with its settings, not {sorted(item)}")
            name, settings = (item, {}) if isinstance(item, str) else next(iter(item.items()))
            function = use.filter(name)
            own = settings.get("column", self.column)
            keywords = check_settings(function, {k: v for k, v in settings.items() if k != "column"}, f"filter {name}")
            check = partial(function, **keywords)
            checks += [(name, column, check) for column in ([own] if isinstance(own, str) else own)]
        return checks


def _try_once(check: Callable[[Row, str], Verdict], column: str) -> None:
    """Raises what a filter says of its settings or of a missing package now, before anything is asked."""
    try:
        check({column: "A few words."}, column)
    except SynthError:
        raise
    except Exception:
        return  # what it makes of a made-up row does not matter; on real rows it is recorded
