"""Size against quality: the cell that is chosen, and whether it is better beyond luck."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_llm import InputError
from synth_llm.evaluation import contrast
from synth_llm.evaluation.grid import grid
from tests.planted import data_of, flipped, points, run_data

TEST = points(400, 99)
GOOD = [{**row, "score": 4 + at % 2} for at, row in enumerate(points(80, 1))]
WRONG = [row for row in flipped(points(200, 2)) if row["label"] == "right"]
TURNED = [{**row, "score": 1 + at % 2} for at, row in enumerate(WRONG[:60])]
"""Half of `left` is called `right`, and the score says so."""


def test_a_score_that_tells_wrong_labels_has_a_threshold_worth_having() -> None:
    part = grid(data_of([*GOOD, *TURNED], TEST), "score")
    [table], [figure] = part.tables, part.figures
    assert table.columns == ["size", "threshold", "value", "low", "high"]
    assert max(table.rows, key=lambda line: line[2])[1] >= 4
    assert figure.name == "grid_best_less_all"
    assert figure.value is not None
    assert figure.low is not None
    assert figure.value > figure.low > 0
    assert "is better than all 140 rows" in part.notes[-1]


def test_a_score_that_says_nothing_has_none() -> None:
    rows = [{**row, "score": at * 7919 % 100} for at, row in enumerate(points(150, 3))]
    part = grid(data_of(rows, TEST), "score")
    assert "better than" not in part.notes[-1] or part.notes[-1].startswith("No cell")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrast, "DRAWS", 2)


@pytest.mark.usefixtures("quick")
def test_cells_are_those_for_which_there_are_rows() -> None:
    [table] = grid(data_of([*GOOD, *TURNED], TEST), "score").tables
    sizes: dict[float, list[int]] = {}
    for size, threshold, value, low, high in table.rows:
        sizes.setdefault(threshold, []).append(size)
        assert 0 <= low <= value <= high <= 1
    assert sizes[1] == [17, 35, 70, 140]
    assert sizes[5] == [17, 35, 40]
    assert {threshold: found[-1] for threshold, found in sizes.items()} == {1: 140, 2: 110, 4: 80, 5: 40}


@pytest.mark.usefixtures("quick")
def test_rejected_rows_with_a_score_are_in_it(tmp_path: Path) -> None:
    part = grid(run_data(tmp_path, [*GOOD, *TURNED], [{"filter": {"if": "score >= 4"}}], TEST), "score")
    assert max(line[0] for line in part.tables[0].rows) == 140
    assert part.tables[0].rows == grid(data_of([*GOOD, *TURNED], TEST), "score").tables[0].rows


@pytest.mark.usefixtures("quick")
def test_rows_without_a_score_are_counted() -> None:
    part = grid(data_of([*GOOD, *TURNED, *points(5, 8), {**GOOD[0], "score": "high"}], TEST), "score")
    assert "140 rows" in part.notes[0]
    assert "6 without" in part.notes[0]


def test_errors_name_the_column() -> None:
    with pytest.raises(InputError, match=r"no row .* number in 'scor'; did you mean 'score'"):
        grid(data_of(GOOD, TEST), "scor")
    with pytest.raises(InputError, match="'score' is 3 in all rows"):
        grid(data_of([{**row, "score": 3} for row in GOOD], TEST), "score")
