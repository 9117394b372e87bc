"""HTTP/1.1 as far as clients of model endpoints speak it, written for speed: RFC 9112.

A web framework costs several times what answering does. Here: keep-alive, bodies with Content-Length or in chunks,
`Expect: 100-continue`, pipelined requests answered in order. No TLS, no compression, no streamed answers.
"""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import asyncio

MOST_HEAD, MOST_BODY = 64 * 1024, 256 * 1024 * 1024
"""Bytes of the longest head and body that are taken."""

CHUNKED = -1
"""The length of a body that comes in chunks."""


class Head(NamedTuple):
    """What is used of a request's head."""

    method: str
    path: str
    query: str
    length: int
    """Bytes of the body, or CHUNKED."""
    keep: bool
    """Whether the connection stays open after the answer."""
    expects: bool
    """Whether the client waits for `100 Continue` before it sends the body."""
    authorization: str


class Malformed(ValueError):
    """What came is no request; the connection ends."""


class Handler(Protocol):
    """What answers requests."""

    def opened(self, connection: Connection) -> None:
        """A client has connected."""

    def handle(self, connection: Connection, head: Head, body: bytes) -> None:
        """A request has arrived; `connection.send` answers it, now or later."""

    def lost(self, connection: Connection) -> None:
        """The connection is closed, by either side."""


class Connection:
    """One connection of a client. An asyncio protocol, by its methods."""

    def __init__(self, handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self._handler, self._loop = handler, loop
        self._buffer = b""
        self._busy = self._keep = self._continued = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Called by the loop."""
        self._transport = transport
        self._handler.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop."""
        self._handler.lost(self)

    def eof_received(self) -> None:
        """Called by the loop, which then closes the connection."""

    def pause_writing(self) -> None:
        """Called by the loop. Answers are short, so that they wait in its buffer."""

    def resume_writing(self) -> None:
        """Called by the loop."""

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._buffer = self._buffer + data if self._buffer else data
        self._next()

    def send(self, status: int, body: bytes, headers: str = "", *, cut: bool = False) -> None:
        """Answer the request. `headers` are whole lines; `cut` sends half the body and closes the connection."""
        close = "" if self._keep else "Connection: close\r\n"
        head = f"{_status_line(status)}Content-Length: {len(body)}\r\n{headers}{close}\r\n"
        self._transport.write(head.encode("latin-1", "replace") + (body[: len(body) // 2] if cut else body))
        self._busy = False
        if cut or not self._keep:
            self._transport.close()
        elif self._buffer:  # pipelined; from the loop, so that many do not nest
            self._loop.call_soon(self._next)

    def close(self) -> None:
        """Close the connection, whatever it waits for."""
        self._transport.abort()

    def _next(self) -> None:
        """Hand on the next request, if the one before is answered and it is here in full."""
        if self._busy or not self._buffer or self._transport.is_closing():
            return
        try:
            request = self._take()
        except Malformed as error:
            self._keep = False
            self.send(400, str(error).encode())
            return
        if request is not None:
            self._busy, self._keep, self._continued = True, request[0].keep, False
            self._handler.handle(self, *request)

    def _take(self) -> tuple[Head, bytes] | None:
        """Take a request out of the buffer; None while it is incomplete."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > MOST_HEAD:
            if len(self._buffer) > MOST_HEAD:
                raise Malformed("the head of this request is too long")
            return None
        head = read_head(self._buffer[:end])
        start = end + 4
        if head.length == CHUNKED:
            taken = _chunks(self._buffer, start)
        elif len(self._buffer) >= start + head.length:
            taken = self._buffer[start : start + head.length], start + head.length
        else:
            taken = None
        if taken is None:
            if head.expects and not self._continued:
                self._continued = True
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body, stop = taken
        self._buffer = self._buffer[stop:]
        return head, body


@lru_cache(maxsize=64)
def _status_line(status: int) -> str:
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\n"


@lru_cache(maxsize=4096)  # a client's heads differ by their length only
def read_head(raw: bytes) -> Head:
    """Read a request's head, without its empty line. Raises Malformed."""
    line, *rest = raw.decode("latin-1").lstrip("\r\n").split("\r\n")
    try:
        method, target, version = line.split(" ")
        headers = {name.strip().lower(): value.strip() for name, value in (one.split(":", 1) for one in rest)}
    except ValueError:
        raise Malformed("this is no HTTP/1.1 request") from None
    path, _, query = target.partition("?")
    connection = headers.get("connection", "").lower()
    keep = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)
    expects = headers.get("expect", "").lower() == "100-continue"
    return Head(method, path, query, _length(headers), keep, expects, headers.get("authorization", ""))


def _length(headers: dict[str, str]) -> int:
    coding = headers.get("transfer-encoding", "").lower()
    if coding:
        if coding != "chunked":
            raise Malformed(f"Transfer-Encoding: {coding} is not supported")
        return CHUNKED
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > MOST_BODY:
        raise Malformed("Content-Length is no number, or too large")
    return int(length)


def _chunks(buffer: bytes, at: int) -> tuple[bytes, int] | None:
    """The body in chunks that begins at `at`, and where it ends; None while it is incomplete. Trailers are dropped."""
    parts: list[bytes] = []
    while (end := buffer.find(b"\r\n", at)) >= 0:
        try:
            size = int(buffer[at:end].partition(b";")[0], 16)
        except ValueError:
            raise Malformed("a chunk without its size") from None
        if not 0 <= size <= MOST_BODY:
            raise Malformed("a chunk that is too large")
        at = end + 2
        if size == 0:
            stop = at if buffer[at : at + 2] == b"\r\n" else buffer.find(b"\r\n\r\n", at) + 2
            return (b"".join(parts), stop + 2) if stop >= at and len(buffer) >= stop + 2 else None
        parts.append(buffer[at : at + size])
        at += size + 2
    return None
