"""A mock endpoint on this machine that answers from the body of a request alone, and counts what it is asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

Respond = Callable[[dict[str, Any], int], tuple[int, Any]]
"""(request body, its hash) -> (HTTP status, response body)."""

WORDS = [
    "quiet",
    "river",
    "stone",
    "letter",
    "window",
    "garden",
    "orange",
    "signal",
    "paper",
    "mountain",
    "copper",
    "velvet",
    "ladder",
    "winter",
    "bridge",
    "lantern",
]


def say(text: str) -> dict[str, Any]:
    return {
        "model": "mock-1",
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": len(text.split())},
    }


def prose(number: int) -> str:
    """Some words that depend on a number alone."""
    return "The " + " ".join(WORDS[(number >> 4 * at) % len(WORDS)] for at in range(12)) + f" {number % 10**6}."


def respond(body: dict[str, Any], number: int) -> tuple[int, Any]:
    """A score when one is asked for, else prose; one text in 12 is too short for the length filter."""
    if "response_format" in body:
        return 200, say(json.dumps({"score": number % 5 + 1}))
    return 200, say(f"Short {number % 99991}." if number % 12 == 0 else prose(number))


class Mock:
    """`with Mock() as mock`: serves at `mock.url`; counts each body, and in `seen_again` the repeated ones."""

    def __init__(self, respond: Respond = respond, latency: Callable[[int], float] = lambda number: 0.0) -> None:
        self.respond, self.latency = respond, latency
        self.bodies: Counter[bytes] = Counter()
        self.seen_again = self.in_flight = self.most_in_flight = 0
        self.epoch = 0
        """Which start of the client this is; whoever restarts it counts on."""
        self.last: dict[bytes, int] = {}
        """The epoch in which a body came last."""
        self.lost: Counter[int] = Counter()
        """By epoch: its requests that came again in a later one, so that their answers had been lost."""
        self.asked: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Mock:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
        self.url = f"http://127.0.0.1:{port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> int:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def _answer(self, request: web.Request) -> web.Response:
        raw = await request.read()
        mark = hashlib.sha256(raw).digest()
        self.bodies[mark] += 1
        self.seen_again += self.bodies[mark] > 1
        if self.last.get(mark, self.epoch) != self.epoch:
            self.lost[self.last[mark]] += 1
        self.last[mark] = self.epoch
        number = int.from_bytes(mark[:8], "big")
        body = json.loads(raw)
        self.asked.append(body["messages"][-1]["content"])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency(number))
        finally:
            self.in_flight -= 1
        status, answer = self.respond(body, number)
        if isinstance(answer, bytes):
            return web.Response(body=answer, status=status)
        return web.json_response(answer, status=status)

    @property
    def sent(self) -> int:
        """Requests that arrived."""
        return self.bodies.total()

    def reset(self) -> None:
        """Count anew."""
        self.bodies.clear()
        self.last.clear()
        self.lost.clear()
        self.asked.clear()
        self.seen_again = self.most_in_flight = 0
