"""`python -m benchmarks.engines [NAME ...]`: a line a figure; exit code 1 when one is short of its goal."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time

from benchmarks.engines.harness import Bar, Failed

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
            print(f"{name:<15} short  not written", flush=True)
            short += 1
            continue
        try:
            lines: list[Bar] = importlib.import_module(module).bar()
        except Failed as error:
            lines = [(name, str(error), "it runs", False)]
        for line, figure, goal, ok in lines:
            short += not ok
            print(f"{line:<15} {'ok   ' if ok else 'short'}  {figure}  (goal: {goal})", flush=True)
        print(f"{'':<15}        {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main([name for arg in sys.argv[1:] for name in arg.replace(",", " ").split()]))
