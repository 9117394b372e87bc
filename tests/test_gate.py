"""The gate: which conditions hold, and what is said of those that do not."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import Evaluate, InputError
from synth_llm.evaluation import gate
from synth_llm.evaluation.part import Figure
from synth_llm.evaluation.settings import wanted

FIGURES = [Figure("tstr", 0.79, 0.7, 0.88), Figure("near_copies", 0), Figure("c2st", None)]
SIGNS = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt}


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from(sorted(SIGNS)))
def test_a_condition_means_what_it_says(value, number, sign):
    short = gate.failed({"x": f"{sign} {number!r}"}, [Figure("x", value)])
    assert (short == []) == SIGNS[sign](value, number)


def test_a_figure_that_is_not_as_it_must_be_is_named_with_what_is_wanted():
    wanted = {"tstr": ">= 0.8", "near_copies": "== 0", "c2st": "<= 0.6"}
    assert gate.failed(wanted, FIGURES) == [
        "tstr is 0.79, wanted >= 0.8",
        "c2st has no value for these rows, wanted <= 0.6",
    ]


def test_an_end_of_the_interval_can_be_wanted():
    assert gate.failed({"tstr": "low >= 0.7"}, FIGURES) == []
    assert gate.failed({"tstr": "high < 0.8"}, FIGURES) == ["tstr is high end 0.88, wanted high < 0.8"]
    assert gate.failed({"near_copies": "high <= 1"}, FIGURES) == ["near_copies has no interval, wanted high <= 1"]


@pytest.mark.parametrize("condition", ["0.8", "=> 1", ">= x", "", "median > 1", ">= 1 or so"])
def test_what_is_no_condition_is_refused_with_the_figure(condition):
    with pytest.raises(ValueError, match="is no condition"):
        wanted(condition)
    with pytest.raises(ValueError, match="tstr: "):
        Evaluate(gate={"tstr": condition})


def test_a_figure_that_no_part_gives_is_refused_before_work():
    parts = {"diversity": "", "fidelity": "real rows: --real FILE"}
    gate.check({"vendi": "> 1", "coverage_topic": "> 0.5"}, parts)
    with pytest.raises(ValueError, match=r"no figure 'vendy'; did you mean 'vendi'\?"):
        Evaluate(gate={"vendy": "> 1"})
    with pytest.raises(InputError, match="'mauve' is a figure of fidelity, which needs real rows: --real FILE"):
        gate.check({"mauve": "> 1"}, parts)
    with pytest.raises(InputError, match="'contaminated' is a figure of contamination, which does not run"):
        gate.check({"contaminated": "== 0"}, parts)


def test_a_figure_that_did_not_come_out_is_an_error_unless_a_part_failed():
    with pytest.raises(InputError, match=r"no figure 'tst' came out; did you mean 'tstr'\?"):
        gate.failed({"tst": "> 1"}, FIGURES)
    assert gate.failed({"mauve": "> 1"}, FIGURES, broken=True) == ["mauve was not measured, wanted > 1"]
