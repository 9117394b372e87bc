"""What an evaluation shows while it works: a bar on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from synth_llm.evaluation.data import Data
from synth_llm.progress import EVERY
from synth_llm.screen import duration


class Live:
    """A `watch` for `evaluate`: called with the name of each part as it begins."""

    def __init__(self, data: Data, names: Sequence[str]) -> None:
        self.names, self._at = list(names), -1
        self._began = self._said = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        data.doing = self._doing

    def __enter__(self) -> Live:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, name: str) -> None:
        """A part begins."""
        self._at = self.names.index(name)
        self._show(self._head, None, None)

    def _doing(self, what: str, done: int, of: int) -> None:
        self._show(f"{self._head}: {what} {done:,} of {of:,}", done, of)

    @property
    def _head(self) -> str:
        return f"{self.names[self._at]} ({self._at + 1} of {len(self.names)})"

    def _show(self, text: str, done: int | None, of: int | None) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=done or 0, total=of)
        elif time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            print(f"{text} | {duration(self._said - self._began)}", file=sys.stderr, flush=True)
