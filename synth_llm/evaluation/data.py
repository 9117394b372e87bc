"""The rows of an evaluation: what is measured, and what it is measured against."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_llm.against import joined
from synth_llm.errors import InputError
from synth_llm.evaluation.settings import Evaluate
from synth_llm.output import write_text
from synth_llm.row import Row, canonical, digest
from synth_llm.steps.context import Resources
from synth_llm.student.student import label_text

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Side:
    """Rows of one kind: made, real, test, holdout or examples."""

    name: str
    rows: list[Row]
    columns: list[str]
    """Those that are compared, together as a text."""
    label: str | None = None

    @cached_property
    def texts(self) -> list[str]:
        """Each row's text."""
        return [joined(row, self.columns) for row in self.rows]

    @cached_property
    def labels(self) -> list[str]:
        """Each row's class, as text. Raises InputError without a label column, or for a row without a class."""
        if self.label is None:
            raise InputError(f"{self.name}: the rows have no label; name its column with `label`")
        found: list[str] = []
        for number, row in enumerate(self.rows, 1):
            text = label_text(row.get(self.label))
            if text is None:
                raise InputError(f"{self.name}: row {number} has no '{self.label}'")
            found.append(text)
        return found

    @cached_property
    def mark(self) -> str:
        """A hash of all rows."""
        found = hashlib.blake2b(digest_size=16)
        for row in self.rows:
            found.update(canonical(row).encode("utf-8", "surrogatepass") + b"\n")
        return found.hexdigest()

    def __len__(self) -> int:
        return len(self.rows)


@dataclass
class Data:
    """All that parts work on. Sides that were not given are None."""

    settings: Evaluate
    use: Resources
    """The recipe's models, encoders, seed."""
    made: Side
    """The set that is evaluated."""
    real: Side | None = None
    test: Side | None = None
    holdout: Side | None = None
    examples: Side | None = None
    run: Path | None = None
    """The run folder that `made` comes from, if it does: for its costs, and for ablation."""
    store: Path | None = None
    """A folder for what was computed, so that a second evaluation goes on where the first one stopped."""
    doing: Callable[[str, int, int], object] = lambda what, done, of: None
    """Told what takes long, and how far it is: `doing("probe", 3, 40)`."""
    embedding: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Seconds that encoding took so far, and seconds of the processor."""
    _vectors: dict[str, np.ndarray] = field(default_factory=dict)
    _known: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        return self.use.recipe.seed

    def rng(self, *names: object) -> np.random.Generator:
        """The generator that belongs to these names under the seed."""
        import numpy as np

        return np.random.default_rng(int(digest(self.seed, "evaluate", *names), 16))

    def vectors(self, side: Side) -> np.ndarray:
        """(n, d) float32, rows of length one; zeros for a blank text. Each text is encoded once, ever."""
        if side.name not in self._vectors:
            self._vectors[side.name] = self._encoded(side.texts, f"embedding {side.name}")
            self._known.update(zip(side.texts, self._vectors[side.name], strict=True))
        return self._vectors[side.name]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """As `vectors`, for any texts, in their order: what a student is given."""
        import numpy as np

        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._encoded(new, "embedding"), strict=True))
        return np.stack([self._known[text] for text in texts])

    def _encoded(self, texts: Sequence[str], what: str) -> np.ndarray:
        began, used = time.monotonic(), time.process_time()
        try:
            return self.use.encoder(self.settings.encoder).encode(texts, partial(self.doing, what))
        finally:
            self.embedding[0] += time.monotonic() - began
            self.embedding[1] += time.process_time() - used

    def remember(self, name: str, inputs: Any, make: Callable[[], Any]) -> Any:
        """What `make` makes, a JSON value; made once for the same `inputs` (a JSON value that tells all it depends on,
        such as `[side.mark, seed, size]`), also by an earlier evaluation that was stopped.
        """
        if self.store is None:
            return make()
        path = self.store / f"{name}-{hashlib.sha256(canonical(inputs).encode()).hexdigest()[:24]}.json"
        if path.is_file():
            try:
                return json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                path.unlink()
        value = make()
        self.store.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(value))
        return value
