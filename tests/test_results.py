"""What is written of an evaluation: JSON that every reader takes, Markdown that a person reads."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from synth_llm import evaluate
from synth_llm.evaluation import results
from synth_llm.evaluation.part import Part
from synth_llm.evaluation.parts import Outcome, clean
from synth_llm.evaluation.results import Evaluation
from tests.evaluation import ROWS, counted, write

__all__ = ["counted"]


@pytest.fixture
def found(tmp_path, monkeypatch, counted):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "made.jsonl")
    return evaluate("made.jsonl", real=ROWS[1:], test=ROWS, gate={"tstr": ">= 0.8"}, out="out")


def no_constant(name: str) -> None:
    raise AssertionError(name)


def test_the_json_holds_all_and_no_nan(found):
    value = json.loads((found.path / "results.json").read_text(), parse_constant=no_constant)
    assert value["figures"]["tstr"] == {
        **{"value": 0.75, "low": 0.6, "high": 0.9, "beside": 0.8},
        **{"unit": "", "direction": "higher", "detail": ""},
    }
    assert value["figures"]["vendi"]["value"] is None
    assert value["gate"] == {"wanted": {"tstr": ">= 0.8"}, "short": ["tstr is 0.75, wanted >= 0.8"]}
    assert value["parts"]["bias"] == {
        **{"state": "left out", "why": "groups of people: `groups: {women: [she, her], men: [he, his]}`"},
        **{"figures": [], "tables": [], "notes": []},
    }
    assert value["parts"]["diversity"]["tables"][0]["rows"] == [["a|b"]]
    assert value["sides"]["real"]["rows"] == len(ROWS) - 1 and len(value["sides"]["made"]["hash"]) == 32
    assert value["seed"] == 0 and value["versions"]["synth-llm"]
    assert set(value["times"]) == {"embedding", "diversity", "fidelity", "utility", "privacy"}


def test_the_markdown_says_figures_first_then_each_part(found):
    text = (found.path / "results.md").read_text()
    assert "| tstr | 0.75 | 0.6 to 0.9 | 0.8 | higher |" in text
    assert "| vendi | - |" in text
    assert "- gate: **tstr is 0.75, wanted >= 0.8**" in text
    assert r"| a\|b |" in text
    order = ["| tstr |", "## Diversity", "- all rows", "### Words", "## Fidelity", "## What was compared", "## Time"]
    assert sorted(order, key=text.index) == order


def test_the_summary_is_short_and_says_where_the_rest_is(found):
    said = results.summary(found)
    assert "tstr" in said and "distinct_1" not in said and "and 2 more figures" in said
    assert "contamination: left out: it needs evaluation sets" in said
    assert "in out: results.md, results.json" in said
    assert said.endswith("gate: tstr is 0.75, wanted >= 0.8")


def test_why_a_part_has_no_figures_is_said(found):
    outcome = Outcome("utility", Part(notes=["one row is no test"]))
    assert "utility: one row is no test" in results.summary(Evaluation(found.settings, found.path, [outcome]))


def test_values_become_json_values():
    value = {"a": (np.float32(0.5), np.int64(3), math.nan), 1: np.array([1.0, math.inf]), "b": np.bool_(True)}
    assert clean(value) == {"a": [0.5, 3, None], "1": [1.0, None], "b": True}
    with pytest.raises(TypeError):
        clean(object())
