"""The embedded engine: llama.cpp in this process, with continuous batching over parallel slots."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import os
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_llm.errors import FatalError, MissingExtra, Passing
from synth_llm.models.constraint import ONE_LINE
from synth_llm.models.request import BAD_REQUEST, Answer, Request, Schema, error_message
from synth_llm.models.weights import revision
from synth_llm.models.wire import sampling

if TYPE_CHECKING:
    import aiohttp

SLOTS = 4
"""Requests decoded together. More gain little on a few cores: each slot computes the prompt's beginning itself."""
PROMPT_MEMORY = 256
"""MiB of computed prompts that are kept when their slot is given to another."""
SILENT = -1
"""llama.cpp logs nothing, not even errors: they reach the user as ours."""


class Local:
    """`engine: local`. Loads the weights at the first request.

    With the default weights an answer depends on its request alone, to the bit, not on what is answered beside it: keys
    and values are BF16 and attention is the flash kernel, which llama.cpp then computes row by row, whatever the batch.
    (For F16 it has kernels that round differently for one token and for many.) Other weights may round by the batch all
    the same, as Q4_K ones do: an answer that is asked again may differ then; one in the journal never does.
    """

    def __init__(
        self, path: Path, *, slots: int | None = None, context: int = 2048, threads: int | None = None
    ) -> None:
        self.name, self.revision = "", revision(path)
        self._path, self._slots, self._context = path, slots or SLOTS, context
        self._threads = threads or max(1, (os.cpu_count() or 2) - 1)
        self._loading = asyncio.Lock()
        self._running: _Running | None = None

    async def answer(self, request: Request) -> Answer:
        """Answer one request. A prompt that is too long, or a schema it cannot follow, is an Answer with status 400."""
        import aiohttp

        async with self._loading:
            if self._running is None:
                self._running = await asyncio.to_thread(self._load)
        running = self._running
        try:
            async with (
                running.session() as session,
                session.post(running.url(request), json=_body(request)) as response,
            ):
                body, status = await response.read(), response.status
        except aiohttp.ClientError as error:
            raise Passing(f"{self._path}: llama.cpp does not answer: {error}") from None
        if status == 200 or status in BAD_REQUEST:
            return Answer(body, status)
        raise Passing(f"{self._path}: llama.cpp: {error_message(body.decode('utf-8', 'replace'))}")

    async def close(self) -> None:
        """Break off what is in flight and let the weights go."""
        running, self._running = self._running, None
        if running is not None:
            for session in list(running.sessions):
                await session.close()
            running.stop()

    def _load(self) -> _Running:
        try:
            import llguidance  # noqa: F401  # wanted later, with the first schema
            import xllamacpp
        except ImportError:
            raise MissingExtra("the embedded engine", "local") from None
        running = _Running()
        params = xllamacpp.CommonParams()
        params.verbosity = SILENT
        params.model.path, params.model_alias = str(self._path), {self._path.stem}
        params.n_parallel, params.n_ctx = self._slots, self._context * self._slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.cache_ram_mib = PROMPT_MEMORY
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_BF16
        params.api_keys = [running.key]
        if running.socket is not None:
            params.hostnames = [running.socket]
        try:
            running.server = xllamacpp.Server(params)
        except RuntimeError:
            running.stop()
            raise FatalError(f"{self._path}: llama.cpp cannot load it: damaged, or too large for the memory") from None
        atexit.register(running.stop)
        return running


class _Running:
    """llama.cpp at work, reached through a socket in a private folder (where there are none: a port, with a key).

    Not through its Python calls: they cannot be broken off, and a process that ends in one crashes.
    """

    def __init__(self) -> None:
        self.server: Any = None
        self.sessions: set[aiohttp.ClientSession] = set()
        self.key = secrets.token_hex(16)
        self._folder = tempfile.TemporaryDirectory(prefix="synth-llm-", ignore_cleanup_errors=True)
        self.socket = str(Path(self._folder.name) / "llama.sock") if hasattr(socket, "AF_UNIX") else None

    def url(self, request: Request) -> str:
        """Where a request is asked."""
        path = "/v1/chat/completions" if request.raw is None else "/v1/completions"
        return ("http://llama" if self.socket else self.server.listening_address) + path

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A connection for one request: closing it breaks the request off."""
        import aiohttp

        connector = aiohttp.UnixConnector(self.socket) if self.socket else aiohttp.TCPConnector()
        headers, timeout = {"Authorization": f"Bearer {self.key}"}, aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
            self.sessions.add(session)
            try:
                yield session
            finally:
                self.sessions.discard(session)

    def stop(self) -> None:
        """End llama.cpp, before the process does. It waits for the connections to be closed."""
        atexit.unregister(self.stop)
        self.server = None
        self._folder.cleanup()


def _body(request: Request) -> dict[str, Any]:
    """The request in llama.cpp's words."""
    said = {"messages": list(request.messages)} if request.raw is None else {"prompt": request.raw}
    body: dict[str, Any] = {**said, **sampling(request), "seed": request.seed}
    if request.schema is not None:
        body |= _constraint(json.dumps(request.schema))  # its order is the order of the answer
    return body


@functools.lru_cache(256)
def _constraint(schema: str) -> dict[str, Any]:
    """What holds an answer to a schema: a choice between words, or one line of JSON.

    llama.cpp leaves an answer free where llguidance cannot follow the schema, so that is asked here first; its own
    grammar follows more or refuses, and lets white space stand anywhere.
    """
    from llguidance import LLMatcher

    given = json.loads(schema)
    grammar = _choice(given)
    if grammar is None:
        grammar = "start: %json " + json.dumps({**given, "x-guidance": ONE_LINE})
        if LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(grammar)):
            return {"json_schema": given}
        grammar = "%llguidance {}\n" + grammar
    return {"grammar": grammar}


def _choice(schema: Schema) -> str | None:
    r"""The grammar of a choice between words, in llama.cpp's GBNF; None for any other schema.

    >>> print(_choice({"enum": ["not spam", 'say "é"']}))
    root ::= "not spam" | "say \U00000022\U000000E9\U00000022"
    """
    if "enum" not in schema:
        return None
    return "root ::= " + " | ".join(f'"{"".join(map(_literal, word))}"' for word in schema["enum"])


def _literal(char: str) -> str:
    """One character inside a GBNF string."""
    return char if char.isascii() and (char.isalnum() or char in " -_") else f"\\U{ord(char):08X}"
