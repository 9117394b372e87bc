"""Rows of the reference: what students score that learn from SuperGen's SST-2, from real rows, and from both.

The published figures are single runs with another's draws, of which ours are estimates: one is met when it lies in the
interval of ours, which covers the test rows and the draws. The encoder is the packaged one in float32.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.data import data
from synth_llm import Recipe, Row, Source
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.settings import Evaluate
from synth_llm.evaluation.utility import utility
from synth_llm.steps.context import Resources

PUBLISHED = {"tstr": 0.689, "trtr": 0.802, "real_10": 0.588, "mix_10": 0.725, "real_500": 0.770, "mix_500": 0.747}
SAID = {
    "tstr": "all synthetic rows",
    "trtr": "all real rows",
    "real_10": "10 real rows",
    "mix_10": "all synthetic rows and 10 real ones",
    "real_500": "500 real rows",
    "mix_500": "all synthetic rows and 500 real ones",
}


def bar() -> Iterator[tuple[str, str, str, bool]]:
    """A line a row of the reference, and one for what synthetic rows add to a few and to many real ones."""
    sides = {
        "made": "supergen/SST-2_generated_train.jsonl",
        "real": "sst2/train.jsonl",
        "test": "sst2/dev.jsonl",
    }
    made, real, test = (Side(name, _read(path), ["text"], "label") for name, path in sides.items())
    use = Resources(Recipe.model_validate({"source": Source(rows=[{"text": ""}]), "steps": [{"dedup": {}}]}), Path())
    settings = Evaluate(sizes=[10, 500], baselines=["real"])
    found = {figure.name: figure for figure in utility(Data(settings, use, made, real=real, test=test)).figures}
    for name, published in PUBLISHED.items():
        value, low, high = found[name][1:4]
        assert value is not None and low is not None and high is not None
        figure = f"{SAID[name]}: {value:.3f} ({low:.3f} to {high:.3f})"
        yield "rows", figure, f"{published:.3f} in the interval", low <= published <= high
    for n in (10, 500):
        value, low, high = found[f"mix_{n}_less_real_{n}"][1:4]
        assert value is not None and low is not None and high is not None
        published = PUBLISHED[f"mix_{n}"] - PUBLISHED[f"real_{n}"]
        figure = f"{n} real rows, with the synthetic ones less without: {value:+.3f} ({low:+.3f} to {high:+.3f})"
        yield "rows", figure, f"{published:+.3f} in the interval", low <= published <= high


def _read(name: str) -> list[Row]:
    with data(name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
