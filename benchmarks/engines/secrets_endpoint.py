"""An endpoint that repeats the key it is sent, in every way that one could: `/KIND/v1` says how."""

from __future__ import annotations

import json
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Reply = Callable[[str], bytes]
"""The key -> the whole HTTP response."""


def http(status: int, body: str, *headers: str) -> bytes:
    """A response that closes its connection."""
    length = f"Content-Length: {len(body.encode())}"
    head = [f"HTTP/1.1 {status} Said", "Content-Type: application/json", "Connection: close", length, *headers]
    return "\r\n".join([*head, "", body]).encode()


def said(text: str, **more: object) -> str:
    """A chat completion and embeddings in one."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    vector = {"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    return json.dumps({"model": "echo", "choices": [choice], "data": [vector], "usage": usage, **more})


def error(key: str, **more: object) -> str:
    return json.dumps({"error": {"message": f"Incorrect API key provided: {key}.", **more}, "sent": f"Bearer {key}"})


def echoes(key: str) -> tuple[str, ...]:
    return (f"X-Request-Key: {key}", f"Set-Cookie: session={key}; Path=/", f"WWW-Authenticate: Bearer {key}")


def refusal(status: int) -> Reply:
    return lambda key: http(status, error(key), *echoes(key))


CHUNKED = "HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

KINDS: dict[str, Reply] = {
    "good": lambda key: http(200, said("A quiet text of some words."), *echoes(key)),
    "answer": lambda key: http(200, said(f"Your key is {key}, is it not?", id=key), *echoes(key)),
    "garbage": lambda key: http(200, f"<html>{key}</html>"),
    "wrong_shape": lambda key: http(200, json.dumps({"choices": key, "data": key, "usage": key})),
    "error_in_200": lambda key: http(200, error(key)),
    "refused": lambda key: http(200, said("", choices=[{"message": {"content": None, "refusal": f"No, {key}"}}])),
    "401": refusal(401),
    "403": refusal(403),
    "404": refusal(404),
    "400": refusal(400),
    "413": refusal(413),
    "422": lambda key: http(422, json.dumps({"detail": [{"loc": ["body", key], "msg": f"what is {key}?"}]})),
    "500": refusal(500),
    "parameter": lambda key: http(400, error(key, param="temperature", code="unsupported_parameter")),
    "form": lambda key: http(400, error(f"response_format not supported for {key}", param="response_format")),
    "no_money": lambda key: http(429, error(key, code="insufficient_quota")),
    "redirect": lambda key: http(307, error(key), f"Location: /elsewhere/{key}"),
    "redirect_loop": lambda key: http(302, error(key), f"Location: /redirect_loop/v1?key={key}"),
    "redirect_nowhere": lambda key: http(308, error(key), f"Location: http://[{key}/"),
    "bad_header": lambda key: f"HTTP/1.1 200 Said\r\nX-Key: {key}\x01\x00\r\n\r\n".encode(),
    "bad_header_name": lambda key: f"HTTP/1.1 200 Said\r\nX {key}: 1\r\n\r\n".encode(),
    "bad_status": lambda key: f"HTTP/1.1 {key}\r\n\r\n".encode(),
    "no_http": lambda key: f"{key}\r\n\r\n".encode(),
    "bad_chunk": lambda key: f"{CHUNKED}{key}\r\n".encode(),
    "not_gzip": lambda key: http(200, error(key), "Content-Encoding: gzip"),
    "reason": lambda key: http(403, error(key)).replace(b" Said", f" {key}".encode(), 1),
    "cut": lambda key: http(200, error(key))[:-10],
}


class Endpoint(socketserver.ThreadingTCPServer):
    """Counts the requests of each kind. A `429` is answered well when it is asked again: one would wait too long."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.asked: Counter[str] = Counter()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reply(self, path: str, key: str) -> bytes:
        """The response for a path that begins with its kind; any other one is the Hub's, which takes no token."""
        kind = path.strip("/").partition("/")[0]
        self.asked[kind] += 1
        if kind == "429":
            return refusal(429)(key) if self.asked[kind] % 2 else KINDS["good"](key)
        return KINDS.get(kind, KINDS["403"])(key)


class Handler(socketserver.StreamRequestHandler):
    server: Endpoint

    def handle(self) -> None:
        first = self.rfile.readline().decode("latin-1").split()
        headers = {}
        while line := self.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        self.rfile.read(int(headers.get("content-length", 0)))
        if first:
            self.wfile.write(self.server.reply(first[1], headers.get("authorization", "").removeprefix("Bearer ")))


@contextmanager
def serving() -> Iterator[Endpoint]:
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
