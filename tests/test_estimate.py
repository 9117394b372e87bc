"""What `check` counts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from synth_llm import (
    Answer,
    Chunk,
    Filter,
    Generate,
    Judge,
    LabelCheck,
    Limits,
    ModelEntry,
    Recipe,
    Request,
    Sample,
    Source,
    Target,
    run,
    summary,
)
from synth_llm.errors import InputError
from synth_llm.estimate import Estimate, estimate
from synth_llm.execute import preview
from synth_llm.models.request import body_of
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


def answering(tokens: int = 40, accept: float = 1.0) -> ModelEntry:
    """A model whose answers have about so many tokens, and of whose texts about a share is long enough."""

    def answer(request: Request) -> Answer:
        draw = random.Random(request.key)
        text = "a text of some words" if draw.random() < accept else "no"
        length = max(1, round(tokens * draw.lognormvariate(0, 0.3)))
        return Answer(body_of(text, prompt_tokens=25, completion_tokens=length))

    return ModelEntry(engine="function", function=answer, price=Price(input=1, output=10), max_tokens=1000)


def paid_recipe(rows: int, **settings: Any) -> Recipe:
    return Recipe(
        name="paid",
        models={"writer": answering(**settings)},
        source=Source(grid={"topic": [f"topic {n}" for n in range(rows)]}),
        steps=[Generate(prompt="write", model="writer", n=2), Filter(use=[{"length": {"min_words": 3}}])],
    )


def test_ten_previewed_rows_tell_what_a_run_costs() -> None:
    recipe = paid_recipe(300, accept=0.7)
    guess = estimate(plan(recipe, Path()), Path("runs/paid"))
    assert (guess.known, guess.steps[0].answers) == (None, 0)
    assert guess.steps[0].answer_tokens == 600 * 1000
    preview(recipe, n=10)
    found = estimate(plan(recipe, Path()), Path("runs/paid"))
    assert found.known is not None
    assert (found.known.candidates, found.steps[0].answers, found.calls) == (10, 20, 600)
    spent = run(recipe).manifest["spent"]["all runs"]
    assert found.dollars == pytest.approx(spent["dollars"], rel=0.25)
    assert found.steps[0].prompt_tokens == spent["prompt_tokens"]


def test_a_target_is_estimated_by_what_was_accepted() -> None:
    recipe = paid_recipe(40, accept=0.6).model_copy(update={"target": Target(rows=200)})
    preview(recipe, n=20)
    found = estimate(plan(recipe, Path()), Path("runs/paid"))
    assert not found.is_least
    low, high = (found.candidates * factor for factor in found.share)
    manifest = run(recipe).manifest
    assert low <= manifest["counts"]["candidates"] <= high
    assert found.dollars == pytest.approx(manifest["spent"]["all runs"]["dollars"], rel=0.25)
    assert found.dollars * found.share[0] < found.dollars < found.dollars * found.share[1]


def test_no_accepted_row_leaves_a_lower_bound() -> None:
    recipe = paid_recipe(40, accept=0.0).model_copy(update={"target": Target(rows=10)})
    preview(recipe, n=5)
    ready = plan(recipe, Path())
    found = estimate(ready, Path("runs/paid"))
    assert (found.is_least, found.candidates) == (True, 5)
    assert "none of 5 candidates was accepted yet" in summary.checked(ready, found, Path("runs/paid"))


def test_what_was_measured_of_another_recipe_is_not_used_but_answers_of_a_step_are() -> None:
    recipe = paid_recipe(40)
    preview(recipe, n=10)
    other = recipe.model_copy(update={"steps": [recipe.steps[0]]})
    assert estimate(plan(other, Path()), Path("runs/paid")).known is None
    dearer = recipe.model_copy(
        update={"models": {"writer": recipe.models["writer"].model_copy(update={"price": Price(input=2, output=20)})}}
    )
    once, twice = (estimate(plan(one, Path()), Path("runs/paid")).dollars for one in (recipe, dearer))
    assert once
    assert twice == pytest.approx(2 * once)


def test_a_preview_after_a_change_counts_more_than_what_was_before() -> None:
    preview(paid_recipe(40, tokens=400), n=12)
    preview(paid_recipe(40, tokens=20).model_copy(update={"seed": 1}), n=12)
    found = estimate(plan(paid_recipe(40), Path()), Path("runs/paid"))
    assert found.steps[0].answer_tokens < found.steps[0].calls * 60


def test_check_says_what_it_knows_and_from_where() -> None:
    recipe, folder = paid_recipe(40), Path("runs/paid")
    ready = plan(recipe, Path())
    before = summary.checked(ready, estimate(ready, folder), folder)
    assert "a guess: runs/paid holds nothing measured yet; `synth-llm preview` measures" in before
    assert "price of writer: $1 a million prompt tokens, $10 a million answer tokens (the recipe)" in before
    preview(recipe, n=10)
    after = summary.checked(ready, estimate(ready, folder), folder)
    assert "20 answers" in after
    assert "about 80 calls for about 40 candidates" in after
    assert "by: 10 candidates that went through the steps in runs/paid" in after
    assert "of it, 20 requests for $" in after
    assert "guess" not in after
    assert "max_tokens" not in after


def test_check_says_which_limit_will_stop_the_run() -> None:
    limits = Limits(dollars=0.001, requests=1000)
    recipe, folder = paid_recipe(40).model_copy(update={"limits": limits}), Path("runs/paid")
    ready = plan(recipe, Path())
    said = summary.checked(ready, estimate(ready, folder), folder)
    assert "limit: limits.dollars 0.001 will stop the run before its end" in said
    assert "limits.requests" not in said


def test_an_unknown_price_is_no_number() -> None:
    entry = ModelEntry(engine="openai", model="nobody-knows-it")
    steps = [Generate(prompt="write", model="w")]
    ready = plan(Recipe(models={"w": entry}, source=Source(rows=[{"topic": "tea"}]), steps=steps), Path())
    found = estimate(ready)
    assert (found.dollars, found.steps[0].dollars) == (None, None)
    said = summary.checked(ready, found, Path("runs/x"))
    assert "price of w: unknown (no price table knows 'nobody-knows-it' at api.openai.com); write `price:" in said
    assert "dollars: unknown, for want of a price of w" in said
