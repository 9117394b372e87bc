"""Copies of real texts: exact ones always, near ones with the text they repeat, and not what chance gives."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm.measure import copies as module
from synth_llm.measure.copies import Copy, closest_texts, exact_copies, near_copies
from synth_llm.similar.exact import normalised
from synth_llm.similar.ngrams import words

TEXT = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"]), max_size=6).map(" ".join)
TEXTS = st.lists(TEXT, max_size=12)


def plain(made: list[str], real: list[str], likeness: float) -> list[Copy]:
    """Every pair by plain code."""
    different = {text for text in map(normalised, real) if text}
    seen, n = Counter(word for text in different for word in set(words(text))), len(different)

    def rarity(shared: set[str]) -> float:
        return sum(math.log((1 + n) / (1 + seen[word])) for word in shared)

    found = []
    for at, one in enumerate(made):
        best = Copy(at, -1, 0.0)
        for number, other in enumerate(real):
            ours, theirs = set(words(one)), set(words(other))
            if not ours or not theirs:
                continue
            both, every = ours & theirs, ours | theirs
            if normalised(one) == normalised(other):
                alike = 1.0
            elif rarity(both) < 2 * math.log(n) - 1e-9:
                continue
            else:
                alike = (rarity(both) + len(both)) / (rarity(every) + len(every))
            if alike > best.likeness + 1e-12:
                best = Copy(at, number, alike)
        if best.likeness >= likeness - 1e-9:
            found.append(best)
    return found


@settings(deadline=None, max_examples=150)
@given(TEXTS, TEXTS, st.sampled_from([0.2, 0.55, 0.8, 1.0]), st.sampled_from([1, 5, 10**6]))
def test_the_search_finds_what_a_look_at_every_pair_finds(
    made: list[str], real: list[str], likeness: float, together: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TOGETHER", together)
        found = closest_texts(made, real, likeness)
    wanted = plain(made, real, likeness)
    assert [one.made for one in found] == [one.made for one in wanted]
    assert [one.likeness for one in found] == pytest.approx([one.likeness for one in wanted])
    for one, other in zip(found, wanted, strict=True):
        assert one.real == other.real or one.likeness == pytest.approx(1)  # the same words in another order


@settings(deadline=None)
@given(TEXTS, TEXTS, st.randoms())
def test_exact_copies_are_always_found_in_any_form_and_order(
    made: list[str], real: list[str], draw: random.Random
) -> None:
    formed = [draw.choice([text.upper(), f"  {text}!", text.replace(" ", " , "), f"“{text}”"]) for text in made]
    count = sum(bool(text) and text in real for text in made)
    assert exact_copies(formed, real) == count
    assert near_copies(formed, real) >= count
    mixed, others = draw.sample(formed, len(formed)), draw.sample(real, len(real))
    assert exact_copies(mixed, others) == count
    assert sorted(formed[one.made] for one in closest_texts(formed, real)) == sorted(
        mixed[one.made] for one in closest_texts(mixed, others)
    )


REAL = [
    f"{verb} the {noun} near the {place} before {time} with {name}"
    for verb, noun, place, time, name in zip(
        *([f"{kind}{number}" for number in range(60)] for kind in ("paint", "chair", "harbour", "midnight", "alice")),
        strict=True,
    )
]


@pytest.mark.parametrize(
    "edited",
    [
        "PAINT7 the chair7, near the harbour7 — before midnight7 with Alice7!",
        "paint7 the old chair7 near the big harbour7 before midnight7 with alice7",
        "paint7 chair7 near the harbour7 before midnight7 with someone",
        "with alice7 paint7 the chair7 near the harbour7 before midnight7",
    ],
)
def test_a_copy_with_a_few_edits_is_found_with_its_row(edited: str) -> None:
    assert [one[:2] for one in closest_texts(["nothing of it", edited], REAL)] == [(1, 7)]


def test_what_many_rows_share_is_no_copy() -> None:
    template = "paint60 the chair60 near the harbour60 before midnight60 with alice60"
    assert near_copies([template, "the near before with", "", "?!"], REAL) == 0
    short = [f"a mess of {name}" for name in ("tea", "rain", "wood")] + REAL
    assert near_copies(["a mess"], short) == 0 and near_copies(["A mess of tea."], short) == 1


def test_signs_and_words_without_spaces_can_be_copies() -> None:
    assert near_copies(["☺☺", "♥"], ["♥", "☹"]) == 1
    real = ["我们昨天在公园里看见了一只白色的猫", "他明天要去北京开会", "今天天气非常好适合散步"]
    assert [one[:2] for one in closest_texts(["我们昨天在公园里看见了一只黑色的猫"], real)] == [(0, 0)]


def test_nothing_and_a_wrong_likeness() -> None:
    assert closest_texts([], REAL) == closest_texts(["x"], []) == []
    with pytest.raises(ValueError, match="likeness of 0"):
        closest_texts(["x"], ["x"], 0)
