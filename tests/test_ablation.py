"""What each step was worth: a step made to harm is named, and only it; one that helps is said to have earned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth_llm import InputError, Row
from synth_llm.evaluation import contrast
from synth_llm.evaluation.ablation import ablation
from synth_llm.evaluation.contrast import Bench, difference, holm
from synth_llm.evaluation.part import Part
from tests.planted import data_of, flipped, points, run_data

TEST = points(400, 99)
GOOD = points(40, 1, kind="good")
TURNED = flipped(points(40, 2, kind="turned"))
SPARE = points(60, 3, kind="spare")
TILTED = [{**row, "label": "right" if float(row["text"].split()[1]) > 0 else "left"} for row in points(60, 4)]


def by_step(part: Part) -> dict[str, dict[str, Any]]:
    [table] = part.tables
    return {line[0]: dict(zip(table.columns, line, strict=True)) for line in table.rows}


def drop(kind: str) -> dict[str, Any]:
    return {"filter": {"if": f"kind != '{kind}'"}}


def test_a_step_that_drops_noise_earned_and_one_that_drops_good_rows_cost(tmp_path: Path) -> None:
    bad = [{**row, "kind": "bad"} for row in TILTED]
    spare = points(30, 5, kind="alike")
    data = run_data(
        tmp_path, [*bad, *GOOD, *TURNED, *SPARE, *spare], [drop("turned"), drop("good"), drop("alike")], TEST
    )
    steps = by_step(part := ablation(data))
    assert steps["filter"]["verdict"] == "earned"
    assert steps["filter"]["difference"][1] > 0
    assert part.figures[0].name == "worth_filter"
    assert part.figures[0].value == pytest.approx(steps["filter"]["difference"][0], abs=1e-4)


def test_the_step_that_takes_a_class_away_cost(tmp_path: Path) -> None:
    rows = [{**row, "kind": row["label"]} for row in points(120, 6)]
    odd = flipped(points(4, 7, kind="odd"))
    steps = by_step(ablation(run_data(tmp_path, [*rows, *odd], [drop("right"), drop("odd")], TEST)))
    assert (steps["filter"]["verdict"], steps["filter 2"]["verdict"]) == ("cost", "no difference")
    assert "teach more than those kept" in steps["filter"]["why"]
    assert steps["filter"]["put back"] == sum(row["kind"] == "right" for row in rows)


def test_rows_dropped_at_random_made_no_difference(tmp_path: Path) -> None:
    steps = by_step(ablation(run_data(tmp_path, [*SPARE, *GOOD], [drop("good")], TEST)))
    assert steps["filter"]["verdict"] == "no difference"
    _, low, high = steps["filter"]["difference"]
    assert low < 0 < high


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrast, "DRAWS", 2)


@pytest.mark.usefixtures("quick")
def test_filters_in_one_step_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "filters").mkdir()
    for name, keeps in (("far_left", "> -0.5"), ("far_right", "< 0.5")):
        code = '"""Drops one side."""\n\nfrom synth_llm import Row, Verdict\n\n\n'
        code += f"def {name}(row: Row, column: str) -> Verdict:\n"
        code += f'    """Keeps {name}."""\n    return Verdict(float(row[column].split()[0]) {keeps}, "it is")\n'
        (tmp_path / "filters" / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    data = run_data(tmp_path / "out", points(120, 8), [{"filter": {"use": ["far_left", "far_right"]}}], TEST)
    steps = by_step(ablation(data))
    assert list(steps) == ["filter", "filter: far_left", "filter: far_right"]
    assert steps["filter"]["put back"] == sum(line["put back"] for name, line in steps.items() if ":" in name)


@pytest.mark.usefixtures("quick")
def test_rows_without_text_or_label_are_counted_not_put_back(tmp_path: Path) -> None:
    blank: list[Row] = [{"text": " ", "label": "left", "kind": "good"}, {"text": "1 1", "label": None, "kind": "good"}]
    part = ablation(run_data(tmp_path, [*SPARE, *GOOD, *blank], [drop("good")], TEST))
    assert by_step(part)["filter"]["put back"] == len(GOOD)
    assert any("2 of 42 rejected rows have no text or label" in note for note in part.notes)


@pytest.mark.usefixtures("quick")
def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    rows = [*SPARE, *GOOD, *TURNED]
    one = ablation(run_data(tmp_path / "1", rows, [drop("turned")], TEST))
    other = ablation(run_data(tmp_path / "2", rows[::-1], [drop("turned")], TEST))
    assert one == other


def test_what_it_needs_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder of a run"):
        ablation(data_of(GOOD, TEST))
    with pytest.raises(InputError, match="needs test rows with a label"):
        ablation(run_data(tmp_path, [*SPARE, *GOOD], [drop("good")], []))


def test_a_run_that_rejected_nothing_says_so(tmp_path: Path) -> None:
    part = ablation(run_data(tmp_path, SPARE, [drop("good")], TEST))
    assert not part.tables
    assert "nothing to put back" in part.notes[-1]


def test_macro_f1_where_test_labels_are_uneven() -> None:
    uneven = [row for row in TEST if row["label"] == "left"] + [row for row in TEST if row["label"] == "right"][:30]
    assert Bench(data_of(GOOD, uneven)).score_name == "macro-F1"
    assert Bench(data_of(GOOD, TEST)).score_name == "accuracy"


def test_the_interval_of_a_difference_is_that_of_paired_rows_where_draws_are_alike() -> None:
    from scipy.stats import ttest_rel

    bench = Bench(data_of(GOOD, TEST))
    right, luck = np.array(bench.test.labels), np.random.default_rng(1)
    one, other = (np.where(luck.random(len(TEST)) < p, right, "neither").tolist() for p in (0.9, 0.8))
    scores = bench.scores({"one": [one], "other": [other], "draws": [one, one]})
    found = difference(scores["one"], scores["other"], (scores["draws"], scores["draws"]))
    known = ttest_rel(*((np.array(said) == right).astype(float) for said in (one, other)))
    assert found.interval[1:] == pytest.approx(known.confidence_interval(), abs=0.006)
    assert found.p == pytest.approx(known.pvalue, abs=1e-4)


def test_draws_that_differ_widen_the_interval() -> None:
    bench = Bench(data_of(GOOD, TEST))
    right = bench.test.labels
    worse = ["neither"] * 40 + right[40:]
    scores = bench.scores({"one": [right], "other": [worse], "same": [right] * 3, "apart": [right, worse, right]})
    narrow, wide = (
        difference(scores["one"], scores["other"], (scores["same"], scores[name])) for name in ("same", "apart")
    )
    assert narrow.interval.low > 0 > wide.interval.low
    assert narrow.p < 0.01 < wide.p


def test_holm_corrects_for_the_number_of_questions() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
