"""The bars of generation: `make bench-generation`, a line a figure; exit code 1 when one is short of its goal.

`python -m benchmarks.generation NAME...` runs those named, or all. All but `rules` ask an embedded model.
"""

from __future__ import annotations

import sys

from benchmarks.runner import main

BARS = {
    "all_run": ["all_run"],
    "self_instruct": ["self_instruct"],
    "worth": ["worth"],
    "rules": ["rules"],
    "objectives": ["objectives"],
    "grounded": ["grounded"],
}

if __name__ == "__main__":
    sys.exit(main("benchmarks.generation", BARS, sys.argv[1:]))
