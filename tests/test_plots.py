"""The plots: which are drawn, for every table that a part can give, and always the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth_llm import Evaluate
from synth_llm.evaluation import plots
from synth_llm.evaluation.part import Part, Table
from synth_llm.evaluation.parts import Outcome
from synth_llm.evaluation.results import Evaluation

CURVE = [[n, kind, 0.5 + n / 1000, 0.4, 0.9] for kind in ("made and real", "real alone") for n in (0, 10, 100)]
NAMES = ("class", "test rows", "tstr precision", "tstr recall", "tstr F1", "trtr precision", "trtr recall", "trtr F1")
WORTH = [
    "step",
    "rejected",
    "put back",
    "accuracy with",
    "accuracy without",
    "difference",
    "p",
    "same",
    "verdict",
    "why",
]
TABLES = [
    Table("learning curve", "accuracy of probe by number of real rows", ["n", "kind", "value", "low", "high"], CURVE),
    Table("per class", "Each class, by probe", NAMES, [[f"$c_{n}^", n, 1, 1, n / 50, 1, 1, 0.5] for n in range(50)]),
    Table(
        "ceilings",
        "Beside two halves",
        ["figure", "made against real", "two halves of the real rows", "rows a side", "apart"],
        [
            ["mauve", [0.5, 0.4, 0.6], [0.9, 0.8, 1.0], 100, True],
            ["frechet", [3.0, 2.0, 4.0], [1.0, None, None], 9, None],
        ],
    ),
    Table("length_histogram", "Length", ["from", "to", "made", "real"], [[1, 5, 0.5, 0.2], [5, 9, 0.5, 0.8]]),
    Table(
        "ablation",
        "What each step was worth",
        WORTH,
        [
            ["filter: length", 90, 90, 0.7, 0.8, [0.1, 0.05, 0.15], 0.01, [0, 0, 0], "earned", ""],
            ["judge", 90, 90, 0.8, 0.7, [-0.1, -0.15, -0.05], 0.01, [0, 0, 0], "cost", ""],
            ["dedup", 9, 9, 0.8, 0.8, [0.0, -0.05, 0.05], 1.0, [0, 0, 0], "no difference", ""],
        ],
    ),
    Table(
        "grid",
        "accuracy by number of rows and lowest score",
        ["size", "threshold", "value", "low", "high"],
        [[size, at, 0.5 + at / 9, 0.4, 0.9] for size in (10, 11, 100) for at in (0.0, 0.5, 1.0)],
    ),
    Table("words", "Words", ["word"], [["a"]]),
]


def drawn(folder: Path, *tables: Table) -> dict[str, bytes]:
    plots.draw(Evaluation(Evaluate(), folder, [Outcome("utility", Part(tables=list(tables)))]))
    return {path.name: path.read_bytes() for path in sorted((folder / "plots").glob("*"))}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, bytes]:
    return drawn(tmp_path_factory.mktemp("one"), *TABLES)


def test_every_table_with_a_plot_has_one_as_png_and_as_svg(found):
    names = ["ablation", "ceilings", "grid", "learning_curve", "length_histogram", "per_class"]
    assert sorted(found) == sorted(f"{name}.{end}" for name in names for end in ("png", "svg"))
    assert all(found[f"{name}.png"].startswith(b"\x89PNG") and b"<svg" in found[f"{name}.svg"] for name in names)


def test_the_same_tables_give_the_same_bytes(found, tmp_path):
    again = drawn(tmp_path, *TABLES[3:4])
    assert again == {name: found[name] for name in again} and len(again) == 2


def test_plots_of_an_earlier_evaluation_go(tmp_path):
    assert drawn(tmp_path, TABLES[3])
    assert drawn(tmp_path, TABLES[6]) == {}


def test_without_matplotlib_there_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
    found = Evaluation(Evaluate(), tmp_path, [Outcome("utility", Part(tables=TABLES))])
    plots.draw(found)
    assert found.notes == ["no plots: they need the extra 'evaluate': pip install 'synth-llm[evaluate]'"]
