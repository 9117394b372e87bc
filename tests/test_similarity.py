"""similarity: two columns of a row by meaning, on rows whose texts are angles."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from synth_llm import InputError
from synth_llm.encoders import EncoderEntry
from synth_llm.recipe import Recipe
from synth_llm.source import Source
from synth_llm.steps import Similarity
from synth_llm.steps.context import Context, Resources
from tests.distribution import Outcome, circle, rows_of


def pairs(*angles: tuple[Any, Any]) -> list[dict[str, Any]]:
    texts = [tuple(None if angle is None else str(angle) for angle in pair) for pair in angles]
    return rows_of(*({"text": one, "back": other} for one, other in texts))


def similarity(**settings: Any) -> Similarity:
    return Similarity(columns=["text", "back"], encoder="circle", **settings)


@given(st.floats(0, 360), st.floats(0, 360))
def test_the_column_is_the_cosine(one, other):
    (value,) = Outcome(similarity(), pairs((one, other))).values("similarity")
    assert value == pytest.approx(math.cos(math.radians(one - other)), abs=1e-5)
    assert -1 <= value <= 1


def test_without_bounds_all_rows_stay():
    assert len(Outcome(similarity(into="near"), pairs((0, 0), (0, 90), (0, 180))).values("near")) == 3


def test_a_row_outside_the_bounds_says_on_which_side():
    outcome = Outcome(similarity(between=[0.5, 0.9]), pairs((0, 0), (0, 30), (0, 60.5), (10, 50), (0, 100)))
    assert outcome.values("back") == ["30", "50"]
    assert {name: reject.reason for name, reject in outcome.rejects.items()} == {
        "id0": "too similar",
        "id2": "not similar",
        "id4": "not similar",
    }
    assert outcome.rejects["id0"].detail == "cosine of text and back 1.000, above 0.9"
    assert outcome.rejects["id4"].value == pytest.approx(math.cos(math.radians(100)), abs=1e-6)


def test_bounds_themselves_are_inside():
    assert len(Outcome(similarity(between=[1, 1]), pairs((0, 0))).kept) == 1


def test_a_row_without_both_texts_is_rejected_as_such():
    outcome = Outcome(similarity(), pairs((None, 10), (10, None), (10, 20)))
    assert [reject.detail for reject in outcome.rejects.values()] == ["has no text in text", "has no text in back"]
    assert Outcome(similarity(), []).items == []


def test_a_text_that_all_rows_have_is_embedded_once():
    asked: list[str] = []

    def counted(texts: Any) -> Any:
        asked.extend(texts)
        return circle(texts)

    step, rows = similarity(), pairs(*((0, angle) for angle in range(1, 20)))
    encoders = {"circle": EncoderEntry(engine="function", function=counted)}
    recipe = Recipe(source=Source(rows=[{"text": "0"}]), steps=[step], encoders=encoders)
    list(step.split(rows, Context("s", 0, Resources(recipe, Path()), {}, frozenset(), lambda: ())))
    assert sorted(asked) == sorted(str(angle) for angle in range(20))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"columns": ["text", "text"]}, "stands twice"),
        ({"columns": ["text"]}, "at least 2"),
        ({"columns": ["text", "back"], "between": [0.9, 0.5]}, "the lowest cosine, then the highest"),
        ({"columns": ["text", "back"], "between": [0.9, 1.5]}, "both from -1 to 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        Similarity(**settings)


def test_it_never_overwrites_a_column_and_names_the_nearest_one():
    step = similarity(into="text")
    use = Resources(Recipe(source=Source(rows=[{"text": "0"}]), steps=[step]), Path())
    with pytest.raises(InputError, match="name another with `into`"):
        step.columns(frozenset({"text", "back"}), use)
    with pytest.raises(InputError, match="did you mean 'back'"):
        Similarity(columns=["text", "bakc"]).columns(frozenset({"text", "back"}), use)
