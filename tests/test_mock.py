"""The mock endpoint: what it answers, how it serves, what goes wrong on request, what it counts."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import synth_llm
from synth_llm.errors import InputError
from synth_llm.mock import Mock, ideal
from synth_llm.mock.draw import Draw
from synth_llm.mock.faults import Faults
from synth_llm.mock.http import Connection, Head
from synth_llm.mock.latency import Latency, latency
from synth_llm.mock.schema import Unmade, value


class Client:
    """One connection; `ask` sends, `answer` waits for what comes back."""

    def __init__(self, mock: Mock) -> None:
        host = mock.url.removeprefix("http://").removesuffix("/v1")
        self.connection = HTTPConnection(host, timeout=10)

    def ask(self, text: str = "Write.", path: str = "/v1/chat/completions", key: str = "", **more: Any) -> Client:
        body = {"model": "m", **more}
        if path.endswith("chat/completions"):
            body.setdefault("messages", [{"role": "user", "content": text}])
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.connection.request("POST", path, json.dumps(body), headers)
        return self

    def answer(self) -> tuple[int, Any]:
        response = self.connection.getresponse()
        self.headers = response.headers
        raw = response.read()
        return response.status, json.loads(raw) if raw else None

    def says(self, text: str = "Write.", **more: Any) -> str:
        status, body = self.ask(text, **more).answer()
        assert status == 200, body
        return str(body["choices"][0]["message"]["content"])

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def client(mock_endpoint: Any) -> Iterator[Client]:
    with closing(Client(mock_endpoint())) as client:
        yield client


def until(holds: Callable[[], bool]) -> None:
    """Wait for what the mock's thread is about to notice."""
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def schema_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


# What it answers


def test_equal_bodies_have_equal_answers_and_others_differ(mock_endpoint: Any, client: Client) -> None:
    first = [client.ask(f"Write {n}.", seed=n).answer() for n in range(20)]
    with closing(Client(mock_endpoint())) as other:
        assert [other.ask(f"Write {n}.", seed=n).answer() for n in reversed(range(20))] == first[::-1]
    assert len({body["choices"][0]["message"]["content"] for _, body in first}) == 20


def test_prose_is_of_a_believable_length(client: Client) -> None:
    lengths = [len(client.says(f"Write {n}.").split()) for n in range(50)]
    assert min(lengths) >= 10
    assert max(lengths) <= 150
    assert 40 <= sum(lengths) / len(lengths) <= 100


def test_what_is_longer_than_max_tokens_is_cut(client: Client) -> None:
    whole = client.says()
    for n in range(20):  # prose ends in time where a sentence fits
        _, body = client.ask(f"{n}", max_tokens=40).answer()
        assert body["choices"][0]["message"]["content"].endswith(".")
        assert body["choices"][0]["finish_reason"] == "stop"
        assert body["usage"]["completion_tokens"] <= 40
    _, body = client.ask(max_tokens=3).answer()
    choice = body["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"]) < len(whole)
    assert body["usage"]["completion_tokens"] == 3
    assert client.ask(max_tokens=4000).answer()[1]["choices"][0]["finish_reason"] == "stop"


def test_stop_ends_an_answer(client: Client) -> None:
    assert "the" not in client.says(stop=[" the "]).split()


def test_n_answers_differ_and_log_probabilities_cover_the_text(client: Client) -> None:
    _, body = client.ask(n=3, logprobs=True, top_logprobs=2).answer()
    texts = [choice["message"]["content"] for choice in body["choices"]]
    assert len(set(texts)) == 3
    spent = 0
    for choice, text in zip(body["choices"], texts, strict=True):
        tokens = choice["logprobs"]["content"]
        assert "".join(token["token"] for token in tokens) == text
        assert all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 2 for token in tokens)
        spent += len(tokens)
    assert body["usage"]["completion_tokens"] == spent


def test_the_openai_client_understands_it(mock_endpoint: Any) -> None:
    import openai

    with openai.OpenAI(base_url=mock_endpoint(key="k").url, api_key="k", max_retries=0) as client:
        chat = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], n=2)
        plain = client.completions.create(model="m", prompt=["One", "Two"], logprobs=1)
        vectors = client.embeddings.create(model="m", input=["One", "Two"], dimensions=16)
        assert [model.id for model in client.models.list()] == ["mock"]
        with pytest.raises(openai.BadRequestError, match="does not stream"):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)
    assert chat.choices[1].message.content
    assert chat.usage is not None and chat.usage.total_tokens > chat.usage.prompt_tokens
    assert [choice.index for choice in plain.choices] == [0, 1]
    assert plain.choices[0].logprobs is not None
    assert [len(one.embedding) for one in vectors.data] == [16, 16]


def test_texts_that_share_words_have_close_unit_vectors(client: Client) -> None:
    texts = ["a film about rain", "a film about snow", "prices of copper", "a film about rain", "!"]
    _, body = client.ask(path="/v1/embeddings", input=texts).answer()
    rain, snow, copper, again, mark = (one["embedding"] for one in body["data"])

    def cosine(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert rain == again
    assert all(math.isclose(cosine(one, one), 1, abs_tol=1e-5) for one in (rain, snow, copper, mark))
    assert cosine(rain, snow) > 0.5 > cosine(rain, copper)


NODE: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["name", "next"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "enumeration": {"enum": ["good", "bad"]},
    "recursion": {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
    "items": {
        "type": "object",
        "properties": {"items": {"type": "array", "items": NODE["properties"]["name"], "minItems": 4, "maxItems": 5}},
        "required": ["items"],
    },
    "mapping": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    "all of": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 4}]},
    "unique": {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
    "date": {"type": "string", "format": "date"},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_an_answer_is_valid_for_its_schema(client: Client, schema: dict[str, Any]) -> None:
    check = jsonschema_rs.validator_for(schema)
    for n in range(20):
        assert check.is_valid(json.loads(client.says(f"Write {n}.", response_format=schema_format(schema))))


def test_choices_json_mode_and_vllms_own_parameter(client: Client) -> None:
    assert {client.says(f"{n}", structured_outputs={"choice": ["yes", "no"]}) for n in range(30)} == {"yes", "no"}
    assert set(json.loads(client.says(structured_outputs={"json": NODE | {"$defs": {"node": NODE}}}))) == {
        "name",
        "next",
    }
    assert isinstance(json.loads(client.says(response_format={"type": "json_object"})), dict)


@pytest.mark.parametrize("schema", [{"type": "string", "pattern": "^a+$"}, {"type": "strin"}, {"$ref": "#/$defs/no"}])
def test_a_schema_that_it_cannot_follow_is_refused(client: Client, schema: dict[str, Any]) -> None:
    status, body = client.ask(response_format=schema_format(schema)).answer()
    assert (status, body["error"]["param"]) == (400, "response_format")


def numbers(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    low, width = st.integers(-1000, 1000), st.integers(0, 50)
    bounds = st.builds(lambda a, b: {"type": kind, "minimum": a, "maximum": a + b}, low, width)
    return st.one_of(st.just({"type": kind}), low.map(lambda a: {"type": kind, "exclusiveMinimum": a}), bounds)


def lists(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        *(inner, st.integers(0, 4), st.integers(0, 3)),
    )


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def build(properties: dict[str, Any], closed: bool) -> dict[str, Any]:
        needed = [name for name in properties if len(name) % 2]
        return {"type": "object", "properties": properties, "required": needed, "additionalProperties": not closed}

    return st.builds(build, st.dictionaries(st.text("abc", min_size=1, max_size=4), inner, max_size=4), st.booleans())


schemas = st.recursive(
    st.one_of(
        st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {"const": 5}]),
        st.lists(st.one_of(st.text(max_size=5), st.integers()), min_size=1, max_size=4, unique=True).map(
            lambda values: {"enum": values}
        ),
        st.builds(
            lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
            *(st.integers(0, 90), st.integers(0, 30)),
        ),
        numbers("integer"),
        numbers("number"),
    ),
    lambda inner: st.one_of(lists(inner), objects(inner), inner.map(lambda one: {"anyOf": [one, {"type": "null"}]})),
    max_leaves=8,
)


@given(schemas, st.binary(min_size=1, max_size=8))
def test_values_are_valid_for_any_schema_of_what_is_known(schema: dict[str, Any], seed: bytes) -> None:
    assert jsonschema_rs.is_valid(schema, value(schema, Draw(seed)))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 10**12},
        {"type": "string", "minLength": 10**12},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"$ref": "#"},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"not": {}},
        False,
    ],
)
def test_schemas_without_end_or_value_are_refused_soon(schema: Any) -> None:
    with pytest.raises(Unmade):
        value(schema, Draw(b"seed"))


# Replies of one's own


def test_a_function_answers_in_any_form(mock_endpoint: Any) -> None:
    whole = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}
    given = {"text": "Said.", "whole": whole, "bytes": b"", "busy": (503, "too busy"), "gone": (404, {"error": "no"})}
    mock = mock_endpoint(lambda body: given.get(body["messages"][-1]["content"]))
    with closing(Client(mock)) as client:
        assert client.says("text") == "Said."
        assert client.ask("whole").answer() == (200, whole)
        assert client.ask("bytes").answer() == (200, None)
        status, body = client.ask("busy").answer()
        assert (status, body["error"]["message"]) == (503, "too busy")
        assert client.ask("gone").answer() == (404, {"error": "no"})
        assert len(client.says("anything else").split()) > 5
    assert mock.stats.by_status == {200: 4, 503: 1, 404: 1}


def test_an_error_in_the_function_is_raised_where_the_mock_ends() -> None:
    def respond(body: dict[str, Any]) -> str:
        assert "temperature" in body, "no temperature was sent"
        return "Fine."

    with pytest.raises(AssertionError, match="no temperature"), Mock(respond) as mock, closing(Client(mock)) as client:
        assert client.says(temperature=1) == "Fine."
        assert client.ask().answer()[0] == 400


def test_replies_of_a_file(tmp_path: Path, mock_endpoint: Any) -> None:
    lines = [
        {"match": "Label (", "text": "positive"},
        {"match": "/^score:?\\s/", "text": '{"score": 4}'},
        {"match": "bad row", "status": 422},
    ]
    path = tmp_path / "replies.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    with closing(Client(mock_endpoint(replies=path))) as client:
        assert client.says("Label (one word):") == "positive"
        assert client.says("score this") == '{"score": 4}'
        assert client.ask("a bad row").answer()[0] == 422
        assert len(client.says("Something else").split()) > 5
        _, body = client.ask(path="/v1/completions", prompt="score this").answer()
        assert body["choices"][0]["text"] == '{"score": 4}'


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "no JSON"),
        ("[]", "a line is an object"),
        ('{"mach": "a", "text": "b"}', "did you mean 'match'"),
        ('{"match": "a"}', "must be texts"),
        ('{"match": "/(/", "text": "b"}', "no regular expression"),
        ('{"match": "a", "status": 99}', "status 99"),
    ],
)
def test_a_wrong_line_of_replies_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text(f'{{"text": "fine"}}\n{line}\n')
    with pytest.raises(InputError, match=f"replies.jsonl:2: .*{says}"):
        Mock(replies=path)


# HTTP


class Wire:
    """A connection without a network: a transport and a handler that answers with what it was asked."""

    def __init__(self) -> None:
        self.sent, self.closed = b"", False
        self.later: list[Any] = []
        self.connection = Connection(self, self)  # type: ignore[arg-type]
        self.connection.connection_made(self)  # type: ignore[arg-type]

    def opened(self, connection: Connection) -> None: ...

    def handle(self, connection: Connection, head: Head, body: bytes) -> None:
        connection.send(200, f"{head.method} {head.path} {head.query} ".encode() + body)

    def write(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def call_soon(self, function: Any) -> None:
        self.later.append(function)

    def receive(self, *parts: bytes) -> list[bytes]:
        for part in parts:
            self.connection.data_received(part)
            while self.later:
                self.later.pop()()
        return [part.split(b"\r\n\r\n")[1] for part in self.sent.split(b"HTTP/1.1 200 OK")[1:]]


LENGTH = b"POST /a?x=1 HTTP/1.1\r\nHost: h\r\ncontent-LENGTH:  5\r\n\r\nhello"
CHUNKED = b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n"
TRAILER = CHUNKED[:-2] + b"T: 1\r\n\r\n"
STREAM = LENGTH + CHUNKED + b"GET /c HTTP/1.1\r\n\r\n" + TRAILER + LENGTH


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_requests_are_read_however_they_are_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(STREAM)]
    parts = [STREAM[start:end] for start, end in pairwise(ends) if start < end]
    hello, wiki = b"POST /a x=1 hello", b"POST /b  wikipedia"
    assert Wire().receive(*parts) == [hello, wiki, b"GET /c  ", wiki, hello]


def test_a_client_that_waits_to_continue_is_told_to() -> None:
    wire = Wire()
    wire.receive(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert wire.receive(b"h", b"i") == [b"POST /a  hi"]


def test_a_connection_ends_where_the_client_wants_it() -> None:
    wire = Wire()
    assert wire.receive(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n") == [b"GET /a  "]
    assert wire.closed


@pytest.mark.parametrize(
    "raw",
    [
        b"what?\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"a" * 70_000,
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(raw: bytes) -> None:
    wire = Wire()
    wire.receive(raw)
    assert wire.sent.startswith(b"HTTP/1.1 400 ")
    assert wire.closed


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages"),
        ({"model": None}, "model"),
        ({"n": 0}, "n"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"response_format": "json"}, "response_format"),
        ({"structured_outputs": {"regex": "a"}}, "structured_outputs"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs"),
        ({"path": "/v1/completions"}, "prompt"),
        ({"path": "/v1/embeddings", "input": [""]}, "input"),
    ],
)
def test_a_wrong_body_is_refused_with_its_parameter(client: Client, body: dict[str, Any], param: str) -> None:
    status, answer = client.ask(**body).answer()
    assert (status, answer["error"]["param"]) == (400, param)


def test_pages_that_are_not_there(client: Client) -> None:
    assert client.ask(path="/v1/images").answer()[0] == 404
    client.connection.request("GET", "/v1/completions")
    assert client.answer()[0] == 405


# How it serves


def test_slots_serve_so_many_at_once_in_the_order_of_arrival(mock_endpoint: Any) -> None:
    mock = mock_endpoint(slots=2, latency="40ms")
    clients = [Client(mock).ask(f"{n}") for n in range(8)]
    for client in clients:
        assert client.answer()[0] == 200
        client.close()
    stats = mock.stats
    assert (stats.most_in_service, stats.in_service, stats.in_flight) == (2, 0, 0)
    assert stats.most_in_flight > 2
    assert stats.busy == pytest.approx(8 * 0.04)
    assert 0.155 < stats.seconds < 1
    assert stats.slot_use is not None and 0.1 < stats.slot_use <= 1.001
    assert ideal(stats.service_times, 2) == pytest.approx(0.16)


def test_service_times_belong_to_the_bodies(mock_endpoint: Any) -> None:
    times = []
    for order in (range(10), reversed(range(10))):
        mock = mock_endpoint(latency="lognormal:2ms,0.5", per_token="0.01ms")
        with closing(Client(mock)) as client:
            for n in order:
                client.says(f"{n}")
        times.append(mock.stats.service_times)
    assert times[0] == times[1][::-1]
    assert len(set(times[0])) == 10


def test_the_mean_of_a_lognormal_latency_is_what_was_asked() -> None:
    import hashlib

    asked = latency("lognormal:200ms,0.5")
    assert asked == Latency(0.2, 0.5)
    draws = [asked.draw(hashlib.blake2b(b"%d" % n).digest()) for n in range(20_000)]
    assert sum(draws) / len(draws) == pytest.approx(0.2, rel=0.02)
    logs = [math.log(one) for one in draws]
    mean = sum(logs) / len(logs)
    assert math.sqrt(sum((one - mean) ** 2 for one in logs) / len(logs)) == pytest.approx(0.5, rel=0.03)


def test_a_client_that_goes_away_frees_its_slot(mock_endpoint: Any) -> None:
    mock = mock_endpoint(slots=1, latency="300ms")
    gone, waiting = Client(mock).ask("long"), Client(mock).ask("waits")
    until(lambda: mock.stats.in_flight == 2)
    waiting.close()
    gone.close()
    with closing(Client(mock).ask("then")) as client:
        until(lambda: mock.stats.abandoned == 2)
        assert mock.stats.in_service == 1
        assert client.answer()[0] == 200
    assert mock.stats.most_in_service == 1


def test_a_bucket_and_its_headers(mock_endpoint: Any) -> None:
    mock = mock_endpoint(rate=0.5, burst=3, retry_after=True, rate_headers=True)
    with closing(Client(mock)) as client:
        left = []
        for n in range(3):
            client.says(f"{n}")
            left.append(client.headers["x-ratelimit-remaining-requests"])
        assert left == ["2", "1", "0"]
        status, body = client.ask("more").answer()
        assert (status, body["error"]["type"]) == (429, "rate_limit_error")
        assert client.headers["Retry-After"] in ("1", "2")
        assert client.headers["x-ratelimit-limit-requests"] == "3"
        assert client.headers["x-ratelimit-reset-requests"].endswith("ms")
    with closing(Client(mock_endpoint(rate=50, burst=1))) as client:
        answers = []
        for n in range(4):
            answers.append(client.ask(f"{n}").answer()[0])
            assert client.headers["Retry-After"] is None
            time.sleep(0.03 if n == 2 else 0)
        assert answers[0] == answers[3] == 200


def test_a_cap_refuses_at_once_what_is_above(mock_endpoint: Any) -> None:
    mock = mock_endpoint(cap=2, latency="200ms")
    clients = [Client(mock).ask(f"{n}") for n in range(4)]
    assert sorted(client.answer()[0] for client in clients) == [200, 200, 429, 429]
    for client in clients:
        client.close()
    assert mock.stats.most_in_flight == 2


def test_a_key_is_asked_for_and_parameters_can_be_refused(mock_endpoint: Any) -> None:
    with closing(Client(mock_endpoint(key="right", refuse=["response_format"]))) as client:
        assert client.ask().answer()[0] == 401
        assert client.ask(key="wrong").answer()[0] == 401
        assert client.ask(key="right").answer()[0] == 200
        status, body = client.ask(key="right", response_format={"type": "json_object"}).answer()
        assert (status, body["error"]["param"]) == (400, "response_format")


# What goes wrong on request


def test_faults_come_in_their_shares_and_trying_again_gets_through() -> None:
    faults = Faults({"429": "5%", "500": 0.05, "hang": "1%"})
    seeds = [b"%d" % n for n in range(20_000)]
    drawn = [faults.draw(seed, 0) for seed in seeds]
    for kind, share in (("429", 0.05), ("500", 0.05), ("hang", 0.01)):
        assert drawn.count(kind) / len(seeds) == pytest.approx(share, rel=0.15)
    assert drawn == [faults.draw(seed, 0) for seed in seeds]
    again = [faults.draw(seed, 1) for seed, fault in zip(seeds, drawn, strict=True) if fault]
    assert again.count(None) / len(again) == pytest.approx(0.89, rel=0.05)


def test_statuses_halves_drops_and_garbage(mock_endpoint: Any) -> None:
    with closing(Client(mock_endpoint(faults={"503": 1}))) as client:
        assert client.ask().answer()[0] == 503
    for kind in ("half", "drop"):
        mock = mock_endpoint(faults={kind: 1})
        with closing(Client(mock)) as client, pytest.raises((HTTPException, ConnectionError)):
            client.ask().answer()
        assert mock.stats.faults == {kind: 1}
    for n in range(20):
        mock = mock_endpoint(faults={"garbage": 1})
        with closing(Client(mock)) as client:
            client.ask(f"{n}")
            response = client.connection.getresponse()
            assert response.status == 200
            with pytest.raises((ValueError, LookupError, TypeError)):
                assert isinstance(json.loads(response.read())["choices"][0]["message"]["content"] + "", str)


def test_a_request_left_hanging_is_never_answered(mock_endpoint: Any) -> None:
    mock = mock_endpoint(faults={"hang": 1})
    with closing(Client(mock)) as client:
        client.connection.timeout = 0.2
        client.ask()
        with pytest.raises(TimeoutError):
            client.answer()
        assert (mock.stats.answered, mock.stats.in_flight) == (0, 1)
    until(lambda: mock.stats.in_flight == 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"latency": "soon"}, "latency 'soon' is no duration"),
        ({"latency": "lognormal:1s,x"}, "sigma is a number"),
        ({"per_token": -1}, "per_token '-1'"),
        ({"slots": 0}, "slots 0"),
        ({"rate": 0}, "rate 0"),
        ({"burst": 5}, "only with a rate"),
        ({"cap": 0}, "cap 0"),
        ({"faults": {"hnag": 1}}, "did you mean 'hang'"),
        ({"faults": {"200": 1}}, "no status from 400 to 599"),
        ({"faults": {"500": "x%"}}, "no share"),
        ({"faults": {"500": 0.6, "429": 0.6}}, "add up to 120%"),
        ({"refuse": ["messages"]}, "every request"),
    ],
)
def test_settings_that_cannot_be_are_one_clear_line(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        Mock(**settings)
    assert "\n" not in str(caught.value)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="in use; port 0"):
        Mock(port=taken.getsockname()[1]).start()


# What it counts


def test_figures_and_their_reset(mock_endpoint: Any) -> None:
    mock = mock_endpoint(slots=4)
    with closing(Client(mock)) as client:
        used = [client.ask(text).answer()[1]["usage"] for text in ("one", "two", "one")]
        client.ask(path="/v1/completions").answer()
        client.connection.request("GET", "/stats")
        _, figures = client.answer()
        client.connection.request("GET", "/stats?full=1")
        _, full = client.answer()
        assert full["service_times"] == [0, 0, 0]
        assert "service_times" not in figures
        assert (figures["requests"], figures["answered"], figures["repeated"]) == (4, 4, 1)
        assert figures["by_status"] == {"200": 3, "400": 1}
        assert figures["connections"] == 1
        for name in ("prompt_tokens", "completion_tokens"):
            assert figures[name] == sum(one[name] for one in used)
        assert client.ask(path="/stats/reset").answer()[0] == 200
        client.says("one")
    stats = mock.stats
    assert (stats.requests, stats.repeated, stats.by_status, stats.connections) == (1, 0, {200: 1}, 0)


@given(st.lists(st.floats(0, 10), max_size=30), st.integers(1, 8))
def test_the_best_possible_time(times: list[float], slots: int) -> None:
    best = ideal(times, slots)
    assert best >= max([*times, sum(times) / slots]) - 1e-6
    assert best <= sum(times) / slots + max([*times, 0]) + 1e-6  # Graham's bound
    assert ideal(times, 1) == pytest.approx(sum(times))


# From outside


def test_the_command_prints_its_address_and_stops_when_told(tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).parent / "synth-llm"),
        "mock",
        "--port",
        "0",
        "--print-url",
        "--fault",
        "500=100%",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host = process.stdout.readline().strip().removeprefix("http://").removesuffix("/v1")
        with closing(HTTPConnection(host, timeout=10)) as connection:
            body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            assert connection.getresponse().status == 500
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["by_status"] == {"500": 1}


def test_a_recipe_runs_against_it(mock_endpoint: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "write.jinja").write_text("---\ngives: {text: string}\n---\nWrite about {{ topic }}.\n")
    (tmp_path / "prompts" / "rate.jinja").write_text("---\ngives: {score: 1..5}\n---\nRate: {{ text }}\n")
    mock = mock_endpoint(faults={"500": "20%"}, slots=2, latency="1ms")
    model = {"engine": "openai", "model": "mock", "url": mock.url}
    steps = [{"generate": {"prompt": "write", "model": "writer"}}, {"judge": {"prompt": "rate", "model": "judge"}}]
    rows = [{"topic": f"topic {n}"} for n in range(8)]
    recipe = {"models": {"writer": model, "judge": model}, "source": {"rows": rows}, "steps": steps}
    (tmp_path / "small.yaml").write_text(json.dumps(recipe))
    result = synth_llm.run(tmp_path / "small.yaml", out=tmp_path / "run")
    assert result.complete
    assert mock.stats.by_status[200] == 16
    assert mock.stats.most_in_service <= 2
