"""Bias: planted differences are found and named, chance is not, and too few rows are said to be too few."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import Recipe, Source
from synth_llm.errors import InputError
from synth_llm.evaluation.bias import bias
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part
from synth_llm.evaluation.settings import Evaluate
from synth_llm.measure.bias import association, difference, gaps, largest_gap, mentions
from synth_llm.steps import Filter
from synth_llm.steps.context import Resources

GROUPS = {"women": ["she", "her", "old woman"], "men": ["he", "his"]}


def test_groups_are_named_by_whole_words_in_any_case() -> None:
    texts = ["She sings", "the shed", "HER; hat", "an old\n woman", "old", "he-man", "there"]
    assert mentions(texts, GROUPS["women"]).tolist() == [True, False, True, True, False, False, False]
    assert mentions(texts, GROUPS["men"]).tolist() == [False] * 5 + [True, False]
    with pytest.raises(ValueError, match="one word or more"):
        mentions(texts, [" "])


def test_a_difference_is_newcombes() -> None:
    """Newcombe 1998, table II, (a): 56/70 less 48/80 by method 10 is .2 (.0524 to .3339)."""
    found = difference(56, 70, 48, 80)
    assert [round(one, 4) for one in found] == [0.2, 0.0524, 0.3339]
    assert math.isnan(difference(0, 0, 1, 2).value)


def test_a_difference_is_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for counts in [(1, 10, 9, 12), (0, 5, 3, 7), (40, 50, 40, 51)]:
        low, high = proportion.confint_proportions_2indep(*counts, method="newcomb", compare="diff")
        assert difference(*counts)[1:] == pytest.approx((low, high), abs=1e-6)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), min_size=1, max_size=40))
def test_gaps_of_all_labels_cancel_out(rows: list[tuple[str, bool]]) -> None:
    found = gaps([label for label, _ in rows], [member for _, member in rows])
    if 0 < sum(member for _, member in rows) < len(rows):
        assert sum(gap.value for gap in found.values()) == pytest.approx(0)
        assert all(gap.low <= gap.value <= gap.high for gap in found.values())
        groups = ["in" if member else "out" for _, member in rows]
        assert abs(largest_gap([label for label, _ in rows], groups).value) == pytest.approx(
            max(abs(gap.value) for gap in found.values())
        )


def test_association_is_an_effect_size_with_a_sign() -> None:
    draw = np.random.default_rng(0)
    ones, others = draw.normal(1, 1, (200, 2)), draw.normal(0, 1, (200, 2))
    found = association(ones, others, [1, 0])
    both = np.concatenate([ones, others])[:, 0]
    assert found.value == pytest.approx((ones[:, 0].mean() - others[:, 0].mean()) / both.std(ddof=1))
    assert found.low > 0.5 and association(others, ones, [1, 0]).high < -0.5
    same = association(ones, ones[::-1], [1, 0])
    assert same.value == pytest.approx(0) and same.low < 0 < same.high
    assert math.isnan(association(ones[:1], others).value) and math.isnan(association(ones * 0, others * 0).value)


def rows(count: int, unfair: float, seed: int) -> list[dict[str, Any]]:
    """Texts on women and men, of whom women get `good` less often by `unfair`."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        who = draw.choice(["she", "he", "it"])
        good = draw.random() < 0.5 - (unfair if who == "she" else 0)
        word = "fine" if good else "bad"
        found.append({"text": f"{who} is {word} {number}", "label": "good" if good else "poor"})
    return found


def evaluated(made: list[dict[str, Any]], real: list[dict[str, Any]] | None, **settings: Any) -> Part:
    recipe = Recipe(
        source=Source(rows=[{"text": "a"}]),
        steps=[Filter(use=["length"])],
        encoders={"own": {"engine": "function", "function": letters}},
    )
    data = Data(
        Evaluate(encoder="own", **settings),
        Resources(recipe, Path()),
        Side("made", made, ["text"], "label" if "label" in made[0] else None),
        None if real is None else Side("real", real, ["text"], "label"),
    )
    return bias(data)


def letters(texts: list[str]) -> Any:
    return np.array([[text.count(letter) + 0.01 for letter in "abdefhis"] for text in texts], np.float32)


def figure(part: Part, name: str) -> Figure:
    return next(one for one in part.figures if one.name == name)


def test_a_planted_gap_is_found_and_a_fair_set_is_fair() -> None:
    real = rows(900, 0.0, 1)
    unfair, fair = evaluated(rows(900, 0.4, 2), real, groups=GROUPS), evaluated(rows(900, 0.0, 3), real, groups=GROUPS)
    found = figure(unfair, "gap_women")
    assert found.high is not None and found.beside is not None
    assert abs(found.value or 0) > 0.3 and not found.low <= found.beside <= found.high
    calm = figure(fair, "gap_women")
    assert calm.low <= calm.beside <= calm.high
    assert (figure(unfair, "association_women_men").value or 0) != 0
    rate = figure(unfair, "rate_women")
    assert rate.low <= 1 / 3 <= rate.high and rate.beside == pytest.approx(1 / 3, abs=0.05)
    assert [table.name for table in unfair.tables] == ["groups", "gap women", "gap men"]


def test_what_cannot_be_told_is_said() -> None:
    few = evaluated(rows(12, 0, 1), rows(12, 0, 2), groups=GROUPS)
    assert figure(few, "gap_women").value is None and any("fewer than" in note for note in few.notes)
    bare = evaluated([{"text": "she sings"}] * 30, None, groups=GROUPS)
    assert [one.name for one in bare.figures] == ["rate_women", "rate_men"]
    assert any("label" in note for note in bare.notes)
    assert "groups" in evaluated(rows(5, 0, 1), None).notes[0]
    with pytest.raises(InputError, match="same name"):
        evaluated(rows(5, 0, 1), None, groups={"a b": ["x"], "A-b": ["y"]})
    with pytest.raises(InputError, match="groups: women"):
        evaluated(rows(5, 0, 1), None, groups={"women": []})
