"""What is asked of a model and what it answers, the same for every engine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from synth_llm.row import canonical, quoted

Message = dict[str, str]
"""`{"role": "system" | "user" | "assistant", "content": text}`."""

Schema = dict[str, Any]
"""A JSON Schema; `{"enum": [words]}` at the top level means one of these words as plain text."""

BAD_REQUEST = frozenset({400, 413, 422})
"""Statuses that are final for one request, and no reason to stop the run."""


@dataclass(frozen=True)
class Request:
    """A logical request, before it is adapted to an engine. Everything in it is part of its key."""

    model: str
    messages: tuple[Message, ...]
    sampling: dict[str, Any]
    """`temperature`, `max_tokens` and whatever else the recipe sets (`top_p`, `stop`, passed-through parameters)."""
    revision: str = ""
    schema: Schema | None = None
    draw: tuple[int | str, ...] | None = None
    text: str = field(init=False, repr=False, compare=False)
    """The canonical JSON that the key is the hash of."""
    key: str = field(init=False, compare=False)
    """64 hex digits."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self._canonical())
        object.__setattr__(self, "key", hashlib.sha256(self.text.encode()).hexdigest())

    @property
    def seed(self) -> int:
        """The sampling seed sent to the engine, in [0, 2**31)."""
        return int(self.key[:8], 16) >> 1

    def _canonical(self) -> str:
        """`canonical` of the fields, put together from parts: what many requests share is encoded once."""
        said = ",".join(f'{{"content":{quoted(m["content"])},"role":{quoted(m["role"])}}}' for m in self.messages)
        return (
            f'{{"draw":{canonical(self.draw)},"messages":[{said}],"model":{quoted(self.model)},'
            f'"revision":{quoted(self.revision)},"sampling":{_shared(self.sampling)},"schema":{_shared(self.schema)}}}'
        )


_encoded: dict[int, tuple[object, str]] = {}


def _shared(value: object) -> str:
    """The canonical JSON of an object that many requests have, such as a model's sampling parameters."""
    known = _encoded.get(id(value))
    if known is None or known[0] is not value:
        if len(_encoded) >= 1024:
            _encoded.clear()
        known = _encoded[id(value)] = (value, canonical(value))
    return known[1]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the body exactly as the server sent it, and its HTTP status (200 for engines in process)."""

    body: bytes
    status: int = 200


class Completion(NamedTuple):
    """An answer as read: its text, why it ended (`stop`, `length`, ...), tokens used, the model that reported it.

    An answer without a text has a `reason` for rejection instead, with `detail` for people.
    """

    text: str = ""
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""
    reason: str = ""
    detail: str = ""


class Model(Protocol):
    """An engine. Batch engines gather inside."""

    name: str
    """What the key calls the model."""
    revision: str
    """The hash of local weights, else what the recipe says."""

    async def answer(self, request: Request) -> Answer:
        """Answer one request. Raises FatalError or Passing; a refusal of this request is an Answer with its status."""
        ...

    async def close(self) -> None:
        """Free what the engine holds."""
        ...


def completion(answer: Answer) -> Completion:
    """Read an answer of OpenAI's chat-completion shape, whatever is in it."""
    raw = answer.body.decode("utf-8", "replace")
    if answer.status in BAD_REQUEST:
        return Completion(reason="bad request", detail=f"HTTP {answer.status}: {error_message(raw)}")
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return Completion(reason="unparseable", detail="the endpoint's answer is not JSON")
    prompt_tokens, completion_tokens = tokens_used(body)
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        finish, model = str(choice.get("finish_reason") or "stop"), str(body.get("model") or "")
    except (LookupError, TypeError, AttributeError):
        return Completion("", "", prompt_tokens, completion_tokens, reason="unparseable", detail="no chat completion")
    reason = detail = ""
    if refusal or finish == "content_filter":
        reason, detail = "refused", str(refusal or "stopped by the endpoint's content filter")
    elif not isinstance(text, str):
        reason, detail = "unparseable", "the answer has no text"
    else:
        text = text.encode("utf-8", "replace").decode()
    return Completion(text or "", finish, prompt_tokens, completion_tokens, model, reason, detail)


def tokens_used(body: Any) -> tuple[int, int]:
    """Prompt and answer tokens that a body reports; zeros where it does not."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return 0, 0
    prompt, answer = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return (prompt if isinstance(prompt, int) else 0), (answer if isinstance(answer, int) else 0)


def error_message(raw: str) -> str:
    """The message inside an error body, or the body's beginning."""
    try:
        error = json.loads(raw)["error"]
        text = error if isinstance(error, str) else error["message"]
    except (ValueError, LookupError, TypeError):
        text = raw
    return " ".join(str(text).split())[:300]


def body_of(text: str, *, model: str = "", prompt_tokens: int = 0, completion_tokens: int = 0) -> bytes:
    """The body of a chat completion that says `text`: for engines that have no server."""
    message = f'{{"role": "assistant", "content": {quoted(text)}}}'
    usage = f'{{"prompt_tokens": {prompt_tokens}, "completion_tokens": {completion_tokens}}}'
    choice = f'{{"message": {message}, "finish_reason": "stop"}}'
    return f'{{"model": {quoted(model)}, "choices": [{choice}], "usage": {usage}}}'.encode()
