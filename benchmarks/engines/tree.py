"""CPU time and memory of a process and its children, sampled from outside while it works (Linux)."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

EVERY = 0.05
"""Seconds between samples."""
LOOK = 20
"""Samples from one look for new children to the next: it costs a few milliseconds."""
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    at: float
    """Seconds of CLOCK_MONOTONIC, the same for all processes of a machine."""
    cpu: float
    """Seconds, user and system, of all processes of the tree and of those that have ended."""


class Watch:
    """`with Watch(pid) as watch`: samples until the block ends."""

    def __init__(self, pid: int) -> None:
        self.pid, self.samples = pid, [Sample(time.monotonic(), 0.0)]
        self.rss = 0
        """The most bytes resident at once, all processes together."""
        self._seen: dict[int, float] = {}
        self._pids: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def cpu_between(self, start: float, end: float) -> float:
        """Seconds of CPU between two moments, straight lines drawn between the samples."""
        return self._cpu_at(end) - self._cpu_at(start)

    def _cpu_at(self, at: float) -> float:
        before = self.samples[0]
        for sample in self.samples:
            if sample.at >= at:
                part = (at - before.at) / (sample.at - before.at) if sample.at > before.at else 0.0
                return before.cpu + part * (sample.cpu - before.cpu)
            before = sample
        return before.cpu

    def _watch(self) -> None:
        at = 0
        while not self._stop.wait(EVERY):
            if at % LOOK == 0:
                self._pids = tree(self.pid)
            self._sample()
            at += 1

    def _sample(self) -> None:
        resident = 0
        for pid in self._pids:
            found = _stat(pid)
            if found is not None:
                self._seen[pid] = found[1]
                resident += found[2]
        self.rss = max(self.rss, resident)
        self.samples.append(Sample(time.monotonic(), sum(self._seen.values())))


def tree(root: int) -> list[int]:
    """The process and all that it started, and they."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _stat(int(entry.name))) is not None:
            children[found[0]].append(int(entry.name))
    found_pids = [root]
    for pid in found_pids:  # it grows while it is gone through
        found_pids.extend(children[pid])
    return found_pids


def _stat(pid: int) -> tuple[int, float, int] | None:
    """(parent, CPU seconds, bytes resident) of a process; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK, int(fields[21]) * PAGE
