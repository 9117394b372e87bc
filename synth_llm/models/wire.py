"""A logical request as the body of a POST in OpenAI's words, and what an endpoint's refusals teach about them.

The strongest form of structured output that the endpoint has is used. Which one that is, is found by asking: a form
that it refuses is not used again (`Wire.learn`), and where it ignores the form, the prompt tells the schema too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from synth_llm.models.request import Message, Request, Schema

STRICT, LOOSE, OBJECT, PLAIN = "json_schema, strict", "json_schema", "json_object", "none"
"""Forms of `response_format`, the strongest first. Instruction and extraction alone are the last resort."""
FORMS = (STRICT, LOOSE, OBJECT, PLAIN)

CHOSEN = "answer"
"""The key under which a choice between words stands in a JSON answer."""

_ABOUT_FORM = re.compile(r"response_format|json_schema|json_object|json mode|structured|guided|grammar|schema", re.I)
_UNKNOWN = re.compile(
    r"unsupported|not supported|does not support|unrecognized|unknown|unexpected|not permitted|not allowed|deprecated"
    r"|extra (?:inputs|fields)|no such parameter|must be set to its default",
    re.I,
)


@dataclass
class Wire:
    """How one model at one endpoint wants to be asked. Learnt from its refusals, for as long as the engine lives."""

    renamed: dict[str, str] = field(default_factory=dict)
    """Parameters by another name, such as `max_tokens` as `max_completion_tokens`."""
    left_out: set[str] = field(default_factory=set)
    """Parameters of ours that the model does not know."""
    form: str = STRICT
    proved: bool = False
    """Whether an answer came to a request in this form."""
    told: bool = False
    """Whether the schema is written into the prompt: the first answer showed that the form is ignored."""

    def body(self, request: Request) -> bytes:
        """The body of the POST."""
        body: dict[str, Any] = {"model": request.model, **sampling(request)}
        if request.draw is not None:
            body["seed"] = request.seed
        for name in self.left_out:
            body.pop(name, None)
        for name, other in self.renamed.items():
            if name in body:
                body[other] = body.pop(name)
        schema = request.schema
        if schema is not None and self.form != PLAIN:
            body["response_format"] = _response_format(schema, self.form)
        if request.raw is not None:
            body["prompt"] = request.raw
        elif schema is not None and (self.told or self.form in (OBJECT, PLAIN)):
            body["messages"] = _told(request.messages, schema, self.form)
        else:
            body["messages"] = request.messages
        return json.dumps(body).encode()

    def learn(self, request: Request, refusal: dict[str, Any]) -> bool:
        """Learn from the error of a 400 or 422; returns whether the request is worth sending again in other words."""
        message, name = str(refusal.get("message", "")), self._parameter(request, refusal)
        if name == "max_tokens" and "max_completion_tokens" in message and name not in self.renamed:
            self.renamed["max_tokens"] = "max_completion_tokens"
            return True
        if name == "seed" and "seed" not in request.sampling and "seed" not in self.left_out:
            self.left_out.add("seed")
            return True
        about_form = name == "response_format" or (not name and _ABOUT_FORM.search(message))
        if request.schema is not None and self.form != PLAIN and about_form:
            self.form = FORMS[FORMS.index(self.form) + 1]
            self.proved = self.form == PLAIN  # nothing is left to find out
            return True
        return False

    def refused(self, request: Request, refusal: dict[str, Any]) -> str:
        """The parameter of the recipe that the model refuses whatever its request says, or nothing."""
        name = self._parameter(request, refusal)
        return name if name in request.sampling else ""

    def answered(self, request: Request, text: str) -> None:
        """Take note of an answer to a request with a schema: one that is no JSON shows that the form is ignored."""
        if request.schema is not None and not self.proved:
            self.proved, self.told = True, not is_json(text)

    def _parameter(self, request: Request, refusal: dict[str, Any]) -> str:
        """The parameter that is not supported, by an error's `param`, its `loc` (FastAPI) or its words."""
        message, code = str(refusal.get("message", "")), str(refusal.get("code") or "")
        if not (code.startswith(("unsupported", "unknown")) or _UNKNOWN.search(message)):
            return ""
        known = {*sampling(request), *request.sampling, "seed", "response_format"}
        names = {other: name for name, other in self.renamed.items()}
        loc = refusal.get("loc")
        said = str(refusal.get("param") or (loc[1] if isinstance(loc, list) and len(loc) > 1 else "")).split(".")[0]
        if not said:
            said = next((word for word in re.findall(r"[A-Za-z_]{2,}", message) if word in known), "")
        return names.get(said, said) if said in known or said in names else ""


def is_json(text: str) -> bool:
    """Whether an answer as a whole is JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def error_of(raw: bytes) -> dict[str, Any]:
    """The error in a refusal's body, as `message`, `param`, `code` or `loc`, of OpenAI's or FastAPI's shape."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict) and isinstance(error.get("detail"), list) and error["detail"]:
        first = error["detail"][0]
        if isinstance(first, dict):
            return {"message": first.get("msg", ""), "loc": first.get("loc")}
    if isinstance(error, dict) and "message" in error:
        return error
    return {"message": raw[:2000].decode("utf-8", "replace")}


def instruction(schema: Schema, form: str = PLAIN) -> str:
    """What the prompt says of a schema that the endpoint is not sent, or may ignore."""
    if "enum" in schema and form == PLAIN:
        return "Answer with one of these and nothing else: " + ", ".join(schema["enum"])
    text = json.dumps(_as_object(schema), ensure_ascii=False)
    return f"Answer with one JSON object and nothing else. It must follow this JSON Schema:\n{text}"


def _told(messages: tuple[Message, ...], schema: Schema, form: str) -> list[Message]:
    *before, last = messages
    return [*before, {**last, "content": f"{last['content']}\n\n{instruction(schema, form)}"}]


def _as_object(schema: Schema) -> Schema:
    """A choice between words as the schema of an object, because that is what endpoints take."""
    if "enum" not in schema:
        return schema
    choice = {CHOSEN: {"type": "string", "enum": schema["enum"]}}
    return {"type": "object", "properties": choice, "required": [CHOSEN], "additionalProperties": False}


def _response_format(schema: Schema, form: str) -> dict[str, Any]:
    if form == OBJECT:
        return {"type": "json_object"}
    given = {"name": "answer", "schema": _as_object(schema), "strict": form == STRICT}
    return {"type": "json_schema", "json_schema": given}


def sampling(request: Request) -> dict[str, Any]:
    """The sampling parameters, with log-probabilities as the API wants them."""
    named = dict(request.sampling)
    count = named.get("logprobs")
    if request.raw is None and isinstance(count, int) and not isinstance(count, bool):
        named["logprobs"] = True
        if count:
            named["top_logprobs"] = count
    return named
