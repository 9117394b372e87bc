"""hard: rows whose label a student of the rows so far gets wrong."""

from __future__ import annotations

import pytest

from synth_llm import Hard, InputError, Recipe, Source
from synth_llm.encoders import EncoderEntry
from synth_llm.row import Row
from synth_llm.steps import Rejected
from synth_llm.steps.context import Context, Resources
from tests.distribution import circle, rows_of

KNOWN = [{"text": f"{angle}", "label": "low" if angle < 45 else "high"} for angle in range(0, 90, 3)]


def context(step: Hard, examples: list[Row] = KNOWN, accepted: list[Row] | None = None) -> Context:
    recipe = Recipe(
        source=Source(rows=[{"text": "0", "label": "low"}], examples=examples),
        steps=[step],
        encoders={"circle": EncoderEntry(engine="function", function=circle)},
    )
    from pathlib import Path

    return Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), lambda: accepted or [])


def rows(*pairs: tuple[float, str | None]) -> list[Row]:
    return rows_of(*({"text": f"{angle:g}", "label": label} for angle, label in pairs))


def test_what_the_student_misses_is_kept_and_the_rest_says_why_not():
    step = Hard(encoder="circle", least=0.2)
    found = list(step.split(rows((40, "high"), (10, "low"), (2, "high"), (50, None)), context(step)))
    assert isinstance(found[0], dict)
    assert found[0]["missed"] is True
    reasons = [item.reject for item in found[1:] if isinstance(item, Rejected)]
    assert [reject.reason for reject in reasons] == ["easy", "improbable", "missing"]
    assert reasons[1].detail.startswith("high; the student says low, high 0.")


def test_all_rows_can_be_kept_with_what_was_found():
    step = Hard(encoder="circle", least=0.2, on_easy="flag", into="found hard")
    found = list(step.split(rows((40, "high"), (10, "low"), (2, "high")), context(step)))
    assert [row["found hard"] for row in found] == [True, False, False]


def test_the_student_learns_from_accepted_rows_too():
    step = Hard(encoder="circle", least=0)
    accepted = [{"text": f"{angle}", "label": "high"} for angle in range(20, 45)]
    assert isinstance(next(step.split(rows((42, "high")), context(step))), dict)
    ctx = context(step, accepted=accepted)
    assert isinstance(next(step.split(rows((42, "high")), ctx)), Rejected), "it has learned that by now"
    assert ctx.notes.report["rows the student learned from"] == len(KNOWN) + len(accepted)


def test_no_rows_are_no_trouble_and_examples_of_one_label_are_refused():
    step = Hard(encoder="circle")
    assert list(step.split([], context(step))) == []
    have = frozenset({"text", "label"})
    with pytest.raises(InputError, match="fewer than two values of 'label'"):
        step.columns(have, context(step, [{"text": "1", "label": "low"}]).use)
    with pytest.raises(InputError, match="hard: the pool of examples needs column 'label'"):
        step.columns(have, context(step, [{"text": "1"}]).use)
    with pytest.raises(InputError, match="'sft' does not say how sure it is"):
        Hard(student="sft").columns(have, context(step).use)
