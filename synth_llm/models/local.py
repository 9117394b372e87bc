"""The embedded engine: llama.cpp in this process, with continuous batching over parallel slots."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from synth_llm.errors import FatalError, MissingExtra, Passing
from synth_llm.models.request import BAD_REQUEST, Answer, Request, Schema
from synth_llm.models.weights import revision

T = TypeVar("T")

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
        self._server: Any = None

    async def answer(self, request: Request) -> Answer:
        """Answer one request. A prompt that is too long, or a schema it cannot follow, is an Answer with status 400."""
        async with self._loading:
            if self._server is None:
                self._server = await _in_thread(self._load)
        server, body = self._server, _body(request)
        return await _in_thread(lambda: _ask(server, body))

    async def close(self) -> None:
        """Let the weights go, when the last request in flight has ended."""
        self._server = None

    def _load(self) -> Any:
        try:
            import xllamacpp
        except ImportError:
            raise MissingExtra("the embedded engine", "local") from None
        params = xllamacpp.CommonParams()
        params.verbosity = SILENT
        params.model.path, params.model_alias = str(self._path), {self._path.stem}
        params.n_parallel, params.n_ctx = self._slots, self._context * self._slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self._threads
        params.cache_ram_mib = PROMPT_MEMORY
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_BF16
        params.api_keys = [secrets.token_hex(16)]
        with tempfile.TemporaryDirectory() as private:  # it must listen somewhere: on a socket that is gone at once
            if hasattr(os, "fork"):
                params.hostnames = [str(Path(private) / "llama.sock")]
            try:
                return xllamacpp.Server(params)
            except RuntimeError:
                raise FatalError(
                    f"{self._path}: llama.cpp cannot load it: damaged, or too large for the memory"
                ) from None


async def _in_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own that never holds up the end of the process, unlike an executor's."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():  # cancelled meanwhile
            return
        future.set_exception(error) if error is not None else future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True, name="llama.cpp").start()
    return await future


def _body(request: Request) -> dict[str, Any]:
    """The request in llama.cpp's words."""
    body: dict[str, Any] = {"messages": list(request.messages), **request.sampling, "seed": request.seed}
    if request.schema is not None:
        choice = _choice(request.schema)
        body.update({"json_schema": request.schema} if choice is None else {"grammar": choice})
    return body


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


def _ask(server: Any, body: dict[str, Any]) -> Answer:
    """Call llama.cpp. It returns some refusals and raises others."""
    try:
        said = server.handle_chat_completions(body)
    except (ValueError, RuntimeError) as error:
        said = {"error": {"code": 400, "message": str(error)}}
    status = said["error"].get("code", 500) if "error" in said else 200
    if status != 200 and status not in BAD_REQUEST:
        raise Passing(f"llama.cpp: {said['error'].get('message', status)}")
    return Answer(json.dumps(said, ensure_ascii=False).encode("utf-8", "replace"), status)
