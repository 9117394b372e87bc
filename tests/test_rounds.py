"""How many candidates a round takes up: something while rows are missing, and it ends whatever is accepted."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.rounds import HOPELESS, Rounds

CELLS = ['"a"', '"b"', "3"]


def rounds(rows: int, cells: int = 1, *, expected: int = 1, most: int | None = None) -> Rounds:
    return Rounds(rows, CELLS[:cells], "label" if cells > 1 else None, expected, most)


def play(it: Rounds, rates: dict[str, float], seed: int, supply: int | None = None) -> tuple[str, int]:
    """Rounds to the end, each candidate accepted with its cell's rate; the verdict, and how many rounds."""
    random_ = random.Random(seed)
    left = dict.fromkeys(it.cells, supply if supply is not None else 10**9)
    for count in range(1, 10_000):
        sizes = it.sizes()
        assert sizes
        assert all(size > 0 for size in sizes.values())
        for cell, size in sizes.items():
            tried = min(size, left[cell])
            left[cell] -= tried
            good = sum(random_.random() < rates[cell] for _ in range(tried * it.expected))
            it.note(cell, tried, min(good, it.cells[cell].missing), asked_for=size)
        verdict = it.verdict()
        if verdict is not None:
            return verdict, count
    raise AssertionError("no end")


@given(
    rows=st.integers(1, 2000),
    cells=st.integers(1, 3),
    expected=st.integers(1, 5),
    most=st.none() | st.integers(1, 50),
    rates=st.lists(st.sampled_from([0.0, 0.02, 0.3, 1.0]), min_size=3, max_size=3),
    supply=st.none() | st.integers(0, 300),
    seed=st.integers(0, 2**20),
)
def test_rounds_ask_for_something_until_they_end(rows, cells, expected, most, rates, supply, seed):
    it = rounds(rows, cells, expected=expected, most=most)
    verdict, _ = play(it, dict(zip(CELLS, rates, strict=True)), seed, supply)
    missing = [cell for cell in it.cells.values() if cell.missing]
    assert (verdict == "") is (not missing)
    for cell in it.cells.values():
        assert cell.accepted <= cell.want
    if verdict:
        assert "none of the last" in verdict or "the source is used up" in verdict
    if supply is None and min(rates[:cells]) >= 0.3:
        assert verdict == ""


@given(st.integers(HOPELESS, 500), st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 2**20))
def test_few_rounds_meet_a_target(rows, rate, seed):
    it = rounds(rows)
    verdict, count = play(it, {CELLS[0]: rate}, seed)
    if verdict == "":
        assert count <= 12
        assert it.cells[CELLS[0]].tried <= 3 * rows / rate + 2 * HOPELESS


@given(st.integers(1, 100), st.integers(1, 3))
def test_cells_share_the_target(rows, cells):
    wants = [cell.want for cell in rounds(rows, cells).cells.values()]
    assert sum(wants) == rows
    assert max(wants) - min(wants) <= 1


def test_the_same_outcomes_give_the_same_sizes():
    def sizes() -> list[dict[str, int]]:
        it, seen = rounds(100, 2), []
        for accepted in (7, 0, 20):
            seen.append(it.sizes())
            for cell, size in seen[-1].items():
                it.note(cell, size, min(size, accepted), asked_for=size)
        return seen

    assert sizes() == sizes()


def test_the_yield_is_measured():
    it = rounds(100)
    assert it.sizes() == {CELLS[0]: HOPELESS}, "nothing accepted yet: with care"
    it.note(CELLS[0], 50, 25, asked_for=50)
    assert it.sizes() == {CELLS[0]: 158}, "75 missing at a yield of one half, and 5 % to spare"
    it.note(CELLS[0], 158, 75, asked_for=158)
    assert it.sizes() == {}
    assert it.verdict() == ""


def test_a_candidate_that_becomes_several_rows_is_counted_on():
    assert rounds(40, expected=8).sizes() == {CELLS[0]: 5}


@pytest.mark.parametrize("most", [1, 3, 10])
def test_a_round_takes_no_more_than_it_may(most):
    sizes = rounds(1000, 2, most=most).sizes()
    assert sum(sizes.values()) <= max(most, 2), "each cell takes at least one"


def test_fifty_in_vain_are_hopeless_and_the_line_says_where():
    it = rounds(10, 2)
    it.note('"a"', 5, 5, asked_for=5)
    for tried in (30, 19):
        it.note('"b"', tried, 0, asked_for=tried)
        assert it.verdict() is None
    assert it.sizes() == {'"b"': 1}, "at most 50 before the first"
    it.note('"b"', 1, 0, asked_for=1)
    assert it.verdict() == (
        "label=b: none of the last 50 candidates was accepted (0 of 5); see why with `synth-llm inspect RUN --rejected`"
    )


def test_one_accepted_row_starts_the_count_anew():
    it = rounds(10)
    it.note(CELLS[0], 49, 0, asked_for=49)
    it.note(CELLS[0], 1, 1, asked_for=1)
    it.note(CELLS[0], 49, 0, asked_for=49)
    assert it.verdict() is None


def test_used_up_is_said_when_no_cell_that_is_missing_can_go_on():
    it = rounds(20, 2)
    it.note('"a"', 4, 4, asked_for=10)
    assert it.verdict() is None
    assert set(it.sizes()) == {'"b"'}
    it.note('"b"', 3, 2, asked_for=10)
    assert (
        it.verdict()
        == "the source is used up: label=a has 4 of 10, label=b has 2 of 10; add rows, or set source.repeat"
    )
