"""Scores of given texts: the engine transformers, on a model made here and on the packaged one."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from synth_llm.errors import FatalError
from synth_llm.models import likelihood
from synth_llm.models.request import Answer, Request
from synth_llm.models.transformers import Transformers
from tests import tiny_models

pytestmark = [pytest.mark.transformers, pytest.mark.filterwarnings("ignore")]

SMOLLM = Path.home() / ".cache/synth-llm/models/smollm2-135m-instruct-hf"


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.causal(tmp_path_factory.mktemp("models") / "causal")


def request(*texts: str, role: str = "user") -> Request:
    roles = [role, "assistant"]
    messages = tuple({"role": one, "content": text} for one, text in zip(roles, texts, strict=False))
    return Request("", messages, {"temperature": 0, "max_tokens": 1, "echo": True, "logprobs": 1})


def ask(folder: Path, *requests: Request) -> list[Answer]:
    async def together() -> list[Answer]:
        model = Transformers(str(folder))
        try:
            return await asyncio.gather(*[model.answer(one) for one in requests])
        finally:
            await model.close()

    return asyncio.run(together())


def logprobs(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body)["choices"][0]["logprobs"])


def test_a_text_is_scored_as_the_library_scores_it(causal, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setattr(likelihood, "CHUNK", 5)
    text = "Name an animal: a cat or a dog. The river runs to the sea."
    found = logprobs(ask(causal, request(text, role="text"))[0])
    ids = AutoTokenizer.from_pretrained(causal)(text)["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(causal)
    with torch.inference_mode():
        loss = float(model(torch.tensor([ids]), labels=torch.tensor([ids])).loss)
    assert "".join(found["tokens"]) == text
    assert found["token_logprobs"][0] is None
    assert math.isclose(-sum(found["token_logprobs"][1:]) / (len(ids) - 1), loss, rel_tol=1e-4)


def test_of_a_chat_only_the_last_message_is_scored(causal):
    (answer,) = ask(causal, request("Name an animal", "a cat"))
    tokens = logprobs(answer)["content"]
    assert "".join(token["token"] for token in tokens) == "a cat"
    assert all(token["logprob"] < 0 for token in tokens)


def test_what_cannot_be_scored_says_why(causal, tmp_path):
    long, _ = ask(causal, request("a b c " * 200, role="text"), request("hi", role="text"))
    assert (long.status, b"context holds 128" in long.body) == (400, True)
    with pytest.raises(FatalError, match="no chat template"):
        ask(tiny_models.causal(tmp_path / "plain", template=None), request("hi", "ho"))
    with pytest.raises(FatalError, match="seq2seq"):
        ask(tiny_models.seq2seq(tmp_path / "t5"), request("hi", role="text"))


@pytest.mark.skipif(not SMOLLM.is_dir(), reason="needs the packaged model's weights as a folder")
def test_a_real_model_finds_prose_likelier_than_the_same_words_mixed():
    prose, mixed = "The cat sat on the mat and looked out.", "Mat the out sat the and looked cat on."
    one, other = (
        logprobs(answer)["token_logprobs"][1:]
        for answer in ask(SMOLLM, *(request(t, role="text") for t in (prose, mixed)))
    )
    assert sum(one) / len(one) > sum(other) / len(other) + 1
