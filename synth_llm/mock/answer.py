"""Answers in the shapes of OpenAI's API, made from the body of a request alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from synth_llm.mock.draw import Draw
from synth_llm.mock.prose import phrase, prose
from synth_llm.mock.schema import value
from synth_llm.row import quoted

TOKEN = 4
"""Characters of a token here: about what real tokenizers reach on English."""
CREATED = 1_700_000_000
"""When every answer was made: equal bodies have equal answers."""

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class Reply(NamedTuple):
    """What is sent back."""

    body: bytes
    status: int = 200
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Refusal(Exception):
    """The request is refused with an HTTP status. `param` is the parameter that is at fault."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param = status, message, param


class Said(NamedTuple):
    """One choice of an answer."""

    text: str
    finish: str


def error(status: int, message: str, param: str | None = None) -> Reply:
    """An error in OpenAI's shape."""
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "invalid_request_error" if status < 500 else "server_error")
    shape = {"message": message, "type": kind, "param": param, "code": "invalid_api_key" if status == 401 else None}
    return Reply(json.dumps({"error": shape}).encode(), status)


def chat(body: dict[str, Any], seed: bytes, text: str | None) -> Reply:
    """A chat completion: `text` where it is given, else what the body asks for. Raises Refusal."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise Refusal(400, "messages must be a list of messages, and not empty", "messages")
    prompt = tokens("".join(content(message) for message in messages))
    wanted = body.get("logprobs") is True
    top = _whole(body, "top_logprobs", 0, 20, 0) if wanted else 0
    made, spent = [], 0
    for index in range(_whole(body, "n", 1, 128, 1)):
        said = _said(body, seed, index, text)
        spent += tokens(said.text)
        chances = f'{{"content":{json.dumps(_chances(said.text, seed, index, top))}}}' if wanted else "null"
        made.append(
            f'{{"index":{index},"message":{{"role":"assistant","content":{quoted(said.text)},"refusal":null}},'
            f'"logprobs":{chances},"finish_reason":"{said.finish}"}}'
        )
    return _completion(body, seed, "chat.completion", made, prompt, spent)


def completions(body: dict[str, Any], seed: bytes, text: str | None) -> Reply:
    """A completion of one prompt or several, without a chat template. Raises Refusal."""
    prompts = body.get("prompt")
    prompts = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(prompts, list) or not prompts or not all(isinstance(one, str) for one in prompts):
        raise Refusal(400, "prompt must be a text or a list of texts", "prompt")
    top = None if body.get("logprobs") is None else _whole(body, "logprobs", 0, 20, 0)
    made, spent = [], 0
    for index in range(len(prompts) * _whole(body, "n", 1, 128, 1)):
        said = _said(body, seed, index, text)
        spent += tokens(said.text)
        chances = "null" if top is None else json.dumps(_columns(_chances(said.text, seed, index, top)))
        made.append(
            f'{{"index":{index},"text":{quoted(said.text)},"logprobs":{chances},"finish_reason":"{said.finish}"}}'
        )
    return _completion(body, seed, "text_completion", made, sum(map(tokens, prompts)), spent)


def content(message: dict[str, Any]) -> str:
    """The text of a message, of all its parts. Raises Refusal."""
    inner = message.get("content")
    if isinstance(inner, str):
        return inner
    if inner is None and message.get("role") == "assistant":
        return ""
    if isinstance(inner, list) and all(isinstance(part, dict) for part in inner):
        return "".join(str(part.get("text", "")) for part in inner)
    raise Refusal(400, "the content of a message must be a text or a list of parts", "messages")


def tokens(text: str) -> int:
    """How many tokens a text counts as."""
    return (len(text) + TOKEN - 1) // TOKEN


def _said(body: dict[str, Any], seed: bytes, index: int, given: str | None) -> Said:
    """The text of one choice, ended by `stop`, cut at `max_tokens`."""
    most = min(_whole(body, name, 1, 10**9, 10**9) for name in ("max_completion_tokens", "max_tokens"))
    if given is not None:
        text = given
    elif form := _form(body):
        text = form(Draw(seed + b"%d" % index))
    else:  # like a model, it mostly ends in time; where not even a sentence fits, it is cut
        text = prose(seed + b"%d" % index)
        while tokens(text) > most and ". " in text:
            text = text[: text.rindex(". ") + 1]
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0] if isinstance(stop, str) and stop else text
    return Said(text, "stop") if tokens(text) <= most else Said(text[: most * TOKEN], "length")


def _form(body: dict[str, Any]) -> Callable[[Draw], str] | None:
    """What makes an answer in the form that a body asks for; None: prose. Raises Refusal."""
    name = "structured_outputs" if body.get("structured_outputs") else "response_format"
    asked = body.get(name)
    if asked is None or asked == {"type": "text"}:
        return None
    if not isinstance(asked, dict):
        raise Refusal(400, f"{name} must be an object", name)
    if name == "structured_outputs":
        if isinstance(choices := asked.get("choice"), list) and choices:
            return lambda draw: str(draw.of(choices))
        if "json" in asked:
            return lambda draw: _filled(asked["json"], draw, name)
        raise Refusal(400, "the mock knows structured_outputs with choice or json", name)
    if asked.get("type") == "json_object":
        return lambda draw: json.dumps({"answer": phrase(draw), "score": 1 + draw.below(5)})
    named = asked.get("json_schema")
    if asked.get("type") == "json_schema" and isinstance(named, dict) and "schema" in named:
        return lambda draw: _filled(named["schema"], draw, name)
    raise Refusal(400, "response_format is text, json_object, or json_schema with its schema", name)


def _filled(schema: Any, draw: Draw, param: str) -> str:
    try:
        return _ENCODE(value(json.loads(schema) if isinstance(schema, str) else schema, draw))
    except ValueError as unmade:
        raise Refusal(400, str(unmade), param) from None


def _chances(text: str, seed: bytes, index: int, top: int) -> list[dict[str, Any]]:
    """Log-probabilities of each token, as in chat completions."""
    draw = Draw(seed + b"logprobs %d" % index)
    chances = []
    for at in range(0, len(text), TOKEN):
        token, first = text[at : at + TOKEN], -2.0 * draw.unit()
        others = [_chance(f" {number}", first - number) for number in range(1, top)]
        chances.append({**_chance(token, first), "top_logprobs": [_chance(token, first), *others][:top]})
    return chances


def _chance(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": round(logprob, 4), "bytes": list(token.encode("utf-8", "replace"))}


def _columns(chances: list[dict[str, Any]]) -> dict[str, Any]:
    """Log-probabilities as in plain completions."""
    tops = [{one["token"]: one["logprob"] for one in chance["top_logprobs"]} for chance in chances]
    return {
        "tokens": [chance["token"] for chance in chances],
        "token_logprobs": [chance["logprob"] for chance in chances],
        "top_logprobs": tops,
        "text_offset": [at * TOKEN for at in range(len(chances))],
    }


def _completion(body: dict[str, Any], seed: bytes, kind: str, made: list[str], prompt: int, spent: int) -> Reply:
    usage = f'{{"prompt_tokens":{prompt},"completion_tokens":{spent},"total_tokens":{prompt + spent}}}'
    whole = (
        f'{{"id":"mock-{seed[:12].hex()}","object":"{kind}","created":{CREATED},"model":{quoted(body["model"])},'
        f'"choices":[{",".join(made)}],"usage":{usage}}}'
    )
    return Reply(whole.encode(), 200, prompt, spent)


def _whole(body: dict[str, Any], name: str, low: int, high: int, default: int) -> int:
    """A whole number of a body. Raises Refusal."""
    number = body.get(name)
    if number is None:
        return default
    if type(number) is not int or not low <= number <= high:
        raise Refusal(400, f"{name} must be a whole number from {low} to {high}", name)
    return number
