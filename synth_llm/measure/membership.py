"""Membership inference: whether one can tell, of a real row, that data was made from it or a model learned from it.

An attack gives each row a score, higher for a likelier member; members and others that are draws of one distribution
tell how good it is. Where they differ otherwise, say by their age, the attack sees that too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from synth_llm.measure.interval import Interval, bootstrap
from synth_llm.measure.metric import metric
from synth_llm.measure.privacy import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

FALSE_ALARMS = 0.01
"""The share of others that an attack may call members where it must be sure."""


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
    members, others = _scores(member_scores), _scores(other_scores)
    return _interval(_auroc, [members], [others], seed)


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

    The best of many thresholds on the rows that chose it is too good. Here each half of the rows, drawn by `seed`,
    chooses the threshold for the other half, so that guessing has 0, and is as often under it as over it. Raises
    ValueError for fewer than two rows of a list, or for a NaN.
    """
    members, others = _scores(member_scores), _scores(other_scores)
    if min(len(members), len(others)) < 2:
        raise ValueError("advantage: fewer than two rows to halve")
    return _interval(_crossed, _halves(members, seed), _halves(others, seed + 1), seed)


def _attack(members: Floats, others: Floats, seed: int) -> Attack:
    sure = Interval(math.nan, math.nan, math.nan)
    if len(others) >= 1 / FALSE_ALARMS:
        sure = _interval(_sure, [_scores(members)], [_scores(others)], seed)
    return Attack(auroc(members, others, seed), advantage(members, others, seed), sure, len(members), len(others))


def _scores(given: ArrayLike) -> Floats:
    """Sorted, so that nothing drawn from them depends on the order of rows."""
    import numpy as np

    scores: Floats = np.sort(np.asarray(given, np.float64))
    if not len(scores) or np.isnan(scores[-1]):
        raise ValueError("a membership attack needs members and others, each with a score")
    return scores


def _halves(scores: Floats, seed: int) -> list[Floats]:
    import numpy as np

    mixed = np.random.default_rng(seed).permutation(scores)
    return [mixed[::2], mixed[1::2]]


def _interval(
    statistic: Callable[[list[Floats], list[Floats]], float], members: list[Floats], others: list[Floats], seed: int
) -> Interval:
    """The bootstrap of a statistic of parts of the members and of the others, each part drawn from by itself."""
    parts = [*members, *others]

    def drawn(*at: NDArray[np.intp]) -> float:
        some = [part[rows] for part, rows in zip(parts, at, strict=True)]
        return statistic(some[: len(members)], some[len(members) :])

    return bootstrap(drawn, *map(len, parts), seed=seed)


def _auroc(members: list[Floats], others: list[Floats]) -> float:
    import numpy as np

    ordered = np.sort(others[0])
    wins = ordered.searchsorted(members[0], "left") + ordered.searchsorted(members[0], "right")
    return float(wins.mean() / (2 * len(ordered)))


def _sure(members: list[Floats], others: list[Floats]) -> float:
    """Members over the score that at most 1 % of the others pass."""
    import numpy as np

    allowed = int(FALSE_ALARMS * len(others[0]))
    threshold = np.partition(others[0], -allowed - 1)[-allowed - 1]
    return float((members[0] > threshold).mean())


def _crossed(members: list[Floats], others: list[Floats]) -> float:
    """The mean of both halves' gains at the threshold that is best for the other half."""
    return sum(_gain(members[1 - half], others[1 - half], _best(members[half], others[half])) for half in (0, 1)) / 2


def _gain(members: Floats, others: Floats, threshold: float) -> float:
    return float((members >= threshold).mean() - (others >= threshold).mean())


def _best(members: Floats, others: Floats) -> float:
    """The threshold, one of the members' scores, with the largest gain; of equals the highest."""
    import numpy as np

    ones, rest = np.sort(members), np.sort(others)
    found = 1 - ones.searchsorted(ones, "left") / len(ones)
    accused = 1 - rest.searchsorted(ones, "left") / len(rest)
    return float(ones[len(ones) - 1 - int(np.argmax((found - accused)[::-1]))])
