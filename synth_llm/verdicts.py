"""One verdict out of several: votes of a panel, and the score that a model's probabilities expect."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

TIE = "tie"
"""What a comparison says where neither side wins."""


class Decision(NamedTuple):
    """What a panel says: `value` is None where it abstains; `agreement` is the share of the weight behind the value."""

    value: Any
    agreement: float


def vote(votes: Sequence[Any], weights: Sequence[float] = ()) -> Decision:
    """The value with most votes, or, with a weight for each vote, with most weight behind it.

    Ties abstain, and so do no votes. A vote of None is an abstention: it counts in the share, and for no value. When
    the panel abstains, the agreement is the share of each value that leads.
    """
    weights = weights or [1.0] * len(votes)
    behind: dict[Any, float] = defaultdict(float)
    for value, weight in zip(votes, weights, strict=True):
        if value is not None:
            behind[value] += weight
    total, most = sum(weights), max(behind.values(), default=0.0)
    if not most:
        return Decision(None, 0.0)
    leading = [value for value, weight in behind.items() if math.isclose(weight, most, rel_tol=1e-9)]
    return Decision(leading[0] if len(leading) == 1 else None, most / total)


def log_odds(right: int, total: int, values: int = 2) -> float:
    """The weight of a judge's vote: log odds of its accuracy, which for independent judges is best (Nitzan & Paroush
    1982, theorem 1); for more than two values `log((values - 1) p / (1 - p))`, where errors fall on any of the others.

    The accuracy is `(right + 1) / (total + 2)` (Laplace's rule), so that a judge without an error in a small gold file
    is no oracle. A judge that is not better than chance has the weight 0: too few gold rows show that it is worse, for
    the opposite of its vote to be believed.
    """
    accuracy = (right + 1) / (total + 2)
    return max(0.0, math.log((values - 1) * accuracy / (1 - accuracy)))


def swapped(first: Any, second: Any, sides: tuple[str, str]) -> str:
    """What two answers say together, the second one asked in the opposite order: a side, or `tie`.

    An answer is 1 or 2 for the side that stood there, anything else for neither. A judge that prefers a place and not
    a side contradicts itself, and abstains (Zheng et al. 2023, arXiv 2306.05685, section 3.4).
    """
    one = {"1": sides[0], "2": sides[1]}.get(str(first), TIE)
    other = {"1": sides[1], "2": sides[0]}.get(str(second), TIE)
    return one if one == other else TIE


class Expected(NamedTuple):
    """An expected score, or why there is none."""

    score: float | None
    why: str = ""


def expected_score(body: bytes, column: str, allowed: Sequence[int]) -> Expected:
    """The score that an answer's probabilities expect: each possible score by the probability of its token, which must
    add up to 1 (G-Eval: Liu et al. 2023, arXiv 2303.16634, section 2, eq. 1).

    `body` is the answer as the endpoint sent it, with log-probabilities and alternatives of each token; the score is
    the value of `column` in JSON, between its tags, or the whole answer. Only scales whose scores are one digit each
    can be weighted: a longer number is several tokens, whose alternatives were never seen.
    """
    if not allowed or min(allowed) < 0 or max(allowed) > 9:
        return Expected(None, "its scale is not one digit a score")
    tokens = _tokens(body)
    if not tokens:
        return Expected(None, "no log-probabilities in the answer")
    text = "".join(token for token, _ in tokens)
    name = re.escape(column)
    found = re.search(rf'"{name}"\s*:\s*(\d)|<{name}>\s*(\d)|\A\s*["\'*]*(\d)["\'*.\s]*\Z', text)
    if found is None:
        return Expected(None, "the score does not stand alone in the answer")
    at, start = found.start(found.lastindex or 0), 0
    for token, others in tokens:
        if start <= at < start + len(token):
            return _expected(others, token[: at - start], token[at - start + 1 :], allowed)
        start += len(token)
    return Expected(None, "the score does not stand alone in the answer")


def _expected(others: Mapping[str, float], before: str, after: str, allowed: Sequence[int]) -> Expected:
    """Over the alternatives that differ from the token in the digit alone, spaces aside."""
    mass: dict[int, float] = defaultdict(float)
    for other, logprob in others.items():
        digit = other.strip().removeprefix(before.strip()).removesuffix(after.strip()).strip()
        if len(digit) == 1 and digit.isascii() and digit.isdigit() and int(digit) in allowed:
            mass[int(digit)] += math.exp(min(0.0, logprob))
    total = sum(mass.values())
    if not total:
        return Expected(None, "no score among the alternatives")
    return Expected(sum(score * share for score, share in mass.items()) / total)


def _tokens(body: bytes) -> list[tuple[str, dict[str, float]]]:
    """Each token of an answer with the log-probabilities of itself and its alternatives; empty when there are none."""
    try:
        found = json.loads(body)["choices"][0]["logprobs"]
        if "content" in found:
            return [
                (one["token"], _finite([(other["token"], other["logprob"]) for other in [*one["top_logprobs"], one]]))
                for one in found["content"]
            ]
        parts = zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True)
        return [(token, _finite([*(top or {}).items(), (token, logprob)])) for token, logprob, top in parts]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def _finite(pairs: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    """What can be used of the alternatives: a text with a number."""
    return {text: float(value) for text, value in pairs if isinstance(text, str) and type(value) in (int, float)}
