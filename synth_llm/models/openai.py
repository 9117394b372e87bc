"""Any endpoint that speaks OpenAI's chat completions or completions, over aiohttp."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, AnyStr

from synth_llm.errors import FatalError, InputError, Passing
from synth_llm.keys import LONG, SURE, hidden, read_key
from synth_llm.models.request import BAD_REQUEST, Answer, Request, completion, error_message
from synth_llm.models.wire import Wire, error_of

if TYPE_CHECKING:
    import aiohttp

URL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
LONGEST_WAIT = 600.0
"""Seconds: what an endpoint asks for beyond that is taken for a mistake."""
BUSY = frozenset({429, 503, 529})
"""Statuses that say that too much was sent."""
NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "insufficient credits")
"""What a 429 says that no waiting mends."""
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Certificates that other tools' users have named; OpenSSL itself reads SSL_CERT_FILE."""


class OpenAI:
    """`engine: openai`. `url` ends before `/chat/completions`.

    The key is read from the environment by name, or given as `key` for a server of our own.
    """

    def __init__(
        self,
        model: str,
        *,
        url: str = URL,
        key_env: str | None = None,
        key: str = "",
        headers: dict[str, str] | None = None,
        timeout: float = 600.0,
        revision: str = "",
    ) -> None:
        self.name, self.revision = model, revision
        self.url = url.rstrip("/")
        self._headers = {**(headers or {}), "Content-Type": "application/json"}
        self._key_env, self._timeout = key_env or (KEY if self.url == URL else None), timeout
        self._session: aiohttp.ClientSession | None = None
        self._key = key
        self._wires: dict[str, Wire] = {}
        self._first = asyncio.Lock()

    async def answer(self, request: Request) -> Answer:
        """POST the request; once more in other words for each thing that the endpoint is found not to know.

        Raises Passing on 408, 409, 425, 429, 5xx, resets and time-outs; FatalError on 401, 403, 404 and other statuses,
        and for a parameter of the recipe that the model does not take.
        """
        wire = self._wires.setdefault(request.model, Wire())
        if request.schema is None or wire.proved:
            return await self._answer(request, wire)
        async with self._first:  # what one request finds out, the others need not
            if not wire.proved:
                return await self._answer(request, wire)
        return await self._answer(request, wire)

    async def _answer(self, request: Request, wire: Wire) -> Answer:
        while True:
            sent = wire.body(request)
            answer = await self._post("/completions" if request.raw is not None else "/chat/completions", sent)
            if answer.status == 200:
                if request.schema is not None:
                    wire.answered(request, completion(answer).text)
                return answer
            error = error_of(answer.body)
            if wire.body(request) != sent or wire.learn(request, error):  # another request may have learnt it meanwhile
                continue
            name = wire.refused(request, error)
            if name:
                raise FatalError(
                    f"{self.url}: {request.model} does not take the parameter '{name}' "
                    f"({error_message(answer.body.decode('utf-8', 'replace'))}); take it out of the recipe's model"
                )
            return answer

    async def _post(self, path: str, data: bytes) -> Answer:
        import aiohttp

        session = self._session = self._session or self._open()
        url = self.url + path
        try:
            async with session.post(url, data=data, allow_redirects=False) as response:
                body, status, headers = await response.read(), response.status, response.headers
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            raise Passing(f"{url}: {self._hidden(what)}") from None
        if status == 200:
            return Answer(self._hidden(body, SURE), pause=_until_reset(headers))
        body = self._hidden(body)
        if status in BAD_REQUEST:
            return Answer(body, status)
        said = error_message(body.decode("utf-8", "replace"))
        if status // 100 == 3 and "Location" in headers:  # prompts and key go where the recipe says, nowhere else
            said = f"moved to {self._hidden(headers['Location'])[:300]}; if that is right, write its address as `url`"
        message = f"{url}: HTTP {status}: {said}"
        if status in {408, 409, 425, 429} or status >= 500:
            if status == 429 and any(word in body.decode("utf-8", "replace").lower() for word in NO_MONEY):
                raise FatalError(f"{message} (waiting does not help)")
            raise Passing(message, _retry_after(headers), busy=status in BUSY, limited=status == 429)
        raise FatalError(message)

    def _hidden(self, said: AnyStr, least: int = LONG) -> AnyStr:
        """What the endpoint said, without the key that it may repeat."""
        return hidden(said, self._key, self._key_env or "KEY", least)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        headers = dict(self._headers)
        if self._key_env:
            self._key = read_key(self.name, self._key_env)
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return aiohttp.ClientSession(
            headers=headers,
            proxy=_proxy(self.url),  # found once: aiohttp's own way looks it up in a thread for every request
            connector=aiohttp.TCPConnector(limit=0, ssl=_certificates()),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
        )


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address (http_proxy, https_proxy, all_proxy, but for no_proxy)."""
    address = urllib.parse.urlsplit(url)
    if urllib.request.proxy_bypass(address.netloc):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(address.scheme) or proxies.get("all")


def _certificates() -> ssl.SSLContext | bool:
    """The certificates to trust: the system's, or those that the environment names. Raises InputError."""
    if "SSL_CERT_FILE" in os.environ:
        return True
    for variable in CA_VARIABLES:
        path = os.environ.get(variable)
        if path:
            try:
                return ssl.create_default_context(cafile=path)
            except OSError as error:
                raise InputError(f"{variable}={path}: no certificates there ({error.strerror or error})") from None
    return True


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a refusal asks us to wait: `retry-after-ms`, Retry-After as seconds or an HTTP date (RFC 9110,
    section 10.2.3), or the reset of what is used up."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    text = headers.get("Retry-After")
    seconds = _number(text)
    if seconds is None and text:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            seconds = None
    return _bounded(seconds) if seconds is not None else _until_reset(headers) or None


def _until_reset(headers: Mapping[str, str]) -> float:
    """Seconds until an endpoint takes requests again, when its headers say that none are left; else 0."""
    wait = 0.0
    for family in ("x-ratelimit-{}-requests", "x-ratelimit-{}-tokens"):  # OpenAI and those who follow it
        if headers.get(family.format("remaining")) == "0":
            wait = max(wait, _duration(headers.get(family.format("reset"), "")))
    for family in ("anthropic-ratelimit-requests-{}", "anthropic-ratelimit-tokens-{}"):
        if headers.get(family.format("remaining")) == "0":
            wait = max(wait, _from_now(headers.get(family.format("reset"), "")))
    return _bounded(wait)


def _duration(text: str) -> float:
    """Seconds of `1h2m3.5s`, `120ms` or a bare number.

    >>> _duration("1m30.5s"), _duration("120ms"), _duration("7")
    (90.5, 0.12, 7.0)
    """
    bare = _number(text)
    if bare is not None:
        return bare
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text))


def _from_now(text: str) -> float:
    """Seconds from now to a time as RFC 3339 writes it."""
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - time.time()


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), LONGEST_WAIT) if seconds == seconds else 0.0
