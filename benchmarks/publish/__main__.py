"""The bars of publishing: `make bench-publish`, a line a figure; exit code 1 when one is short of its goal.

`python -m benchmarks.publish NAME...` runs those named, or all. Some need the data beside the repository.
"""

from __future__ import annotations

import sys

from benchmarks.runner import main

BARS = {
    "hub": ["hub"],
    "formats": ["formats"],
    "splits": ["splits"],
    "replay": ["replay"],
    "docs": ["docs"],
    "new_user": ["new_user"],
}

if __name__ == "__main__":
    sys.exit(main("benchmarks.publish", BARS, sys.argv[1:]))
