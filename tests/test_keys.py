"""Keys of the environment: in no answer, error or log line, whatever the endpoint repeats. The bar: `secrets`."""

from __future__ import annotations

import logging

import pytest
from aiohttp import web

from synth_llm import FatalError, ModelEntry
from synth_llm.errors import Passing
from synth_llm.keys import hidden, quiet_transport
from synth_llm.models.openai import OpenAI
from synth_llm.models.request import body_of
from tests.test_openai import a_request, serving

KEY = "sk-planted-0123456789abcdef"


async def asked(handler, key=KEY):
    async with serving(handler) as url:
        engine = OpenAI("m", url=url, key=key)
        try:
            return await engine.answer(a_request())
        finally:
            await engine.close()


def repeating(status, **headers):
    async def handler(request):
        said = request.headers["Authorization"]
        return web.Response(body=body_of(f"You sent {said}."), status=status, headers=headers)

    return handler


async def test_an_answer_that_repeats_the_key_says_its_name_instead():
    answer = await asked(repeating(200))
    assert answer.body == body_of("You sent Bearer $KEY.")


async def test_a_key_that_may_be_a_word_of_a_text_is_left_in_answers():
    assert b"lm-studio" in (await asked(repeating(200), key="lm-studio")).body
    assert b"lm-studio" not in (await asked(repeating(400), key="lm-studio")).body


async def test_a_redirect_is_not_followed_and_says_where_to():
    with pytest.raises(FatalError, match=r"HTTP 307: moved to /there\?key=\$KEY; if that is right, write its"):
        await asked(repeating(307, Location=f"/there?key={KEY}"))


async def test_what_is_no_http_is_told_without_the_key():
    async def handler(request):
        request.transport.write(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{KEY}\r\n".encode())
        return web.Response()

    with pytest.raises(Passing) as caught:
        await asked(handler)
    assert KEY not in str(caught.value)
    assert "$KEY" in str(caught.value)


def test_short_keys_are_stand_ins():
    assert hidden("none of these", "none", "K") == "none of these"


def test_the_transports_below_other_clients_do_not_log_headers(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    loggers = [logging.getLogger("httpcore"), logging.getLogger("httpx2")]
    for logger, level in zip(loggers, (logging.NOTSET, logging.ERROR), strict=True):
        monkeypatch.setattr(logger, "level", level)
    quiet_transport()
    assert [logger.level for logger in loggers] == [logging.WARNING, logging.ERROR]


@pytest.mark.parametrize("name", ["sk-proj-0123456789", "Ab3dEf9hIj2kLm5nOp8qRs1t", "", "MY KEY"])
def test_a_key_in_place_of_its_variables_name_is_refused_and_not_shown(name):
    with pytest.raises(ValueError, match="key_env: is no name") as caught:
        ModelEntry(engine="openai", model="m", key_env=name)
    assert not name or name not in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("name", ["MY_KEY", "OPENAI_API_KEY", "my_key_2", "_K1"])
def test_names_of_variables_are_taken(name):
    assert ModelEntry(engine="openai", model="m", key_env=name).key_env == name


def test_secrets_are_refused_in_addresses_and_headers():
    with pytest.raises(ValueError, match="url: holds a password"):
        ModelEntry(engine="openai", model="m", url="https://me:word@example.org/v1")
    with pytest.raises(ValueError, match="is no address"):
        ModelEntry(engine="openai", model="m", url="http://localhost:port/v1")
    for name in ("X-Goog-Api-Key", "Ocp-Apim-Subscription-Key", "X-Auth-Token", "Cookie", "Authorization"):
        with pytest.raises(ValueError, match=f"headers: '{name}' holds a secret"):
            ModelEntry(engine="openai", model="m", headers={name: "x"})
    given = {"HTTP-Referer": "https://example.org", "X-Title": "reviews", "anthropic-version": "1"}
    assert ModelEntry(engine="openai", model="m", headers=given).headers == given
