"""The openai engine, against a server here: what it sends, how it reads failures, what becomes of the key."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from synth_llm import FatalError, Generate, InputError, ModelEntry, Recipe, Source, run_async
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
