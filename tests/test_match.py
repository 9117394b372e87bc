"""match: what is kept is distributed as the target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synth_llm import InputError
from synth_llm.geometry import energy_distance, sampled
from synth_llm.steps import Match
from tests.distribution import Outcome, at_angles, circle, context

POOL = at_angles(*range(360))
TARGET = [*range(40, 60), *range(200, 205)]


def test_what_is_kept_has_the_proportions_of_the_target():
    outcome = Outcome(Match(to=["examples"], rows=25, encoder="circle"), POOL, examples=TARGET)
    angles = [int(text) for text in outcome.values()]
    assert len(angles) == 25
    assert 18 <= sum(30 <= angle < 70 for angle in angles) <= 22
    assert 4 <= sum(190 <= angle < 215 for angle in angles) <= 6
    assert outcome.report["energy distance after"] < 0.02 < 0.1 < outcome.report["energy distance before"]


def test_a_rejected_row_says_how_far_it_lies():
    outcome = Outcome(Match(to=["examples"], rows=25, encoder="circle"), POOL, examples=TARGET)
    reject = outcome.rejects["id300"]
    assert reject.reason == "not matched"
    assert 1 < reject.value <= 2
    assert "25 others follow the target more closely" in reject.detail


def test_rows_can_be_a_share_and_never_more_than_there_are():
    assert len(Outcome(Match(to=["examples"], rows=0.1, encoder="circle"), POOL, examples=[1]).kept) == 36
    assert len(Outcome(Match(to=["examples"], rows=900, encoder="circle"), POOL[:7], examples=[1]).kept) == 7
    assert Outcome(Match(to=["examples"], rows=9, encoder="circle"), [], examples=[1]).items == []


def test_the_same_again_and_whatever_the_order():
    def texts(rows):
        return sorted(Outcome(Match(to=["examples"], rows=25, encoder="circle"), rows, examples=TARGET).values())

    assert texts(POOL) == texts(POOL)
    assert len({*texts(POOL)} ^ {*texts(POOL[::-1])}) <= 2  # of equally good rows the first is taken


def test_a_target_without_the_column_is_refused_before_the_run(tmp_path: Path):
    (tmp_path / "real.jsonl").write_text('{"body": "5"}\n')
    step = Match(to=[{"file": str(tmp_path / "real.jsonl")}], rows=5, encoder="circle")
    with pytest.raises(InputError, match="no column 'text'"):
        step.columns(frozenset({"text"}), context(step).use)
    named = Match(to=[{"file": str(tmp_path / "real.jsonl"), "column": "body"}], rows=5, encoder="circle")
    assert named.columns(frozenset({"text"}), context(named).use) == {"text"}


def test_energy_distance_is_0_for_the_same_and_4_halves_for_opposite_points():
    a, b = (np.array(circle([text] * 3), dtype=np.float32) for text in ("0", "180"))
    assert energy_distance(a, a) == pytest.approx(0, abs=1e-3)
    assert energy_distance(a, b) == pytest.approx(4, abs=1e-3)


def test_a_sample_of_few_is_all():
    vectors = np.arange(10.0).reshape(5, 2)
    assert sampled(vectors, 5, np.random.default_rng(0)) is vectors
    assert sampled(vectors, 3, np.random.default_rng(0)).shape == (3, 2)


@pytest.mark.encoder
def test_with_the_packaged_encoder_questions_of_one_topic_are_found():
    from tests.distribution import rows_of

    trips = ["book a flight to Rome", "is there a train to Lyon tonight", "I need a hotel near the airport"]
    money = ["what is my balance", "freeze my credit card", "transfer fifty euros to Ann"]
    rows = rows_of(*({"text": text} for text in [*trips, *money]))
    step = Match(to=["examples"], rows=3)
    ctx = context(step, rows=[{"text": "x"}])
    ctx.use.__dict__["examples"] = [{"text": "which gate does my plane leave from"}, {"text": "rooms for two in Paris"}]
    kept = [item for item in step.split(rows, ctx) if isinstance(item, dict)]
    assert [row["text"] for row in kept] == trips
