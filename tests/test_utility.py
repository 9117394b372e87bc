"""Utility, on points of a plane: what is better is called better, and what is the same is not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import InputError, Row
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.evaluation.training_sets import repeated, stratified_order, within_words
from synth_llm.evaluation.utility import utility
from synth_llm.student import registry
from tests.planted import data_of, flipped, points, run_data

TEST = points(300, 99)
REAL = points(120, 1)
FEW: dict[str, Any] = {"seeds": 3, "sizes": [0, 10, "all"]}


def data(made: Sequence[Row], *, real: Sequence[Row] = (), examples: Sequence[Row] = (), **more: Any) -> Data:
    found = data_of(made, more.pop("test", TEST), **{**FEW, **more})
    if real:
        found.real = Side("real", list(real), ["text"], "label")
    if examples:
        found.examples = Side("examples", list(examples), ["text"], "label")
    return found


def figures(part: Part) -> dict[str, Figure]:
    names = [figure.name for figure in part.figures]
    assert len(set(names)) == len(names)
    return {figure.name: figure for figure in part.figures}


def table(part: Part, name: str) -> Table:
    return next(one for one in part.tables if one.name == name)


def test_made_rows_as_good_as_real_ones_are_not_told_from_them() -> None:
    found = figures(utility(data(points(120, 2), real=REAL)))
    assert found["tstr"].value is not None and found["tstr"].value > 0.85
    assert found["tstr"].beside == found["trtr"].value
    less = found["tstr_less_trtr"]
    assert less.low is not None and less.high is not None and less.low < 0 < less.high


def test_wrong_labels_are_called_worse_and_real_rows_mend_them() -> None:
    half = points(60, 3)
    found = figures(part := utility(data([*half, *flipped(points(50, 4))], real=REAL, examples=REAL[:8])))
    assert found["tstr_less_trtr"].high is not None and found["tstr_less_trtr"].high < 0
    verdicts = {line[0]: line[3] for line in table(part, "differences").rows}
    assert verdicts["tstr less trtr"] == "worse"
    assert found["mix_all"].value > found["tstr"].value  # type: ignore[operator]
    assert found["seeds_only"].value is not None and found["oversample"].value is not None
    assert found["mix_10"].beside == found["real_10"].value
    assert found["tstr_matched_rows"].beside is not None and found["tstr_matched_rows_less_trtr"].beside == 0


def test_all_sets_are_in_one_table_with_their_rows_and_draws() -> None:
    part = utility(data(points(100, 2), real=REAL, examples=REAL[:8]))
    lines = {line[0]: line for line in table(part, "comparison").rows}
    assert (lines["tstr"][3:5], lines["trtr"][3:5]) == ([100, 1], [120, 1])
    assert lines["mix_10"][3:5] == [110, 3] and lines["real_10"][3:5] == [10, 3]
    assert lines["tstr_matched_rows"][3:5] == [100, 1] and lines["trtr_matched_rows"][3:5] == [100, 3]
    assert lines["seeds_only"][3] == 8 and lines["oversample"][3] == 100
    assert {"trts", "always_commonest", "mix_0", "mix_all", "real_all"} <= set(lines)
    assert lines["mix_0"][5] == lines["tstr"][5] and lines["real_all"][5] == lines["trtr"][5]
    curve = table(part, "learning curve")
    assert list(curve.columns) == ["n", "kind", "value", "low", "high"]
    assert [line[:2] for line in curve.rows] == [
        *([n, "made and real"] for n in (0, 10, 120)),
        *([n, "real alone"] for n in (10, 120)),
    ]
    assert [line[:2] for line in table(part, "per class").rows] == sorted(
        [label, count] for label, count in Counter(row["label"] for row in TEST).items()
    )
    json.dumps([part.figures, part.tables], allow_nan=False)


def test_without_real_rows_there_is_still_what_a_student_learns() -> None:
    found = figures(part := utility(data(points(100, 2))))
    assert {"tstr", "tstr_macro_f1", "gan_train"} <= set(found)
    assert not {"trtr", "trts", "mix_0", "seeds_only"} & set(found)
    assert "learning curve" not in {one.name for one in part.tables}


def test_baselines_can_be_left_out() -> None:
    found = figures(utility(data(points(100, 2), real=REAL, examples=REAL[:8], baselines=[])))
    assert not {"trtr", "trts", "seeds_only", "oversample", "real_10", "tstr_matched_rows"} & set(found)
    assert "mix_10" in found


def test_settings_that_a_student_does_not_have_are_refused_before_any_work() -> None:
    with pytest.raises(InputError, match="no setting 'epoch'"):
        utility(data(points(40, 2), student_settings={"epoch": 3}))
    with pytest.raises(InputError, match="no student 'prob'; did you mean 'probe'"):
        utility(data(points(40, 2), student="prob"))


def test_the_same_evaluation_has_the_same_figures() -> None:
    one, again = (utility(data(points(60, 2), real=REAL[:40], sizes=[10])) for _ in range(2))
    assert (one.figures, one.tables) == (again.figures, again.tables)


@pytest.mark.parametrize(
    ("seeds", "said"), [(1, ["One seed"]), (2, ["2 seeds tell little of the spread between draws"]), (5, [])]
)
def test_too_few_seeds_are_named(seeds: int, said: list[str]) -> None:
    notes = utility(data(points(40, 2), seeds=seeds)).notes
    assert [note.partition(":")[0] for note in notes if note.startswith(("One seed", "2 seeds"))] == said


def test_a_curated_run_is_held_against_its_candidates(tmp_path: Path) -> None:
    good = [{**row, "kind": "good"} for row in points(60, 5)]
    bad = [{**row, "kind": "bad"} for row in flipped(points(60, 6))]
    blank = [{"text": " ", "label": "left", "kind": "bad"}]
    part = utility(run_data(tmp_path, [*good, *bad, *blank], [{"filter": {"if": "kind == 'good'"}}], TEST, **FEW))
    found = figures(part)
    lines = {line[0]: line for line in table(part, "comparison").rows}
    assert lines["tstr_random"][3:5] == [60, 3] and lines["tstr_candidates"][3:5] == [120, 1]
    assert found["tstr_less_random"].low is not None and found["tstr_less_random"].low > 0
    assert any("1 rejected row" in note for note in part.notes)
    assert any(note.startswith("Cost: 0.0000 dollars and 0 tokens for 60 kept rows") for note in part.notes)
    [budget] = table(part, "matched budgets").rows
    assert budget[:3] == ["dollars", 0.0, "tstr"] and budget[4] == "tstr_candidates"


def test_a_file_has_no_candidates_and_says_so() -> None:
    part = utility(data(points(40, 2)))
    assert "tstr_random" not in figures(part)
    assert any("only the folder of a run" in note for note in part.notes)


def test_a_class_that_nobody_made_is_named() -> None:
    odd = [*TEST, *({"text": "0 0", "label": "middle"} for _ in range(20))]
    part = utility(data([*points(80, 2), {"text": "1 1", "label": "Right"}], test=odd))
    assert any("No made row has class middle: 6.2% of the test rows" in note for note in part.notes)
    assert any("No test row has class Right" in note for note in part.notes)
    assert figures(part)["tstr"].unit == "macro-F1"  # 20 of 320 are no even class
    assert "tstr_accuracy" in figures(part)
    [line] = [line for line in table(part, "per class").rows if line[0] == "middle"]
    assert line[:5] == ["middle", 20, None, 0.0, 0.0]


def test_real_rows_of_one_class_teach_to_say_it() -> None:
    one = [row for row in REAL if row["label"] == "left"]
    part = utility(data(points(80, 2), real=[*one, *(row for row in REAL if row["label"] == "right")][: len(one) + 2]))
    always = next(line for line in table(part, "comparison").rows if line[0] == "real_10")
    assert always[4] == 3 and always[5][0] == pytest.approx(sum(row["label"] == "left" for row in TEST) / 300, abs=1e-4)
    part = utility(data(points(80, 2), real=one))
    assert "trtr" not in figures(part) and any("Nothing learned from real alone" in note for note in part.notes)


class Drawing:
    """A student that says a class at random, and counts how often it was taught."""

    draws = True
    fits: ClassVar[list[int]] = []

    def __init__(self, task: Any, seed: int) -> None:
        self.task, self.seed = task, seed

    def fit(self, rows: Sequence[Row]) -> Drawing:
        Drawing.fits.append(self.seed)
        self.known = sorted({row[self.task.label] for row in rows})
        return self

    def predict(self, rows: Sequence[Row]) -> list[str]:
        draws = np.random.default_rng(self.seed)
        return [self.known[at] for at in draws.integers(0, len(self.known), len(rows))]


def test_a_second_student_has_figures_of_its_own_and_is_fitted_with_every_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = registry.student("probe")
    monkeypatch.setattr("synth_llm.evaluation.learned.student", {"drawing": Drawing, "probe": real}.get)
    monkeypatch.setattr(Drawing, "fits", [])

    def run() -> Part:
        return utility(
            data(points(80, 2), real=REAL, student=["probe", "drawing"], sizes=[10], store=tmp_path / "store")
        )

    found = figures(part := run())
    assert found["tstr_drawing"].value == pytest.approx(0.5, abs=0.1) and found["tstr"].value > 0.85  # type: ignore[operator]
    assert {"tstr_less_trtr_drawing", "mix_10_less_real_10_drawing", "gan_test_drawing"} <= set(found)
    draws = {(line[0], line[2]): line[4] for line in table(part, "comparison").rows}
    assert draws["tstr", "probe"] == 1 and draws["tstr", "drawing"] == 3 and draws["trts", "drawing"] == 3
    assert {"learning curve", "learning curve_drawing", "per class_drawing"} <= {one.name for one in part.tables}
    fits = len(Drawing.fits)
    assert figures(run()) == found
    assert len(Drawing.fits) == fits  # a second evaluation goes on where the first one stopped


# The sets


@settings(max_examples=30, deadline=None)
@given(labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=60), seed=st.integers(0, 9))
def test_every_beginning_of_a_stratified_order_has_the_classes_in_their_shares(labels: list[str], seed: int) -> None:
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    for n in range(1, len(labels) + 1):
        counts = Counter(labels[at] for at in order[:n])
        for label, count in Counter(labels).items():
            assert abs(counts[label] - n * count / len(labels)) < 2


@settings(max_examples=40, deadline=None)
@given(labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=30), each=st.integers(1, 40))
def test_oversampling_evens_the_classes_and_uses_all_rows_alike(labels: list[str], each: int) -> None:
    side = Side("few", [{"text": str(at), "label": label} for at, label in enumerate(labels)], ["text"], "label")
    [piece] = repeated(side, each, np.random.default_rng(0))
    assert Counter(labels[at] for at in piece.rows) == dict.fromkeys(set(labels), each)
    for label in set(labels):
        times = Counter(at for at in piece.rows if labels[at] == label)
        least = min(times.get(at, 0) for at, one in enumerate(labels) if one == label)
        assert max(times.values()) - least <= 1


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=30), budget=st.integers(1, 100))
def test_rows_within_a_budget_of_words_are_as_many_as_fit(lengths: list[int], budget: int) -> None:
    side = Side("made", [{"text": "w " * length} for length in lengths], ["text"])
    [piece] = within_words(side, lengths, budget, np.random.default_rng(1))
    used = sum(lengths[at] for at in piece.rows)
    assert used <= budget or len(piece.rows) == 1
    assert used + max(lengths) > budget or len(piece.rows) == len(lengths)


def test_a_set_that_is_the_real_rows_scores_what_these_do() -> None:
    found = figures(utility(data(list(REAL), real=REAL, sizes=[10])))
    assert found["tstr"].value == found["trtr"].value
    assert found["tstr_less_trtr"].value == 0 and found["trts"].value is not None
