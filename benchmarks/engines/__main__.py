"""`python -m benchmarks.engines [NAME ...]`: a line a figure; exit code 1 when one is short of its goal."""

from __future__ import annotations

import sys

from benchmarks.runner import main

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

if __name__ == "__main__":
    sys.exit(main("benchmarks.engines", {name: [name] for name in BARS}, sys.argv[1:]))
