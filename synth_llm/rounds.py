"""How many candidates a round takes up: computed from the acceptance of earlier rounds alone, so that it replays."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

HOPELESS = 50
"""So many candidates of a cell in a row without one accepted: stop. Also the most a cell tries before its first."""
SURE = 10
"""Below so many accepted rows the yield is a guess: a round then at most triples what was tried."""
SPARE = 1.05
"""A later round takes this much more than it expects to need: one round too many costs more than a few rows."""


@dataclass
class Cell:
    """One value of the target's `per` column, or all rows."""

    label: str
    want: int
    accepted: int = 0
    tried: int = 0
    in_vain: int = 0
    """Candidates since the last accepted row."""
    used_up: bool = False

    @property
    def missing(self) -> int:
        """Accepted rows still wanted."""
        return max(0, self.want - self.accepted)


def levelled(rows: int, there: Mapping[str, int]) -> dict[str, int]:
    """How many of `rows` each cell gets, so that with those that are `there` all come as near to equal as they can.

    >>> levelled(10, {"a": 0, "b": 0, "c": 0}), levelled(10, {"a": 8, "b": 1, "c": 0})
    ({'a': 4, 'b': 3, 'c': 3}, {'a': 0, 'b': 5, 'c': 5})
    """
    counts, names = sorted(there.values()), list(there)
    low = counts[0]
    for number in range(1, len(counts) + 1):  # the level up to which `rows` fill the lowest `number` cells
        after = counts[number] if number < len(counts) else math.inf
        low = (rows + sum(counts[:number])) // number
        if low < after:
            break
    shares = {name: max(0, low - count) for name, count in there.items()}
    open_ = [name for name in names if there[name] <= low]
    for name in open_[: rows - sum(shares.values())]:
        shares[name] += 1
    return shares


class Rounds:
    """The cells of a target and what became of their candidates."""

    def __init__(
        self,
        rows: int,
        cells: list[str],
        column: str | None,
        expected: int,
        most: int | None,
        there: Mapping[str, int] | None = None,
    ) -> None:
        self.cells = {
            cell: Cell(f"{column}={_plain(cell)}" if column else "target", share)
            for cell, share in levelled(rows, {cell: (there or {}).get(cell, 0) for cell in cells}).items()
        }
        self.expected, self.most = expected, most

    def sizes(self) -> dict[str, int]:
        """Candidates the next round takes up, by cell."""
        sizes = {name: self._size(cell) for name, cell in self.cells.items() if cell.missing and not cell.used_up}
        if self.most is not None and (total := sum(sizes.values())) > self.most:
            sizes = {name: max(1, size * self.most // total) for name, size in sizes.items()}
        return sizes

    def _size(self, cell: Cell) -> int:
        """What is missing over the measured yield; a cell that has accepted nothing yet is tried with care."""
        if not cell.accepted:
            wanted = max(math.ceil(cell.missing / self.expected), cell.in_vain)  # twice as many each time in vain
            return max(1, min(wanted, HOPELESS - cell.in_vain))
        tried = max(cell.tried, cell.accepted / self.expected)  # relabelled rows come from other cells' candidates
        size = math.ceil(cell.missing * tried / cell.accepted * SPARE)
        return size if cell.accepted >= SURE else min(size, max(2 * cell.tried, cell.missing))

    def note(self, cell: str, tried: int, accepted: int, *, asked_for: int) -> None:
        """Count a round: candidates taken up and their accepted rows; fewer than asked for means used up."""
        it = self.cells[cell]
        it.tried, it.accepted = it.tried + tried, it.accepted + accepted
        it.in_vain = 0 if accepted else it.in_vain + tried
        it.used_up = tried < asked_for

    def verdict(self) -> str | None:
        """Empty when the target is met, a line when it cannot be, None to go on."""
        missing = [cell for cell in self.cells.values() if cell.missing]
        if not missing:
            return ""
        for cell in missing:
            if cell.in_vain >= HOPELESS:
                return (
                    f"{cell.label}: none of the last {cell.in_vain} candidates was accepted "
                    f"({cell.accepted} of {cell.want}); see why with `synth-llm inspect RUN --rejected`"
                )
        if all(cell.used_up for cell in missing):
            short = ", ".join(f"{cell.label} has {cell.accepted} of {cell.want}" for cell in missing)
            return f"the source is used up: {short}; add rows, or set source.repeat"
        return None


def _plain(cell: str) -> str:
    value = json.loads(cell)
    return value if isinstance(value, str) else cell
