"""Verifiable instructions: each kind followed and not followed, strictly and loosely."""

from __future__ import annotations

import math

import pytest

from synth_llm.measure import verifiable
from synth_llm.measure.verifiable import CHECKS, followed, follows

GERMAN = "Der Hund schläft heute den ganzen Tag unter dem Tisch, weil es draußen regnet."
ENGLISH = "The dog sleeps under the table all day because it is raining outside."
CASES = [
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "at least", "capital_frequency": 2},
        "A BIG dog",
        "A a",
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "less than", "capital_frequency": 2},
        "ONE!",
        "ONE TWO.",
    ),
    ("change_case:english_capital", {}, ENGLISH.upper(), ENGLISH),
    ("change_case:english_capital", {}, ENGLISH.upper(), GERMAN.upper()),
    ("change_case:english_lowercase", {}, ENGLISH.lower(), ENGLISH),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it. "}, " say it. Now.", "Now. Say it."),
    ("combination:two_responses", {}, "One.\n******\nTwo.", "One.\n******\nOne."),
    ("combination:two_responses", {}, "One.******Two.******", "One.\n******\n\n******\nTwo."),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [place]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP. S. More.", "Bye. PS"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.P.S more", "Bye.\nP.S. more"),
    ("detectable_content:postscript", {"postscript_marker": "Note:"}, "Bye.\nnote: more", "Bye."),
    ("detectable_format:constrained_response", {}, "Well. My answer is no.", "No."),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ("detectable_format:multiple_sections", {"section_spliter": "Day", "num_sections": 2}, "Day 1 x\nDay 2 y", "Day 1"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n- two", "* one\n* two\n* three"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and **two**", "*one* and **"),
    ("detectable_format:title", {}, "<<A title>>\nText", "<< >>"),
    ("keywords:existence", {"keywords": ["dog", "(cat"]}, "Dogs (CATS)", "dogs"),
    ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, "rocks", "ROCK on"),
    ("keywords:frequency", {"relation": "at least", "keyword": "war", "frequency": 2}, "War, wars", "war"),
    ("keywords:frequency", {"relation": "less than", "keyword": "war", "frequency": 2}, "war", "war war"),
    ("keywords:letter_frequency", {"let_relation": "at least", "letter": "!", "let_frequency": 2}, "a!!", "a!"),
    ("keywords:letter_frequency", {"let_relation": "less than", "letter": "A", "let_frequency": 2}, "ab", "aA"),
    ("language:response_language", {"language": "de"}, GERMAN, ENGLISH),
    ("language:response_language", {"language": "kn"}, "ನಾಯಿ ಮೇಜಿನ ಕೆಳಗೆ", ENGLISH),
    (
        "length_constraints:nth_paragraph_first_word",
        {"first_word": "President", "num_paragraphs": 2, "nth_paragraph": 2},
        'One.\n\n"President, said he.',
        "President.\n\nTwo.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"first_word": "a", "num_paragraphs": 2, "nth_paragraph": 1},
        "A b.\n\nC.",
        "A b.",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n***\nTwo\n***\n", "One\n\nTwo"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One *** Two", "One *** *** Two"),
    (
        "length_constraints:number_sentences",
        {"relation": "less than", "num_sentences": 3},
        "One. Two!",
        "It is. It was. Not so.",
    ),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "one two three", "one two"),
    ("punctuation:no_comma", {}, "No comma.", "A, comma."),
    ("startend:end_checker", {"end_phrase": "The end."}, 'So: "the end."', "The end. Or not."),
    ("startend:quotation", {}, ' "All of it." ', '"Part" of it.'),
]


@pytest.fixture(autouse=True)
def two_languages(monkeypatch):
    monkeypatch.setattr(verifiable, "AMONG", ("de", "en"))  # with all of them the detector takes seconds to load


@pytest.mark.parametrize(("name", "given", "right", "wrong"), CASES)
def test_each_kind(name, given, right, wrong):
    assert follows(right, name, given) is True
    assert follows(wrong, name, given) is False
    assert follows(" ", name, given) is False


def test_every_kind_has_a_case():
    assert {name for name, *_ in CASES} == set(CHECKS)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("keywords:rhyme", {}),
        ("keywords:existence", {}),
        ("keywords:frequency", {"relation": "about", "keyword": "war", "frequency": 2}),
        ("language:response_language", {"language": "ne"}),
    ],
)
def test_what_cannot_be_checked_is_none(name, given):
    assert follows("war", name, given) is None


def test_prompts_count_as_a_whole_and_instructions_each():
    comma, short = "punctuation:no_comma", "length_constraints:number_words"
    few = {"relation": "less than", "num_words": 4}
    found = followed(
        ["One two.", "One, two.", "Sure, here it is:\nOne.", "?"],
        [[comma, short], [comma, short], [comma], ["keywords:rhyme"]],
        [[{}, few], [{}, few], [{}], [{}]],
    )
    assert found.prompts.value == pytest.approx(1 / 3)  # the fourth has nothing to check
    assert found.instructions.value == pytest.approx(3 / 5)
    assert found.prompts_loose.value == pytest.approx(2 / 3)  # without its first line the third has no comma
    assert found.instructions_loose.value == pytest.approx(4 / 5)
    assert found.kinds[short].value == 1
    assert found.unchecked == {"keywords:rhyme": 1}


def test_asterisks_may_go_for_the_loose_verdict():
    given = [[{"end_phrase": "The end."}]]
    found = followed(["So.\n**The end.**"], [["startend:end_checker"]], given)
    assert (found.prompts.value, found.prompts_loose.value) == (0, 1)


def test_nothing_to_check():
    assert math.isnan(followed([], [], []).prompts.value)
