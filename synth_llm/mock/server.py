"""The mock endpoint as a server in a thread of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from synth_llm.errors import InputError
from synth_llm.mock.faults import Faults
from synth_llm.mock.http import Connection
from synth_llm.mock.latency import duration, latency
from synth_llm.mock.limits import Limits
from synth_llm.mock.replies import Respond
from synth_llm.mock.replies import replies as read_replies
from synth_llm.mock.service import Service
from synth_llm.mock.stats import Stats

Result = TypeVar("Result")


class Mock:
    """An OpenAI-compatible endpoint that answers from the body of a request alone, and counts what it is asked.

    `with Mock() as mock:` serves at `mock.url` until the block ends; an error that `respond` raised is raised there.
    """

    def __init__(
        self,
        respond: Respond | None = None,
        *,
        replies: str | Path | None = None,
        latency: str | float = 0.0,
        per_token: str | float = 0.0,
        slots: int | None = None,
        rate: float | None = None,
        burst: int | None = None,
        cap: int | None = None,
        retry_after: bool = False,
        rate_headers: bool = False,
        faults: Mapping[str, str | float] | None = None,
        refuse: Sequence[str] = (),
        key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Set up what is served; nothing listens yet. Raises InputError on settings that cannot be.

        - `respond`: a function of the request's body (a dict) that gives a text, a dict (the whole body), bytes, one
          of these with an HTTP status before it, or None for the mock's own answer. Not asked for embeddings.
        - `replies`: a file of `{"match": ..., "text": ..., "status": ...}` lines, where there is no function.
        - `latency`: seconds, `200ms`, or `lognormal:200ms,0.5`; `per_token`: seconds for each token of the answer.
        - `slots`: so many are served at once, the rest wait their turn.
        - `rate`, `burst`: a bucket of requests, filled by the second; `cap`: in flight. HTTP 429 above.
        - `retry_after`, `rate_headers`: send the headers that tell a client so.
        - `faults`: shares of requests by status, `hang`, `drop`, `half`, `garbage`: `{"429": "5%"}`.
        - `refuse`: parameters that are answered HTTP 400; `key`: without it, HTTP 401.
        - `port` 0: a free one.
        """
        if respond is not None and replies is not None:
            raise InputError("replies come from a file or from a function, not from both")
        if any(name in ("model", "messages", "prompt", "input") for name in refuse):
            raise InputError("refuse: model, messages, prompt and input are what every request has")
        self._service = Service(
            read_replies(replies) if replies is not None else respond,
            latency=_latency(latency),
            per_token=duration(per_token, "per_token"),
            slots=slots,
            limits=Limits(rate, burst, cap, retry_after=retry_after, headers=rate_headers),
            faults=Faults(faults or {}),
            refuse=refuse,
            key=key,
        )
        self._host, self._port = host, port
        self._thread: threading.Thread | None = None
        self.url = ""
        """The address before `/chat/completions`, once it listens."""

    def start(self) -> Mock:
        """Listen. Raises InputError when the address is taken."""
        ready, failed = threading.Event(), list[OSError]()
        self._thread = threading.Thread(target=self._run, args=(ready, failed), name="mock", daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            self._thread.join()
            self._thread = None
            number = failed[0].errno or 0
            why = os.strerror(number) if number > 0 else failed[0].strerror  # negative: the name is not known
            raise InputError(f"cannot listen on {self._host}:{self._port}: {why}; port 0 takes a free one")
        return self

    def close(self) -> None:
        """Stop, whatever is in flight. Raises the first error that the reply function raised."""
        if self._thread is not None:
            self._service.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = None
        problem, self._service.problem = self._service.problem, None
        if problem is not None:
            raise problem

    def __enter__(self) -> Mock:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:  # it tells more than what the reply function raised
            self._service.problem = None
        self.close()

    @property
    def stats(self) -> Stats:
        """The figures, as they are now."""
        return self._inside(self._service.figures)

    def reset(self) -> None:
        """Count anew."""
        self._inside(self._service.reset)

    def _inside(self, function: Callable[[], Result]) -> Result:
        """Call a function of the service in its thread, so that nothing changes meanwhile."""
        if self._thread is None:
            return function()
        import asyncio

        async def call() -> Result:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._service.loop).result()

    def _run(self, ready: threading.Event, failed: list[OSError]) -> None:
        import asyncio

        fast = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
        with asyncio.Runner(loop_factory=fast) as runner:
            runner.run(self._serve(ready, failed))

    async def _serve(self, ready: threading.Event, failed: list[OSError]) -> None:
        import asyncio

        loop = self._service.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            server = await loop.create_server(
                lambda: Connection(self._service, loop),  # type: ignore[arg-type, return-value]
                self._host,
                self._port,
                backlog=4096,
            )
        except OSError as error:
            failed.append(error)
            ready.set()
            return
        port = server.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{host}:{port}/v1"
        ready.set()
        await self._stop.wait()
        server.close()
        self._service.close()
        await asyncio.sleep(0)  # the loop tells the connections


_latency = latency
