"""pairs: the best answer against the worst; and answers spread over several models."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import InputError, Recipe, Source, run
from synth_llm.steps import Generate, Pairs
from tests.distribution import Outcome, context, rows_of
from tests.project import Model, write_prompts


def rated(*ratings: Any, instruction: str = "Say hello.") -> list[Any]:
    return rows_of(
        *({"instruction": instruction, "output": f"answer {n}", "rating": one} for n, one in enumerate(ratings))
    )


def test_the_best_and_the_worst_become_one_row():
    outcome = Outcome(Pairs(), rated(3, 5, 1, 4))
    (pair,) = outcome.kept
    assert {name: value for name, value in pair.items() if not name.startswith("_")} == {
        "instruction": "Say hello.",
        "chosen": "answer 1",
        "rejected": "answer 2",
        "chosen_score": 5,
        "rejected_score": 1,
    }
    assert pair["_parent"] == "id1"
    assert {(reject.reason, reject.other) for reject in outcome.rejects.values()} == {("not selected", pair["_id"])}
    assert len(outcome.rejects) == 3


def test_each_group_gives_one_pair():
    rows = [*rated(1, 5), *rated(4, 2, instruction="Say goodbye.")]
    rows = [{**row, "_id": f"id{n}"} for n, row in enumerate(rows)]
    outcome = Outcome(Pairs(), rows)
    assert [(row["instruction"], row["chosen"]) for row in outcome.kept] == [
        ("Say hello.", "answer 1"),
        ("Say goodbye.", "answer 0"),
    ]


@pytest.mark.parametrize("ratings", [(3, 3.5), (4,), (2, 2, 2)])
def test_a_group_without_the_margin_is_tied(ratings):
    outcome = Outcome(Pairs(), rated(*ratings))
    assert not outcome.kept
    assert {reject.reason for reject in outcome.rejects.values()} == {"tied"}


def test_two_ratings_of_one_text_make_no_pair():
    rows = [{**row, "output": "the same"} for row in rated(1, 5)]
    assert {reject.reason for reject in Outcome(Pairs(), rows).rejects.values()} == {"tied"}


def test_an_answer_without_a_rating_is_missing_and_the_others_make_their_pair():
    outcome = Outcome(Pairs(), rated(None, 5, 2, True))
    assert [row["chosen"] for row in outcome.kept] == ["answer 1"]
    assert [outcome.rejects[name].reason for name in ("id0", "id3")] == ["missing", "missing"]


@pytest.mark.parametrize(("keep", "left"), [("best", "answer 1"), ("worst", "answer 2")])
def test_best_and_worst_of_n_keep_the_row_as_it_is(keep, left):
    outcome = Outcome(Pairs(keep=keep), rated(3, 5, 1))
    (row,) = outcome.kept
    assert (row["output"], "chosen" in row) == (left, False)
    assert {reject.other for reject in outcome.rejects.values()} == {row["_id"]}


def test_both_ends_stay_each_marked():
    outcome = Outcome(Pairs(keep="both"), rated(3, 5, 1))
    assert [(row["output"], row["best"]) for row in outcome.kept] == [("answer 1", True), ("answer 2", False)]
    assert [(reject.reason, reject.other) for reject in outcome.rejects.values()] == [("not selected", "id1")]


def test_both_ends_of_a_tied_group_go():
    assert {reject.reason for reject in Outcome(Pairs(keep="both"), rated(3, 3.5)).rejects.values()} == {"tied"}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), min_size=1, max_size=12), st.randoms())
def test_rows_are_conserved_and_their_order_changes_no_pair(given_rows, shuffle: random.Random):
    rows = rows_of(*({"instruction": of, "output": f"{n}", "rating": one} for n, (of, one) in enumerate(given_rows)))
    first = Outcome(Pairs(), rows)
    assert len(first.kept) + len(first.rejects) == len(rows)
    other = list(rows)
    shuffle.shuffle(other)
    again = Outcome(Pairs(), other)
    assert sorted(map(str, first.kept)) == sorted(map(str, again.kept))


@pytest.mark.parametrize(("keep", "there"), [("pair", "chosen"), ("both", "best")])
def test_a_column_of_the_outcome_that_is_there_already_is_refused(keep: Any, there: str):
    step = Pairs(keep=keep)
    with pytest.raises(InputError, match=f"gives '{there}', which the rows already have"):
        step.columns(frozenset({"instruction", "output", "rating", there}), context(step).use)


def test_answers_are_spread_over_models_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_prompts(tmp_path)
    models = {name: Model(lambda text, request, name=name: f"by {name} {request.seed}") for name in ("one", "two")}
    recipe = Recipe(
        models={name: model.entry() for name, model in models.items()},
        source=Source(rows=[{"topic": "rain"}]),
        steps=[Generate(prompt="write", model=["one", "two"], n=3)],
    )
    result = run(recipe, out=tmp_path / "run")
    assert [row["text"].split()[1] for row in result.kept] == ["one", "two", "one"]
    assert len({row["text"] for row in result.kept}) == 3


@pytest.mark.parametrize(
    ("n", "said"), [(1, "n: 1 leaves some of one, two without an answer"), (3, "raise the temper")]
)
def test_a_model_without_an_answer_or_with_two_equal_ones_is_refused(tmp_path, monkeypatch, n, said):
    monkeypatch.chdir(tmp_path)
    write_prompts(tmp_path)
    recipe = Recipe(
        models={name: Model().entry(temperature=0) for name in ("one", "two")},
        source=Source(rows=[{"topic": "rain"}]),
        steps=[Generate(prompt="write", model=["one", "two"], n=n)],
    )
    with pytest.raises(InputError, match=said):
        run(recipe, out=tmp_path / "run")
