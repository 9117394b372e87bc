"""Expressions over a row: what they need, and what they do without."""

from __future__ import annotations

import pytest

from synth_llm import InputError
from synth_llm.errors import Reject
from synth_llm.expression import Expression

TASK = "[instruction, input | default('', true)] | join(' ') | trim"


def test_a_column_with_a_default_is_not_needed():
    task = Expression.of(TASK)
    assert task.needs == {"instruction"}
    assert task({"instruction": "Add.", "input": "1, 2"}) == "Add. 1, 2"
    assert task({"instruction": "Add.", "input": None}) == task({"instruction": "Add."}) == "Add."


def test_a_column_without_one_is_needed_and_missed():
    both = Expression.of("first ~ last")
    assert both.needs == {"first", "last"}
    with pytest.raises(Reject, match="'last' is undefined"):
        both({"first": "a"})


def test_what_is_no_expression_is_named():
    with pytest.raises(InputError, match=r"^'a \+' is not a Jinja expression"):
        Expression.of("a +")
