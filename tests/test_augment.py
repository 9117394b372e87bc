"""augment: variants of a text by rules, each other than the rest, the same in every run."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import Augment, Recipe, Row, Source, run
from synth_llm.errors import InputError, Reject
from synth_llm.rules.edits import EDITS, some, text_of, variants, words
from synth_llm.rules.synonyms import STOP, synonyms
from synth_llm.steps.context import Context, Resources

TEXT = "A moving story about two brothers, though the acting is not always convincing in this old film."


def context(step: Augment, seed: int = 0) -> Context:
    recipe = Recipe(source=Source(rows=[{"text": "any"}]), steps=[step], seed=seed)
    return Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: ())


def made(step: Augment, text: Any = TEXT, seed: int = 0) -> list[Row]:
    row = {"_id": "id", "_parent": None, "_lineage": [], "text": text, "label": "good"}
    children = asyncio.run(step.apply(row, context(step, seed)))
    return [child for child in children if isinstance(child, dict)]


def test_variants_keep_the_label_and_say_what_made_them():
    children = made(Augment(n=4))
    assert {child["augmented"] for child in children} == {"synonyms", "insertion", "swap", "deletion"}
    assert {child["label"] for child in children} == {"good"}
    assert len({child["text"] for child in children} | {TEXT}) == 5
    assert {child["_parent"] for child in children} == {"id"}


def test_a_row_has_the_same_variants_again_and_more_of_them_begin_with_fewer():
    assert made(Augment(n=4)) == made(Augment(n=4))
    assert made(Augment(n=2)) == made(Augment(n=4))[:2]
    assert made(Augment(n=4)) != made(Augment(n=4), seed=1)


def test_the_text_as_it_is_may_stay_and_changes_no_variant():
    with_it = made(Augment(n=2, keep=True))
    assert (with_it[0]["text"], with_it[0]["augmented"]) == (TEXT, "original")
    assert with_it[1:] == made(Augment(n=2))


@pytest.mark.parametrize("edit", EDITS)
@given(
    text=st.text(max_size=80) | st.lists(st.sampled_from(TEXT.split()), min_size=1).map(" ".join), seed=st.integers()
)
def test_no_edit_fails_and_all_variants_differ(edit, text, seed):
    found = [new for _, new in variants(text, [edit], 4, random.Random(seed))]
    assert len(set(found)) == len(found) <= 4
    assert text.strip() not in found
    assert all(new.strip() for new in found)


@given(st.text())
def test_words_are_the_text_again(text):
    assert text_of(words(text)) == text.strip()


@pytest.mark.parametrize(("edit", "change"), [("swap", 0), ("deletion", -1), ("aeda", 1), ("insertion", 1)])
def test_an_edit_changes_how_many_words_there_are_as_it_says(edit, change):
    lengths = [len(new.split()) - len(TEXT.split()) for _, new in variants(TEXT, [edit], 8, random.Random(0))]
    assert all((length > 0) - (length < 0) == change for length in lengths)
    if edit == "swap":
        assert all(
            sorted(new.split()) == sorted(TEXT.split()) for _, new in variants(TEXT, [edit], 8, random.Random(0))
        )


def test_strength_is_the_share_of_words_that_change():
    text = " ".join(f"word{number}" for number in range(40))
    (_, new), *_ = variants(text, ["swap"], 1, random.Random(0), 0.5)
    assert (
        10 < sum(one != other for one, other in zip(text.split(), new.split(), strict=True)) <= 2 * some([0] * 40, 0.5)
    )


def test_a_negation_is_never_left_out():
    text = "It isn't good, no, never was."
    found = {new for seed in range(30) for _, new in variants(text, ["deletion"], 5, random.Random(seed), 0.5)}
    assert found
    assert all("isn't" in new and "no," in new and "never" in new for new in found)


def test_synonyms_keep_capital_letters_punctuation_and_the_ending():
    assert "movie" in synonyms("film")
    assert "Movies" in synonyms("Films")
    assert not any(synonyms(word) for word in STOP)
    found = {new for _, new in variants("Films, please!", ["synonyms"], 4, random.Random(0))}
    assert found == {"Movies, please!"}


def test_typing_errors_leave_short_words_and_first_letters():
    for _, new in variants("an excellent day", ["typos"], 8, random.Random(0)):
        assert new.startswith("an e")
        assert new.endswith(" day")


def test_blanks_stand_for_words_that_mean_something():
    for _, new in variants(TEXT, ["blanks"], 6, random.Random(0)):
        ((before, after),) = [(a, b) for a, b in zip(TEXT.split(), new.split(), strict=True) if a != b]
        assert "___" in after
        assert before.strip(",.").lower() not in STOP


def test_a_text_that_has_few_variants_gives_few_and_the_manifest_counts_the_rest(tmp_path):
    source = Source(rows=[{"text": "Two words"}, {"text": "One"}, {"text": " "}, {"text": None}])
    result = run(Recipe(source=source, steps=[Augment(by="swap", n=3)]), out=tmp_path)
    assert [row["text"] for row in result.kept] == ["words Two"]
    assert result.manifest["rejected_by_reason"] == {"no variant": 1, "empty": 2}
    assert "'missing variants': 2" in str(result.manifest)


def test_an_edit_named_twice_is_refused():
    with pytest.raises(InputError, match="each once"):
        Augment(by=["eda", "swap"]).columns(frozenset({"text"}), context(Augment()).use)
    with pytest.raises(InputError, match="needs column 'txt'"):
        Augment(column="txt").columns(frozenset({"text"}), context(Augment()).use)


def test_a_row_without_a_variant_says_so():
    with pytest.raises(Reject, match="no variant"):
        made(Augment(by="synonyms"), "of the")
