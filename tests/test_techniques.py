"""Techniques compared on one task: what is made, what it costs, and advice that says no more than the figures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from synth_llm import InputError, MissingExtra, ModelEntry, Request, Row
from synth_llm.evaluation import techniques as module
from synth_llm.evaluation.part import Part
from synth_llm.evaluation.techniques import Job, Made, eda, markdown, oversample, prompted, techniques
from synth_llm.measure.interval import Interval
from synth_llm.steps.context import Resources
from tests import tiny_models
from tests.planted import points, recipe

SEEDS = points(12, 1)
TEST = points(200, 2)
TEXTS = [
    {"text": "what a fine film this is", "label": "good"},
    {"text": "a dull and long evening", "label": "bad"},
    {"text": "never again with these actors please", "label": "bad"},
]
LABELS = ("good", "bad")


@pytest.fixture
def use() -> Resources:
    return Resources(recipe([{"text": "0 0"}]), Path())


def job(folder: Path, rows: int = 10, seed: int = 0, **more: object) -> Job:
    return Job(TEXTS, rows, "film review", seed, folder, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [oversample, eda])
def test_classes_are_even_and_the_draw_is_the_seeds(make: module.Technique, tmp_path: Path) -> None:
    made = make(job(tmp_path)).rows
    assert Counter(row["label"] for row in made) == {"good": 5, "bad": 5}
    assert made == make(job(tmp_path)).rows
    assert made != make(job(tmp_path, seed=1)).rows


def test_variants_keep_most_words(tmp_path: Path) -> None:
    words = {name: {word for row in TEXTS if row["label"] == name for word in row["text"].split()} for name in LABELS}
    made = eda(job(tmp_path, 40)).rows
    kept = [len(set(row["text"].split()) - words[row["label"]]) for row in made]
    assert max(kept) <= 1, "one word is another at most"
    assert all(row["text"].strip() for row in made)
    assert sum(row["text"] not in {one["text"] for one in TEXTS} for row in made) > 30


def test_a_word_without_a_variant_stays(tmp_path: Path) -> None:
    one = Job([{"text": "fine", "label": "good"}, {"text": "dull", "label": "bad"}], 4, "word", 0, tmp_path)
    assert {row["text"] for row in eda(one).rows} == {"fine", "dull"}


def test_a_prompted_model_is_shown_seeds_of_the_label_and_paid_once(tmp_path: Path) -> None:
    asked: list[Request] = []

    def write(request: Request) -> str:
        asked.append(request)
        return f"a text of number {request.seed} in some words"

    entry = ModelEntry(engine="function", function=write)
    made = prompted(job(tmp_path, 6, writer=entry))
    assert Counter(row["label"] for row in made.rows) == {"good": 3, "bad": 3}
    shown = [" ".join(turn["content"] for turn in request.messages) for request in asked]
    assert all(("dull" in text) != ("fine film" in text) for text in shown)
    before = len(asked)
    assert prompted(job(tmp_path, 6, writer=entry)).rows == made.rows
    assert len(asked) == before


def test_a_model_that_writes_defects_only_makes_nothing_after_so_many_tries(tmp_path: Path) -> None:
    asked: list[Request] = []

    def write(request: Request) -> str:
        asked.append(request)
        return "no no no no no no no no no no no no no no no no"

    assert prompted(job(tmp_path, 4, writer=ModelEntry(engine="function", function=write))).rows == []
    assert len(asked) <= module.TRIES * 4


def test_the_table_has_all_techniques_beside_the_seeds_alone(
    tmp_path: Path, use: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def more(job: Job) -> Made:
        calls.append(job.seed)
        return Made(points(job.rows, 100 + job.seed), tokens=50, dollars=0.01)

    def wrong(job: Job) -> Made:
        return Made([{**row, "label": "left"} for row in points(job.rows, 200 + job.seed)])

    def missing(job: Job) -> Made:
        raise MissingExtra("it", "train")

    known = {"oversample": oversample, "more": more, "wrong": wrong, "missing": missing}
    monkeypatch.setattr(module, "offered", lambda: known)

    def compared() -> Part:
        return techniques(SEEDS, TEST, kind="point", rows=150, folder=tmp_path, use=use, encoder="plane")

    part = compared()
    [table] = part.tables
    lines = {line[0]: dict(zip(table.columns, line, strict=True)) for line in table.rows}
    assert list(lines) == ["seeds only", "oversample", "more", "wrong"]
    assert lines["more"]["accuracy"][0] > lines["seeds only"]["accuracy"][0] > lines["wrong"]["accuracy"][0]
    assert (lines["more"]["tokens"], lines["more"]["dollars"], lines["more"]["rows"]) == (50, 0.01, 150)
    assert lines["oversample"]["distinct_2"] < lines["more"]["distinct_2"]
    assert {figure.name for figure in part.figures} == {"gain_oversample", "gain_more", "gain_wrong"}
    assert any(note.startswith("missing is left out") for note in part.notes)
    assert any(note.startswith("Do not use wrong here") for note in part.notes)
    assert any("wrong made no row of right" in note for note in part.notes)
    assert "| more | 150 |" in markdown(part)
    assert compared() == part
    assert sorted(calls) == [0, 1, 2], "made once, whatever is asked again"


def test_advice_says_no_more_than_the_figures() -> None:
    flat = module._advice({}, {"one": Interval(0.02, -0.01, 0.05)}, {})
    assert flat == ["No technique is better than seeds only beyond luck; the best is one: +0.020 (-0.010 to +0.050)"]


def test_errors_name_the_row_and_the_technique(tmp_path: Path) -> None:
    def compare(train: list[Row], **more: object) -> None:
        techniques(train, TEST, kind="point", folder=tmp_path, **more)  # type: ignore[arg-type]

    with pytest.raises(InputError, match="no technique 'promted'; did you mean 'prompted'"):
        compare(SEEDS, names=["promted"])
    with pytest.raises(InputError, match="train: row 13 has no 'label'"):
        compare([*SEEDS, {"text": "1 1"}])
    with pytest.raises(InputError, match="train: rows of at least two labels"):
        compare([row for row in SEEDS if row["label"] == "left"])


@pytest.mark.transformers
def test_a_generator_is_trained_on_the_seeds_and_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILTERS", [{"length": {"min_words": 1, "max_words": 100}}])
    model = tiny_models.causal(tmp_path / "tiny")
    settings = {"sft": {"model": str(model), "epochs": 1, "batch": 2, "rank": 2}}
    made = module.fine_tuned(job(tmp_path, 2, settings=settings))
    assert made.tokens > 0
    assert {row["label"] for row in made.rows} <= set(LABELS)
    assert (tmp_path / "generator" / "config.json").is_file()
