"""In a notebook: `run` inside its running loop, and results as HTML that holds what models wrote as text."""

from __future__ import annotations

import asyncio
from pathlib import Path

from synth_llm import Filter, Generate, ModelEntry, Recipe, Result, Source, run, run_async

EVIL = "<script>alert(1)</script> & more"


def recipe() -> Recipe:
    writer = ModelEntry(engine="function", function=lambda request: EVIL)
    return Recipe(
        name="made",
        models={"writer": writer},
        source=Source(rows=[{"kind": "note", "label": "<b>", "shots": []}, {"kind": "", "label": "x", "shots": []}]),
        steps=[Generate(prompt="generate/labelled", model="writer"), Filter(if_="kind != ''")],
    )


def test_run_works_in_a_loop_that_runs(tmp_path: Path) -> None:
    async def cell() -> tuple[Result, Result]:
        return run(recipe(), out=tmp_path / "one"), await run_async(recipe(), out=tmp_path / "two")

    one, two = asyncio.run(cell())
    assert one.complete and one.kept.to_pandas().equals(two.kept.to_pandas())


def test_a_result_shows_its_funnel_and_rows_and_runs_no_script(tmp_path: Path) -> None:
    page = run(recipe(), out=tmp_path)._repr_html_()
    assert "1 rows kept, 1 rejected of 2 candidates (complete)" in page
    assert "condition 1" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "<script" not in page and "<b>note" not in page and "&lt;b&gt;" in page
