"""How many rows each class or cell gets: whole numbers, exact sums, no class over what it can give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field


def _amount(value: float) -> float:
    if value >= 1 and value != int(value):
        raise ValueError(f"is {value:g}; write a whole number of rows, or a share below 1")
    return value


Amount = Annotated[float, Field(gt=0, allow_inf_nan=False), AfterValidator(_amount)]
"""A number of rows, or below 1 a share of them."""


def how_many(amount: float, rows: int) -> int:
    """An `Amount` of so many rows, in whole rows; a share is rounded, and is one row at least."""
    return min(rows, int(amount) if amount >= 1 else max(1, round(amount * rows)))


def apportioned(total: int, weights: Sequence[float], most: Sequence[int]) -> list[int]:
    """`total` places dealt out in proportion to `weights` (not negative), at most `most[i]` to the i-th.

    What a full one cannot take goes to the others in proportion; fractions go by largest remainder (Hamilton's method),
    ties to the first. The sum is `total`, or less only where those with a weight cannot take it.

    >>> apportioned(10, [1, 1, 1], [2, 9, 9])
    [2, 4, 4]
    """
    places = [0] * len(weights)
    open_ = [at for at, weight in enumerate(weights) if weight > 0 and most[at] > 0]
    left = total
    while open_ and left > 0:
        whole = math.fsum(weights[at] for at in open_)
        share = {at: left * weights[at] / whole for at in open_}
        if full := [at for at in open_ if share[at] >= most[at]]:
            for at in full:
                places[at] = min(most[at], left)
                left -= places[at]
            open_ = [at for at in open_ if at not in set(full)]
            continue
        for at in open_:
            places[at] = int(share[at])
        rest = left - sum(places[at] for at in open_)
        for at in sorted(open_, key=lambda at: (int(share[at]) - share[at], at))[:rest]:
            places[at] += 1
        break
    return places


def mixed(counts: Mapping[str, int], shares: Mapping[str, float], copies: int = 1) -> dict[str, int]:
    """Rows of each class in the stated shares: as many as `counts` allow when a row may stand `copies` times.

    The class with the most rows for its share is never copied. A class with the share 0 gets none. Rounding follows
    `apportioned`.

    >>> mixed({"real": 100, "synthetic": 5000}, {"real": 1, "synthetic": 3})
    {'real': 100, 'synthetic': 300}
    >>> mixed({"real": 100, "synthetic": 5000}, {"real": 1, "synthetic": 3}, copies=10)
    {'real': 1000, 'synthetic': 3000}
    """
    whole = math.fsum(shares.values())
    totals = [counts.get(name, 0) * whole / share for name, share in shares.items() if share > 0]
    total = math.floor(min(min(totals) * copies, max(totals)) + 1e-9)
    most = [counts.get(name, 0) * copies for name in shares]
    return dict(zip(shares, apportioned(total, list(shares.values()), most), strict=True))
