"""first_request: how long a user waits for the first request of a small recipe.

pip compiles the modules that it installs. An editable install is compiled here, as Python does not do it by itself
where the environment says PYTHONDONTWRITEBYTECODE.
"""

from __future__ import annotations

import compileall
from pathlib import Path

import synth_llm
from benchmarks.engines.harness import Bar, Load, measure, middle
from benchmarks.engines.ours import OURS

RUNS = 5


def bar() -> list[Bar]:
    remark = Load()
    compileall.compile_dir(Path(synth_llm.__file__).parent, quiet=1)
    runs = [measure(OURS, 10, None, ["--latency", "100ms"]) for _ in range(RUNS)]
    seconds = middle([run.first for run in runs])
    cpu = middle([run.cpu_start for run in runs])
    figure = f"{seconds:.2f} s ({cpu:.2f} s CPU) from the program's start to the first request, 10 rows{remark}"
    return [("first_request", figure, "<= 1.0 s", seconds <= 1.0 and all(run.rows == 10 for run in runs))]
