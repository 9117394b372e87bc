"""What runs bars and shows them: a line a figure; exit code 1 when one is short of its goal."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Mapping, Sequence


class Failed(Exception):
    """A bar's run came to nothing: it is short, and its text says why."""


def main(package: str, bars: Mapping[str, Sequence[str]], argv: Sequence[str]) -> int:
    """Run the bars named in `argv`, or all; `bars` has the modules of each. Returns the exit code."""
    only = [name for arg in argv for name in arg.replace(",", " ").split()]
    unknown = [name for name in only if name not in bars]
    if unknown:
        print(f"no bar {', '.join(unknown)}; there are {', '.join(bars)}", file=sys.stderr)
        return 2
    short = 0
    for name in only or bars:
        began = time.monotonic()
        try:
            for module in bars[name]:
                for line in importlib.import_module(f"{package}.{module}").bar():
                    short += _show(*line)
        except Failed as error:
            short += _show(name, str(error), "it runs", False)
        print(f"{'':<15}        {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 1 if short else 0


def _show(line: str, figure: str, goal: str, ok: bool) -> bool:
    """Print a line; returns whether it is short of its goal."""
    print(f"{line:<15} {'ok   ' if ok else 'short'}  {figure}  (goal: {goal})", flush=True)
    return not ok
