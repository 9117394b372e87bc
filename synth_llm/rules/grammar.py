"""Grammars with slots: texts out of templates, nested rules, columns of a row and Faker's providers."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from synth_llm.errors import InputError, nearest

DEPTH = 6
"""So many rules within each other are drawn freely; deeper ones end in the shortest way there is."""
MANY = 10**9
TRIES = 50
"""Texts drawn for each text wanted, before what repeats is given up."""
FAKER = "faker."

_PIECE = re.compile(r"{{|}}|{([^{}]*)}|[{}]|[^{}]+")


class Slot(NamedTuple):
    """A place in a template that is filled."""

    name: str


Template = tuple[str | Slot, ...]


def template(text: str) -> Template:
    """A template's pieces: `{name}` is a slot, `{{` and `}}` are braces. Raises InputError.

    >>> template("to {city}!")
    ('to ', Slot(name='city'), '!')
    """
    pieces: list[str | Slot] = []
    for match in _PIECE.finditer(text):
        if match[1] is not None:
            pieces.append(Slot(match[1].strip()))
        elif match[0] in "{}":
            raise InputError(f"'{text}': a single '{match[0]}'; a slot is {{name}}, a brace is {match[0] * 2}")
        else:
            pieces.append(match[0][0] if match[0] in ("{{", "}}") else match[0])
    return tuple(pieces)


class Rules:
    """Rules by name, each a list of templates. Raises InputError for an empty list, and as `template`."""

    def __init__(self, rules: Mapping[str, list[str]]) -> None:
        for name, texts in rules.items():
            if not texts:
                raise InputError(f"rules.{name}: there is no template")
        self.rules = {name: [template(text) for text in texts] for name, texts in rules.items()}
        self.heights: dict[str, float] = dict.fromkeys(self.rules, math.inf)
        """How many rules within each other the shortest end of each rule takes; infinite where there is none."""
        for _ in self.rules:
            for name, choice in self.rules.items():
                self.heights[name] = min(self.heights[name], 1 + min(map(self._height, choice)))

    def slots(self, start: str) -> set[str]:
        """The slots that texts from `start` may hold and that are no rules."""
        return {slot for name in self._reached(start) for slot in self._inner(name) if slot not in self.rules}

    def check(self, start: str) -> None:
        """Raises InputError when a rule that texts from `start` use never comes to an end."""
        for name in sorted(self._reached(start)):
            if self.heights[name] == math.inf:
                raise InputError(f"rules.{name}: every template holds a rule that leads back to it: it never ends")

    def count(self, start: str) -> int | None:
        """How many texts there can be at most for one row; None where it is not known: Faker, or rules in a circle."""
        return self._count(start, ())

    def draw(self, start: str, chance: random.Random, fill: Callable[[str], str]) -> str:
        """One text; each rule's templates have the same chance. `fill` gives what stands in slots that are no rules."""
        return "".join(self._draw(start, chance, fill, 0))

    def texts(self, start: str, n: int, chance: random.Random, fill: Callable[[str], str]) -> list[str]:
        """Up to `n` different texts; fewer where no more are found."""
        found: dict[str, None] = {}
        for _ in range(TRIES * n):
            found[self.draw(start, chance, fill)] = None
            if len(found) == n:
                break
        return list(found)

    def _draw(self, name: str, chance: random.Random, fill: Callable[[str], str], depth: int) -> Iterator[str]:
        choice = self.rules[name]
        if depth >= DEPTH:
            choice = [one for one in choice if self._height(one) < self.heights[name]]
        for piece in chance.choice(choice):
            if isinstance(piece, str):
                yield piece
            elif piece.name in self.rules:
                yield from self._draw(piece.name, chance, fill, depth + 1)
            else:
                yield fill(piece.name)

    def _height(self, one: Template) -> float:
        return max((self.heights.get(piece.name, 0) for piece in one if isinstance(piece, Slot)), default=0)

    def _inner(self, name: str) -> set[str]:
        return {piece.name for one in self.rules[name] for piece in one if isinstance(piece, Slot)}

    def _reached(self, start: str) -> set[str]:
        found, open_ = set(), [start]
        while open_:
            name = open_.pop()
            if name not in found and name in self.rules:
                found.add(name)
                open_ += self._inner(name)
        return found

    def _count(self, name: str, above: tuple[str, ...]) -> int | None:
        if name in above or name.startswith(FAKER):
            return None
        total = 0
        for one in self.rules.get(name, [()]):
            product = 1
            for piece in one:
                if isinstance(piece, Slot):
                    inner = self._count(piece.name, (*above, name))
                    if inner is None:
                        return None
                    product = min(MANY, product * inner)
            total = min(MANY, total + product)
        return total


def check_slot(name: str, known: frozenset[str] | set[str]) -> None:
    """Raises InputError, with the nearest name, for a slot that is neither a rule, a column nor one of Faker's."""
    if name not in known and not name.startswith(FAKER):
        raise InputError(f"slot {{{name}}} is neither a rule nor a column of the row{nearest(name, known)}")
