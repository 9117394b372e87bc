"""Splits: nothing that is alike is parted, everything is somewhere, and nothing moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.errors import InputError
from synth_llm.publish.settings import publish_of
from synth_llm.publish.splits import Item, assigned, near_copies

SHARES = {"test": 0.2, "validation": 0.1}


def item(number: int, parent: str | None = None, stratum: str = "") -> Item:
    return Item(f"id{number}", parent, stratum, "")


worlds = st.integers(1, 30).flatmap(
    lambda count: st.tuples(
        st.lists(
            st.tuples(st.sampled_from([None, "p", "q", "r"]), st.sampled_from("ab")), min_size=count, max_size=count
        ),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=12),
        st.integers(0, count),
    )
)


@given(worlds)
def test_no_parent_and_no_near_copy_is_parted_and_later_rows_move_none(world):
    rows, near, first = world
    items = [item(n, parent, stratum) for n, (parent, stratum) in enumerate(rows)]
    early = [(i, j) for i, j in near if max(i, j) < first]
    before = assigned(items[:first], early, SHARES, {})
    known = {one.id: split for one, split in zip(items, before, strict=False) if split}
    assert None not in before, "what is drawn at once is left out nowhere"
    after = assigned(items, near, SHARES, known)
    assert after[:first] == before
    for i, j in near:
        assert after[i] == after[j] or None in (after[i], after[j])
    for one, split in zip(items, after, strict=True):
        for other, there in zip(items, after, strict=True):
            if one.parent and one.parent == other.parent:
                assert split == there or None in (split, there)
    for n, split in enumerate(after):
        if split is None:  # it stands between two
            beside = {after[j] for i, j in [*near, *((b, a) for a, b in near)] if i == n}
            family = {
                there for other, there in zip(items, after, strict=True) if rows[n][0] and other.parent == rows[n][0]
            }
            assert len((beside | family) - {None}) > 1


def test_the_order_of_rows_changes_nothing():
    items = [item(n, f"p{n // 3}", "ab"[n % 2]) for n in range(90)]
    one = dict(zip(items, assigned(items, [], SHARES, {}), strict=True))
    other = dict(zip(items[::-1], assigned(items[::-1], [], SHARES, {}), strict=True))
    assert one == other


def test_shares_are_met():
    split = assigned([item(n) for n in range(4_000)], [], SHARES, {})
    assert abs(split.count("test") / 4_000 - 0.2) < 0.02
    for size in (2, 3, 8):
        split = assigned([item(n, parent=f"p{n // size}") for n in range(8_000)], [], SHARES, {})
        assert abs(split.count("test") / 8_000 - 0.2) < 0.04, f"groups of {size}"
    rare = [item(n, stratum="rare" if n < 50 else "common") for n in range(1_000)]
    split = assigned(rare, [], SHARES, {})
    assert (split[:50].count("test"), split[:50].count("validation")) == (10, 5)
    assert (split.count("test"), split.count("validation")) == (200, 100)


def test_one_large_group_is_to_train():
    chain = [(n, n + 1) for n in range(399)]
    for start in range(20):
        split = assigned([item(n + 1_000 * start) for n in range(1_000)], chain, SHARES, {})
        assert split[:400] == ["train"] * 400
        assert 0.1 < split.count("test") / 600 < 0.3


def test_near_copies_are_found_and_what_is_only_alike_is_not():
    long = "The bakery on Elm Street opens at half past five and bakes flat breads each morning in an oven of clay"
    texts = [
        long,
        long.replace("clay", "stone"),
        "  " + long.upper() + ".",
        "The bakery on Oak Street closes at noon.",
        "",
    ]
    assert {tuple(sorted(pair)) for pair in near_copies(texts)} == {(0, 1), (0, 2)}


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"train": 0.5}, "no split can be called 'train'"),
        ({"a/b": 0.5}, "no split can be called 'a/b'"),
        ({"test": 1.0}, "no share between 0 and 1"),
        ({"test": 0.6, "validation": 0.4}, "leave nothing to train on"),
    ],
)
def test_shares_that_cannot_be(shares, said):
    with pytest.raises(InputError, match=said):
        publish_of({"splits": shares})
