"""Filters that look at a row's task and answer together, and at how answers end, run on and add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.errors import InputError
from synth_llm.row import Verdict
from tests.test_filters import FILTERS, judge


def answer(name: str, output: str, instruction: str = "", given_text: str = "", **settings: Any) -> Verdict:
    return FILTERS[name]({"instruction": instruction, "input": given_text, "output": output}, "output", **settings)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("To begin with you need flour, eggs and the", 'ends with the word "the"'),
        ("It rained all day. The game was off. So the ground was", 'ends with the word "was"'),
        ("Bring a coat, gloves, a warm hat,", "ends at a comma"),
        ("1. Mix it.\n2. Bake it well.\n3.", "ends with the mark of a list's item"),
        ("The largest city (by the number of people", "ends inside a bracket"),
        ("Use this:\n```python\nfor x in y:\n    print(x)", "ends inside a block of code"),
    ],
)
def test_truncated_drops_what_was_cut(text: str, why: str) -> None:
    verdict = judge("truncated", text)
    assert not verdict.keep and verdict.reason.startswith(why)


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 42",
        "- Flour\n- Eggs\n- Milk",
        "It is all that I am",
        "Dear Ann,\n\nthank you for the book. I liked it a lot.\n\nWith best regards,",
        "Roses are red,\nviolets are blue,\nsugar is sweet,\nand so are you,",
        "What a day :(",
        "Use this:\n```python\nx = f(\n```",
        "Snow fell over night. In the morning it was gone",
        "a) one b) two c) three",
        "Vitamin A",
    ],
)
def test_truncated_keeps_what_ends_as_people_end(text: str) -> None:
    assert judge("truncated", text).keep


def test_truncated_strictly_wants_a_final_mark_of_prose() -> None:
    text = "Snow fell over night. In the morning it was gone"
    assert judge("truncated", text, strict=True).reason.startswith("ends without a final mark")
    assert judge("truncated", text + ".", strict=True).keep
    assert judge("truncated", "- Flour\n- Eggs. Fresh ones\n- Milk", strict=True).keep, "a list"


@pytest.mark.parametrize(
    "text",
    [
        "Blue.<|im_end|>",
        "It is blue. [/INST]",
        "Assistant: It is blue.",
        "It is blue.\nHuman: And grass?",
        "### Response:\nIt is blue.",
        "The sky in {instruction} is blue.",
        "Dear {{ name }}, the sky is blue.",
        "Below is an instruction that describes a task.",
    ],
)
def test_leakage_drops_remnants_of_a_prompt(text: str) -> None:
    assert answer("leakage", text, "What colour is the sky?").reason.startswith('holds "')


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        ("User: Hello!\nAssistant: Hello, how can I help?", "Write a dialogue."),
        ("```\nprint(f'{text}')\n```", "Print a text."),
        ('print(f"{text}")', "Print a text."),
        ("Dear {{ name }}", "Fill in: Dear {{ name }}"),
        ("The token <|im_end|> ends a turn.", "What does <|im_end|> mean?"),
        ("Assistants help. User interfaces: menus.", "Name two things."),
        ("if (a < b) { return {x: 1}; }", "Write code."),
    ],
)
def test_leakage_keeps_what_belongs_to_the_task(text: str, instruction: str) -> None:
    assert answer("leakage", text, instruction).keep


@pytest.mark.parametrize(
    "text",
    [
        "I'm not sure what you mean.",
        "I don't have enough information to answer.",
        "Could you please provide the text?",
        "It is difficult to say without more information.",
        "The passage does not mention his age.",
        "Sorry, I don't know the answer.",
        "Please provide the article so I can summarize it.",
    ],
)
def test_hedge_drops(text: str) -> None:
    assert judge("hedge", text).reason.startswith('holds back: "')


@pytest.mark.parametrize(
    "text",
    [
        "It depends on the weather.",
        "It is difficult to predict the market, as it is volatile.",
        "Please provide your address in the form below.",
        "The text says that he was 40.",
        "You are not sure? Then ask.",
        'He said "I don\'t know".',
    ],
)
def test_hedge_keeps(text: str) -> None:
    assert judge("hedge", text).keep


def test_hedge_may_keep_that_a_text_does_not_say() -> None:
    assert judge("hedge", "The passage does not mention his age.", missing=False).keep


@pytest.mark.parametrize(
    ("instruction", "given_text"),
    [
        ("Describe the image below.", ""),
        ("What is shown in this picture?", ""),
        ("Edit this photo to be brighter.", ""),
        ("Compare them.", "[Image 1] [Image 2]"),
        ("Summarize the article.", "<link to article>"),
        ("Summarize the attached document.", ""),
        ("Read the following link and sum it up.", ""),
        ("Describe the style.", "![image](https://example.org/a.png)"),
    ],
)
def test_attachment_drops_what_nobody_could_see(instruction: str, given_text: str) -> None:
    assert not answer("attachment", "It shows a house by the sea.", instruction, given_text).keep


@pytest.mark.parametrize(
    ("instruction", "given_text"),
    [
        ("Describe the image of women in the novel.", ""),
        ("Identify the figure of speech in the sentence below.", "Time flies."),
        ("Write an e-mail that speaks of the attached file.", ""),
        ("What does the following link lead to?", "https://example.org"),
        ("Name a painter of pictures.", ""),
        ("How are video recordings stored?", ""),
    ],
)
def test_attachment_keeps_what_is_there_or_only_a_word(instruction: str, given_text: str) -> None:
    assert answer("attachment", "An answer in words.", instruction, given_text).keep


def test_code_in_a_fence_has_to_parse() -> None:
    assert judge("code", "So:\n```python\nprint(1)\n```").keep
    broken = judge("code", "So:\n```python\nprint(1\n```\n```json\n{'a': 1}\n```")
    assert broken.reason == "Python that does not parse: '(' was never closed in line 1" and broken.value == 2
    assert judge("code", "So:\n```python\nprint(1\n```", languages=["json"]).keep
    assert judge("code", "```\nprint(1\n```").keep, "nobody says that it is Python"
    assert judge("code", "```python\n>>> f(1\n2\n```").keep, "a session"
    assert judge("code", "```python\n!pip install x\nimport x\n```").keep
    with pytest.raises(InputError, match="cannot parse 'ruby'; known: json, python"):
        judge("code", "a", languages=["ruby"])


def test_code_without_a_fence_is_looked_at_when_the_task_asks_for_it() -> None:
    broken = "def f(x):\n    return total_ x\n"
    assert not answer("code", broken, "Write a function in Python.").keep
    assert answer("code", broken, "Write a function.").keep
    assert answer("code", "First, def f. Then call it.", "Write a function in Python.").keep, "prose"
    assert not answer("code", "{'a': 1}", "Turn it into JSON.").keep
    assert answer("code", '{"a": 1}\n{"a": 2}', "Turn it into JSON.").keep, "a value a line"


@pytest.mark.parametrize(
    "text",
    [
        "12 + 7 = 20",
        "So 3 x 4 = 13 apples.",
        "He pays $1,200 / 4 = $310 a month.",
        "She has <<5*3=16>>16 cards.",
        "<<10*(2/3)=8>>",
        "2 + 3 * 4 = 20",
        "7 - 9 = 2",
        "10 / 4 = 2.6",
    ],
)
def test_arithmetic_drops_wrong_sums(text: str) -> None:
    verdict = judge("arithmetic", text)
    assert verdict.reason.startswith("wrong: ") and verdict.value == 1


@pytest.mark.parametrize(
    "text",
    [
        "12 + 7 = 19, and 3 × 4 = 12.",
        "10 / 3 = 3.33, or 10 / 3 = 3",
        "x + 2 + 3 = 9",
        "(2 + 3) * 4 + 1 = 21",
        "2x - 3 + 4 = 7",
        "3 + 4 = 7x",
        "3 + 4 = 5 + 2",
        "2 + 2 = 5 is wrong.",
        "if a + 1 == 3: b = 4",
        "5% of 200 + 10% of 100 = 20",
        "1/4 = 15 apples",
        "2^3 + 1 = 9",
        "09:00 - 1:30 = 7:30",
        "-3 + 5 = 2",
        "1.1 + 2.2 = 3.3",
        "1 / 0 = 3",
    ],
)
def test_arithmetic_keeps_right_sums_and_what_is_none(text: str) -> None:
    assert judge("arithmetic", text).keep


def test_arithmetic_reads_the_task() -> None:
    assert answer("arithmetic", "1 + 1 = 10", "Add in binary.").keep
    assert answer("arithmetic", "The sum 1 + 1 = 3 was given.", "Correct 1 + 1 = 3").keep
    assert judge("arithmetic", "1 + 1 = 3", allowed=1).keep
    assert judge("arithmetic", "no sums").value is None


@given(st.integers(-999, 999), st.integers(0, 999), st.integers(0, 999), st.integers(-3, 3))
def test_arithmetic_agrees_with_python(a: int, b: int, c: int, off: int) -> None:
    assert judge("arithmetic", f"So {a} + {b} * {c} = {a + b * c + off} in all").keep == (off == 0)


def test_symbols_drops_debris() -> None:
    assert judge("symbols", "| | | |\n|---|---|---|\n" * 6).reason.startswith("0% letters and digits")
    assert "letters a word" in judge("symbols", "aGVsbG8gd29ybGQ" * 10).reason
    assert "ellipsis" in judge("symbols", "One thing...\nAnd then another thing…\nOr so it seems to me...").reason
    assert judge("symbols", "😀").keep and judge("symbols", "x = (a + b) / 2 # mean").keep


def test_readability_ranks_by_grade() -> None:
    easy = "The cat sat on the mat. The dog ran to the car. We all had fun in the sun. " * 2
    hard = (
        "Notwithstanding considerable methodological heterogeneity, contemporary investigations consistently suggest"
        " statistically significant associations between socioeconomic disadvantage and cardiovascular deterioration,"
        " particularly among populations experiencing longstanding environmental discrimination and inadequate care."
    )
    low, high = judge("readability", easy).value, judge("readability", hard + " " + hard).value
    assert low is not None and high is not None and low < 2 < 18 < high
    assert judge("readability", hard + " " + hard, max_grade=12.0).reason.endswith("-4 to 12 wanted")
    assert judge("readability", "Too few words.").value is None


PAGE = "The river rose last week, and the people of the town have moved their market. " * 4 + "It is good to be here."


def test_gopher_names_the_rule_that_is_broken() -> None:
    prose = " ".join(
        f"The {noun} and the {noun}s of town {at} have to be moved with care."
        for at, noun in enumerate(("cart", "horse", "stall", "house", "barn", "shed", "cow", "goat"))
    )
    assert judge("gopher", prose, rules=["quality"]).keep
    assert judge("gopher", "Too short.").reason == "2 words; 50 to 100000 wanted"
    assert judge("gopher", "Too short of the mark.", min_words=2, rules=["quality"]).keep
    assert "stop words" in judge("gopher", "Cats sleep. " * 40, rules=["quality"]).reason
    numbers = judge("gopher", "12345 67890 the of and 98765 " * 20, rules=["quality"])
    assert numbers.reason == "50% of its words hold a letter; at least 80% wanted" and numbers.value == 0.5
    assert "begin with a bullet" in judge("gopher", "- have the cup of tea with that\n" * 20, rules=["quality"]).reason
    assert judge("gopher", "the same line of it\n" * 20, rules=["repetition"]).reason.startswith(
        "95% of its lines repeat"
    )
    assert "2-word sequence" in judge("gopher", "good day " * 30, rules=["repetition"]).reason
    with pytest.raises(InputError, match="no set of rules 'speed'"):
        judge("gopher", "a", rules=["speed"])


def test_c4_counts_sentences_in_proper_lines() -> None:
    assert judge("c4", PAGE).value == 5
    assert judge("c4", "Home\nAbout us\nContact\n" + PAGE).keep
    assert judge("c4", "Please enable JavaScript to go on. One. Two. Three. Four. Five.").value == 0
    assert judge("c4", PAGE + " {").reason == "holds a curly bracket"
    assert judge("c4", PAGE + " {", curly=False, min_sentences=4).keep is False, "the line does not end properly"
    assert judge("c4", "Lorem ipsum dolor. " + PAGE).reason == 'holds "lorem ipsum"'


def test_fineweb_looks_at_lines() -> None:
    assert judge("fineweb", PAGE).keep
    assert "end with punctuation" in judge("fineweb", "Home\nAbout\nContact").reason
    assert "repeated lines" in judge("fineweb", (PAGE + "\n") * 3).reason
    assert "are short" in judge("fineweb", "One.\nTwo.\nThree.").reason


def test_repetition_sees_lines_paragraphs_and_endless_words() -> None:
    lines = "\n".join(["Row one of the table", *["Row seven and so on"] * 9, "The last row of it all"])
    assert "repeat" in judge("repetition", lines).reason
    assert "ten characters" in judge("repetition", "!?" * 200).reason
    assert judge("repetition", "one two three four five six seven eight nine ten " + "eleven twelve " * 3).keep


def test_language_match() -> None:
    pytest.importorskip("lingua")
    few = {"among": ["de", "en", "fr"]}
    english = "please tell me what the weather was like last week and why it was so warm"
    german = "letzte woche war es sehr warm und wir gingen jeden abend am fluss entlang, weil die sonne so schön schien"
    verdict = answer("language_match", german, english, **few)
    assert not verdict.keep and verdict.reason.endswith("the task is in English")
    assert answer("language_match", english, english, **few).keep
    assert answer(
        "language_match", german, "correct the mistakes in this text and keep what is good", german, **few
    ).keep
    assert answer("language_match", german, english + " in German", **few).keep
    assert answer("language_match", german, "Translate: " + english, **few).keep
    assert answer("language_match", "ja, sehr warm", english, **few).keep, "too short to tell"
