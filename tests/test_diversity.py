"""Diversity: equal to plain code and to other packages, and the part compares like with like."""

from __future__ import annotations

import gzip
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from synth_llm import Recipe, Row, Source
from synth_llm.encoders import EncoderEntry
from synth_llm.evaluation import diversity as module
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.diversity import MEASURES, diversity
from synth_llm.evaluation.part import Figure
from synth_llm.evaluation.settings import Evaluate
from synth_llm.measure.diversity import (
    attribute_coverage,
    common_length,
    compression_ratio,
    dispersion,
    distinct_n,
    evenness,
    halves,
    matched,
    novelty,
    self_bleu,
    vendi,
)
from synth_llm.steps.context import Resources
from synth_llm.text import Text

TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=9).map(" ".join), min_size=2, max_size=12
)
VECTORS = st.integers(0, 10**6).map(
    lambda seed: np.random.default_rng(seed).normal(size=(2 + seed % 9, 1 + seed % 7)) + 0.01
)


@settings(deadline=None, max_examples=40)
@given(TEXTS, st.integers(1, 3))
def test_distinct_n_is_what_plain_code_counts(texts: list[str], n: int) -> None:
    grams = [tuple(text.split()[at : at + n]) for text in texts for at in range(len(text.split()) - n + 1)]
    found = distinct_n(texts, n=n)
    assert found == pytest.approx(len(set(grams)) / len(grams)) if grams else math.isnan(found)


@settings(deadline=None, max_examples=40)
@given(TEXTS)
def test_self_bleu_is_that_of_nltk(texts: list[str]) -> None:
    split, smooth = [text.split() for text in texts], SmoothingFunction(epsilon=0.1).method1
    scores = [
        sentence_bleu(split[:at] + split[at + 1 :], one, smoothing_function=smooth) for at, one in enumerate(split)
    ]
    assert self_bleu(texts) == pytest.approx(np.mean(scores), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(TEXTS)
def test_novelty_is_that_of_rouge_score(texts: list[str]) -> None:
    scorer = RougeScorer(["rougeL"])
    highest = [
        max(scorer.score(other, one)["rougeL"].fmeasure for at, other in enumerate(texts) if at != own)
        for own, one in enumerate(texts)
    ]
    assert novelty(texts) == pytest.approx(1 - np.mean(highest), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(VECTORS)
def test_dispersion_and_vendi_are_those_of_the_whole_matrix(vectors: Any) -> None:
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    kernel, n = units @ units.T, len(units)
    assert dispersion(vectors) == pytest.approx(1 - (kernel.sum() - n) / (n * (n - 1)), abs=1e-9)
    values = np.linalg.eigvalsh(kernel / n)
    values = values[values > 1e-12]
    assert vendi(vectors) == pytest.approx(math.exp(-(values * np.log(values)).sum()), abs=1e-6)


def test_compression_ratio_is_bytes_before_by_bytes_after() -> None:
    texts = ["the same line"] * 50
    raw = "\n".join(texts).encode()
    assert compression_ratio(texts) == pytest.approx(len(raw) / len(gzip.compress(raw)), rel=0.01)
    assert compression_ratio(texts) > 5 > compression_ratio([f"{at * 7919 % 1000}" for at in range(50)])
    assert compression_ratio(["\ud800"]) > 0, "half a surrogate pair is no crash"


def test_known_values() -> None:
    assert vendi(np.eye(5)) == pytest.approx(5) and vendi(np.ones((9, 3))) == pytest.approx(1)
    assert dispersion(np.eye(5)) == pytest.approx(1) and dispersion(np.ones((9, 3))) == pytest.approx(0)
    assert self_bleu(["one two three four"] * 3) == pytest.approx(1) and novelty(["one two"] * 3) == 0
    assert attribute_coverage(["a", "a", "z"], ["a", "b"]) == 0.5
    assert evenness(["a", "b"], []) == pytest.approx(1) and evenness(["a", "a"], ["b"]) == 0
    assert evenness([*"aab"], ["c"]) == pytest.approx(0.6365141682948128 / math.log(3))


def test_what_is_not_defined_is_nan() -> None:
    undefined = [
        *(distinct_n([]), distinct_n(["one"], n=2), self_bleu(["one", "!"]), compression_ratio([]), novelty(["a"])),
        *(dispersion(np.zeros((3, 2))), vendi(np.zeros((0, 2))), attribute_coverage(["a"], []), evenness(["a"], [])),
    ]
    assert all(map(math.isnan, undefined))


def test_blank_texts_count_for_nothing() -> None:
    texts = ["a b c d", "a b x d", "c c c c"]
    assert self_bleu([*texts, "", "..."]) == self_bleu(texts) and novelty([*texts, ""]) == novelty(texts)
    vectors = np.eye(3)[[0, 1, 1]]
    assert vendi(np.vstack([vectors, np.zeros(3)])) == pytest.approx(vendi(vectors))
    assert dispersion(np.vstack([vectors, np.zeros(3)])) == pytest.approx(dispersion(vectors))


def test_large_sets_are_drawn_from_with_a_seed() -> None:
    texts = sentences(60, 40)
    assert self_bleu(texts, most=20, seed=1) == self_bleu(texts, most=20, seed=1) != self_bleu(texts, most=20, seed=2)
    assert novelty(texts, most=20) > novelty(texts), "of fewer texts each has fewer to be like"


@settings(deadline=None, max_examples=40)
@given(TEXTS, st.integers(1, 4), st.integers(1, 9), st.randoms(use_true_random=False))
def test_matched_texts_have_one_length_whatever_their_order(texts: list[str], words: int, rows: int, draw: Any) -> None:
    found = matched(texts, words, rows)
    enough = [text for text in texts if len(text.split()) >= words]
    assert found.of == len(enough) and len(found.texts) == min(rows, len(enough))
    assert all(len(text.split()) == words for text in found.texts)
    shuffled = draw.sample(texts, len(texts))
    assert matched(shuffled, words, rows) == found


def test_the_interval_of_halves_holds_what_half_as_many_rows_score_in_19_of_20_samples() -> None:
    draws, held = np.random.default_rng(0), 0
    for seed in range(300):
        sample = draws.normal(2, 1, 40)
        mean, low, high = halves(lambda at, sample=sample: float(sample[at].mean()), 40, seed)  # type: ignore[misc]
        assert low < mean < high
        held += low <= 2 <= high
    assert 0.9 < held / 300 < 0.99


def test_the_first_words_keep_their_signs() -> None:
    assert Text("Well, don't stop: it is.").first(3) == "Well, don't"
    assert Text("snake_case here").first(2) == "snake_case" and Text("one two").first(3) is None
    assert Text("私は猫 です").first(3) == "私は猫"


def test_three_of_four_texts_have_the_common_length() -> None:
    assert common_length(["a b c d", "a b c", "a b c", "a"], ["a b c d e"] * 4) == 2
    assert common_length(["", ""], ["a"]) == 1


def sentences(count: int, vocabulary: int, seed: int = 0, longest: int = 12) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(vocabulary)}" for _ in range(draw.randint(6, longest))) for _ in range(count)]


def points(texts: Sequence[str]) -> list[list[float]]:
    """The encoder: how often each word, by its number, comes."""
    return [[float(sum(int(word[1:]) % 50 == at for word in text.split())) for at in range(50)] for text in texts]


def data_of(made: Sequence[Row], real: Sequence[Row] | None = None, **given: Any) -> Data:
    recipe = Recipe(
        source=Source(rows=[{"text": "w0"}]),
        steps=[{"filter": {"if": "true"}}],
        encoders={"points": EncoderEntry(engine="function", function=points)},
    )
    label = given.pop("label", None)
    examples = given.pop("examples", None)
    return Data(
        Evaluate(encoder="points", **given),
        Resources(recipe, Path()),
        Side("made", list(made), ["text"], label),
        real=None if real is None else Side("real", list(real), ["text"], label),
        examples=None if examples is None else Side("examples", list(examples), ["text"], label),
    )


def rows(texts: Sequence[str], **columns: Any) -> list[Row]:
    return [{"text": text, **columns} for text in texts]


def figures(data: Data) -> dict[str, Figure]:
    return {figure.name: figure for figure in diversity(data).figures}


def test_a_collapsed_set_is_worse_than_the_real_one_on_every_measure() -> None:
    collapsed = sentences(15, 400, seed=1) * 20
    found = figures(data_of(rows(collapsed), rows(sentences(300, 400))))
    assert set(found) == set(MEASURES)
    for figure in found.values():
        assert figure.low is not None and figure.high is not None and figure.beside is not None
        worse = figure.high < figure.beside if figure.direction == "higher" else figure.low > figure.beside
        assert worse, figure


def test_the_same_texts_written_longer_or_more_often_are_no_more_and_no_less_diverse() -> None:
    """Size and length differ; what is written does not: each real figure lies in the interval of the made one."""
    made = [f"{text} {tail}" for text, tail in zip(sentences(400, 400, 5, 6), sentences(400, 400, 6), strict=True)]
    found = figures(data_of(rows(made), rows(sentences(200, 400, 7, 6))))
    for figure in found.values():
        assert figure.low and figure.high and figure.beside
        slack = figure.high - figure.low
        assert figure.low - slack <= figure.beside <= figure.high + slack, figure


def test_the_order_of_rows_changes_nothing() -> None:
    made, real = rows(sentences(80, 60, 1)), rows(sentences(50, 60, 2))
    assert diversity(data_of(made, real)).figures == diversity(data_of(made[::-1], real[::-1])).figures


def test_without_real_rows_texts_stay_as_they_are_and_nothing_stands_beside() -> None:
    part = diversity(data_of(rows(sentences(40, 60))))
    assert {figure.beside for figure in part.figures} == {None}
    assert part.figures[0].detail == "20 rows, as they are" and "real" not in part.tables[0].columns


def test_notes_say_what_was_cut_left_out_and_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 60)
    part = diversity(data_of(rows(sentences(70, 60)), rows([*sentences(50, 60, longest=6), "w1 w2"])))
    note = part.notes[0]
    assert "50 of 51 real" in note and "70 of 70 made" in note and "cut to 6 words" in note
    assert "60 were drawn for self_bleu and novelty" in note


def test_coverage_is_held_against_real_rows_or_else_examples() -> None:
    made = [*rows(sentences(6, 9), label="a", tone=1), *rows(sentences(2, 9), label="b", tone=2.5)]
    real = [
        {"text": "w1 w2", "label": label, "tone": tone} for label, tone in zip("abcd", (1, 2, 1, None), strict=True)
    ]
    found = figures(data_of(made, real, label="label", attributes=["tone"]))
    assert found["coverage_label"].value == 0.5 and found["coverage_tone"].value == 0.5
    assert figures(data_of(made, examples=real[:2], label="label"))["coverage_label"].value == 1
    alone = diversity(data_of(made, label="label"))
    assert "coverage_label" not in {figure.name for figure in alone.figures}
    assert "Coverage of attributes: left out" in alone.notes[-1] and alone.tables[-1].rows[0][:3] == ["label", 2, 0]


@pytest.mark.parametrize("made", [[], ["w1"], ["", "", "", ""]])
def test_too_little_to_measure_is_a_note_or_no_value(made: list[str]) -> None:
    part = diversity(data_of(rows(made), rows(["w1 w2"] * 8)))
    assert (not part.figures and "left out" in part.notes[0]) or "no rows" in part.notes[0]
