"""Scores: what a manifest says of the values that thresholds were held against."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from synth_llm.scores import SAMPLE, Notes, Scores
from synth_llm.screen import scores as shown


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans()), min_size=1, max_size=300), st.randoms())
def test_every_row_is_in_one_bin_whatever_the_order(rows, shuffle):
    def histogram(items):
        scores = Scores()
        for number, (value, keep) in items:
            scores.add(str(number), value, keep)
        return scores.histogram()

    numbered = list(enumerate(rows))
    found = histogram(numbered)
    assert sum(found["kept"]) == found["rows"]["kept"] == sum(keep for _, keep in rows)
    assert sum(found["rejected"]) == found["rows"]["rejected"]
    assert len(found["edges"]) == len(found["kept"]) + 1
    shuffle.shuffle(numbered)
    assert histogram(numbered) == found


def test_memory_is_bounded_and_the_counts_are_whole():
    scores, draw = Scores(), random.Random(0)
    for number in range(SAMPLE + 5_000):
        scores.add(f"row {number}", draw.random(), number % 2 == 0)
    found = scores.histogram()
    assert sum(found["kept"] + found["rejected"]) == SAMPLE
    assert found["rows"] == {"kept": 7_500, "rejected": 7_500}


def test_a_threshold_shows_between_kept_and_rejected():
    notes = Notes()
    notes.scores["similarity"] = scores = Scores()
    for number in range(100):
        scores.add(str(number), number / 100, number < 80)
    text = shown({"funnel": [{"step": "dedup", **notes.as_dict()}]})
    first, kept, rejected = text.splitlines()
    assert first == "dedup: similarity"
    assert kept.endswith("kept 80: 0 to 0.79")
    assert rejected.endswith("rejected 20: 0.8 to 0.99")
