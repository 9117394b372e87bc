"""`python -m benchmarks.core [NAME ...]`: a line a bar; exit code 1 when one is short."""

from __future__ import annotations

import sys

from benchmarks.runner import main

BARS = ("start", "filters", "errors", "order", "edit", "bad_rows", "damage", "overhead", "kill", "shapes", "newcomer")
FILES = {"damage": ["damage", "damage_run"]}
"""The files of bars that have more than one."""

if __name__ == "__main__":
    sys.exit(main("benchmarks.core", {name: FILES.get(name, [name]) for name in BARS}, sys.argv[1:]))
