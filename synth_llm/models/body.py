"""Answers of engines in this process, in the shape that OpenAI's endpoints have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from synth_llm.models.request import Request


class Token(NamedTuple):
    """A token of an answer, its log-probability, and the likeliest alternatives with theirs."""

    text: str
    logprob: float | None
    """None for the first token of a text: nothing is before it."""
    top: Sequence[tuple[str, float]] = ()


class Said(NamedTuple):
    """What a model said to one request."""

    text: str
    finish: str
    """`stop` or `length`."""
    prompt_tokens: int
    ids: Sequence[int]
    """The tokens of the answer, the one that ended it too."""
    tokens: Sequence[Token] | None = None
    """The same with log-probabilities, where they were asked for."""


def body(request: Request, said: Said, model: str) -> bytes:
    """The JSON of a chat completion, or of a completion when the request is a text to go on with."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": said.finish}
    if request.raw is None:
        choice["message"] = {"role": "assistant", "content": said.text}
    else:
        choice["text"] = said.text
    if said.tokens is not None:
        choice["logprobs"] = (_chat_logprobs if request.raw is None else _text_logprobs)(said.tokens)
    if request.sampling.get("return_token_ids"):
        choice["token_ids"] = list(said.ids)
    usage = {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": len(said.ids),
        "total_tokens": said.prompt_tokens + len(said.ids),
    }
    kind = "chat.completion" if request.raw is None else "text_completion"
    return json.dumps({"object": kind, "model": model, "choices": [choice], "usage": usage}).encode()


def refusal(message: str) -> bytes:
    """The body of an answer with status 400."""
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": 400}}).encode()


def _chat_logprobs(tokens: Sequence[Token]) -> dict[str, Any]:
    def entry(text: str, logprob: float | None) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    content = [{**entry(one.text, one.logprob), "top_logprobs": [entry(*other) for other in one.top]} for one in tokens]
    return {"content": content}


def _text_logprobs(tokens: Sequence[Token]) -> dict[str, Any]:
    offsets = [0]
    for one in tokens:
        offsets.append(offsets[-1] + len(one.text))
    return {
        "tokens": [one.text for one in tokens],
        "token_logprobs": [one.logprob for one in tokens],
        "top_logprobs": [dict(one.top) for one in tokens],
        "text_offset": offsets[:-1],
    }
