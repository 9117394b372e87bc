"""`python -m benchmarks.engines [NAME ...]`: a line a figure; exit code 1 when one is short of its goal."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time

from benchmarks.engines.harness import Failed

BARS = (
    "first_request",
    "efficiency",
    "two_steps",
    "limits_unknown",
    "cpu",
    "bad_answers",
    "four_ways",
    "schema",
    "secrets",
)


def show(line: str, figure: str, goal: str, ok: bool) -> bool:
    """Print a line; returns whether it is short of its goal."""
    print(f"{line:<15} {'ok   ' if ok else 'short'}  {figure}  (goal: {goal})", flush=True)
    return not ok


def main(only: list[str]) -> int:
    unknown = [name for name in only if name not in BARS]
    if unknown:
        print(f"no bar {', '.join(unknown)}; there are {', '.join(BARS)}", file=sys.stderr)
        return 2
    short = 0
    for name in only or BARS:
        began = time.monotonic()
        module = f"benchmarks.engines.{name}"
        if importlib.util.find_spec(module) is None:
            short += show(name, "not written", "written", False)
            continue
        try:
            for line in importlib.import_module(module).bar():
                short += show(*line)
        except Failed as error:
            short += show(name, str(error), "it runs", False)
        print(f"{'':<15}        {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main([name for arg in sys.argv[1:] for name in arg.replace(",", " ").split()]))
