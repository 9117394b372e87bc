"""SuperGen's SST-2 against Alpaca and Dolly: the narrower set is the less diverse one, on every measure.

What is compared is what was written: SuperGen's sentences, the outputs of Alpaca and Dolly. All three are matched as
`evaluate` matches the two sides of a dataset: texts are cut to the same number of words, which three of four texts of
each set have, and those with fewer are left out; as many rows of each set, with intervals from random halves. SuperGen
ranks below when its whole interval lies on the worse side of that of either other set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import data
from synth_llm.encoders import EncoderEntry, stored_encoder
from synth_llm.evaluation.diversity import OF_TEXTS, OF_VECTORS, POOL
from synth_llm.measure.diversity import HALVES, common_length, halves, matched
from synth_llm.measure.interval import Interval
from synth_llm.measure.metric import facts

SETS = {
    "SuperGen": ("supergen/SST-2_generated_train.jsonl", "text"),
    "Alpaca": ("alpaca/alpaca_random_dev.jsonl", "output"),
    "Dolly": ("dolly/dolly_dev.jsonl", "output"),
}


def bar() -> Iterator[tuple[str, str, str, bool]]:
    texts = {name: _read(*place) for name, place in SETS.items()}
    words = common_length(*texts.values())
    pools = {name: matched(one, words, POOL) for name, one in texts.items()}
    rows = min(len(pool.texts) for pool in pools.values())
    encoder = stored_encoder(EncoderEntry(), Path())
    values = {name: np.array(pool.texts[:rows], dtype=object) for name, pool in pools.items()}
    vectors = {name: encoder.encode(list(one)) for name, one in values.items()}
    usable = ", ".join(f"{pools[name].of} of {len(one)} {name}" for name, one in texts.items())
    how = f"{HALVES} halves of {rows} rows, first {words} words ({usable} have as many)"
    for measure, function in {**OF_TEXTS, **OF_VECTORS}.items():
        given = vectors if measure in OF_VECTORS else values
        found = {name: _of_halves(function, one) for name, one in given.items()}
        shown = ", ".join(f"{name} {one.value:.3g} ({one.low:.3g} to {one.high:.3g})" for name, one in found.items())
        higher = facts("distinct_n" if measure in ("distinct_1", "distinct_2") else measure).direction == "higher"
        below = all(_below(found["SuperGen"], found[name], higher) for name in ("Alpaca", "Dolly"))
        yield "diversity", f"{measure}: {shown}; {how}", "SuperGen is the least diverse, beyond the intervals", below
        how = "the same rows"


def _read(name: str, column: str) -> list[str]:
    with data(name).open(encoding="utf-8") as lines:
        return [json.loads(line)[column] for line in lines]


def _of_halves(function: Callable[[Any], float], values: np.ndarray) -> Interval:
    return halves(lambda at: function(values[at]), len(values))


def _below(one: Interval, other: Interval, higher: bool) -> bool:
    """Whether one set is less diverse than the other, beyond both intervals."""
    return one.high < other.low if higher else one.low > other.high
