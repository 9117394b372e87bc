"""Final answers: found in solutions and compared as numbers or words."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.final_answer import final_answer, number_in, same_answer
from synth_llm.library import Library, load_filter


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("16 - 7 = <<16-7=9>>9 eggs.\n#### 9", "9"),
        ("#### 3\nno, wait\n#### 4 eggs\n", "4 eggs"),
        ("So it is 12.\nA: 12", "12"),
        ("First 3.\nThe answer is 1,200.", "1,200."),
        (r"Hence \boxed{\frac{1}{2}} as was to be shown", r"\frac{1}{2}"),
        ("Paris", "Paris"),
        ("It is 4.\nOr 5.", None),
        ("working\n####", None),
        ("", None),
    ],
)
def test_final_answers(text, answer):
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000", "1000.00"),
        ("$18", "18 dollars"),
        ("-3", "−3"),
        ("50%", "50"),
        ("1/2", "0.5"),
        (".5", "0.50"),
        ("Paris.", "paris"),
        ("1,000,000", "1000000"),
    ],
)
def test_the_same_answer(one, other):
    assert same_answer(one, other)
    assert same_answer(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("18", "-18"), ("1,00", "100"), ("3 or 4", "3"), ("0.1", "0.10000000000000001"), ("Paris", "Rome"), ("1/0", "1")],
)
def test_other_answers(one, other):
    assert not same_answer(one, other)


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_a_number_is_itself_however_it_is_written(number, zeros):
    written = f"{number:,}" + ("." + "0" * zeros if zeros else "")
    assert number_in(f"{written} coins") == Fraction(number)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_has_an_answer_or_none(one, other):
    found = final_answer(one)
    assert found is None or found.strip()
    assert same_answer(one, other) == same_answer(other, one)
    assert same_answer(one, one)


def test_the_filter_needs_no_model():
    check = load_filter("same_final_answer", Library())
    row = {"text": "9 * 2 = 18\nA: 18", "solution": "so\n#### 18", "number": 18, "other": "#### 17", "none": None}
    assert check(row, "text", reference="solution").keep
    assert check(row, "text", reference="number").keep
    assert check(row, "text", reference="other")[:2] == (False, "answers 18, not 17")
    assert check(row, "text", reference="none") == (False, "the column none has no final answer", None)
    assert check({"text": "a\nb", "reference": "7"}, "text")[:2] == (False, "no final answer")
