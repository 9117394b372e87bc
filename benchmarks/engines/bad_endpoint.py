"""An endpoint that answers badly three times in ten, each time in another way; what it should have said is known."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

SHARE = 0.3
"""Of the answers that are bad."""
KINDS = ("café", "thé", "eau")

Record = dict[str, Any]


def written(number: int) -> Record:
    """What the writer should say of a row."""
    return {
        "title": f"Item {number}: naïve “quotes”, 東京",
        "kind": KINDS[number % 3],
        "size": number % 100,
        "price": number / 4,
        "note": None if number % 4 == 0 else f"note {number}",
        "tags": [f"t{number}", "x"],
        "parts": [{"name": "bolt", "count": number % 9 + 1}],
    }


def judged(number: int) -> Record:
    """What the judge should say of it."""
    return {"score": number % 5 + 1, "verdict": "good" if number % 2 else "bad"}


def _with(**wrong: Any) -> Callable[[Record], str]:
    """The record with something wrong in it; the judge's gets an answer of another kind."""

    def say(truth: Record) -> str:
        changed = {key: value for key, value in wrong.items() if key in truth}
        return json.dumps({**truth, **(changed or {"score": "five"})})

    return say


def _raw(key: str, value: str) -> Callable[[Record], str]:
    """The record with one value written as no encoder would; in the judge's, the score."""

    def say(truth: Record) -> str:
        place = key if key in truth else "score"
        return json.dumps({**truth, place: "@"}).replace('"@"', value)

    return say


def _lie(truth: Record) -> Record:
    """Another record that is as good as the true one, and false."""
    return written(9999) if "title" in truth else judged(7 if truth["score"] != 3 else 8)


def _mojibake(truth: Record) -> str:
    text = json.dumps(truth, ensure_ascii=False)
    return text.encode().decode("latin-1") if "kind" in truth else text.replace("o", "Ã³").replace("a", "Ã¡")


TEXTS: dict[str, Callable[[Record], str]] = {
    "half JSON": lambda truth: json.dumps(truth)[: len(json.dumps(truth)) // 2],
    "two JSONs": lambda truth: json.dumps(truth) + json.dumps(_lie(truth)),
    "two JSONs in prose": lambda truth: f"First {json.dumps(_lie(truth))}, or rather {json.dumps(truth)}",
    "two blocks": lambda truth: f"```json\n{json.dumps(_lie(truth))}\n```\n```json\n{json.dumps(truth)}\n```",
    "a list of two": lambda truth: json.dumps([truth, _lie(truth)]),
    "JSON in prose": lambda truth: f"Sure! Here it is: {json.dumps(truth)} I hope that helps.",
    "a block": lambda truth: f"```json\n{json.dumps(truth, indent=1)}\n```",
    "thinking": lambda truth: f"<think>{json.dumps(_lie(truth))}?</think>{json.dumps(truth)}",
    "thinking without end": lambda truth: f"<think>{json.dumps(_lie(truth))}",
    "prose": lambda truth: "I would say that it is quite good.",
    "blanks": lambda truth: " \n ",
    "wrong types": _with(size="12", score="3"),
    "a float for an integer": _with(size=12.0, score=3.0),
    "a boolean for an integer": _with(size=True, score=True),
    "null": _with(title=None, score=None),
    "out of bounds": _with(size=100, score=6),
    "out of bounds inside": _with(parts=[{"name": "bolt", "count": 10}], score=0),
    "not in the list": _with(kind="coffee", verdict="fine"),
    "in capitals": _with(kind="CAFÉ", verdict="GOOD"),
    "a text for a list": _with(tags="t1"),
    "missing key": lambda truth: json.dumps(dict(list(truth.items())[1:])),
    "extra key": lambda truth: json.dumps({**truth, "sure": True}),
    "nested in another": lambda truth: json.dumps({"answer": truth}),
    "duplicate key": lambda truth: f"{json.dumps(_lie(truth))[:-1]}, {json.dumps(truth)[1:]}",
    "NaN": _raw("price", "NaN"),
    "infinite": _raw("price", "1e999"),
    "huge integer": _raw("size", "1" * 5000),
    "deep": _raw("tags", "[" * 5000 + "]" * 5000),
    "single quotes": lambda truth: str(truth),
    "comment": lambda truth: json.dumps(truth)[:-1] + "} // done }",
    "mojibake": _mojibake,
    "half a pair": _raw("title", '"Item \\ud800"'),
    "NUL": _raw("title", '"Item \\u0000"'),
    "NUL as it is": _raw("title", '"Item \0"'),
    "BOM before the text": lambda truth: "\ufeff" + json.dumps(truth),
}
"""Bad texts of a good completion: by name, made of what should have been said."""


def completion(text: Any, finish: Any = "stop", **more: Any) -> bytes:
    """The body of a completion."""
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    usage = {"prompt_tokens": 20, "completion_tokens": 30}
    whole = {"model": "bad", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}
    return json.dumps({**whole, **more}).encode()


BODIES: dict[str, Callable[[Record], bytes]] = {
    "HTML": lambda truth: b"<!DOCTYPE html><title>502 Bad Gateway</title>",
    "empty body": lambda truth: b"",
    "null body": lambda truth: b"null",
    "half a body": lambda truth: completion(json.dumps(truth))[:80],
    "no choices": lambda truth: completion("", choices=[]),
    "choices that are none": lambda truth: completion("", choices={"message": "x"}),
    "an empty choice": lambda truth: completion("", choices=[None]),
    "no message": lambda truth: completion("", choices=[{"finish_reason": "stop"}]),
    "null content": lambda truth: completion(None),
    "content is a number": lambda truth: completion(3),
    "content is a list": lambda truth: completion([{"type": "text", "text": json.dumps(truth)}]),
    "content is the record": lambda truth: completion(truth),
    "tool calls": lambda truth: completion(None, "tool_calls", message={"tool_calls": [{"function": {"name": "f"}}]}),
    "length": lambda truth: completion(json.dumps(truth)[:-9], "length"),
    "length at the end": lambda truth: completion(json.dumps(truth), "length"),
    "length before the beginning": lambda truth: completion("", "length", message={"reasoning_content": "Hm"}),
    "content filter": lambda truth: completion(json.dumps(truth)[:20], "content_filter"),
    "refusal": lambda truth: completion(None, message={"refusal": "I cannot \ud800 say."}),
    "error with status 200": lambda truth: b'{"error": {"message": "upstream \\ud800 failed", "code": 502}}',
    "a stream": lambda truth: b'data: {"choices":[{"delta":{"content":"{"}}]}\n\ndata: [DONE]\n\n',
    "Latin-1": lambda truth: _latin(truth),
    "UTF-16": lambda truth: completion(json.dumps(truth)).decode().encode("utf-16"),
    "BOM before the body": lambda truth: b"\xef\xbb\xbf" + completion(json.dumps(truth)),
    "half a pair outside": lambda truth: completion(json.dumps(truth, ensure_ascii=False) + "\udc00"),
    "usage is nonsense": lambda truth: completion(
        json.dumps(truth), usage={"prompt_tokens": 10**30, "completion_tokens": -5}
    ),
    "odd model and finish": lambda truth: completion(json.dumps(truth), {"a": 1}, model="\ud800\0", usage=[]),
}
"""Bad bodies with status 200."""


def _latin(truth: Record) -> bytes:
    body = completion("@").decode().replace("@", json.dumps(json.dumps(truth, ensure_ascii=False))[1:-1])
    return body.encode().decode("unicode_escape", "ignore").encode("latin-1", "replace")


def http(body: bytes, status: str = "200 OK", length: int | None = None, more: str = "") -> bytes:
    """A whole HTTP response."""
    size = len(body) if length is None else length
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n{more}\r\n".encode() + body
    )


WIRES: dict[str, Callable[[Record], bytes]] = {
    "502": lambda truth: http(b"<html>Bad Gateway</html>", "502 Bad Gateway"),
    "500 with an answer": lambda truth: http(completion(json.dumps(_lie(truth))), "500 Internal Server Error"),
    "too long for this model": lambda truth: http(
        json.dumps({"error": {"message": f"Row {truth} is too long"}}).encode(), "400 Bad Request"
    ),
    "cut stream": lambda truth: http(completion(json.dumps(truth))[:90], length=5000),
    "dropped": lambda truth: b"",
    "half a head": lambda truth: b"HTTP/1.1 200 OK\r\nContent-Le",
    "no HTTP": lambda truth: b"+OK ready\r\n\r\n",
    "packed and not packed": lambda truth: http(completion(json.dumps(truth)), more="Content-Encoding: gzip\r\n"),
    "two answers at once": lambda truth: (
        http(completion(json.dumps(truth))) + http(completion(json.dumps(_lie(truth))))
    ),
}
"""Bad on the wire; all but the last close the connection."""

ALL = (*TEXTS, *BODIES, *WIRES)


class BadEndpoint:
    """`with BadEndpoint() as endpoint`: serves at `endpoint.url`; counts requests and what was bad."""

    def __enter__(self) -> BadEndpoint:
        self.requests = 0
        self.bad: Counter[str] = Counter()
        self._came: Counter[bytes] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it is bad, or its client goes."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                raw = await reader.readexactly(int(length[1]) if length else 0)
                response, close = self._response(raw)
                writer.write(response)
                await writer.drain()
                if close:
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        writer.close()

    def _response(self, raw: bytes) -> tuple[bytes, bool]:
        """The response to a request, and whether the connection is closed after it; drawn from the body, and how often
        it has come: to try again may help."""
        self.requests += 1
        self._came[raw] += 1
        draw = int.from_bytes(hashlib.sha256(raw + b"%d" % self._came[raw]).digest()[:8], "big")
        asked = json.loads(raw)["messages"][0]["content"]
        number = int(re.findall(r"\d+", asked)[0])
        truth = judged(number) if asked.startswith("Score") else written(number)
        if draw % 1000 >= 1000 * SHARE:
            return http(completion(json.dumps(truth, ensure_ascii=False))), False
        kind = ALL[draw // 1000 % len(ALL)]
        self.bad[kind] += 1
        if kind in WIRES:
            return WIRES[kind](truth), kind not in ("two answers at once", "too long for this model")
        return http(BODIES[kind](truth) if kind in BODIES else completion(TEXTS[kind](truth))), False
