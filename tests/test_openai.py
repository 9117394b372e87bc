"""The openai engine, against a server here: what it sends, how it reads failures, what becomes of the key."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from synth_llm import FatalError, Generate, InputError, LabelCheck, ModelEntry, Recipe, Source, run_async
from synth_llm.errors import Passing
from synth_llm.models import call
from synth_llm.models.openai import OpenAI
from synth_llm.models.request import Answer, Request, body_of
from tests.project import topics, write_prompts

SECRET = "sk-test-5d1e7a-never-written-anywhere"
OBJECT = {"type": "object", "properties": {"score": {"type": "integer"}}}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """The address, before `/chat/completions`, of a server that answers every POST with `handler`."""
    app = web.Application()
    app.router.add_post("/{path:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


async def ask(handler: Handler, request: Request | None = None, **settings: Any) -> Answer:
    async with serving(handler) as url:
        engine = OpenAI("m", url=url, **settings)
        try:
            return await engine.answer(request or a_request())
        finally:
            await engine.close()


def a_request(schema: dict[str, Any] | None = None, draw: tuple[int | str, ...] | None = None) -> Request:
    return Request(
        "m", ({"role": "user", "content": "Hé"},), {"temperature": 0.5, "top_k": 3}, schema=schema, draw=draw
    )


def status(code: int, body: bytes = b'{"error": {"message": "no,\\nnot today"}}', **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body, status=code, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return handler


async def payload_of(request: Request) -> dict[str, Any]:
    seen: list[web.Request] = []

    async def handler(received: web.Request) -> web.Response:
        seen.append(received)
        await received.read()
        return web.Response(body=body_of("ok"))

    await ask(handler, request)
    assert seen[0].path == "/v1/chat/completions"
    assert seen[0].content_type == "application/json"
    body: dict[str, Any] = json.loads(await seen[0].read())
    return body


async def test_the_payload_is_the_request_in_openais_words():
    assert await payload_of(a_request()) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hé"}],
        "temperature": 0.5,
        "top_k": 3,
    }


async def test_a_seed_is_sent_only_for_a_sampled_request():
    sampled = a_request(draw=(7, "row", 0, 0))
    assert (await payload_of(sampled))["seed"] == sampled.seed
    assert sampled.seed != a_request(draw=(7, "row", 1, 0)).seed
    assert "seed" not in await payload_of(a_request())


async def test_a_schema_is_sent_as_a_response_format_and_a_choice_of_words_as_an_object_of_one():
    form = (await payload_of(a_request(OBJECT)))["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "answer", "schema": OBJECT, "strict": True}}
    form = (await payload_of(a_request({"enum": ["yes", "no"]})))["response_format"]
    assert form["json_schema"]["schema"]["properties"] == {"answer": {"type": "string", "enum": ["yes", "no"]}}


async def test_the_body_comes_back_as_the_server_sent_it():
    odd = b'{ "choices": [ {"message": {"content": "\xff"}} ], "extra": 1e3 }\n'
    assert await ask(status(200, odd)) == Answer(odd)


@pytest.mark.parametrize("code", [400, 413, 422])
async def test_a_refusal_of_this_request_is_an_answer(code):
    assert await ask(status(code, b"too long")) == Answer(b"too long", code)


@pytest.mark.parametrize("code", [401, 403, 404, 405, 302])
async def test_a_refusal_of_every_request_is_fatal_and_one_line(code):
    with pytest.raises(FatalError, match=rf"^http://127\.0\.0\.1:\d+/v1/chat/completions: HTTP {code}: no, not today$"):
        await ask(status(code))


@pytest.mark.parametrize("code", [408, 409, 429, 500, 502, 503, 529])
async def test_what_may_pass_is_passing(code):
    with pytest.raises(Passing, match=f"HTTP {code}: no, not today") as caught:
        await ask(status(code))
    assert caught.value.retry_after is None


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None)])
async def test_retry_after_is_read(header, seconds):
    with pytest.raises(Passing) as caught:
        await ask(status(429, Retry_After=header))
    assert caught.value.retry_after == seconds


async def test_retry_after_is_read_as_a_date():
    with pytest.raises(Passing) as caught:
        await ask(status(503, Retry_After=formatdate(time.time() + 30, usegmt=True)))
    assert caught.value.retry_after == pytest.approx(30, abs=2)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after_ms": "1500", "Retry_After": "2"}, 1.5),
        ({"Retry_After": "86400"}, 600.0),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "1m2.5s"}, 62.5),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "120ms"}, 0.12),
        ({"x_ratelimit_remaining_requests": "7", "x_ratelimit_reset_requests": "1m0s"}, None),
        ({"Retry_After": "nan"}, 0.0),
    ],
)
async def test_how_long_to_wait_is_read_from_other_headers_too(headers, seconds):
    with pytest.raises(Passing) as caught:
        await ask(status(429, **headers))
    assert caught.value.retry_after == seconds
    assert caught.value.busy


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "3s"}, 3.0),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "7"}, 7.0),
        ({"x_ratelimit_remaining_requests": "1", "x_ratelimit_reset_requests": "3s"}, 0.0),
        ({"anthropic_ratelimit_requests_remaining": "0", "anthropic_ratelimit_requests_reset": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
async def test_an_answer_that_was_the_last_for_now_says_so(headers, pause):
    assert (await ask(status(200, body_of("ok"), **headers))).pause == pause


async def test_the_time_of_the_next_answer_is_read_as_anthropic_writes_it():
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 20))
    left = {"anthropic_ratelimit_tokens_remaining": "0", "anthropic_ratelimit_tokens_reset": soon}
    assert (await ask(status(200, body_of("ok"), **left))).pause == pytest.approx(20, abs=2)


@pytest.mark.parametrize("word", ["insufficient_quota", "Insufficient credits"])
async def test_no_money_is_fatal_because_waiting_does_not_help(word):
    body = json.dumps({"error": {"message": f"You exceeded it: {word}", "code": word}}).encode()
    with pytest.raises(FatalError, match=r"HTTP 429: You exceeded it.*waiting does not help"):
        await ask(status(429, body))


async def test_a_reset_is_passing():
    async def reset(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(Passing, match="/v1/chat/completions: "):
        await ask(reset)


async def test_an_answer_cut_off_in_the_middle_is_passing():
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(body_of("half")[:40])
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(Passing):
        await ask(half)


async def test_no_answer_in_time_is_passing():
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    with pytest.raises(Passing, match="no answer in time"):
        await ask(slow, timeout=0.05)


async def test_nobody_listens_is_passing():
    async with serving(status(200)) as url:
        pass
    engine = OpenAI("m", url=url)
    with pytest.raises(Passing, match="Cannot connect"):
        await engine.answer(a_request())
    await engine.close()


async def test_a_proxy_of_the_environment_is_used_and_left_as_it_is(monkeypatch):
    seen = []

    async def proxy(request: web.Request) -> web.Response:
        seen.append(request.headers["Host"])
        return web.Response(body=body_of("through the proxy"))

    async with serving(proxy) as url:
        monkeypatch.setenv("http_proxy", url.removesuffix("/v1"))
        before = dict(os.environ)
        engine = OpenAI("m", url="http://model.invalid/v1")
        answer = await engine.answer(a_request())
        await engine.close()
    assert b"through the proxy" in answer.body
    assert seen == ["model.invalid"]
    assert dict(os.environ) == before


async def test_an_address_that_needs_no_proxy_is_asked_itself(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    assert await ask(status(200, b"itself")) == Answer(b"itself")


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate that no system trusts, and a server's context with it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    public, key = folder / "ca.pem", folder / "key.pem"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    out = ["-keyout", str(key), "-out", str(public)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *name, *out],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, key)
    return public, context


ASK = """
import asyncio, sys
from synth_llm.errors import SynthError
from synth_llm.models.openai import OpenAI
from synth_llm.models.request import Request

async def main():
    engine = OpenAI("m", url=sys.argv[1])
    try:
        print((await engine.answer(Request("m", ({"role": "user", "content": "Hi"},), {}))).body.decode())
    except SynthError as error:
        print(error)
    await engine.close()

asyncio.run(main())
"""


async def test_certificates_that_the_environment_names_are_trusted(tmp_path):
    """In a process of its own: OpenSSL looks at its variable once."""
    trusted, context = certificate(tmp_path)
    app = web.Application()
    app.router.add_post("/{path:.*}", status(200, b"over TLS"))

    async def said(url: str, **variables: str) -> str:
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        clean = {name: value for name, value in os.environ.items() if name not in names}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASK, url, env={**clean, **variables}, stdout=subprocess.PIPE
        )
        return (await process.communicate())[0].decode().strip()

    server = TestServer(app)
    await server.start_server(ssl=context)
    url = f"https://127.0.0.1:{server.port}/v1"
    ways = [{}, {"SSL_CERT_FILE": str(trusted)}, {"REQUESTS_CA_BUNDLE": str(trusted)}]
    untrusted, *heard = await asyncio.gather(*(said(url, **variables) for variables in ways))
    await server.close()
    assert heard == ["over TLS", "over TLS"]
    assert "CERTIFICATE_VERIFY_FAILED" in untrusted


async def test_certificates_that_are_not_there_are_bad_input(monkeypatch, tmp_path):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match=r"REQUESTS_CA_BUNDLE=.*none\.pem: no certificates there"):
        await ask(status(200))


async def test_the_key_is_read_from_the_environment_by_name(monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Authorization"), request.headers.get("X-Team")))
        return web.Response(body=body_of("ok"))

    await ask(handler, key_env="MY_KEY", headers={"X-Team": "blue"})
    await ask(handler)
    assert seen == [(f"Bearer {SECRET}", "blue"), (None, None)]


async def test_a_missing_key_is_bad_input_that_names_the_variable():
    with pytest.raises(InputError, match="environment variable OPENAI_API_KEY holds no API key"):
        await OpenAI("m").answer(a_request())


@pytest.mark.parametrize("bad", [SECRET + "\r\n", SECRET + "\t", SECRET + "\nX-Other: 1"])
async def test_a_key_that_no_header_can_hold_is_bad_input(monkeypatch, bad):
    monkeypatch.setenv("MY_KEY", bad)
    with pytest.raises(InputError, match="MY_KEY") as caught:
        await ask(status(200), key_env="MY_KEY")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("code", [400, 401, 429, 500])
async def test_the_key_is_in_no_error_even_if_the_server_repeats_it(monkeypatch, code):
    monkeypatch.setenv("MY_KEY", SECRET)

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"error": {"message": f"wrong: {request.headers['Authorization']}"}}, status=code)

    try:
        said = repr(await ask(echo, key_env="MY_KEY"))
    except (FatalError, Passing) as error:
        said = str(error)
    assert "wrong" in said
    assert SECRET not in said


async def test_a_stand_in_for_a_key_changes_no_text(monkeypatch):
    monkeypatch.setenv("MY_KEY", "x")
    assert await ask(status(400, b"exceeds the maximum"), key_env="MY_KEY") == Answer(b"exceeds the maximum", 400)


# Whole runs


def recipe(url: str, **settings: Any) -> Recipe:
    entry = ModelEntry(engine="openai", model="m", url=url, key_env="MY_KEY", **{"retries": 2, **settings})
    return Recipe(
        models={"w": entry}, source=Source(rows=topics(4)), steps=[Generate(prompt="write", model="w")], seed=3
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    write_prompts(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_KEY", SECRET)
    monkeypatch.setattr(call, "FIRST_WAIT", 0.0)
    return tmp_path


@pytest.mark.parametrize(("code", "sent", "reason"), [(500, 12, "unavailable"), (400, 4, "bad request")])
async def test_a_failing_endpoint_rejects_rows_and_no_file_holds_the_key(project, code, sent, reason):
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(await request.text())
        text = f"no, {request.headers['Authorization']}"
        return web.json_response({"error": {"message": text}}, status=code)

    async with serving(handler) as url:
        result = await run_async(recipe(url))
    assert len(asked) == sent
    assert [row["reason"] for row in result.rejected] == [reason] * 4
    assert result.complete is (code == 400)
    files = [path for path in project.rglob("*") if path.is_file()]
    assert {"manifest.json", "recipe.yaml", "journal.sqlite"} <= {path.name for path in files}
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert "MY_KEY" in (result.path / "recipe.yaml").read_text()


async def test_what_passes_is_tried_again_and_the_run_is_complete(project):
    asked = []

    async def handler(request: web.Request) -> web.Response:
        text = await request.text()
        asked.append(text)
        if asked.count(text) == 1:
            return web.Response(status=503, headers={"Retry-After": "0"})
        return web.Response(body=body_of(f"A text, number {len(asked)}."))

    async with serving(handler) as url:
        result = await run_async(recipe(url))
    assert result.complete
    assert len(result.kept) == 4
    assert len(asked) == 8
    assert len(set(asked)) == 4, "a retry sends the same request"


async def test_a_wrong_key_stops_the_run_at_once(project):
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response({"error": {"message": f"Incorrect key {SECRET}"}}, status=401)

    async with serving(handler) as url:
        with pytest.raises(FatalError, match="HTTP 401: Incorrect key") as caught:
            await run_async(recipe(url, concurrency=1))
    assert len(asked) == 1
    assert SECRET not in str(caught.value)


AZURE = {
    "error": {
        "message": "The response was filtered due to the prompt triggering the content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
    }
}


def choice(message: Any, finish: str = "stop") -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": finish}]}


OUTCOMES: dict[str, tuple[Any, str]] = {
    "plain": ("A text.", "A text."),
    "thinking aloud": ("<think>Short?\nYes.</think>\n\nA text.", "A text."),
    "thinking apart": (choice({"content": "A text.", "reasoning_content": "Short? Yes."}), "A text."),
    "refusal": (choice({"content": None, "refusal": "I cannot."}), "refused: I cannot."),
    "filter": (choice({"content": "A te"}, "content_filter"), "content filter: "),
    "Azure's filter": ((400, AZURE), "content filter: HTTP 400: The response was filtered"),
    "too long": ((400, {"error": {"message": "context length"}}), "bad request: HTTP 400: context length"),
    "cut": (choice({"content": "A te"}, "length"), "cut: the answer reached max_tokens"),
    "thinking to the end": (
        choice({"content": "", "reasoning_content": "Hm"}, "length"),
        "cut: max_tokens were used up",
    ),
    "thinking aloud to the end": (choice({"content": "<think>Hm"}, "length"), "cut: max_tokens were used up"),
    "thinking and no answer": (choice({"content": "<think>Hm</think>"}), "unparseable: empty answer"),
    "a tool": (choice({"content": None, "tool_calls": []}, "tool_calls"), "unparseable: the answer has no text"),
}


async def test_each_outcome_has_its_name(project, mock_endpoint):
    """What became of a row, by what the endpoint said of it."""
    mock = mock_endpoint(lambda body: OUTCOMES[body["messages"][0]["content"][len("Write about ") : -1]][0])
    rows = [{"topic": name} for name in OUTCOMES]
    entry = ModelEntry(engine="openai", model="m", url=mock.url, repairs=0)
    one = Recipe(models={"w": entry}, source=Source(rows=rows), steps=[Generate(prompt="write", model="w")])
    result = await run_async(one)
    became = {row["topic"]: row["text"] for row in result.kept}
    became |= {json.loads(row["row"])["topic"]: f"{row['reason']}: {row['detail']}" for row in result.rejected}
    assert became.keys() == OUTCOMES.keys()
    assert {name: text for name, text in became.items() if not text.startswith(OUTCOMES[name][1])} == {}
    assert {row["topic"] for row in result.kept} == {"plain", "thinking aloud", "thinking apart"}
    assert result.complete


async def test_a_choice_that_comes_as_an_object_is_read_as_its_word(project, mock_endpoint):
    """The mock keeps to the schema, as endpoints that constrain answers do: `{"answer": "..."}`."""
    mock = mock_endpoint()
    entry = ModelEntry(engine="openai", model="m", url=mock.url, temperature=0)
    step = LabelCheck(prompt="label", model="w", labels=["red", "blue"], on_disagreement="flag")
    rows = [{"text": f"It is number {n}.", "label": "red"} for n in range(12)]
    result = await run_async(Recipe(models={"w": entry}, source=Source(rows=rows), steps=[step]))
    assert {row["judged"] for row in result.kept} == {"red", "blue"}
    assert len(result.kept) == 12
    assert mock.stats.requests == 12


async def test_a_base_model_goes_on_with_the_prompt(project, mock_endpoint):
    bodies: list[dict[str, Any]] = []
    mock = mock_endpoint(lambda body: bodies.append(body) or " It was red.")
    result = await run_async(recipe(mock.url, api="completions", max_tokens=7))
    assert [row["text"] for row in result.kept] == ["It was red."] * 4
    assert {body["prompt"] for body in bodies} == {f"Write about topic {n}." for n in range(4)}
    assert all(body["max_tokens"] == 7 for body in bodies)


async def test_a_base_model_has_no_system_message(project, mock_endpoint):
    talk = "---\ngives: {text: string}\n---\n{% system %}Be brief.{% endsystem %}{% user %}{{ topic }}{% enduser %}\n"
    (project / "prompts" / "write.jinja").write_text(talk)
    mock = mock_endpoint()
    with pytest.raises(FatalError, match="`api: completions` goes on with a text; this prompt has a system message"):
        await run_async(recipe(mock.url, api="completions"))
    assert mock.stats.requests == 0


def two_models(url: str, **settings: dict[str, Any]) -> Recipe:
    """A writer and another, at one address."""
    entry = {"engine": "openai", "url": url, "temperature": 0.5}
    models = {name: ModelEntry(**{**entry, "model": name, **settings.get(name, {})}) for name in ("one", "other")}
    steps = [Generate(prompt="write", model="one"), Generate(prompt="anything", model="other")]
    return Recipe(models=models, source=Source(rows=topics(40)), steps=steps)


async def test_two_models_at_one_address_share_what_may_be_in_flight(project, mock_endpoint):
    mock = mock_endpoint(latency=0.01)
    result = await run_async(two_models(mock.url, one={"concurrency": 5}))
    assert len(result.kept) == 40
    assert mock.stats.requests == 80
    assert mock.stats.most_in_flight == 5
    assert mock.stats.connections <= 5


async def test_two_models_at_one_address_cannot_be_told_different_limits(project, mock_endpoint):
    mock = mock_endpoint()
    with pytest.raises(InputError, match="models 'one' and 'other' share one endpoint, but say concurrency 5 and 6"):
        await run_async(two_models(mock.url, one={"concurrency": 5}, other={"concurrency": 6}))
    assert mock.stats.requests == 0


async def test_headers_that_say_none_are_left_hold_everybody_back(project):
    """One answer in ten says that the next one is taken in 0.2 s: till then nobody asks."""
    times: list[tuple[float, bool]] = []

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        last = len(times) % 10 == 9
        times.append((time.monotonic(), last))
        left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "200ms"} if last else {}
        return web.Response(body=body_of("A text."), headers=left)

    async with serving(handler) as url:
        one = recipe(url, concurrency=1)
        result = await run_async(one.model_copy(update={"source": Source(rows=topics(25))}))
    assert len(result.kept) == 25
    gaps = [after - before for (before, last), (after, _) in itertools.pairwise(times) if last]
    assert len(gaps) == 2
    assert min(gaps) >= 0.2
