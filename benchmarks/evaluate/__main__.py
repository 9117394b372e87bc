"""The bars of evaluation: `make bench-evaluate`, a line a figure; exit code 1 when one is short of its goal.

`python -m benchmarks.evaluate NAME...` runs those named, or all. Most need the data beside the repository.
"""

from __future__ import annotations

import sys

from benchmarks.runner import main

BARS = {
    "rows": ["rows"],
    "right_numbers": ["right_diversity", "right_fidelity", "right_privacy", "right_utility", "alpaca_eval"],
    "right_conclusions": ["conclusions"],
    "ablation": ["ablation"],
    "diversity": ["diversity"],
    "sft": ["sft"],
    "experiments": ["experiments"],
    "time": ["time"],
}

if __name__ == "__main__":
    sys.exit(main("benchmarks.evaluate", BARS, sys.argv[1:]))
