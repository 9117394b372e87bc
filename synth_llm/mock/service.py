"""What becomes of a request, from its arrival to its answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Any

from synth_llm.mock.answer import CREATED, Refusal, Reply, chat, completions, error
from synth_llm.mock.embedding import embeddings
from synth_llm.mock.faults import DROP, GARBAGE, HALF, HANG, Faults, garbage
from synth_llm.mock.http import Connection, Head
from synth_llm.mock.latency import Latency
from synth_llm.mock.limits import Limits
from synth_llm.mock.replies import Respond, as_reply
from synth_llm.mock.slots import Call, Slots
from synth_llm.mock.stats import Stats

if TYPE_CHECKING:
    import asyncio

ROUTES = {"/v1/chat/completions": chat, "/v1/completions": completions, "/v1/embeddings": embeddings}
MODEL = "mock"
"""The model that is listed; any name is answered."""
MODELS = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": CREATED, "owned_by": "synth-llm"}]}


class Service:
    """Answers the requests of all connections, and counts. Lives in the thread of its loop."""

    def __init__(
        self,
        respond: Respond | None,
        *,
        latency: Latency,
        per_token: float,
        slots: int | None,
        limits: Limits,
        faults: Faults,
        refuse: Sequence[str],
        key: str | None,
    ) -> None:
        self._respond, self._latency, self._per_token = respond, latency, per_token
        self._limits, self._faults, self._refuse, self._key = limits, faults, refuse, key
        self.stats = Stats(slots)
        self.problem: Exception | None = None
        """The first error that the user's function raised."""
        self._slots = Slots(self.stats, self._answer)
        self._bodies: dict[bytes, int] = {}
        self._calls: dict[Connection, Call | None] = {}
        self._counted: set[Connection] = set()
        self._hanging: set[Connection] = set()
        self.loop: asyncio.AbstractEventLoop

    def opened(self, connection: Connection) -> None:
        """Called by a connection."""
        self._calls[connection] = None

    def lost(self, connection: Connection) -> None:
        """Called by a connection: what it waits for need not be answered."""
        self._counted.discard(connection)
        call = self._calls.pop(connection)
        if call is not None or connection in self._hanging:
            self._hanging.discard(connection)
            self.stats.in_flight -= 1
            self.stats.abandoned += 1
        if call is not None:
            self._slots.leave(call)

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._calls):
            connection.close()

    def figures(self) -> Stats:
        """A copy of the figures."""
        return copy.deepcopy(self.stats)

    def reset(self) -> None:
        """Count anew; a body that comes again counts as new too."""
        self.stats.reset()
        self._bodies.clear()

    def handle(self, connection: Connection, head: Head, raw: bytes) -> None:
        """Called by a connection when a request is here."""
        if head.method != "POST" or head.path not in ROUTES:
            reply = self._page(head)
            connection.send(reply.status, reply.body)
            return
        if connection not in self._counted:
            self._counted.add(connection)
            self.stats.connections += 1
        now, seed = monotonic(), blake2b(raw).digest()
        earlier = self._arrived(now, seed)
        try:
            call = self._admitted(connection, head, raw, now, seed, earlier)
        except Refusal as refusal:
            self._send(connection, error(refusal.status, refusal.message, refusal.param))
            return
        if call is not None:
            self._calls[connection] = call
            self._let_in()
            self.stats.service_times.append(call.seconds)
            self._slots.enter(call, self.loop)

    def _arrived(self, now: float, seed: bytes) -> int:
        """Count a request; returns how often its body came before."""
        earlier = self._bodies.get(seed, 0)
        self._bodies[seed] = earlier + 1
        self.stats.requests += 1
        self.stats.repeated += earlier > 0
        if self.stats.first_arrival is None:
            self.stats.first_arrival = now
        return earlier

    def _let_in(self) -> None:
        self.stats.in_flight += 1
        self.stats.most_in_flight = max(self.stats.most_in_flight, self.stats.in_flight)

    def _admitted(
        self, connection: Connection, head: Head, raw: bytes, now: float, seed: bytes, earlier: int
    ) -> Call | None:
        """The call that a request becomes; None where it is never answered. Raises Refusal."""
        if self._key is not None and head.authorization != f"Bearer {self._key}":
            raise Refusal(401, "Incorrect API key provided")
        body = self._read(raw)
        if over := self._limits.admit(now, self.stats.in_flight):
            raise Refusal(429, f"Rate limit reached: {over}")
        fault = self._faults.draw(seed, earlier)
        if fault is not None:
            self.stats.faults[fault] = self.stats.faults.get(fault, 0) + 1
            if fault == HANG:
                self._hanging.add(connection)
                self._let_in()
                return None
            if fault == DROP:
                connection.close()
                return None
            if fault not in (HALF, GARBAGE):
                raise Refusal(int(fault), "a fault injected by the mock endpoint")
        reply = Reply(garbage(seed)) if fault == GARBAGE else self._reply(head.path, body, seed)
        seconds = self._latency.draw(seed) + self._per_token * reply.completion_tokens
        return Call(connection, reply, seconds, now, cut=fault == HALF)

    def _read(self, raw: bytes) -> dict[str, Any]:
        """The body of a request. Raises Refusal."""
        try:
            body = json.loads(raw.decode())  # of bytes, json guesses the encoding first
        except (ValueError, RecursionError):
            raise Refusal(400, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refusal(400, "the body must be an object")
        if not isinstance(body.get("model"), str):
            raise Refusal(400, "you must provide a model parameter", "model")
        if body.get("stream"):
            raise Refusal(400, "the mock endpoint does not stream", "stream")
        for name in self._refuse:
            if name in body:
                raise Refusal(400, f"Unsupported parameter: '{name}' is not supported with this model.", name)
        return body

    def _reply(self, path: str, body: dict[str, Any], seed: bytes) -> Reply:
        """The user's reply, else the mock's own. Raises Refusal."""
        text = None
        if self._respond is not None and path != "/v1/embeddings":
            try:
                given = as_reply(self._respond(body))
            except Refusal:
                raise
            except Exception as problem:  # raised again when the mock is closed
                self.problem = self.problem or problem
                raise Refusal(400, f"the mock's reply raised {type(problem).__name__}: {problem}") from None
            if isinstance(given, Reply):
                return given
            text = given
        return ROUTES[path](body, seed, text)

    def _answer(self, call: Call) -> None:
        """Called when a service ends."""
        self._calls[call.connection] = None
        stats, reply = self.stats, call.reply
        stats.in_flight -= 1
        stats.last_answer = monotonic()
        stats.prompt_tokens += reply.prompt_tokens
        stats.completion_tokens += reply.completion_tokens
        self._send(call.connection, reply, cut=call.cut)

    def _send(self, connection: Connection, reply: Reply, *, cut: bool = False) -> None:
        self.stats.answered += 1
        self.stats.by_status[reply.status] = self.stats.by_status.get(reply.status, 0) + 1
        connection.send(reply.status, reply.body, self._limits.headers(reply.status), cut=cut)

    def _page(self, head: Head) -> Reply:
        """What is asked beside answers: the models, the figures."""
        if head.path in ROUTES or head.path == "/stats/reset":
            if head.method != "POST":
                return error(405, f"{head.path} wants POST")
            self.reset()
            return Reply(b"{}")
        if head.path == "/v1/models":
            return Reply(json.dumps(MODELS).encode())
        if head.path == "/stats":
            return Reply(json.dumps(self.stats.figures(full="full=1" in head.query)).encode())
        return error(404, f"the mock endpoint has no {head.path}")
