"""Every metric as an `evaluate.Metric`: the same figures, no network, nothing left behind."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_llm.errors import InputError
from synth_llm.measure import adapter
from synth_llm.measure.metric import metric, metrics

ROWS = 24


def inputs(kind: str, seed: int) -> list[Any]:
    """Rows of a kind, as a metric takes them."""
    draw = random.Random(seed)
    if kind == "text":
        return [" ".join(draw.choices("abcdefghij", k=8)) for _ in range(ROWS)]
    if kind == "texts":
        return [draw.choices("ab", k=3) for _ in range(ROWS)]
    if kind == "label":
        return ["a", "b", *draw.choices("ab", k=ROWS - 2)]
    if kind == "vector":
        return [[draw.gauss(0, 1) for _ in range(3)] for _ in range(ROWS)]
    return [draw.random() for _ in range(ROWS)]


def equal(one: Any, other: Any) -> bool:
    return bool(one == other or (math.isnan(one) and math.isnan(other)) or one == pytest.approx(other))


@pytest.mark.parametrize("name", metrics())
def test_every_metric_goes_through(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", tmp_path)
    facts, function = metrics()[name]
    loaded = adapter.load(name)
    lists = [inputs(kind, seed) for seed, kind in enumerate(facts.takes)]
    named = dict(zip(loaded.features, lists, strict=True))
    found = loaded.compute(**named)
    direct = function(*lists)
    assert equal(found[name], getattr(direct, "value", direct)) if name in found else set(found)
    assert loaded.name == name and facts.about in loaded.description and loaded.citation == facts.source
    assert not list(tmp_path.iterdir())
    for value in found.values():
        assert isinstance(value, int | float | None)


def test_rows_can_come_one_by_one_and_in_batches() -> None:
    loaded = adapter.load("distinct_n", n=1)
    loaded.add(prediction="a b")
    loaded.add_batch(predictions=["a c", "d"])
    assert len(loaded) == 3 and loaded.compute() == {"distinct_n": 0.8}
    assert loaded.compute(predictions=["a a"], n=2) == {"distinct_n": 1.0}, "a setting of one call"
    assert loaded.compute(predictions=["a a"]) == {"distinct_n": 0.5}


def test_it_combines_with_others() -> None:
    import evaluate

    both = evaluate.combine([adapter.load("rouge_1"), adapter.load("rouge_l"), adapter.load("distinct_n")])
    found = both.compute(predictions=["a b c", "d"], references=["c b a", "d"])
    assert found["rouge_1"] == 1 and found["rouge_l"] < 1 and "rouge_l_low" in found and "distinct_n" in found


def test_what_is_measured_may_be_more_than_what_it_is_measured_against() -> None:
    coverage = adapter.load("attribute_coverage")
    assert coverage.compute(predictions=["a"], references=["a", "b"]) == {"attribute_coverage": 0.5}
    coverage.add_batch(predictions=["a", "b", "c"], references=["a"])
    coverage.add_batch(predictions=["d"], references=["d", "e"])
    assert coverage.compute() == {"attribute_coverage": pytest.approx(2 / 3)}
    assert adapter.load("vendi").compute(predictions=np.eye(3)) == {"vendi": pytest.approx(3)}


def test_what_cannot_be_used_is_one_line() -> None:
    with pytest.raises(InputError, match="no metric 'vendy'; did you mean 'vendi'"):
        adapter.load("vendy")
    with pytest.raises(InputError, match="distinct_n: no setting 'm'; known: n"):
        adapter.load("distinct_n", m=2)
    with pytest.raises(InputError, match="distinct_n: no setting 'm'"):
        adapter.load("distinct_n").compute(predictions=["a"], m=2)
    with pytest.raises(InputError, match="rouge_1 needs references"):
        adapter.load("rouge_1").compute(predictions=["a"])
    with pytest.raises(ValueError, match="expected format"):
        adapter.load("distinct_n").compute(predictions=[1, 2])


def test_a_name_is_taken_once() -> None:
    def vendi() -> float:
        """Another one."""
        return 0.0

    metrics()
    with pytest.raises(ValueError, match=r"synth_llm\.measure\.diversity has a metric 'vendi'"):
        metric(range=(0, 1), direction="higher", unit="", source="")(vendi)
