from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from synth_llm import text
from synth_llm.text import Fence, Text, read, repeated


def test_docstring_examples() -> None:
    assert doctest.testmod(text).failed == 0


def test_a_text_is_tokenised_once() -> None:
    one = read("A few words.")
    assert read("A few " + "words.") is one
    assert one.words is read("A few words.").words


def test_fenced_code_is_told_from_prose() -> None:
    found = Text("See:\n```python\nx = 1\n```\nand\n~~~\ny\n~~~\nDone. ```inline``` code")
    assert found.fences == [Fence("python", "x = 1", True), Fence("", "y", True)]
    assert "x = 1" not in found.prose and "Done. ```inline``` code" in found.prose


def test_a_fence_without_end_is_open_and_ends_the_prose() -> None:
    found = Text("So:\n```\nfor x in y:\n")
    assert found.fences == [Fence("", "for x in y:", False)]
    assert found.prose == "So:\n"


def test_sentences_lines_and_paragraphs() -> None:
    found = Text("1. Mix.\n2. Wait!\n\nDr. Who left. So?  ")
    assert found.lines == ["1. Mix.", "2. Wait!", "Dr. Who left. So?"]
    assert found.paragraphs == ["1. Mix.\n2. Wait!", "Dr. Who left. So?"]
    assert found.sentences[-2:] == ["Dr. Who left.", "So?"]
    assert Text("").sentences == Text("").lines == Text(" \n ").paragraphs == []


def test_words_of_scripts_without_spaces() -> None:
    assert Text("今日は OK").words == ["今", "日", "は", "ok"]


@given(st.text(max_size=300))
def test_nothing_of_a_text_is_lost(raw: str) -> None:
    found = Text(raw)
    spaceless = "".join(raw.split())
    assert "".join("".join(found.sentences).split()) == spaceless
    assert "".join("".join(found.lines).split()) == spaceless
    assert "".join("".join(found.paragraphs).split()) == spaceless
    assert "".join(found.tokens) == spaceless
    assert all(word == word.lower() for word in found.words)


@given(st.lists(st.sampled_from("ab"), max_size=30), st.integers(1, 5))
def test_repeated_counts_what_was_there_before(parts: list[str], n: int) -> None:
    share = repeated(parts, n)
    assert share == repeated("".join(parts), n), "of words as of characters"
    grams = [tuple(parts[at : at + n]) for at in range(len(parts) - n + 1)]
    before = sum(gram in grams[:at] for at, gram in enumerate(grams))
    assert abs(share * len(grams) - before) < 1e-9
