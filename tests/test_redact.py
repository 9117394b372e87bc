"""redact: what a row holds afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import InputError, Recipe, Source
from synth_llm.pii import find
from synth_llm.steps.context import Context, Resources
from synth_llm.steps.redact import Redact, redacted


def applied(step: Redact, *rows: dict[str, Any]) -> tuple[list[dict[str, Any]], Context]:
    recipe = Recipe(source=Source(rows=[{"text": "any"}]), steps=[step])
    ctx = Context(step.title, 0, Resources(recipe, Path()), {}, frozenset(), tuple)
    made = [{"_id": f"id{at}", "_parent": None, "_lineage": [], **row} for at, row in enumerate(rows)]
    return [asyncio.run(step.apply(row, ctx))[0] for row in made], ctx  # type: ignore[misc]


def test_identifiers_become_tags_and_the_rest_stays():
    (row,), ctx = applied(Redact(), {"text": "Ann, a@b.de or 078-05-1120.", "note": "c@d.de"})
    assert row["text"] == "Ann, <EMAIL> or <SSN>."
    assert (row["note"], row["_id"]) == ("c@d.de", "id0")
    assert ctx.notes.report == {"replaced": {"email": 1, "ssn": 1}}


def test_a_mask_keeps_the_form():
    (row,), _ = applied(Redact(**{"with": "mask"}), {"text": "call +1 (415) 555-2671"})
    assert row["text"] == "call +* (***) ***-****"


def test_messages_are_searched_too_and_other_values_stay():
    messages = [{"role": "user", "content": "I am a@b.de"}, {"role": "assistant", "content": "Hello", "n": 3}]
    rows, ctx = applied(Redact(column=["messages", "text"]), {"messages": messages, "text": None}, {"messages": None})
    assert rows[0]["messages"] == [{"role": "user", "content": "I am <EMAIL>"}, messages[1]]
    assert rows[0]["text"] is None
    assert rows[1]["messages"] is None
    assert "text" not in rows[1]
    assert messages[0]["content"] == "I am a@b.de", "the row before is not changed"
    assert ctx.notes.report == {"replaced": {"email": 1}}


def test_what_cannot_run_says_so():
    step, use = (
        Redact(types=["email", "phon"]),
        Resources(Recipe(source=Source(rows=[{"text": "a"}]), steps=[Redact()]), Path()),
    )
    with pytest.raises(InputError, match="did you mean 'phone'"):
        step.columns(frozenset({"text"}), use)
    with pytest.raises(InputError, match="redact needs column 'body'"):
        Redact(column="body").columns(frozenset({"text"}), use)


@given(st.text(alphabet="ab@.de 0123456789-+", max_size=120))
def test_what_was_redacted_is_not_found_again(text):
    spans = find(text)
    again = redacted(text, spans)
    rest = "".join(
        text[one:other]
        for one, other in zip([0, *(s.end for s in spans)], [*(s.start for s in spans), len(text)], strict=True)
    )
    assert len(again) == len(rest) + sum(len(span.type) + 2 for span in spans)
    assert all(text[span.start : span.end] not in again.replace(rest, "") or not rest for span in spans)
