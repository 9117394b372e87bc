"""How fluent a text is, and how much an instruction helps with its answer, from a model's log-probabilities.

All log-probabilities are natural, one a token.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

MOST = 700.0
"""The greatest exponent: beyond it a float overflows."""


def perplexity(logprobs: Sequence[float]) -> float:
    """exp of the mean negative log-probability, from 1 up: among how many equal choices each token seems drawn.

    Raises ValueError without tokens.
    """
    return math.exp(min(MOST, -_mean(logprobs)))


def slor(logprobs: Sequence[float], unigram: Sequence[float]) -> float:
    """The syntactic log-odds ratio: (ln p(S) - ln p_u(S)) / |S|, the greater the more acceptable.

    What a text's words are worth by themselves, `unigram`, is taken off, so that rare words do not count as bad
    grammar, nor length as anything (Kann et al. 2018, arXiv 1809.08731, equation 1). Raises ValueError when the two are
    not of the same tokens.
    """
    if len(logprobs) != len(unigram):
        raise ValueError(f"{len(logprobs)} tokens with a log-probability, {len(unigram)} with a unigram one")
    return _mean(logprobs) - _mean(unigram)


def ifd(conditioned: Sequence[float], alone: Sequence[float]) -> float:
    """The instruction-following difficulty: an answer's mean loss given its instruction, over that without it.

    Both over the same tokens. Near 1 the instruction hardly helps: the pair is hard for the model. Above 1 it misleads,
    and such pairs mostly do not belong together (Li et al. 2023, arXiv 2308.12032, section 2, "IFD score"). Infinite
    for an answer that is certain without its instruction. Raises ValueError without tokens.
    """
    loss = -_mean(alone)
    return -_mean(conditioned) / loss if loss > 0 else math.inf


def unigram_logprobs(counts: Counter[str], tokens: Iterable[str]) -> list[float]:
    """The log of each token's share of all counted ones. Raises ValueError for a token that was not counted."""
    total = counts.total()
    return [math.log(counts[token] / total) for token in tokens]


def _mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("no tokens")
    return math.fsum(values) / len(values)
