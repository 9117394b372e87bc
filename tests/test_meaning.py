"""Pairs by meaning: every pair that the whole product has, whatever the shape of the space, and in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from synth_llm.similar import meaning
from synth_llm.similar.meaning import meaning_pairs
from synth_llm.similar.pairs import Crowded, Pairs

Vectors = NDArray[np.float32]


def unit(values: NDArray[Any]) -> Vectors:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def space(n: int, width: int, seed: int = 0, spread: float = 1.0) -> Vectors:
    """Clustered vectors, a tenth of them near to another; `spread` under 1 makes a few directions hold most."""
    rng = np.random.default_rng(seed)
    scale = spread ** np.arange(width)
    centres = rng.normal(size=(max(2, n // 50), width)) * scale
    vectors = centres[rng.integers(0, len(centres), n)] + rng.normal(size=(n, width)) * scale
    near = max(1, n // 10)
    vectors[-near:] = vectors[:near] + rng.normal(size=(near, width)) * scale * rng.uniform(0, 0.6, (near, 1))
    return unit(rng.permutation(vectors))


def whole(vectors: Vectors, floor: float, others: Vectors | None = None) -> set[tuple[int, int]]:
    """The pairs of the whole product, without those that rounding may decide."""
    product = (vectors if others is None else others).astype(np.float64) @ vectors.astype(np.float64).T
    if others is None:
        product = np.triu(product, 1)
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(product >= floor + 1e-6), strict=True)}


def listed(pairs: Pairs) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in zip(pairs.i, pairs.j, strict=True)]


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(2, 300),
    width=st.integers(8, 90),
    floor=st.floats(0.6, 0.99),
    spread=st.sampled_from([0.8, 1.0]),
    seed=st.integers(0, 99),
)
def test_every_pair_is_found_whether_vectors_are_turned_or_not(
    n: int, width: int, floor: float, spread: float, seed: int
) -> None:
    vectors = space(n, width, seed, spread)
    small = meaning_pairs(vectors, floor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meaning, "SMALL", 0)
        patch.setattr(meaning, "ROWS", 64)
        patch.setattr(meaning, "COLUMNS", 100)
        patch.setattr(meaning, "COSINE", 0)  # the fewest directions that leave the least to compute
        turned = meaning_pairs(vectors, floor)
    for pairs in (small, turned):
        assert whole(vectors, floor) <= set(listed(pairs)) <= whole(vectors, floor - 2e-6)
        assert listed(pairs) == sorted(set(listed(pairs)), key=lambda pair: pair[::-1])
    assert listed(small) == listed(turned)
    assert np.array_equal(small.similarity, turned.similarity)


def test_the_order_of_rows_changes_no_pair_and_no_cosine() -> None:
    vectors = space(3000, 64)
    order = np.random.default_rng(1).permutation(len(vectors))
    one, other = meaning_pairs(vectors, 0.8), meaning_pairs(vectors[order], 0.8)
    named = {
        frozenset((int(order[i]), int(order[j]))): float(value)
        for i, j, value in zip(other.i, other.j, other.similarity, strict=True)
    }
    assert named == {frozenset(pair): float(value) for pair, value in zip(listed(one), one.similarity, strict=True)}
    assert len(named) > 100


def test_rows_are_held_against_others() -> None:
    vectors, others = np.split(space(1500, 48, 1), [600])
    pairs = meaning_pairs(vectors, 0.85, others=others)
    assert whole(vectors, 0.85, others) == set(listed(pairs)) != set()
    assert pairs.floor == 0.85
    i, j = listed(pairs)[0]
    assert pairs.similarity[0] == pytest.approx(others[i] @ vectors[j], abs=1e-6)


def test_blank_texts_pair_with_nothing_and_equal_ones_are_wholly_alike() -> None:
    vectors = np.concatenate([np.zeros((3, 384), np.float32), space(20, 384), space(20, 384)])
    pairs = meaning_pairs(vectors, 0.01)
    assert min(pairs.i.min(), pairs.j.min()) == 3
    assert listed(meaning_pairs(vectors, 1.0)) >= [(at, at + 20) for at in range(3, 23)]
    assert not listed(meaning_pairs(vectors, 0.01, others=np.zeros((5, 384), np.float32)))


@pytest.mark.parametrize("shape", [(0, 384), (1, 384), (0, 0)])
def test_too_few_rows_have_no_pairs(shape: tuple[int, int]) -> None:
    pairs = meaning_pairs(np.ones(shape, np.float32), 0.9)
    assert listed(pairs) == [] and pairs.floor == 0.9
    assert listed(meaning_pairs(np.ones(shape, np.float32), 0.9, others=np.zeros((0, shape[1]), np.float32))) == []


def test_a_set_that_repeats_itself_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "LIMIT", 1000)
    with pytest.raises(Crowded):
        meaning_pairs(np.ones((300, 1), np.float32), 0.9)


def test_a_floor_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="over 0"):
        meaning_pairs(space(10, 8), 0.0)


@pytest.mark.encoder  # in the environment that has FAISS
@pytest.mark.parametrize("spread", [0.97, 1.0])
def test_cells_find_nearly_all_and_nothing_else(spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = space(4000, 96, 2, spread)
    exact = set(listed(meaning_pairs(vectors, 0.9)))
    against = set(listed(meaning_pairs(vectors[:1000], 0.9, others=vectors[1000:])))
    monkeypatch.setattr(meaning, "EXACT", 0)
    pairs = meaning_pairs(vectors, 0.9)
    assert listed(pairs) == listed(meaning_pairs(vectors, 0.9)), "the same each time"
    assert set(listed(pairs)) <= exact and len(listed(pairs)) >= 0.999 * len(exact) > 50
    found = set(listed(meaning_pairs(vectors[:1000], 0.9, others=vectors[1000:])))
    assert found <= against and len(found) >= 0.99 * len(against)
