"""Answers only from a journal: a run without any model. Another model's name or revision does not matter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth_llm.errors import FatalError
from synth_llm.journal import Journal
from synth_llm.models.request import Answer, Request
from synth_llm.row import canonical


class Replay:
    """`engine: replay`, `model: path/to/journal.sqlite`."""

    def __init__(self, path: Path, name: str = "", revision: str = "") -> None:
        self.name, self.revision, self.path = name, revision, path
        self._journal = Journal.open(path, read_only=True)
        self._keys: dict[str, list[str]] = {}
        for key, request in self._journal.requests():
            self._keys.setdefault(_without_model(request), []).append(key)

    async def answer(self, request: Request) -> Answer:
        """The journal's answer. Raises FatalError, naming the request, when it has none or two that differ."""
        keys = self._keys.get(_without_model(json.loads(request.text)), [])
        answers = {answer for key in keys if (answer := self._journal.get(key)) is not None}
        if len(answers) == 1:
            return answers.pop()
        what = "no answer" if not answers else f"{len(answers)} differing answers"
        last = " ".join(request.messages[-1]["content"].split())[-80:]
        raise FatalError(f"{self.path}: the journal has {what} for request {request.key[:12]} (ends '{last}')")

    async def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def _without_model(request: Mapping[str, Any]) -> str:
    """The hash of a request but for its model and revision."""
    rest = {name: request.get(name) for name in ("messages", "sampling", "schema", "draw")}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()
