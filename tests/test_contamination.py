"""Contamination: every planted leak is found by its tier, and named with the item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from synth_llm import Recipe, Source
from synth_llm.evaluation.contamination import SHOWN, contamination
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Part
from synth_llm.evaluation.settings import Evaluate
from synth_llm.steps import Filter
from synth_llm.steps.context import Resources

ITEM = "How many apples has Ann if she buys three bags of seven apples each day of the week"


def letters(texts: list[str]) -> Any:
    return np.array(
        [[text.lower().count(letter) + 0.01 for letter in "abcdefghijklmnop"] for text in texts], np.float32
    )


def evaluated(texts: list[str], folder: Path, items: list[str]) -> Part:
    (folder / "bench.jsonl").write_text("".join(json.dumps({"text": item}) + "\n" for item in items))
    recipe = Recipe(
        source=Source(rows=[{"text": "a"}]),
        steps=[Filter(use=["length"])],
        encoders={"own": {"engine": "function", "function": letters}},
    )
    settings = Evaluate(encoder="own", against=["bench.jsonl"])
    return contamination(
        Data(settings, Resources(recipe, folder), Side("made", [{"text": one} for one in texts], ["text"]))
    )


def test_each_tier_finds_its_leak(tmp_path: Path) -> None:
    words = ITEM.split()
    texts = [
        ITEM.upper() + " ?",
        "zzz qqq " + " ".join(words[2:15]) + " qqq zzz yyy xxx vvv uuu",
        " ".join(reversed(words)),
        "zzz yyy xxx",
    ]
    part = evaluated(texts, tmp_path, [ITEM, "kkk lll mmm nnn ooo ppp"])
    figure = part.figures[0]
    assert figure.name == "contaminated" and figure.value == 0.75 and figure.low is not None
    leaks = next(table for table in part.tables if table.name == "leaks").rows
    assert [(row, item) for row, item, _ in leaks] == [(number, "bench.jsonl 1") for number in (1, 2, 3)]
    assert [how.split("(")[1].split(",")[0] for _, _, how in leaks] == ["exact", "ngram", "meaning"]
    assert part.tables[0].rows == [["bench.jsonl", 2, 1, 3]]


def test_a_clean_set_is_clean_and_a_long_list_is_cut(tmp_path: Path) -> None:
    clean = evaluated(["zzz yyy", "xxx"], tmp_path, [ITEM])
    assert clean.figures[0].value == 0 and [table.name for table in clean.tables] == ["contamination"]
    full = evaluated([ITEM] * (SHOWN + 5), tmp_path, [ITEM])
    assert len(full.tables[1].rows) == SHOWN and str(SHOWN + 5) in full.notes[0]
