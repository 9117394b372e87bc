"""Every error synth-llm raises on purpose.

SynthError                  one line for the user; the command line prints it and exits
├── InputError              a recipe, prompt, source or filter cannot be used (exit 2); names file and line
├── MissingExtra            an optional package is not installed (exit 2); names the `pip install`
├── FatalError              the run cannot go on (exit 1): bad key, unknown model, unreadable journal
├── Passing                 may succeed when tried again: 429, 5xx, reset, time-out
├── Stopped                 nothing more may be asked in this invocation: a limit, or Ctrl-C
└── Reject                  this row is rejected; never reaches the user as an error
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SynthError(Exception):
    """Base of all errors of this package. Its text is one line that says where and what to do."""


class InputError(SynthError):
    """Something the user wrote cannot be used. `path` and `line` (from 1) are where, if known."""

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None) -> None:
        self.message, self.path, self.line = message, path, line
        where = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        super().__init__(" ".join(f"{where}{message}".split("\n")))


class MissingExtra(SynthError):
    """A package of an optional extra is missing."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}': pip install 'synth-llm[{extra}]'")


class FatalError(SynthError):
    """The run cannot go on; what was answered so far is in the journal."""


class Passing(SynthError):
    """A failure that may pass.

    `retry_after` is what the endpoint asked us to wait, in seconds; `busy` means that it was sent too much (429, 503),
    `limited` that it says so of our requests, whichever they are (429): that is no failure of this one.
    """

    def __init__(
        self, message: str, retry_after: float | None = None, *, busy: bool = False, limited: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after, self.busy, self.limited = retry_after, busy or limited, limited


class Stopped(SynthError):
    """Nothing more may be asked in this invocation; the row stays unfinished and is asked by the next run."""


class Reject(SynthError):
    """This row is rejected, for `reason` (a short stable word), with `detail` for people and the raw answer if any.

    `value` is what a threshold was held against; `other` is the id of the row that this one repeats, or says where an
    item of other data stands (`examples 3`).
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        *,
        raw: str | None = None,
        value: float | None = None,
        other: str | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail, self.raw, self.value, self.other = reason, detail, raw, value, other
        self.lineage: list[dict[str, str]] | None = None
        """The row's lineage with the call that led here, when a call did."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that ends an error message: the nearest known name, or all of them when none is near.

    >>> nearest("temprature", ["temperature", "top_p"])
    "; did you mean 'temperature'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(names)}" if names else ""
