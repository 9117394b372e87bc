"""Membership inference: whether one can tell, of a real row, that data was made from it or a model learned from it.

An attack gives each row a score, higher for a likelier member; members and others that are draws of one distribution
tell how good it is. Where they differ otherwise, say by their age, the attack sees that too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from synth_llm.measure.interval import RESAMPLES, Interval
from synth_llm.measure.metric import metric
from synth_llm.measure.privacy import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.integer]

FALSE_ALARMS = 0.01
"""The share of others that an attack may call members where it must be sure."""
HELD = 1_000_000
"""Points of curves that are held at once: some 50 MB."""


class Attack(NamedTuple):
    """How well an attack tells members from others."""

    auroc: Interval
    """The chance that a member scores higher than another: .5 for guessing."""
    advantage: Interval
    """Members found less others accused, at the best threshold: 0 for guessing."""
    sure: Interval
    """The share of members found where 1 % of the others are accused; NaN for fewer than 100 others."""
    members: int
    others: int


def membership_by_loss(member_losses: ArrayLike, other_losses: ArrayLike, seed: int = 0) -> Attack:
    """The attack on a model by its losses: it is surer of what it learned from (Yeom et al. 2018, arXiv 1709.01604).

    Of each row the loss of any model, such as -log of the probability of its label. Raises ValueError as `auroc`.
    """
    import numpy as np

    return _attack(-np.asarray(member_losses, np.float64), -np.asarray(other_losses, np.float64), seed)


def membership_by_distance(made: ArrayLike, members: ArrayLike, others: ArrayLike, seed: int = 0) -> Attack:
    """The attack on a made set: one of its rows lies nearer to what it was made from (Chen et al. 2020, GAN-Leaks,
    arXiv 1909.03935, section 4, the full black-box attack).

    (n, d) made vectors, and those of real rows. Raises ValueError for no made row, and as `auroc`.
    """
    ours, rest = (-nearest(rows, made).distance[:, 0] for rows in (members, others))
    return _attack(ours, rest, seed)


@metric("number", "number", range=(0, 1), direction="lower", unit="probability", source="Fawcett 2006, section 7")
def auroc(member_scores: ArrayLike, other_scores: ArrayLike, seed: int = 0) -> Interval:
    """The chance that a member scores higher than another row, a tie counting half, with its bootstrap interval.

    .5 for guessing; under it where members score lower. Raises ValueError for an empty list, or one with a NaN.
    """
    return _bootstrap(_area, *_places(member_scores, other_scores), seed)


@metric(
    "number",
    "number",
    range=(-1, 1),
    direction="lower",
    unit="difference of shares",
    source="Yeom et al. 2018 (arXiv 1709.01604), definition 4",
)
def advantage(member_scores: ArrayLike, other_scores: ArrayLike, seed: int = 0) -> Interval:
    """An attack's true positives less its false ones at its best threshold, with its bootstrap interval.

    The best of many thresholds on the rows that chose it is too good. Here each half of the rows chooses the threshold
    for the other half, so that guessing has 0 on the average; what there is comes out a little low. The halves are
    drawn by `seed` and the order of the scores, which must not be by their size. Raises ValueError for fewer than two
    rows of a list, or for a NaN.
    """
    import numpy as np

    (members, others), size = _places(member_scores, other_scores)
    if min(len(members), len(others)) < 2:
        raise ValueError("advantage: fewer than two rows to halve")
    draws = np.random.default_rng(seed)
    parts = [half for one in (draws.permutation(members), draws.permutation(others)) for half in (one[::2], one[1::2])]
    return _bootstrap(_crossed, parts, size, seed)


def found_surely(member_scores: ArrayLike, other_scores: ArrayLike, seed: int = 0) -> Interval:
    """The share of members that an attack finds where it accuses 1 % of the others, with its bootstrap interval.

    Carlini et al. 2022 (arXiv 2112.03570), section III. NaN for fewer than 100 others. Raises ValueError as `auroc`.
    """
    (members, others), size = _places(member_scores, other_scores)
    if len(others) * FALSE_ALARMS < 1:
        return Interval(math.nan, math.nan, math.nan)
    return _bootstrap(_sure, [members, others], size, seed)


def _attack(members: Floats, others: Floats, seed: int) -> Attack:
    both = members, others
    figures = auroc(*both, seed), advantage(*both, seed), found_surely(*both, seed)
    return Attack(*figures, len(members), len(others))


def _places(members: ArrayLike, others: ArrayLike) -> tuple[list[Ints], int]:
    """The place of each score among all different ones, from 0, and how many these are."""
    import numpy as np

    given = [np.asarray(scores, np.float64) for scores in (members, others)]
    if not all(len(scores) and not np.isnan(scores).any() for scores in given):
        raise ValueError("a membership attack needs members and others, each with a score")
    scale = np.unique(np.concatenate(given))
    return [scale.searchsorted(scores) for scores in given], len(scale)


def _bootstrap(statistic: Callable[..., Floats], parts: list[Ints], size: int, seed: int) -> Interval:
    """The percentile bootstrap of a statistic of the parts' curves, each part drawn from by itself."""
    import numpy as np

    draws = [np.random.default_rng([seed, number]) for number in range(len(parts))]
    value = float(statistic(*(_curves(part[None], size) for part in parts))[0])
    found: list[Floats] = []
    together = max(1, HELD // size)
    for start in range(0, RESAMPLES, together):
        times = min(together, RESAMPLES - start)
        drawn = [
            part[draw.integers(0, len(part), (times, len(part)))]
            for part, draw in zip(map(np.sort, parts), draws, strict=True)
        ]
        found.append(statistic(*(_curves(one, size) for one in drawn)))
    low, high = np.quantile(np.concatenate(found), (0.025, 0.975))
    return Interval(value, float(low), float(high))


def _curves(places: Ints, size: int) -> Floats:
    """(draws, size + 1): of each draw the share of scores at or above each place, and last the 0 above all."""
    import numpy as np

    rows = np.arange(len(places))[:, None] * size
    counts = np.bincount((places + rows).ravel(), minlength=len(places) * size).reshape(-1, size)
    above = np.zeros((len(places), size + 1))
    above[:, :-1] = counts[:, ::-1].cumsum(axis=1)[:, ::-1] / places.shape[1]
    return above


def _area(found: Floats, accused: Floats) -> Floats:
    """Under the curve of one over the other, by trapezes: a tie counts half."""
    area: Floats = ((accused[:, :-1] - accused[:, 1:]) * (found[:, :-1] + found[:, 1:])).sum(axis=1) / 2
    return area


def _sure(found: Floats, accused: Floats) -> Floats:
    import numpy as np

    best: Floats = np.where(accused <= FALSE_ALARMS, found, 0.0).max(axis=1)
    return best


def _crossed(one: Floats, other: Floats, accused: Floats, other_accused: Floats) -> Floats:
    """The mean of both halves' gains at the threshold that is best for the other half, of equals the highest."""
    import numpy as np

    gains = one - accused, other - other_accused
    best = [gain.shape[1] - 1 - gain[:, ::-1].argmax(axis=1) for gain in gains]
    rows = np.arange(len(one))
    mean: Floats = (gains[0][rows, best[1]] + gains[1][rows, best[0]]) / 2
    return mean
