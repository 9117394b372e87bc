"""What students learn from: the made rows, what they are held against, and both with some real rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from synth_llm.evaluation.ablation import rejected_rows
from synth_llm.evaluation.contrast import labelled
from synth_llm.evaluation.data import Data, Side
from synth_llm.row import digest

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Piece:
    """Some rows of a side, by number; a row may come several times."""

    side: Side
    rows: list[int]

    @property
    def mark(self) -> str:
        """What tells it from other rows."""
        return digest(self.side.mark, self.rows)


Pieces = list[Piece]
"""What one student learns from."""


@dataclass(frozen=True)
class TrainingSet:
    """Rows to learn from, in one draw or several."""

    name: str
    """As figures name it."""
    about: str
    draws: list[Pieces]
    n: int | None = None
    """The real rows in it, where it is a point of the learning curve."""

    @property
    def size(self) -> int:
        """Rows of a draw; on average, where they differ."""
        return round(sum(len(piece.rows) for pieces in self.draws for piece in pieces) / len(self.draws))


class Sets:
    """All training sets of an evaluation, in the order of the table, and what has to be said of them."""

    def __init__(self, data: Data) -> None:
        self.data, self.made = data, data.made
        self.found: list[TrainingSet] = []
        self.notes: list[str] = []
        wanted = set(data.settings.baselines)
        self._add("tstr", "all made rows", [whole(self.made)])
        if "random" in wanted:
            self._random()
        real = self._usable("real", data.real)
        if real is not None and "real" in wanted:
            self._add("trtr", "all real rows", [whole(real)])
            self._matched(real)
        seeds = self._usable("examples", data.examples)
        if "examples" in wanted and seeds is not None:
            self._add("seeds_only", "the seed examples", [whole(seeds)])
        if "oversample" in wanted:
            self._oversampled(seeds or real)
        if real is not None:
            self._mixed(real, alone="real" in wanted)

    def _add(self, name: str, about: str, draws: list[Pieces], n: int | None = None) -> None:
        self.found.append(TrainingSet(name, about, draws, n))

    def _drawn(self, name: str, draw: Callable[[np.random.Generator], Pieces]) -> list[Pieces]:
        """As many draws as there are seeds, each with a generator of its own."""
        return [draw(self.data.rng("utility", name, number)) for number in range(self.data.settings.seeds)]

    def _usable(self, name: str, side: Side | None) -> Side | None:
        """The side, if a student can learn from it alone."""
        if side is None:
            return None
        if side.label is None or len(set(side.labels)) < 2:
            self.notes.append(f"Nothing learned from {name} alone: its rows do not have a class each, of two or more.")
            return None
        return side

    def _random(self) -> None:
        """As many rows as were kept, drawn from kept and rejected ones; and all of these."""
        if self.data.run is None:
            self.notes.append(
                "No random subset beside the made rows: only the folder of a run has the rows that were not kept."
            )
            return
        pool, unusable = candidates(self.data)
        if unusable:
            self.notes.append(f"Candidates: {unusable:,} rejected rows had no text or class, and are none.")
        if len(pool) == len(self.made):
            self.notes.append("No random subset beside the made rows: the run rejected no row with a text and a class.")
            return
        size = len(self.made)
        about = f"as many of the {len(pool):,} candidates (kept or rejected), at random"
        self._add("tstr_random", about, self._drawn("random", lambda draws: drawn(pool, size, draws)))
        self._add("tstr_candidates", "all candidates, kept or rejected", [whole(pool)])

    def _matched(self, real: Side) -> None:
        """Made and real rows of equal number, and of equal words."""
        made_words, real_words = words(self.made), words(real)
        self.notes.append("Matched budgets: words, parted by space, stand for tokens.")
        size, budget = min(len(self.made), len(real)), min(sum(made_words), sum(real_words))
        for name, side, lengths in (("tstr", self.made, made_words), ("trtr", real, real_words)):
            enough = partial(drawn, side, size)
            about = f"{side.name} rows, as many as there are of both"
            draws = [whole(side)] if size == len(side) else self._drawn(f"{name} rows", enough)
            self._add(f"{name}_matched_rows", about, draws)
            about = f"{side.name} rows of as many words as there are of both ({budget:,})"
            within = partial(within_words, side, lengths, budget)
            draws = [whole(side)] if budget == sum(lengths) else self._drawn(f"{name} words", within)
            self._add(f"{name}_matched_words", about, draws)

    def _oversampled(self, few: Side | None) -> None:
        """What repeating rows achieves: of the few rows there were, and of the rarer classes of the made ones."""
        if few is not None:
            each = max(1, round(len(self.made) / len(set(few.labels))))
            about = f"{few.name} repeated to as many rows as were made, classes even"
            self._add("oversample", about, self._drawn("oversample", lambda draws: repeated(few, each, draws)))
            self.notes.append(
                "A row that is repeated weighs more against a penalty such as the probe's: `oversample` gains by that "
                "too, not by even classes alone."
            )
        counts = Counter(self.made.labels)
        most = max(counts.values())
        if most > min(counts.values()):
            about = f"made rows, each class repeated to {most:,}"
            draws = self._drawn("oversample made", lambda rng: repeated(self.made, most, rng))
            self._add("oversample_made", about, draws)

    def _mixed(self, real: Side, alone: bool) -> None:
        """All made rows with n real ones, and these alone: the same ones, so that the two can be paired."""
        orders = [
            stratified_order(real.labels, self.data.rng("utility", "real", number))
            for number in range(self.data.settings.seeds)
        ]
        left_out = []
        for size in self.data.settings.sizes:
            n = len(real) if size == "all" else size
            if n > len(real):
                left_out.append(str(size))
                continue
            draws = [[Piece(real, sorted(order[:n]))] for order in (orders if 0 < n < len(real) else orders[:1])]
            made = whole(self.made)
            mixed = [[*made, *pieces] for pieces in draws] if n else [made]
            self._add(f"mix_{size}", f"all made rows and {n:,} real ones", mixed, n)
            if n and alone:
                self._add(f"real_{size}", f"{n:,} real rows", draws, n)
        if left_out:
            self.notes.append(f"Not mixed: {', '.join(left_out)} real rows; there are {len(real):,}.")


def candidates(data: Data) -> tuple[Side, int]:
    """The made rows and those that the run rejected, as far as they have a text and a class; and how many have not.

    Rows that were rejected for no fault of theirs, such as those beyond the target, are candidates too. Raises
    InputError without rejected rows to read.
    """
    assert data.run is not None
    lines = rejected_rows(data.run)
    back = labelled([json.loads(line["row"]) for line in lines], data.made)
    return Side("candidates", [*data.made.rows, *back], data.made.columns, data.made.label), len(lines) - len(back)


def whole(side: Side) -> Pieces:
    """All rows of a side."""
    return [Piece(side, list(range(len(side))))]


def drawn(side: Side, size: int, draws: np.random.Generator) -> Pieces:
    """`size` rows of a side, drawn without replacement."""
    return [Piece(side, sorted(draws.choice(len(side), size, replace=False).tolist()))]


def words(side: Side) -> list[int]:
    """Of each row, the words of its text, parted by space: what stands for tokens, whoever counts these."""
    return [len(text.split()) for text in side.texts]


def within_words(side: Side, lengths: Sequence[int], budget: int, draws: np.random.Generator) -> Pieces:
    """Rows drawn one after the other while they hold no more words than `budget` together; at least one."""
    import numpy as np

    order = draws.permutation(len(side))
    fit = int(np.searchsorted(np.cumsum(np.array(lengths)[order]), budget, side="right"))
    return [Piece(side, sorted(order[: max(1, fit)].tolist()))]


def repeated(side: Side, each: int, draws: np.random.Generator) -> Pieces:
    """`each` rows of every class: all of its rows equally often, and what is left over drawn from them."""
    rows: list[int] = []
    for label in sorted(set(side.labels)):
        own = draws.permutation([at for at, one in enumerate(side.labels) if one == label])
        times, rest = divmod(each, len(own))
        rows += [*own.tolist() * times, *own[:rest].tolist()]
    return [Piece(side, sorted(rows))]


def stratified_order(labels: Sequence[str], draws: np.random.Generator) -> list[int]:
    """The rows in a random order of which every beginning has the classes in their shares, as nearly as can be.

    The j-th row of a class of s, from 0, comes at (j + 1/2) / s: the apportionment of Webster and Sainte-Lague. Classes
    that tie are in random order.
    """
    counts, seen = Counter(labels), Counter[str]()
    places: list[tuple[float, int]] = []
    for at in draws.permutation(len(labels)).tolist():
        places.append(((seen[labels[at]] + 0.5) / counts[labels[at]], at))
        seen[labels[at]] += 1
    return [at for _, at in sorted(places, key=lambda place: place[0])]
