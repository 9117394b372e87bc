"""What is asked of a model and what it answers, the same for every engine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from synth_llm.row import canonical, quoted

Message = dict[str, str]
"""`{"role": "system" | "user" | "assistant", "content": text}`.

A request whose one message has the role `text` is a text to go on with, without a chat template.
"""

TEXT = "text"

Schema = dict[str, Any]
"""A JSON Schema; `{"enum": [words]}` at the top level means one of these words as plain text."""

THINK, THOUGHT = "<think>", "</think>"
"""How open reasoning models mark their reasoning, where the server does not take it out."""

MOST_TOKENS = 10**9
"""More than any answer costs: an endpoint that reports so many reports nonsense."""

_JSON = json.JSONDecoder().decode

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
        text = self._canonical()
        self.__dict__.update(text=text, key=hashlib.sha256(text.encode()).hexdigest())  # frozen only from here on

    @property
    def seed(self) -> int:
        """The sampling seed sent to the engine, in [0, 2**31)."""
        return int(self.key[:8], 16) >> 1

    @property
    def raw(self) -> str | None:
        """The text to go on with, of a request without a chat template; None of a chat."""
        first = self.messages[0]
        return first["content"] if first["role"] == TEXT else None

    @property
    def echo(self) -> bool:
        """Whether it asks for the log-probabilities of its own text: all of it, or of a chat its last message."""
        return self.sampling.get("echo") is True

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
    pause: float = field(default=0.0, compare=False)
    """Seconds for which the endpoint takes no more requests, by the headers of this answer. Not journaled."""


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
    reasoning: str = ""
    """What a reasoning model thought before it answered; never part of the text."""


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
    """Read an answer of the shape of OpenAI's chat completions or completions, whatever is in it."""
    raw = answer.body.decode("utf-8", "replace")
    if answer.status in BAD_REQUEST:
        filtered = "content_filter" in raw[:4096]  # how Azure says it
        return Completion(
            reason="content filter" if filtered else "bad request", detail=f"HTTP {answer.status}: {error_message(raw)}"
        )
    try:
        body = _JSON(raw)
    except (ValueError, RecursionError):
        return Completion(reason="unparseable", detail="the endpoint's answer is not JSON")
    prompt_tokens, completion_tokens = tokens_used(body)
    try:
        choice = body["choices"][0]
        message = choice["message"] if "message" in choice else {"content": choice["text"]}
        text, refusal = message.get("content"), message.get("refusal")
        reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
        finish, model = whole(str(choice.get("finish_reason") or "stop")), whole(str(body.get("model") or ""))
    except (LookupError, TypeError, AttributeError):
        return Completion("", "", prompt_tokens, completion_tokens, reason="unparseable", detail=_no_choice(body))
    if isinstance(text, str):
        text = whole(text)
        if text.lstrip().startswith(THINK):
            reasoning, text = _thought(text)
    reason, detail = _unusable(text, finish, refusal)
    thought = whole(reasoning) if isinstance(reasoning, str) else ""
    said = text if isinstance(text, str) else ""
    return Completion(said, finish, prompt_tokens, completion_tokens, model, reason, detail, thought)


def _unusable(text: Any, finish: str, refusal: Any) -> tuple[str, str]:
    """Why there is no answer to read: a reason for rejection and its detail, both empty when there is one."""
    if refusal:
        return "refused", whole(str(refusal))
    if finish == "content_filter":
        return "content filter", "stopped by the endpoint's content filter"
    if finish == "length" and not (isinstance(text, str) and text.strip()):
        return "cut", "max_tokens were used up before the answer began; a reasoning model needs more"
    if not isinstance(text, str):
        return "unparseable", "the answer has no text"
    return "", ""


def _thought(text: str) -> tuple[str, str]:
    """The reasoning that some models write before their answer, and the answer."""
    reasoning, _, said = text.partition(THOUGHT)
    return reasoning.lstrip()[len(THINK) :].strip(), said.lstrip()


def _no_choice(body: Any) -> str:
    """What a body without an answer says instead: some gateways report errors with status 200."""
    error = body.get("error") if isinstance(body, dict) else None
    return f"the endpoint reports an error: {error_message(json.dumps(body))}" if error else "no completion"


def tokens_used(body: Any) -> tuple[int, int]:
    """Prompt and answer tokens that a body reports; zeros where it does not."""
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return 0, 0
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _count(tokens: Any) -> int:
    """A number of tokens, or 0 for what cannot be one."""
    return tokens if type(tokens) is int and 0 <= tokens < MOST_TOKENS else 0


def error_message(raw: str) -> str:
    """The message inside an error body, or the body's beginning."""
    try:
        error = json.loads(raw)["error"]
        text = error if isinstance(error, str) else error["message"]
    except (ValueError, LookupError, TypeError):
        text = raw
    return " ".join(whole(str(text)).split())[:300]


def whole(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which JSON can hold but no file.

    >>> whole("a\\ud800b")
    'a\ufffdb'
    """
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def body_of(text: str, *, model: str = "", prompt_tokens: int = 0, completion_tokens: int = 0) -> bytes:
    """The body of a chat completion that says `text`: for engines that have no server."""
    message = f'{{"role": "assistant", "content": {quoted(text)}}}'
    usage = f'{{"prompt_tokens": {prompt_tokens}, "completion_tokens": {completion_tokens}}}'
    choice = f'{{"message": {message}, "finish_reason": "stop"}}'
    return f'{{"model": {quoted(model)}, "choices": [{choice}], "usage": {usage}}}'.encode()
