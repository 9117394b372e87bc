"""Jinja expressions over a row's columns, for `map` and for conditions: sandboxed and strict as prompts are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import TemplateError, Undefined

from synth_llm.errors import InputError, Reject
from synth_llm.needs import own_needs
from synth_llm.prompt import environment
from synth_llm.row import Row, public


@dataclass(frozen=True)
class Expression:
    """A compiled expression and the columns that it cannot do without: `x | default('')` can do without `x`.

    >>> Expression.of("label ~ '!'")({"label": "ok"})
    'ok!'
    """

    text: str
    needs: frozenset[str]
    _compiled: Any

    @staticmethod
    @cache
    def of(text: str) -> Expression:
        """Compile `text`. Raises InputError when it is no expression."""
        env = environment()
        try:
            needs = own_needs(env.parse("{{ (" + text + "\n) }}"), env).required
            return Expression(text, needs, env.compile_expression(text, undefined_to_none=False))
        except TemplateError as error:
            raise InputError(f"'{text}' is not a Jinja expression: {error}") from error

    def __call__(self, row: Row) -> Any:
        """The value on one row. Raises Reject as `template` when it fails."""
        try:
            value = self._compiled(**public(row))
        except Exception as error:  # whatever a template does with a row's values is that row's failure
            raise Reject("template", f"{self.text}: {type(error).__name__}: {error}") from error
        if isinstance(value, Undefined):
            raise Reject("template", f"{self.text}: {value._undefined_message}")
        return value
