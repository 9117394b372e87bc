"""Any endpoint that speaks OpenAI's chat completions, over aiohttp."""

from __future__ import annotations

import json
import os
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from synth_llm.errors import FatalError, InputError, Passing
from synth_llm.models.request import BAD_REQUEST, Answer, Request, error_message

if TYPE_CHECKING:
    import aiohttp

URL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
LONG = 8
"""Characters from which a key is a secret: shorter ones are stand-ins for endpoints that want none."""


class OpenAI:
    """`engine: openai`. `url` ends before `/chat/completions`; the key is read from the environment by name."""

    def __init__(
        self,
        model: str,
        *,
        url: str = URL,
        key_env: str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 600.0,
        revision: str = "",
    ) -> None:
        self.name, self.revision = model, revision
        self.url = url.rstrip("/") + "/chat/completions"
        self._headers = {**(headers or {}), "Content-Type": "application/json"}
        self._key_env, self._timeout = key_env or (KEY if url == URL else None), timeout
        self._session: aiohttp.ClientSession | None = None
        self._key = ""

    async def answer(self, request: Request) -> Answer:
        """POST the request once.

        Raises Passing on 408, 409, 429, 5xx, resets and time-outs; FatalError on 401, 403, 404 and other statuses.
        """
        import aiohttp

        session = self._session = self._session or self._open()
        try:
            async with session.post(self.url, data=_payload(request)) as response:
                body, status = await response.read(), response.status
                retry_after = response.headers.get("Retry-After")
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            raise Passing(f"{self.url}: {what}") from None
        if status == 200:
            return Answer(body)
        if len(self._key) >= LONG:  # an endpoint may repeat it in a refusal
            body = body.replace(self._key.encode(), f"${self._key_env}".encode())
        if status in BAD_REQUEST:
            return Answer(body, status)
        message = f"{self.url}: HTTP {status}: {error_message(body.decode('utf-8', 'replace'))}"
        if status in {408, 409, 425, 429} or status >= 500:
            raise Passing(message, _seconds(retry_after))
        raise FatalError(message)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        headers = dict(self._headers)
        if self._key_env:
            key = os.environ.get(self._key_env)
            if not key:
                raise InputError(f"model {self.name}: the environment variable {self._key_env} holds no API key")
            if not key.isascii() or not key.isprintable():
                raise InputError(
                    f"model {self.name}: the API key in {self._key_env} holds a line end or another character that "
                    "no key has; set it again"
                )
            self._key, headers["Authorization"] = key, f"Bearer {key}"
        return aiohttp.ClientSession(
            headers=headers,
            trust_env=True,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
        )


def _payload(request: Request) -> bytes:
    """The body of the POST: the request in OpenAI's words."""
    body: dict[str, Any] = {"model": request.model, "messages": request.messages, **request.sampling}
    if request.draw is not None:
        body["seed"] = request.seed
    if request.schema is not None and "enum" not in request.schema:
        form = {"name": "answer", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return json.dumps(body).encode()


def _seconds(retry_after: str | None) -> float | None:
    """What Retry-After asks for: seconds, or an HTTP date (RFC 9110, section 10.2.3); never more than ten minutes."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after or "").timestamp() - time.time()
        except ValueError:
            return None
    return min(max(0.0, seconds), 600.0)
