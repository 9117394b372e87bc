"""grammar: texts out of templates with slots, without a model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from synth_llm.errors import InputError, MissingExtra, Reject, nearest
from synth_llm.row import ID, Row, child_of, rng
from synth_llm.rules.grammar import FAKER, Rules, check_slot
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.step import Columns, Rejected, Step, need

if TYPE_CHECKING:
    from faker import Faker


class Grammar(Step):
    """Each row becomes `n` rows with texts of the grammar, all different, and the same other columns.

    A template is a text with slots: `{name}` is another rule, or a column of the row; `{faker.city}` is what Faker's
    provider of that name makes. `{{` is a brace. Rules may lead back to themselves: six rules deep they end.
    """

    type: ClassVar[str] = "grammar"

    rules: dict[str, list[str]]
    """Each rule's templates, all with the same chance."""
    start: str = "text"
    """The rule that texts start from, or a column of the row whose value names it."""
    column: str = "text"
    """The column that gets the text."""
    n: int = Field(default=5, ge=1)
    """Texts of each row; fewer where no more are found, and the manifest counts those missing."""
    locale: str | list[str] = "en_US"
    """The language and country of what Faker makes."""

    @property
    def makes(self) -> int:
        """The texts of a row."""
        return self.n

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns and the text's.

        Raises InputError for a slot that nothing fills, rules that never end, a row that could not have `n` texts, or
        no rule to start from; MissingExtra where Faker is needed and not there.
        """
        grammar = self._grammar
        if self.start not in self.rules:
            need([self.start], have, f"start: there is no rule '{self.start}', and it")
        for name in self._starts(use):
            if name not in self.rules:
                raise InputError(f"start: '{name}' in column '{self.start}' names no rule{nearest(name, self.rules)}")
            grammar.check(name)
            for slot in sorted(grammar.slots(name)):
                check_slot(slot, have | set(self.rules))
            count = grammar.count(name)
            if count is not None and count < self.n:
                raise InputError(f"n: {self.n} texts of a row, but rule '{name}' can make {count} at most")
        if providers := self._providers:
            faker = self._faker()
            for name in providers:
                if name.startswith("_") or not callable(getattr(faker, name, None)):
                    there = [one for one in dir(faker.factories[0]) if not one.startswith("_")]
                    raise InputError(f"slot {{{FAKER}{name}}}: Faker has no such provider{nearest(name, there)}")
        return have | {self.column}

    async def apply(self, row: Row, ctx: Context) -> list[Row | Rejected]:
        """The texts. Raises Reject as `missing` where no rule to start from is named, or a slot's column is null."""
        start = self.start if self.start in self.rules else str(row.get(self.start))
        if start not in self.rules:
            raise Reject("missing", f"{self.start}: no rule '{start}' to start from")
        chance = rng(ctx.seed, ctx.step, row[ID])
        fill = self._fill(row, ctx, chance.getrandbits(32))
        texts = self._grammar.texts(start, self.n, chance, fill)
        if missing := self.n - len(texts):
            ctx.report("missing texts", ctx.notes.report.get("missing texts", 0) + missing)
        return [child_of(row, (number,), {self.column: text}) for number, text in enumerate(texts)]

    def _fill(self, row: Row, ctx: Context, seed: int) -> Callable[[str], str]:
        """What stands in a slot that is no rule; Faker starts anew for every row."""
        faker: Any = None
        if self._providers:
            faker = ctx.cached("faker", self._faker)
            faker.seed_instance(seed)

        def fill(name: str) -> str:
            if name.startswith(FAKER):
                return str(getattr(faker, name.removeprefix(FAKER))())
            if row.get(name) is None:
                raise Reject("missing", f"{name}: nothing to put into the text")
            return str(row[name])

        return fill

    @cached_property
    def _grammar(self) -> Rules:
        return Rules(self.rules)

    def _starts(self, use: Resources) -> list[str]:
        """The rules to start from, as far as they are known before the run."""
        return [self.start] if self.start in self.rules else use.labels(self.start)

    @property
    def _providers(self) -> list[str]:
        """Faker's providers that slots name."""
        slots = {slot for name in self.rules for slot in self._grammar.slots(name)}
        return sorted(slot.removeprefix(FAKER) for slot in slots if slot.startswith(FAKER))

    def _faker(self) -> Faker:
        try:
            from faker import Faker
        except ImportError as error:
            raise MissingExtra("a slot of Faker", "augment") from error
        try:
            return Faker(self.locale)
        except AttributeError as error:
            raise InputError(f"locale: Faker does not know {self.locale}") from error
