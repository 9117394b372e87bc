"""edge: rows in thin regions of the real data are kept, and shots are drawn there."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np
import pytest

from synth_llm import Generate, InputError, Recipe, Request, Sample, Source, Target, run
from synth_llm.encoders import EncoderEntry
from synth_llm.geometry import kth_nearest
from synth_llm.steps import Edge
from synth_llm.steps.context import Resources
from tests.distribution import Outcome, at_angles, circle, context, rows_of
from tests.project import Model, write_prompts

DENSE = [angle / 4 for angle in range(80)]  # 0 to 20 degrees, four a degree
THIN = [60, 65, 70, 75, 80, 85, 90]  # one in five degrees
REAL = [*DENSE, *THIN]


def edge(rows: list, **settings) -> Outcome:
    return Outcome(Edge(to=["examples"], encoder="circle", **settings), rows, examples=REAL)


def test_rows_among_few_real_rows_are_kept_with_their_score():
    outcome = edge(at_angles(10.1, 72, 180))
    assert outcome.values() == ["72"]
    assert 0.9 < outcome.kept[0]["edge"] <= 0.99
    assert {name: one.reason for name, one in outcome.rejects.items()} == {"id0": "dense", "id2": "outside"}
    assert outcome.rejects["id2"].value == 1.0
    assert "of the real rows lie denser" in outcome.rejects["id0"].detail


def test_the_band_can_be_open():
    outcome = edge(at_angles(10.1, 72, 180), between=[0, 1], into="thin")
    scores = outcome.values("thin")
    assert scores == sorted(scores)
    assert scores[-1] == 1.0


def test_a_copy_of_a_real_row_scores_as_that_row_among_the_others():
    vectors = np.array(circle([str(angle) for angle in REAL]), dtype=np.float32)
    far = kth_nearest(vectors, vectors, 5)
    scores = edge(at_angles(*REAL), between=[0, 1]).values("edge")
    assert np.argmax(far) == np.argmax(scores)
    assert np.mean(scores) == pytest.approx(0.5, abs=0.001), "real rows lie evenly over the scores"


def test_the_score_of_a_row_does_not_depend_on_the_others():
    alone = edge(at_angles(72)).values("edge")
    assert edge([*at_angles(72), *({**row, "_id": "x"} for row in at_angles(73))]).values("edge")[:1] == alone


def test_a_blank_row_is_rejected_and_no_rows_are_no_trouble():
    assert edge(rows_of({"text": ""})).rejects["id0"].detail == "has no text in text"
    assert edge([]).items == []


def test_too_few_real_rows_and_a_column_that_is_taken_are_refused():
    step = Edge(to=["examples"], encoder="circle")
    with pytest.raises(InputError, match="2 different real rows are too few for 5 neighbours"):
        step.columns(frozenset({"text"}), context(step, examples=[1, 2, 2, 2, 2, 2, 2, 2]).use)
    with pytest.raises(InputError, match="already have a column 'edge'"):
        step.columns(frozenset({"text", "edge"}), context(step, examples=REAL).use)
    with pytest.raises(ValueError, match="write the lower score first"):
        Edge(to=["examples"], between=[0.9, 0.5])


def test_in_rounds_shots_are_drawn_from_thin_regions(tmp_path, monkeypatch):
    """The model answers with angles; shots of later rounds are accepted rows, none of a dense region."""
    monkeypatch.chdir(tmp_path)
    write_prompts(tmp_path)
    asked: list[str] = []

    def say(text: str, request: Request) -> str:
        asked.append(text)
        return str(request.seed % 100)

    recipe = Recipe(
        models={"writer": Model(say).entry()},
        source=Source(
            rows=[{"topic": f"{n}"} for n in range(200)],
            examples=[{"text": f"{angle:g}"} for angle in REAL],
        ),
        encoders={"circle": EncoderEntry(engine="function", function=circle)},
        steps=[
            Sample(from_="accepted", weight="edge", n=2),
            Generate(prompt="shots", model="writer"),
            Edge(to=["examples"], encoder="circle"),
        ],
        target=Target(rows=12, round=20),
    )
    result = run(recipe, out=tmp_path / "run")
    assert result.complete
    assert len(result.kept) == 12
    assert all(15 < int(text) < 95 for text in result.kept["text"])
    assert all(0.5 <= score <= 0.99 for score in result.kept["edge"])
    shots = [shot for shots in result.kept["shots"] for shot in shots]
    assert shots, "a second round had shots"
    assert all(0.5 <= shot["edge"] <= 0.99 for shot in shots)


# sample: weight


def drawn(pool: list[dict], times: int, **settings) -> Counter:
    step = Sample(n=1, weight="edge", **settings)
    recipe = Recipe(source=Source(rows=[{"text": "x"}], examples=pool), steps=[step])
    ctx = context(step)
    ctx.use = Resources(recipe, ctx.use.base)
    rows = rows_of(*({} for _ in range(times)))
    step.columns(frozenset(), ctx.use)
    return Counter(asyncio.run(step.apply(row, ctx))[0]["shots"][0]["name"] for row in rows)


def test_shots_are_drawn_in_proportion_to_their_weights():
    times = drawn([{"name": "thin", "edge": 0.9}, {"name": "dense", "edge": 0.3}, {"name": "never", "edge": 0}], 600)
    assert set(times) == {"thin", "dense"}
    assert times["thin"] / 600 == pytest.approx(0.75, abs=0.06)  # standard error .018


def test_a_weight_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="column 'edge' of a candidate is 'much', not a number from 0 on"):
        drawn([{"name": "a", "edge": "much"}], 1)
    with pytest.raises(InputError, match="weight: the pool of examples needs column 'edge'"):
        drawn([{"name": "a"}], 1)
