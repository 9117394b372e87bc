"""The bars of curation: `make bench-curation`, a line a figure; exit code 1 when one is short of its goal.

`python -m benchmarks.curation NAME...` runs those named, or all. Most need the data beside the repository.
"""

from __future__ import annotations

import sys

from benchmarks.runner import main

BARS = {
    "dedup_gold": ["dedup_gold"],
    "dedup_speed": ["dedup_speed"],
    "decontamination": ["decontamination"],
    "filters": ["filters"],
    "judges": ["judges"],
    "label_errors": ["label_errors"],
    "worth": ["worth"],
    "balance": ["balance"],
    "distribution": ["distribution"],
    "pii": ["pii"],
    "whole": ["whole"],
}

if __name__ == "__main__":
    sys.exit(main("benchmarks.curation", BARS, sys.argv[1:]))
