"""`python -m benchmarks.core [NAME ...]`: a line a bar; exit code 1 when one is short."""

from __future__ import annotations

import importlib
import sys
import time

BARS = ("start", "filters", "errors", "order", "edit", "bad_rows", "damage", "overhead", "kill", "shapes", "newcomer")

FILES = {"damage": ("damage", "damage_run")}
"""The files of bars that have more than one."""


def main(only: list[str]) -> int:
    unknown = [name for name in only if name not in BARS]
    if unknown:
        print(f"no bar {', '.join(unknown)}; there are {', '.join(BARS)}", file=sys.stderr)
        return 2
    short = 0
    for name in only or BARS:
        began = time.monotonic()
        for module in FILES.get(name, (name,)):
            for line, figure, goal, ok in importlib.import_module(f"benchmarks.core.{module}").bar():
                short += not ok
                print(f"{line:<12} {'ok   ' if ok else 'short'}  {figure}  (goal: {goal})", flush=True)
        print(f"{'':<12}        {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main([name for arg in sys.argv[1:] for name in arg.replace(",", " ").split()]))
