"""Pairs of similar items: what the searches find is what looking at every pair finds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm.similar import blocking
from synth_llm.similar.blocking import sharing
from synth_llm.similar.exact import normalised
from synth_llm.similar.minhash import Shingling, banding, jaccard, near_pairs, shingles, sketch
from synth_llm.similar.pairs import Pairs, clusters, keep
from synth_llm.similar.rouge import rouge_pairs, rouge_tokens

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"]), max_size=9)


def as_dict(pairs: Pairs) -> dict[tuple[int, int], float]:
    found = dict(zip(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True), pairs.similarity.tolist(), strict=True))
    assert len(found) == len(pairs.i)  # each pair once
    return found


def subsequence(one: list[str], other: list[str]) -> int:
    row = [0] * (len(other) + 1)
    for a in one:
        before = row[:]
        for at, b in enumerate(other):
            row[at + 1] = before[at] + 1 if a == b else max(before[at + 1], row[at])
    return row[-1]


def f_measure(one: list[str], other: list[str]) -> float:
    common = subsequence(one, other)
    if not common:
        return 0.0
    precision, recall = common / len(one), common / len(other)
    return 2 * precision * recall / (precision + recall)


@given(st.lists(WORDS, max_size=10), st.lists(WORDS, max_size=4), st.sampled_from([0.2, 0.5, 0.7, 1.0]))
@settings(max_examples=40, deadline=None)
def test_rouge_finds_every_pair_with_its_f_measure(rows, others, floor):
    scored = {(i, j): f_measure(rows[i], rows[j]) for i, j in combinations(range(len(rows)), 2)}
    assert as_dict(rouge_pairs(rows, floor)) == {pair: score for pair, score in scored.items() if score >= floor}
    scored = {(i, j): f_measure(one, row) for i, one in enumerate(others) for j, row in enumerate(rows)}
    expected = {pair: score for pair, score in scored.items() if score >= floor}
    assert as_dict(rouge_pairs(rows, floor, others=others)) == expected


def test_rouge_tokens_are_those_of_rouge_score():
    assert rouge_tokens("It's 3.5 µg — NAÏVE_x") == ["it", "s", "3", "5", "g", "na", "ve", "x"]


@given(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=8), st.integers(0, 4), st.sampled_from([1, 5, 1000]))
@settings(max_examples=40, deadline=None)
def test_sharing_gives_every_pair_that_shares_a_key_once(keys, others, block):
    flat = [(key, item) for item, some in enumerate(keys) for key in some]
    arrays = np.array([key for key, _ in flat], dtype=np.uint32), np.array([item for _, item in flat], dtype=np.int64)
    share = {(i, j) for i, j in combinations(range(len(keys)), 2) if set(keys[i]) & set(keys[j])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocking, "BLOCK", block)
        for first, expected in ((None, share), (others, {(i, j) for i, j in share if i < others <= j})):
            found = [
                pair for i, j in sharing(*arrays, len(keys), first) for pair in zip(i.tolist(), j.tolist(), strict=True)
            ]
            assert sorted(found) == sorted(expected)


@given(st.lists(st.text("ab 今日é", max_size=12).map(normalised), min_size=2, max_size=6), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("unit", ["word", "char"])
def test_jaccard_is_that_of_the_sets_of_shingles(unit, texts, size):
    def grams(text: str) -> set[tuple[str, ...]]:
        units = text.split(" ") if unit == "word" and text else list(text)
        return {tuple(units[at : at + size]) for at in range(max(1, len(units) - size + 1))}

    texts = [text for text in texts if not text.isspace()] + ["a", "b"]
    pairs = list(combinations(range(len(texts)), 2))
    i, j = np.array(pairs).T
    for (one, other), found in zip(pairs, jaccard(i, j, texts, Shingling(unit, size)).tolist(), strict=True):
        both = grams(texts[one]), grams(texts[other])
        assert found == len(both[0] & both[1]) / len(both[0] | both[1])


def test_what_a_text_stands_between_does_not_change_its_shingles():
    alone, lengths = shingles(["x y z w"], Shingling("word", 3))
    among, counts = shingles(["", "a", "x y z w", ""], Shingling("word", 3))
    assert lengths.tolist() == [2]
    assert counts.tolist() == [1, 1, 2, 1]
    assert among[2:4].tolist() == alone.tolist()


@pytest.mark.parametrize("floor", [0.3, 0.5, 0.6, 0.8, 0.9])
def test_of_pairs_at_the_floor_nearly_all_are_found_and_nothing_below(floor):
    random = np.random.default_rng(1)
    texts = []
    shared = round(60 * 2 * floor / (1 + floor) + 0.49)  # of 60 words each: a similarity just over the floor
    for pair in range(300):
        common = [f"c{pair}-{n}" for n in range(shared)]
        for side in "ab":
            words = common + [f"{side}{pair}-{n}" for n in range(60 - shared)]
            texts.append(" ".join(random.permutation(words)))
    found = as_dict(near_pairs(sketch(texts, Shingling("word", 1), floor), floor))
    assert set(found) <= {(2 * pair, 2 * pair + 1) for pair in range(300)}
    assert len(found) >= 290
    assert min(found.values()) >= floor


@pytest.mark.parametrize("floor", [0.05, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_banding_finds_what_it_promises_where_that_is_to_be_had(floor):
    bands, size = banding(floor)
    assert bands * size <= 144
    assert 1 - (1 - floor**size) ** bands >= 0.99


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from([0.5, 0.7, 0.9])), max_size=14))
def test_clusters_do_not_depend_on_the_order_of_rows(edges):
    def groups(order: list[int]) -> set[frozenset[int]]:
        place = {row: at for at, row in enumerate(order)}
        i, j = (np.array([place[edge[side]] for edge in edges], dtype=np.int64) for side in (0, 1))
        label = clusters(Pairs(np.minimum(i, j), np.maximum(i, j), np.array([e[2] for e in edges]), 0.5), 8, 0.7)
        assert all(label[at] <= at for at in range(8))
        return {frozenset(row for row in range(8) if label[place[row]] == name) for name in label.tolist()}

    assert groups(list(range(8))) == groups([3, 1, 7, 0, 2, 6, 5, 4])


def test_the_closest_of_those_that_stay_is_named():
    pairs = Pairs(np.array([0, 1, 0, 2]), np.array([1, 2, 3, 3]), np.array([0.9, 0.8, 0.7, 0.75]), 0.5)
    assert keep(pairs, 0.7, np.arange(4)).repeats.tolist() == [-1, 0, -1, 2]
    assert keep(pairs, 0.7, np.array([1, 0, 2, 3])).repeats.tolist() == [1, -1, 1, -1]
    others = Pairs(np.array([5]), np.array([3]), np.array([0.75]), 0.5)
    assert keep(pairs, 0.7, np.arange(4), others).repeats.tolist() == [-1, 0, -1, 4 + 5]
    with pytest.raises(ValueError, match=r"searched from 0.5 up, not from 0.4"):
        keep(pairs, 0.4, np.arange(4))
