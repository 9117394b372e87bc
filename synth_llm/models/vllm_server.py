"""`engine: vllm` with `serve: true`: vLLM's own server, started beside the run, watched, and stopped with it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import dataclasses
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synth_llm.errors import FatalError, InputError, MissingExtra, Passing
from synth_llm.models.openai import OpenAI
from synth_llm.models.request import Answer, Request
from synth_llm.models.vllm_api import CONSTRAINED, QUIET, checked
from synth_llm.models.weights import revision_of_folder

SERVER = "vllm.entrypoints.openai.api_server"
"""Started as a module: the `vllm serve` command needs metadata that builds under another name lack."""
KEY = "VLLM_API_KEY"
OURS = frozenset({"host", "port", "uds", "model", "served_model_name"})
SILENCE = 600.0
"""Seconds without a new line in its log after which a server that does not answer yet is given up."""
LOOK = 0.5
"""Seconds between two looks at a server that starts."""
LONGEST = 86_400.0
"""Seconds for one request: a full batch on a small machine takes long, and a server that dies is noticed."""
STRUCTURED = (0, 11)
"""From this version on, a request can hold `structured_outputs`; older ones ignore it without a word."""


class Served:
    """A vLLM server on a free loopback port, with a key of its own, started at the first request."""

    def __init__(
        self, model: str, *, revision: str = "", arguments: Mapping[str, Any] | None = None, slots: int | None = None
    ) -> None:
        local = Path(model).is_dir()
        self.name, self.revision = ("", revision_of_folder(Path(model))) if local else (model, revision)
        own: dict[str, Any] = {"generation_config": "vllm", **CONSTRAINED}
        own.update({"revision": revision} if revision and not local else {})
        own.update({"max_num_seqs": slots} if slots else {})
        self._arguments = checked({**own, **(arguments or {})}, model)
        for name in OURS & {name.replace("-", "_") for name in self._arguments}:
            raise InputError(f"model {model}: arguments: '{name}' is set by synth-llm when it serves a model")
        self._model = model
        self._starting = asyncio.Lock()
        self._server: _Server | None = None
        self._client: OpenAI | None = None

    async def answer(self, request: Request) -> Answer:
        """Answer one request. A prompt that is too long, or a schema it cannot follow, is an Answer with status 400.

        Raises FatalError when the server does not start or has died.
        """
        async with self._starting:
            if self._client is None:
                self._client = await self._start()
        server = self._server
        assert server is not None
        try:
            return await self._client.answer(_adapted(request, self._model))
        except Passing:
            await asyncio.sleep(LOOK)  # a server that dies is gone a moment after its connections
            server.check()
            raise

    async def close(self) -> None:
        """Stop the server."""
        client, self._client = self._client, None
        server, self._server = self._server, None
        if client is not None:
            await client.close()
        if server is not None:
            await asyncio.to_thread(server.stop)

    async def _start(self) -> OpenAI:
        if find_spec("vllm") is None:
            raise MissingExtra("the vllm engine", "vllm")
        self._server = server = _Server(self._model, flags(self._arguments))
        try:
            await server.ready()
        except BaseException:
            self._server = None
            await asyncio.to_thread(server.stop)
            raise
        return OpenAI(self._model, url=f"{server.url}/v1", key=server.key, timeout=LONGEST)


def flags(arguments: Mapping[str, Any]) -> list[str]:
    """Engine arguments as the server's command line has them.

    >>> flags({"max_model_len": 4096, "enforce_eager": True, "compilation_config": {"level": 0}})
    ['--max-model-len', '4096', '--enforce-eager', '--compilation-config', '{"level": 0}']
    """
    given: list[str] = []
    for name, value in arguments.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            given.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            given += [f"--{flag}", *map(_word, value)]
        elif value is not None:
            given += [f"--{flag}", _word(value)]
    return given


def _word(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _adapted(request: Request, model: str) -> Request:
    """The request in the server's dialect: what an answer may be is said with vLLM's own parameter."""
    sampling = dict(request.sampling)
    if request.draw is not None:
        sampling["seed"] = request.seed
    if request.schema is not None:
        words = request.schema.get("enum")
        sampling["structured_outputs"] = {"choice": words} if words is not None else {"json": request.schema}
    return dataclasses.replace(request, model=model, sampling=sampling, schema=None, draw=None)


class _Server:
    """The process: a guard that runs the server and stops it with us, and the log of both."""

    def __init__(self, model: str, given: list[str]) -> None:
        self._model, self.key = model, secrets.token_hex(16)
        self._folder = tempfile.TemporaryDirectory(prefix="synth-llm-vllm-", ignore_cleanup_errors=True)
        self.log = Path(self._folder.name) / "vllm.log"
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        where = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", model]
        command = [sys.executable, "-m", "synth_llm.models.guard", sys.executable, "-m", SERVER]
        command += ["--model", model, *where, *given]
        environment = {**QUIET, **os.environ, "VLLM_LOGGING_LEVEL": "INFO", KEY: self.key}
        with self.log.open("wb") as log:
            self._guard = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        atexit.register(self.stop)

    async def ready(self) -> None:
        """Wait until it answers. Raises FatalError when it ends, when its log stands still, or when it is too old."""
        import aiohttp

        headers = {"Authorization": f"Bearer {self.key}"}
        size, since = 0, time.monotonic()
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                self.check()
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with session.get(f"{self.url}/version") as response:
                        if response.status == 200:
                            return self._not_too_old(await response.json(content_type=None))
                if self.log.stat().st_size != size:
                    size, since = self.log.stat().st_size, time.monotonic()
                if time.monotonic() - since > SILENCE:
                    raise FatalError(
                        f"model {self._model}: the vLLM server does not start: {SILENCE:.0f} s without a new line in "
                        f"its log; the last one: {last_line(self.log)}"
                    )
                await asyncio.sleep(LOOK)

    def _not_too_old(self, said: Any) -> None:
        version = str(said.get("version", "")) if isinstance(said, dict) else ""
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if numbers and (0, 0) < (int(numbers[1]), int(numbers[2])) < STRUCTURED:
            raise FatalError(
                f"vLLM {version} takes no structured_outputs, which serving a model uses: install vLLM "
                f"{'.'.join(map(str, STRUCTURED))} or newer"
            )

    def check(self) -> None:
        """Raises FatalError when the server has ended."""
        if self._guard.poll() is not None:
            raise FatalError(f"model {self._model}: the vLLM server has ended: {last_line(self.log)}")

    def stop(self) -> None:
        """Stop the server and all it has started; its log goes with it."""
        atexit.unregister(self.stop)
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()
        self._folder.cleanup()


def _free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def last_line(log: Path) -> str:
    """The line of a log that says why a program ended: the last that looks like an error, else the last."""
    with contextlib.suppress(OSError):
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        lines = [re.sub(r"^\(.*?pid=\d+\)\s*", "", line) for line in lines if line]
        errors = [line for line in lines if re.search(r"(\w+(Error|Exception|Interrupt): |error: )", line)]
        if lines:
            return (errors or lines)[-1][:300]
    return "it said nothing"
