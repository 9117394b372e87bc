"""What steps note beside their verdicts: scores of kept and rejected rows, and facts for the manifest."""

from __future__ import annotations

import heapq
import math
import zlib
from dataclasses import dataclass, field
from typing import Any

SAMPLE = 10_000
"""Rows whose value of a score is held: those with the smallest hashes of their ids, whatever their order."""
BINS = 20


@dataclass
class Scores:
    """The values of one score."""

    kept: int = 0
    rejected: int = 0
    ranges: dict[bool, tuple[float, float]] = field(default_factory=dict)
    """The least and the greatest value of kept and of rejected rows."""
    _sample: list[tuple[int, str, float, bool]] = field(default_factory=list)
    """A heap, the greatest hash first."""

    def add(self, row_id: str, value: float, keep: bool) -> None:
        """Take in a row's value."""
        self.kept += keep
        self.rejected += not keep
        low, high = self.ranges.get(keep, (math.inf, -math.inf))
        if not low <= value <= high:
            self.ranges[keep] = min(low, value), max(high, value)
        order = -zlib.crc32(row_id.encode())
        if len(self._sample) < SAMPLE:
            heapq.heappush(self._sample, (order, row_id, float(value), keep))
        elif order >= self._sample[0][0] and (item := (order, row_id, float(value), keep)) > self._sample[0]:
            heapq.heapreplace(self._sample, item)

    def histogram(self) -> dict[str, Any]:
        """`edges` of bins of equal width, and how many kept and rejected rows of the sample lie in each.

        The outermost bins reach as far as the values do: a few extremes do not squeeze all others into one bin.
        """
        values = sorted(value for _, _, value, _ in self._sample)
        low, high = values[len(values) // 200], values[-1 - len(values) // 200]
        if low == high:
            low, high = values[0], values[-1]
        width = (high - low) / BINS or 1.0
        bins = BINS if high > low else 1
        counts = {True: [0] * bins, False: [0] * bins}
        for _, _, value, keep in self._sample:
            counts[keep][min(bins - 1, max(0, int((value - low) / width)))] += 1
        edges = [low + width * at for at in range(bins + 1)]
        return {
            "rows": {"kept": self.kept, "rejected": self.rejected},
            "ranges": {name: list(self.ranges.get(keep, ())) for name, keep in (("kept", True), ("rejected", False))},
            "edges": [round(edge, 6) for edge in edges],
            "kept": counts[True],
            "rejected": counts[False],
        }


@dataclass
class Notes:
    """What one step notes, over all rounds."""

    scores: dict[str, Scores] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    """JSON values for the manifest, by name."""

    def as_dict(self) -> dict[str, Any]:
        """For the manifest; empty when nothing was noted."""
        scores = {name: scores.histogram() for name, scores in self.scores.items()}
        return {name: value for name, value in (("scores", scores), ("report", self.report)) if value}
