"""Requests for the log-probabilities of a given text, and their answers.

The request is OpenAI's completion with `echo`, which vLLM's server and others follow: the text comes back with the
log-probability of each token. Engines in this process also take a chat, and score its last message. An answer of one
token is asked for, because few servers take none.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from synth_llm.errors import FatalError
from synth_llm.models.request import TEXT, Answer, Message, Request, tokens_used

SCORING: dict[str, Any] = {"temperature": 0, "max_tokens": 1, "echo": True, "logprobs": 1}
"""`logprobs` 1, though the alternatives are not looked at: some servers take 0 for none."""

ENGINES = ("openai", "transformers", "vllm")
"""Engines that score given text; `openai` where its server does."""


class Scored(NamedTuple):
    """A token and its natural log-probability: None for the first token of a text, which has nothing before it."""

    text: str
    logprob: float | None


def of_text(model: str, revision: str, text: str) -> Request:
    """Asks for the log-probabilities of a text."""
    return Request(model, ({"role": TEXT, "content": text},), SCORING, revision)


def of_answer(model: str, revision: str, question: str, answer: str, *, chat: bool) -> Request:
    """Asks for those of an answer after its question: by the model's chat template, or else of both, plainly joined."""
    if not chat:
        return of_text(model, revision, f"{question}\n\n{answer}")
    messages: tuple[Message, ...] = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    return Request(model, messages, SCORING, revision)


def scored(answer: Answer) -> list[Scored]:
    """The tokens of the given text. Raises FatalError when the endpoint did not score it."""
    try:
        body = json.loads(answer.body)
        given = body["choices"][0]["logprobs"]
        if "content" in given:
            tokens = [Scored(str(one["token"]), _number(one["logprob"])) for one in given["content"]]
        else:
            pairs = zip(given["tokens"], given["token_logprobs"], strict=True)
            tokens = [Scored(str(text), _number(logprob)) for text, logprob in pairs]
    except (ValueError, LookupError, TypeError, RecursionError):
        tokens, body = [], None
    prompt, said = tokens_used(body)
    tokens = tokens[: max(0, len(tokens) - (said if prompt else 1))]
    if not tokens:
        raise FatalError(
            f"the model's endpoint does not score given text (completions with echo and logprobs); "
            f"engines that do: {', '.join(ENGINES)} (a server like vLLM's)"
        )
    return tokens


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
