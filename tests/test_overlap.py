"""Overlap with references: the figures of sacrebleu and rouge-score, with intervals."""

from __future__ import annotations

import math
import random
import sys
from typing import Any

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from synth_llm.errors import MissingExtra
from synth_llm.measure import overlap
from synth_llm.measure.overlap import bleu, chrf, rouge_1, rouge_2, rouge_l

SENTENCE = st.lists(st.sampled_from(["a", "The", "cat,", "sat.", "né"]), max_size=9).map(" ".join)
PAIRS = st.lists(st.tuples(SENTENCE, SENTENCE), min_size=1, max_size=8)
ALL = [bleu, chrf, rouge_1, rouge_2, rouge_l]


@pytest.fixture(scope="module", autouse=True)
def few() -> Any:
    """Intervals of few samples, for speed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "TIMES", 20)
        yield


@settings(deadline=None, max_examples=25)
@given(PAIRS)
def test_bleu_and_chrf_are_those_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    said, references = [one for one, _ in pairs], [other for _, other in pairs]
    assert bleu(said, references).value == pytest.approx(sacrebleu.corpus_bleu(said, [references]).score, abs=1e-9)
    assert chrf(said, references).value == pytest.approx(sacrebleu.corpus_chrf(said, [references]).score, abs=1e-9)


@settings(deadline=None, max_examples=25)
@given(PAIRS)
def test_rouge_is_the_mean_of_rouge_score(pairs: list[tuple[str, str]]) -> None:
    said, references = [one for one, _ in pairs], [other for _, other in pairs]
    for kind, function in {"rouge1": rouge_1, "rouge2": rouge_2, "rougeL": rouge_l}.items():
        scores = [RougeScorer([kind]).score(other, one)[kind].fmeasure for one, other in pairs]
        assert function(said, references).value == pytest.approx(sum(scores) / len(scores), abs=1e-9)


@pytest.mark.parametrize("function", ALL)
def test_an_interval_holds_its_value_and_narrows_with_the_rows(function: Any) -> None:
    draw = random.Random(0)
    references = [" ".join(draw.choices("abcdefgh", k=12)) for _ in range(200)]
    said = [" ".join(draw.choice("abc") if draw.random() < 0.3 else word for word in one.split()) for one in references]
    few, many = function(said[:20], references[:20], seed=1), function(said, references, seed=1)
    assert few.low < few.value < few.high and many.low < many.value < many.high
    assert many.high - many.low < few.high - few.low
    assert many == function(said, references, seed=1)


@pytest.mark.parametrize("function", ALL)
def test_no_pairs_and_uneven_lists(function: Any) -> None:
    assert math.isnan(function([], []).value)
    with pytest.raises(ValueError, match="1 predictions, but 2 references"):
        function(["a"], ["a", "b"])


@pytest.mark.parametrize(("function", "package"), [(bleu, "sacrebleu"), (chrf, "sacrebleu"), (rouge_l, "rouge_score")])
def test_a_missing_package_is_one_line(function: Any, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"pip install 'synth-llm\[evaluate\]'"):
        function(["a"], ["a"])
