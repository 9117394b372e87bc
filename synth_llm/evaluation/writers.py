"""What students that write learned from each set of rows: their losses and answers on test rows, remembered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from synth_llm.errors import InputError
from synth_llm.evaluation.ablation import rejected_rows
from synth_llm.evaluation.data import Data, Side
from synth_llm.row import Row, canonical, digest, public
from synth_llm.student.registry import student
from synth_llm.student.sft import Settings
from synth_llm.student.student import Task, own_settings

NAME = "sft"
BASE, MADE = "base", "made"
ANSWERED = 200
"""Test rows that students answer, drawn by chance: writing takes much longer than reading."""


@dataclass
class Writer:
    """The students of one set of rows, one a seed; of no rows, the model that all start from."""

    name: str
    about: str
    rows: list[list[Row]]
    """What each student learns from."""
    losses: list[list[float]] = field(default_factory=list)
    """Of each student, the loss on each test row with an answer."""
    answers: list[str] = field(default_factory=list)
    """Of the first student, the answer to each test row that is answered."""


class Writers:
    """All sets of rows that are compared, the base model first, and their students, fitted and tested."""

    def __init__(self, data: Data, test: Side) -> None:
        self.data, self.notes = data, list[str]()
        settings = data.settings
        self.task = Task(data.made.columns, None, settings.prompt, settings.answer, settings=settings.student_settings)
        own = own_settings(NAME, Settings, settings.student_settings)
        self.settings = own.model_dump(exclude={"judge", "lm_eval"})
        """What the students depend on."""
        self.known = [row for row in map(public, test.rows) if self._usable(row)]
        """The test rows with an answer: for losses."""
        asked = [row for row in map(public, test.rows) if self._asks(row)]
        if not asked:
            raise InputError(f"test: no row has a text in {' or '.join(settings.prompt)}; see `prompt`")
        order = data.rng("generative", "answered").permutation(len(asked))[:ANSWERED]
        self.asked = [asked[at] for at in sorted(order.tolist())]
        """The test rows that are answered."""
        if len(asked) > len(self.asked):
            self.notes.append(f"Students answered {len(self.asked)} of {len(asked):,} test rows, drawn by chance.")
        self.found = [Writer(BASE, "nothing: the model that it is trained from", [[]]), *self._sets()]
        for one in self.found:
            for seed, rows in enumerate(one.rows):
                self._fill(one, rows, seed)

    def student(self, name: str, seed: int) -> Any:
        """A new student."""
        doing = partial(self._tell, name)
        return student(NAME)(Task(**{**vars(self.task), "doing": doing}), seed)

    def fitted(self, one: Writer) -> Any:
        """The first student of a set, fitted anew."""
        made = self.student(one.name, 0)
        return made.fit(one.rows[0]) if one.rows[0] else made

    def _tell(self, name: str, what: str, done: int, of: int) -> None:
        self.data.doing(f"sft {name}: {what}", done, of)

    def _asks(self, row: Row) -> bool:
        return any(row.get(column) not in (None, "") for column in self.data.settings.prompt)

    def _usable(self, row: Row) -> bool:
        return self._asks(row) and row.get(self.data.settings.answer) is not None

    def _sets(self) -> list[Writer]:
        settings, seeds, wanted = self.data.settings, self.data.settings.seeds, set(self.data.settings.baselines)
        made = self._rows("made", self.data.made.rows)
        if not made:
            columns = f"{settings.answer} and {' or '.join(settings.prompt)}"
            raise InputError(f"no made row has {columns}, to learn from: see `prompt` and `answer`")
        found = [Writer(MADE, "all made rows", [made] * seeds)]
        if "random" in wanted and self.data.run is not None:
            lines = [json.loads(line["row"]) for line in rejected_rows(self.data.run)]
            rejected = sorted((row for row in map(public, lines) if self._usable(row)), key=canonical)
            if rejected:
                pool = [*made, *rejected]
                about = f"as many of the {len(pool):,} candidates (kept or rejected), at random"
                found.append(Writer("random", about, self._draws("random", pool, len(made))))
        real = self._rows("real", self.data.real.rows) if self.data.real and "real" in wanted else []
        if real:
            found.append(Writer("real", "all real rows", [real] * seeds))
            size = min(len(real), len(made))
            for name, rows in ((MADE, made), ("real", real)):
                if len(rows) > size:
                    about = f"{name} rows, as many as there are of both"
                    found.append(Writer(f"{name}_matched_rows", about, self._draws(f"{name} rows", rows, size)))
        seed_rows = self.data.examples.rows if self.data.examples and "examples" in wanted else []
        if examples := self._rows("examples", seed_rows):
            found.append(Writer("seeds", "the seed examples", [examples] * seeds))
        return found

    def _rows(self, name: str, rows: Sequence[Row]) -> list[Row]:
        usable = [row for row in map(public, rows) if self._usable(row)]
        if len(usable) < len(rows):
            self.notes.append(f"{len(rows) - len(usable):,} {name} rows have no prompt or no answer: not learned from.")
        return usable

    def _draws(self, name: str, rows: Sequence[Row], size: int) -> list[list[Row]]:
        return [
            [rows[at] for at in sorted(self.data.rng("generative", name, seed).choice(len(rows), size, replace=False))]
            for seed in range(self.data.settings.seeds)
        ]

    def _fill(self, one: Writer, rows: list[Row], seed: int) -> None:
        settings = self.data.settings
        asked = self.asked if seed == 0 else []
        inputs = [
            *(one.name, seed, digest(rows), digest(self.known), digest(asked)),
            *(settings.prompt, settings.answer, self.settings),
        ]
        got = self.data.remember("generative", inputs, lambda: self._measured(one.name, rows, seed, asked))
        one.losses.append(got["losses"])
        one.answers = one.answers or got["answers"]
        self.notes += [note for note in got["notes"] if note not in self.notes]

    def _measured(self, name: str, rows: list[Row], seed: int, asked: list[Row]) -> dict[str, Any]:
        writer = self.student(name, seed)
        if rows:
            writer.fit(rows)
        losses = [float(loss) for loss in writer.losses(self.known)] if self.known else []
        answers = list(writer.predict(asked)) if asked else []
        return {"losses": losses, "answers": answers, "notes": list(getattr(writer, "notes", []))}
