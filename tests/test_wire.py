"""What an endpoint's refusals teach: which form it wants, once and for all the requests that follow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from synth_llm.errors import FatalError
from synth_llm.mock import Mock
from synth_llm.models.openai import OpenAI
from synth_llm.models.request import TEXT, Answer, Request, Schema, completion
from synth_llm.models.wire import Wire, error_of, instruction

OBJECT: Schema = {
    "type": "object",
    "properties": {"score": {"type": "integer"}},
    "required": ["score"],
    "additionalProperties": False,
}
CHOICE: Schema = {"enum": ["good", "bad"]}
GOOD = '{"score": 3}'

Body = dict[str, Any]
Endpoint = Callable[..., Mock]


def a_request(number: int = 0, schema: Schema | None = OBJECT, **sampling: Any) -> Request:
    messages = ({"role": "user", "content": f"Question {number}"},)
    return Request("m", messages, {"temperature": 0.5, **sampling}, schema=schema, draw=(1, str(number), 0, 0))


async def ask(mock: Mock, *requests: Request) -> list[Answer]:
    """The answers to some requests that one engine is sent at once."""
    engine = OpenAI("m", url=mock.url)
    try:
        return list(await asyncio.gather(*(engine.answer(request) for request in requests)))
    finally:
        await engine.close()


def error(message: str, **more: Any) -> tuple[int, Body]:
    return 400, {"error": {"message": message, "type": "invalid_request_error", **more}}


class Picky:
    """An endpoint that refuses some bodies, and remembers all."""

    def __init__(self, refuses: Callable[[Body], tuple[int, Body] | None], says: str = GOOD) -> None:
        self.refuses, self.says = refuses, says
        self.bodies: list[Body] = []

    def __call__(self, body: Body) -> Any:
        self.bodies.append(body)
        return self.refuses(body) or self.says

    @property
    def forms(self) -> list[str]:
        """The `response_format` of each request, in short."""
        return [form(body) for body in self.bodies]


def form(body: Body) -> str:
    given = body.get("response_format", {})
    return "strict" if given.get("json_schema", {}).get("strict") else str(given.get("type", "none"))


# Forms of structured output


def no_strict(body: Body) -> tuple[int, Body] | None:
    return error("json_schema.strict: Extra inputs are not permitted") if form(body) == "strict" else None


def no_schema(body: Body) -> tuple[int, Body] | None:
    if form(body) in ("strict", "json_schema"):
        return error("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.")
    return None


def nothing(body: Body) -> tuple[int, Body] | None:
    if "response_format" in body:
        return 422, {"detail": [{"loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}]}
    return None


@pytest.mark.parametrize(
    ("refuses", "forms"),
    [
        (lambda body: None, ["strict"]),
        (no_strict, ["strict", "json_schema"]),
        (no_schema, ["strict", "json_schema", "json_object"]),
        (nothing, ["strict", "json_schema", "json_object", "none"]),
    ],
    ids=["all", "no strict", "JSON mode only", "nothing"],
)
async def test_the_strongest_form_is_found_by_asking_once_and_remembered(mock_endpoint, refuses, forms):
    endpoint = Picky(refuses)
    answers = await ask(mock_endpoint(endpoint), *(a_request(n) for n in range(10)))
    assert [completion(answer).text for answer in answers] == [GOOD] * 10
    assert endpoint.forms == forms + forms[-1:] * 9


@pytest.mark.parametrize("refuses", [no_schema, nothing], ids=["JSON mode only", "nothing"])
async def test_where_the_form_cannot_be_sent_the_prompt_tells_the_schema(mock_endpoint, refuses):
    endpoint = Picky(refuses)
    await ask(mock_endpoint(endpoint), a_request())
    told = endpoint.bodies[-1]["messages"][-1]["content"]
    assert told.startswith("Question 0\n\n")
    assert json.dumps(OBJECT) in told
    assert "JSON" in told, "what OpenAI's JSON mode insists on"
    assert endpoint.bodies[0]["messages"][-1]["content"] == "Question 0"


async def test_an_endpoint_that_ignores_the_form_is_told_in_the_prompt_from_then_on(mock_endpoint):
    endpoint = Picky(lambda body: None, says="Sure! I would give it a 3.")
    answers = await ask(mock_endpoint(endpoint), *(a_request(n) for n in range(5)))
    assert completion(answers[0]).text == "Sure! I would give it a 3.", "answered is answered: the row is repaired"
    told = [json.dumps(OBJECT) in body["messages"][-1]["content"] for body in endpoint.bodies]
    assert told == [False, True, True, True, True]
    assert endpoint.forms == ["strict"] * 5


async def test_an_endpoint_that_keeps_to_the_form_is_told_nothing(mock_endpoint):
    endpoint = Picky(lambda body: None)
    await ask(mock_endpoint(endpoint), *(a_request(n) for n in range(3)))
    assert all(body["messages"][-1]["content"].startswith("Question") for body in endpoint.bodies)
    assert not any("Schema" in body["messages"][-1]["content"] for body in endpoint.bodies)


async def test_a_choice_is_asked_for_as_an_object_of_one_key(mock_endpoint):
    endpoint = Picky(lambda body: None, says='{"answer": "bad"}')
    await ask(mock_endpoint(endpoint), a_request(schema=CHOICE))
    schema = endpoint.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"answer": {"type": "string", "enum": ["good", "bad"]}}
    assert schema["required"] == ["answer"]
    assert schema["additionalProperties"] is False


def test_where_nothing_constrains_a_choice_is_asked_for_in_plain_words():
    assert instruction(CHOICE) == "Answer with one of these and nothing else: good, bad"


async def test_a_refusal_that_is_not_about_the_form_changes_no_form(mock_endpoint):
    def too_long(body: Body) -> tuple[int, Body] | None:
        if "Question 1" in body["messages"][-1]["content"]:
            return error("This model's maximum context length is 4096 tokens.", code="context_length_exceeded")
        return None

    endpoint = Picky(too_long)
    answers = await ask(mock_endpoint(endpoint), *(a_request(n) for n in range(3)))
    assert [answer.status for answer in answers] == [200, 400, 200]
    assert endpoint.forms == ["strict"] * 3


# Parameters


def not_max_tokens(body: Body) -> tuple[int, Body] | None:
    if "max_tokens" in body:
        return error(
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    return None


async def test_max_tokens_goes_by_its_other_name_where_the_model_wants_that(mock_endpoint):
    endpoint = Picky(not_max_tokens)
    mock = mock_endpoint(endpoint)
    answers = await ask(mock, *(a_request(n, max_tokens=9) for n in range(6)))
    assert [answer.status for answer in answers] == [200] * 6
    assert len(endpoint.bodies) == 7
    assert all(body["max_completion_tokens"] == 9 and "max_tokens" not in body for body in endpoint.bodies[1:])


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 5000. This model supports at most 4096 completion tokens, whereas you provided 5000.",
        "'max_tokens' or 'max_completion_tokens' is too large: 5000. The maximum context length is 4096 tokens",
    ],
)
async def test_too_many_tokens_are_the_rows_own_refusal(mock_endpoint, message):
    endpoint = Picky(lambda body: error(message, param="max_tokens", code="invalid_value"))
    answers = await ask(mock_endpoint(endpoint), a_request(schema=None, max_tokens=5000))
    assert completion(answers[0]).reason == "bad request"
    assert completion(answers[0]).detail == f"HTTP 400: {message}"
    assert len(endpoint.bodies) == 1


async def test_a_seed_that_a_model_does_not_know_is_left_out(mock_endpoint):
    mock = mock_endpoint(refuse=["seed"])
    answers = await ask(mock, *(a_request(n) for n in range(6)))
    assert [answer.status for answer in answers] == [200] * 6
    assert mock.stats.requests == 7


async def test_all_that_a_strict_model_wants_is_learnt_from_the_first_request(mock_endpoint):
    def picky(body: Body) -> tuple[int, Body] | None:
        seed = error("Unknown parameter: 'seed'.", param="seed", code="unknown_parameter")
        return not_max_tokens(body) or (seed if "seed" in body else None) or no_schema(body)

    endpoint = Picky(picky)
    answers = await ask(mock_endpoint(endpoint), *(a_request(n, max_tokens=9) for n in range(6)))
    assert [answer.status for answer in answers] == [200] * 6
    assert len(endpoint.bodies) == 6 + 4


@pytest.mark.parametrize("parameter", ["top_k", "temperature", "seed"])
async def test_a_parameter_of_the_recipe_that_is_refused_is_named_in_one_line(mock_endpoint, parameter):
    mock = mock_endpoint(refuse=[parameter])
    with pytest.raises(FatalError) as caught:
        await ask(mock, a_request(schema=None, **{"temperature": 1, "top_k": 3, "seed": 5}))
    assert f"m does not take the parameter '{parameter}'" in str(caught.value)
    assert str(caught.value).endswith("; take it out of the recipe's model")
    assert "\n" not in str(caught.value)
    assert mock.stats.requests == 1


async def test_a_refused_value_of_a_renamed_parameter_is_named_as_the_recipe_names_it(mock_endpoint):
    def never(body: Body) -> tuple[int, Body] | None:
        other = error("Unsupported parameter: 'max_completion_tokens'.", param="max_completion_tokens")
        return not_max_tokens(body) or other

    with pytest.raises(FatalError, match="does not take the parameter 'max_tokens'"):
        await ask(mock_endpoint(Picky(never)), a_request(schema=None, max_tokens=9))


async def test_two_models_at_one_address_are_learnt_apart(mock_endpoint):
    """What one model refuses, another may know."""

    def old(body: Body) -> tuple[int, Body] | None:
        return no_schema(body) if body["model"] == "old" else None

    endpoint = Picky(old)
    engine = OpenAI("m", url=mock_endpoint(endpoint).url)
    for model in ("old", "new", "old"):
        await engine.answer(Request(model, ({"role": "user", "content": "Hi"},), {}, schema=OBJECT))
    await engine.close()
    assert endpoint.forms == ["strict", "json_schema", "json_object", "strict", "json_object"]


# Log-probabilities, and completions


@pytest.mark.parametrize(
    ("asked", "sent"), [(3, {"logprobs": True, "top_logprobs": 3}), (0, {"logprobs": True}), (None, {})]
)
def test_log_probabilities_are_asked_for_as_chat_completions_name_them(asked, sent):
    sampling = {} if asked is None else {"logprobs": asked}
    body = json.loads(Wire().body(a_request(schema=None, **sampling)))
    assert {name: body[name] for name in body if "logprobs" in name} == sent


@pytest.mark.parametrize("count", [0, 3])
async def test_completions_go_on_with_a_text(mock_endpoint, count):
    endpoint = Picky(lambda body: None, says=" there was a cat.")
    messages = ({"role": TEXT, "content": "Once upon a time"},)
    request = Request("m", messages, {"temperature": 0, "logprobs": count, "stop": ["\n"]})
    [answer] = await ask(mock_endpoint(endpoint), request)
    assert endpoint.bodies == [
        {"model": "m", "prompt": "Once upon a time", "temperature": 0, "logprobs": count, "stop": ["\n"]}
    ]
    assert completion(answer).text == " there was a cat."
    assert json.loads(answer.body)["choices"][0]["logprobs"]["tokens"][0] == " the", "kept as it came"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"error": {"message": "no", "param": "seed", "code": null}}', {"message": "no", "param": "seed"}),
        (b'{"error": "model overloaded"}', {"message": '{"error": "model overloaded"}'}),
        (b'{"object": "error", "message": "no guided_json", "code": 400}', {"message": "no guided_json", "code": 400}),
        (b'{"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}', {"message": "extra", "loc": ["body", "seed"]}),
        (b'{"detail": "Not a chat model"}', {"message": '{"detail": "Not a chat model"}'}),
        (b"<html>Bad Request</html>", {"message": "<html>Bad Request</html>"}),
        (b"", {"message": ""}),
        (b"[" * 100_000, {"message": "[" * 2000}),
        (b'{"error": {"message": null, "code": {"a": 1}}}', {"message": None}),
    ],
)
def test_an_error_is_read_whatever_its_shape(body, found):
    read = error_of(body)
    assert {name: read.get(name) for name in found} == found
    assert not Wire().learn(a_request(schema=None), read) or found.get("param") == "seed"
