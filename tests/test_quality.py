"""quality: what is learned from rated rows, what it is worth, and which files of ratings are refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import InputError
from synth_llm.quality import STATISTICS, auroc, auroc_interval, features, statistics
from synth_llm.steps.quality import Quality
from synth_llm.text import read
from tests.distribution import Outcome, rows_of

GOOD = "The river rose by two metres, so the town moved its market uphill and sold fish there."
BAD = "stuff stuff AND more stuff !!!! stuff stuff ... stuff"


def rated(folder: Path, number: int = 80, label: Any = lambda good: good, **change: Any) -> Path:
    """A file of rated rows: good ones are prose, the others are not; words differ from row to row."""
    draw, path = random.Random(1), folder / "rated.jsonl"
    rows = []
    for at in range(number):
        words = (GOOD if at % 2 else BAD).split()
        draw.shuffle(words)
        rows.append({"text": f"{' '.join(words[: draw.randint(6, 12)])}", "ok": label(bool(at % 2)), **change})
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def quality(path: Path, label: str = "ok", good: float | None = None, **settings: Any) -> Quality:
    fit = {"file": str(path), "label": label, "good": good}
    return Quality.model_validate({"fit": fit, "column": ["text"], "embed": False, **settings})


def test_rows_like_the_good_ones_score_higher_and_the_manifest_says_how_well(tmp_path: Path) -> None:
    outcome = Outcome(quality(rated(tmp_path)), rows_of({"text": GOOD}, {"text": BAD}))
    high, low = outcome.values("quality")
    assert 0 <= low < high <= 1
    report = outcome.report["fit"]
    assert report["rated"] == 80 and report["good"] == 40
    assert report["held-out AUROC"] > 0.95
    assert report["interval"][0] <= report["held-out AUROC"] <= report["interval"][1]


def test_below_the_threshold_a_row_is_rejected_with_its_score(tmp_path: Path) -> None:
    outcome = Outcome(quality(rated(tmp_path), threshold=0.5), rows_of({"text": GOOD}, {"text": BAD}))
    assert outcome.values() == [GOOD]
    reject = outcome.rejects["id1"]
    assert reject.reason == "low quality" and reject.value is not None and reject.value < 0.5
    assert reject.detail == f"{reject.value:.3f}; at least 0.5 wanted"
    assert outcome.context.notes.as_dict()["scores"]["quality"]["rows"] == {"kept": 1, "rejected": 1}


def test_the_score_does_not_depend_on_the_order_of_the_rated_rows(tmp_path: Path) -> None:
    path = rated(tmp_path)
    first = Outcome(quality(path), rows_of({"text": GOOD}))
    path.write_text("\n".join(reversed(path.read_text().splitlines())))
    again = Outcome(quality(path), rows_of({"text": GOOD}))
    assert first.kept == again.kept and first.report == again.report


def test_labels_that_say_nothing_rank_like_a_coin(tmp_path: Path) -> None:
    draw = random.Random(3)
    outcome = Outcome(quality(rated(tmp_path, 200, lambda _: draw.random() < 0.5)), rows_of({"text": GOOD}))
    low, high = outcome.report["fit"]["interval"]
    assert low < 0.55 and high > 0.45


def test_ratings_need_to_say_what_is_good(tmp_path: Path) -> None:
    path = rated(tmp_path, label=lambda good: 5 if good else 2.5)
    with pytest.raises(
        InputError, match=r"rated.jsonl:1: quality: the label 'ok' is 2.5, neither true nor false; of rat"
    ):
        Outcome(quality(path), rows_of({"text": GOOD}))
    assert Outcome(quality(path, good=4), rows_of({"text": GOOD})).report["fit"]["good"] == 40


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"label": "okay"}, r"rated.jsonl:1: quality: a rated row needs column 'okay'; the rows have .*'ok'"),
        ({"ok": None}, {}, "the label 'ok' is None, neither true nor false"),
        ({"ok": "great"}, {"good": 3}, "the label 'ok' is 'great', not a rating"),
        ({"ok": True}, {}, "80 good of 80 rated rows; 20 of each kind are needed"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    tmp_path: Path, change: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Outcome(quality(rated(tmp_path, **change), **settings), rows_of({"text": GOOD}))


def test_columns_are_checked_before_anything_runs(tmp_path: Path) -> None:
    outcome = Outcome(quality(rated(tmp_path)), [])
    use = outcome.context.use
    assert quality(rated(tmp_path)).columns(frozenset({"text"}), use) == {"text", "quality"}
    with pytest.raises(InputError, match="needs column 'text'"):
        quality(rated(tmp_path)).columns(frozenset({"words"}), use)
    with pytest.raises(InputError, match="already have a column 'text'; name another one in 'into'"):
        quality(rated(tmp_path), into="text").columns(frozenset({"text"}), use)


@given(st.text(max_size=200), st.text(max_size=200))
def test_features_are_finite_whatever_the_texts(one: str, other: str) -> None:
    assert len(statistics(read(one))) == len(STATISTICS)
    assert np.isfinite(features([one, "", other])).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    scores, good = np.array([score for score, _ in pairs]), np.array([is_good for _, is_good in pairs])
    if good.all() or not good.any():
        with pytest.raises(ValueError, match="both kinds"):
            auroc(scores, good)
        return
    won = [(high > low) + 0.5 * (high == low) for high in scores[good] for low in scores[~good]]
    assert auroc(scores, good) == pytest.approx(float(np.mean(won)))


def test_the_interval_of_a_difference_to_itself_is_zero() -> None:
    scores, good = np.arange(40.0), np.arange(40) % 3 == 0
    assert auroc_interval(scores, good, 0, against=scores) == [0.0, 0.0]
    low, high = auroc_interval(scores, good, 0)
    assert low < auroc(scores, good) < high
