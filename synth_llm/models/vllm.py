"""`engine: vllm`: vLLM in this process, one batch filled from all rows in flight. Served: see `vllm_server`."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth_llm.errors import FatalError, Passing, SynthError
from synth_llm.models.body import refusal
from synth_llm.models.request import Answer, Request
from synth_llm.models.vllm_api import Engine, Refused, answer, checked, one_line
from synth_llm.models.vllm_server import Served as Served
from synth_llm.models.weights import revision_of_folder

_ALONE = threading.Lock()
"""vLLM keeps what it computes just now in variables of its modules: two engines of one process take turns."""

ENDING = 10.0
"""Seconds that a process which ends waits for the step that is being computed."""


class Vllm:
    """vLLM loaded in this process, at the first request, in a thread of its own.

    Requests join the batch between two tokens. Those that wait together join in the order of their prompts, so that
    equal beginnings come together and are computed once. `slots` is the largest batch, unless `arguments` say.
    """

    def __init__(
        self, model: str, *, revision: str = "", arguments: Mapping[str, Any] | None = None, slots: int | None = None
    ) -> None:
        local = Path(model).is_dir()
        self.name, self.revision = ("", revision_of_folder(Path(model))) if local else (model, revision)
        own: dict[str, Any] = {"revision": revision} if revision and not local else {}
        own.update({"max_num_seqs": slots} if slots else {})
        self._arguments = checked({**own, **(arguments or {})}, model)
        self._model, self._numbers = model, itertools.count()
        self._batch: _Batch | None = None

    async def answer(self, request: Request) -> Answer:
        """Answer one request. A prompt that is too long, or a schema it cannot follow, is an Answer with status 400."""
        if self._batch is None:
            self._batch = _Batch(self._model, self._arguments)
            self._batch.start()
        loop = asyncio.get_running_loop()
        job = _Job(str(next(self._numbers)), request, loop, loop.create_future())
        inbox = self._batch.inbox
        inbox.put(job)
        try:
            return await job.future
        except asyncio.CancelledError:
            inbox.put(job.name)
            raise

    async def close(self) -> None:
        """Break off what is in flight and let the weights go."""
        batch, self._batch = self._batch, None
        if batch is not None:
            await asyncio.to_thread(batch.stop)


@dataclass
class _Job:
    name: str
    request: Request
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Answer]
    begin: int = 0
    """Of a chat to be scored: the first token of its last message."""

    def end(self, what: Answer | SynthError) -> None:
        """Hand the result to whoever waits, if somebody still does."""
        with contextlib.suppress(RuntimeError):  # its event loop is closed
            self.loop.call_soon_threadsafe(self._set, what)

    def _set(self, what: Answer | SynthError) -> None:
        if self.future.done():
            return
        if isinstance(what, Answer):
            self.future.set_result(what)
        else:
            self.future.set_exception(what)


class _Batch(threading.Thread):
    """The thread that loads vLLM and steps it. Its inbox takes jobs, names of jobs to abort, and None: stop."""

    def __init__(self, model: str, arguments: Mapping[str, Any]) -> None:
        super().__init__(name=f"vllm {model}", daemon=True)
        self.inbox: queue.SimpleQueue[_Job | str | None] = queue.SimpleQueue()
        self._model, self._arguments = model, arguments
        self._jobs: dict[str, _Job] = {}
        self._stopped = False
        atexit.register(self.stop, ENDING)

    def stop(self, wait: float | None = None) -> None:
        """End the thread, and wait for it, at most so many seconds: a process that ends in a step may crash."""
        atexit.unregister(self.stop)
        self.inbox.put(None)
        self.join(wait)

    def run(self) -> None:
        """Load, then step while there is work. A failure answers all jobs, those that come later too."""
        failure: SynthError = FatalError(f"model {self._model}: the engine was closed")
        try:
            with _ALONE:
                engine = Engine(self._model, self._arguments)
            with contextlib.closing(engine):
                self._work(engine)
        except SynthError as error:
            failure = error
        except Exception as error:  # whatever vLLM raises, the engine is gone
            failure = FatalError(f"model {self._model}: vLLM failed: {one_line(error)}")
        self._end_all(failure)
        while not self._stopped:
            self._take(None)
            self._end_all(failure)

    def _end_all(self, failure: SynthError) -> None:
        while self._jobs:
            self._jobs.popitem()[1].end(failure)

    def _work(self, engine: Engine) -> None:
        while not self._stopped:
            self._take(engine)
            if not engine.busy:
                continue
            with _ALONE:
                finished = list(engine.step())
            for name, output in finished:
                job = self._jobs.pop(name, None)
                if job is not None:
                    job.end(self._answer(output, job))

    def _answer(self, output: Any, job: _Job) -> Answer | SynthError:
        try:
            return answer(output, job.request, self._model, job.begin)
        except Passing as error:
            return error

    def _take(self, engine: Engine | None) -> None:
        """Take what is in the inbox; waits for something when there is nothing to compute."""
        new: dict[str, _Job] = {}
        for item in self._items(wait=engine is None or not engine.busy):
            if isinstance(item, _Job):
                new[item.name] = item
            elif item is None:
                self._stopped = True
            elif new.pop(item, None) is None and self._jobs.pop(item, None) is not None and engine is not None:
                engine.abort([item])
        self._jobs.update(new)
        if engine is not None:
            self._join(engine, new)

    def _items(self, wait: bool) -> list[_Job | str | None]:
        items = [self.inbox.get()] if wait else []
        with contextlib.suppress(queue.Empty):
            while True:
                items.append(self.inbox.get_nowait())
        return items

    def _join(self, engine: Engine, new: Mapping[str, _Job]) -> None:
        """Add new jobs to the batch, in the order of their prompts."""
        prompts = {}
        for name, job in new.items():
            with self._refusals(name):
                prompts[name] = engine.prompt(job.request)
                job.begin = prompts[name].begin
        for name in sorted(prompts, key=lambda name: prompts[name].text):
            with self._refusals(name):
                engine.add(name, prompts[name], new[name].request)

    @contextlib.contextmanager
    def _refusals(self, name: str) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            self._jobs.pop(name).end(Answer(refusal(str(error)), 400))
