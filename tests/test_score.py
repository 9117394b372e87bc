"""score and slor: numbers from the log-probabilities of given texts."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm import InputError, ModelEntry, Recipe, Source, run
from synth_llm.errors import FatalError
from synth_llm.measure.fluency import ifd, perplexity, slor
from synth_llm.models.request import Answer, Request
from synth_llm.models.scoring import of_answer, of_text, scored
from synth_llm.models.vllm import Vllm
from synth_llm.models.wire import Wire
from synth_llm.steps import Filter, Score, Slor
from synth_llm.steps.context import Resources
from tests import fake_vllm

LOGPROBS = st.lists(st.floats(-20, -0.01), min_size=1, max_size=30)


def words(request: Request) -> Answer:
    """A model for which a word of n letters has the log-probability -n, half of that after its question."""
    said = request.messages[-1]["content"]
    share = 1.0 if len(request.messages) == 1 else 0.5
    tokens = [(word, -share * len(word)) for word in said.split()]
    if request.raw is None:
        logprobs: Any = {"content": [{"token": word, "logprob": value} for word, value in tokens]}
    else:
        values = [None, *(value for _, value in tokens[1:]), -0.1]
        logprobs = {"tokens": [*(word for word, _ in tokens), "and"], "token_logprobs": values}
    completion = int(request.raw is not None)
    usage = {"prompt_tokens": len(tokens), "completion_tokens": completion}
    choice = {"text": said} if completion else {"message": {"content": said}}
    return Answer(json.dumps({"choices": [{**choice, "logprobs": logprobs}], "usage": usage}).encode())


def entry(model: Any = words, **settings: Any) -> ModelEntry:
    return ModelEntry(engine="function", model="lm", function=model, **settings)


def made(*steps: Any, rows: list[dict[str, Any]], model: ModelEntry | None = None, out: Path | None = None) -> Any:
    recipe = Recipe(models={"lm": model or entry()}, source=Source(rows=rows), steps=list(steps))
    return run(recipe, out=out)


def column(result: Any, name: str) -> list[Any]:
    return [row[name] for row in result.kept]


# the measures


def test_the_perplexity_of_equal_choices_is_their_number():
    assert perplexity([math.log(1 / 8)] * 5) == pytest.approx(8)
    assert perplexity([-9999.0]) < math.inf
    with pytest.raises(ValueError, match="no tokens"):
        perplexity([])


@given(LOGPROBS)
def test_measures_keep_their_bounds(logprobs):
    assert perplexity(logprobs) >= 1
    assert ifd(logprobs, logprobs) == pytest.approx(1)
    assert slor(logprobs, logprobs) == pytest.approx(0)
    assert ifd([value / 2 for value in logprobs], logprobs) == pytest.approx(0.5)


def test_slor_is_of_the_papers_equation():
    # (ln p(S) - ln p_u(S)) / |S| = ((-1 - 3) - (-4 - 4)) / 2
    assert slor([-1.0, -3.0], [-4.0, -4.0]) == 2
    with pytest.raises(ValueError, match="2 tokens"):
        slor([-1.0, -3.0], [-4.0])


# the steps


def test_perplexity_is_a_column_that_a_filter_holds_a_threshold_against():
    rows = [{"text": "a bb cc"}, {"text": "a bbbbbb cc"}, {"text": " "}, {"text": "word"}]
    result = made(Score(model="lm"), rows=rows)
    assert column(result, "perplexity") == [pytest.approx(math.exp(2)), pytest.approx(math.exp(4)), None, None]
    fluent = made(Score(model="lm"), Filter(**{"if": "perplexity and perplexity < 20"}), rows=rows[:2])
    assert column(fluent, "text") == ["a bb cc"]


def test_ifd_compares_the_same_tokens_with_and_without_the_instruction():
    rows = [{"q": "say it", "more": "", "text": "yes I do"}, {"q": "say it", "more": "now", "text": "ah"}]
    result = made(Score(by="ifd", model="lm", given=["q", "more"], into="hard"), rows=rows)
    assert column(result, "hard") == [pytest.approx(0.5), None], "of one token none can be compared"
    assert all(len(row["_lineage"]) == 2 for row in result.kept)


def test_without_a_chat_template_the_instruction_is_joined_to_the_answer():
    assert of_answer("m", "", "say it", "yes", chat=False).raw == "say it\n\nyes"
    assert [message["role"] for message in of_answer("m", "", "say it", "yes", chat=True).messages] == [
        "user",
        "assistant",
    ]


def test_slor_counts_tokens_in_all_rows_and_asks_nothing(tmp_path):
    rows = [{"text": "a bb bb"}, {"text": "a cc bb"}, {"text": ""}]
    steps = (Score(model="lm"), Slor(of="lm"))
    result = made(*steps, rows=rows, out=tmp_path / "run")
    common, rare = math.log(3 / 6), math.log(1 / 6)  # of six tokens three are bb, one is cc
    assert column(result, "slor") == [
        pytest.approx(-2 - common),
        pytest.approx(-2 - (rare + common) / 2),
        None,
    ]

    def silent(request: Request) -> Answer:
        raise AssertionError("everything is in the journal")

    again = made(*steps, rows=rows, model=entry(silent), out=tmp_path / "run")
    assert column(again, "slor") == column(result, "slor")


def plan_error(*steps: Any, **model: Any) -> str:
    models = {"lm": ModelEntry(**{"engine": "openai", "model": "m", **model})}
    recipe = Recipe(models=models, source=Source(rows=[{"text": "any"}]), steps=list(steps))
    with pytest.raises(InputError) as caught:
        recipe.steps[-1].columns(frozenset({"text", "q"}), Resources(recipe, Path()))  # type: ignore[attr-defined]
    return caught.value.message


def test_what_cannot_run_says_so_at_plan_time():
    local = plan_error(Score(model="lm"), engine="local", model=None)
    assert "local (llama.cpp) does not score given text" in local
    assert "transformers, vllm" in local
    assert plan_error(Score(model="lm", column="body")).startswith("score needs column 'body'")
    assert "already have" in plan_error(Score(model="lm", into="q"))
    assert "no model 'ml'" in plan_error(Score(model="ml"))
    assert "score: {model: lm, column: text}" in plan_error(Score(model="lm", column="q"), Slor(of="lm"))
    assert "score: {model: lm, column: text}" in plan_error(Slor(of="lm"))
    with pytest.raises(ValueError, match="given"):
        Score(by="ifd", model="lm")
    with pytest.raises(ValueError, match="given"):
        Score(model="lm", given="q")


def test_a_text_that_the_model_refuses_is_rejected():
    def model(request: Request) -> Answer:
        if "long" in request.messages[0]["content"]:
            return Answer(b'{"error": {"message": "too long"}}', 400)
        return words(request)

    result = made(Score(model="lm"), rows=[{"text": "a bb"}, {"text": "a long text"}], model=entry(model))
    assert [row["text"] for row in result.kept] == ["a bb"]
    assert result.rejected[0]["reason"] == "bad request"


# requests and answers


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"text": "more"}]},
        {"choices": [{"text": "more", "logprobs": None}]},
        {"choices": [{"text": "m", "logprobs": {"tokens": ["m"], "token_logprobs": [-1.0]}}]},
        {"choices": [{"text": "m", "logprobs": {"content": [{"token": "m", "logprob": -1.0}]}}]},
        {"choices": []},
        [],
    ],
)
def test_an_endpoint_that_ignores_echo_ends_the_run_in_one_line(body):
    with pytest.raises(FatalError, match="does not score given text"):
        scored(Answer(json.dumps(body).encode()))


def test_an_endpoint_is_asked_in_the_form_of_completions():
    sent = json.loads(Wire().body(of_text("m", "", "A text.")))
    wanted = {"model": "m", "prompt": "A text.", "temperature": 0, "max_tokens": 1, "echo": True, "logprobs": 1}
    assert sent == wanted


def test_vllm_in_this_process_scores_the_prompt(monkeypatch):
    fake_vllm.install(monkeypatch)

    async def ask(request: Request) -> Answer:
        model = Vllm("lm")
        try:
            return await model.answer(request)
        finally:
            await model.close()

    whole = scored(asyncio.run(ask(of_text("", "", "a bb"))))
    assert [token.logprob for token in whole] == [None, -0.5, -0.5]
    last = scored(asyncio.run(ask(of_answer("", "", "say it", "yes I", chat=True))))
    assert [token.logprob for token in last] == [-0.5, -0.5]
