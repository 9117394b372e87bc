"""What `check` counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synth_llm import Chunk, Filter, Generate, Judge, LabelCheck, ModelEntry, Recipe, Sample, Source, Target
from synth_llm.errors import InputError
from synth_llm.estimate import Estimate, estimate
from synth_llm.plan import plan
from synth_llm.recipe import Price

WRITER = ModelEntry(engine="openai", model="m", max_tokens=100, price=Price(input=1, output=10))
JUDGE = ModelEntry(engine="openai", model="j", max_tokens=10, temperature=0)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/write.jinja").write_text("Write about {{ topic }}." + " " * 10)
    (tmp_path / "prompts/ask.jinja").write_text("{{ text }}?")
    (tmp_path / "prompts/score.jinja").write_text("---\ngives: {score: 1..5}\n---\nScore this text: {{ text }}")
    (tmp_path / "prompts/label.jinja").write_text("---\ngives: {label: one of labels}\n---\n{{ labels }} {{ text }}")


def counted(source: Source, steps: list[Any], target: Target | None = None) -> Estimate:
    models = {"writer": WRITER, "judge": JUDGE}
    return estimate(plan(Recipe(models=models, source=source, steps=steps, target=target), Path.cwd()))


def test_calls_follow_the_rows_that_each_step_makes() -> None:
    source = Source(rows=[{"topic": "tea"}, {"topic": "rain"}])
    found = counted(source, [Generate(prompt="write", model="writer", n=4), Judge(prompt="score", model="judge")])
    assert (found.source_rows, found.candidates, found.is_least) == (2, 2, False)
    write, score = found.steps
    assert (write.a_candidate, write.calls, write.answer_tokens) == (4, 8, 800)
    assert write.prompt_tokens == round(8 * ((len("Write about tea.") + len("Write about rain.")) / 2 / 4 + 4))
    assert write.dollars == pytest.approx((write.prompt_tokens * 1 + 800 * 10) / 1e6)
    assert (score.a_candidate, score.calls, score.dollars) == (4, 8, None)
    assert score.prompt_tokens > 0  # its text is not there yet: by the template's size


def test_a_target_is_a_lower_bound() -> None:
    steps = [Generate(prompt="write", model="writer", n=4)]
    found = counted(Source(grid={"topic": ["tea", "rain", "snow"]}), steps, Target(rows=30, per="topic"))
    assert (found.candidates, found.is_least, found.steps[0].calls) == (8, True, 32)


def test_steps_that_ask_no_model_are_tried_on_the_first_rows() -> None:
    source = Source(rows=[{"text": "One two three four five six. Seven eight nine ten."}] * 3)
    found = counted(source, [Chunk(words=6), Generate(prompt="ask", model="writer")])
    assert found.steps[0].a_candidate == 2
    assert found.steps[0].calls == 6


def test_shots_and_labels_are_part_of_the_prompt() -> None:
    Path("prompts/shots.jinja").write_text("{% for shot in shots %}{{ shot.text }}{% endfor %} {{ topic }}")
    rows = [{"topic": "tea", "text": "x" * 400}]
    steps = [Sample(n=1), Generate(prompt="shots", model="writer")]
    assert counted(Source(rows=[{"topic": "tea"}], examples=rows), steps).steps[0].prompt_tokens > 100
    check = [LabelCheck(prompt="label", model="judge", label="topic")]
    found = counted(Source(rows=[*rows, {"topic": "rain", "text": "y" * 400}]), check)
    assert found.steps[0].prompt_tokens > 200


def test_rows_that_a_filter_drops_do_not_stop_the_count() -> None:
    steps = [Filter.model_validate({"if": "topic == 'snow'"}), Generate(prompt="write", model="writer")]
    assert counted(Source(rows=[{"topic": "tea"}]), steps).steps[0].calls == 1


def test_empty_rows_have_no_end() -> None:
    Path("prompts/free.jinja").write_text("Write.")
    found = counted(Source(empty=True), [Generate(prompt="free", model="writer")], Target(rows=7))
    assert (found.source_rows, found.candidates) == (None, 7)


def test_a_malformed_row_far_down_is_found() -> None:
    Path("rows.jsonl").write_text('{"topic": "tea"}\n' * 300 + "{\n")
    with pytest.raises(InputError, match=r"rows.jsonl:301: "):
        counted(Source(file="rows.jsonl"), [Generate(prompt="write", model="writer")])
