"""Damages a journal in 200 ways: a wrong answer must never come out of it, nor any error but one line.

`python -m benchmarks.core.damage`
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from synth_llm.errors import FatalError
from synth_llm.journal import Journal
from synth_llm.models.request import Answer, Request, body_of

RECORDS, DAMAGES = 300, 200
TEXT = "the film was a slow and lovely thing with a score that stays in the head and an end nobody asked for"
WORDS = TEXT.split()


def records(rng: random.Random) -> list[tuple[Request, Answer]]:
    """Requests of about 1 to 3 KB with answers of 0.3 to 6 KB, a few far longer, as log-probabilities make them."""
    made = []
    for number in range(RECORDS):
        prompt = " ".join(rng.choices(WORDS, k=rng.randint(150, 500)))
        words = rng.randint(2000, 8000) if number % 25 == 0 else rng.randint(20, 1000)
        sampling = {"temperature": 0.9, "max_tokens": 400}
        request = Request("m", ({"role": "user", "content": prompt},), sampling, draw=(7, str(number), 0, 0))
        made.append((request, Answer(body_of(" ".join(rng.choices(WORDS, k=words)), completion_tokens=words))))
    return made


async def write(journal: Journal, made: list[tuple[Request, Answer]]) -> None:
    """Put all records, 16 at a time."""
    for start in range(0, len(made), 16):
        await asyncio.gather(*(journal.put(request, answer, 300, 200) for request, answer in made[start : start + 16]))


def make(folder: Path, made: list[tuple[Request, Answer]]) -> tuple[Path, Path]:
    """Two folders: a journal that was closed, and one as kill -9 leaves it, with half of its records in the `-wal`."""
    closed, killed = folder / "closed", folder / "killed"
    for number, part in enumerate((made[: RECORDS // 2], made[RECORDS // 2 :])):
        journal = Journal.open(closed / "journal.sqlite")
        asyncio.run(write(journal, part))
        if number == 1:
            shutil.copytree(closed, killed)
        journal.close()
    return closed, killed


def damage(folder: Path, rng: random.Random, cut: bool) -> None:
    """Cut off a random part of a file's end, or flip one to three of its bits."""
    file = rng.choice(sorted(path for path in folder.iterdir() if path.name.endswith(("sqlite", "-wal"))))
    size = file.stat().st_size
    with file.open("r+b") as handle:
        if cut:
            handle.truncate(rng.randrange(size))
            return
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(size)
            handle.seek(place)
            byte = handle.read(1)[0]
            handle.seek(place)
            handle.write(bytes([byte ^ 1 << rng.randrange(8)]))


def outcome(path: Path, made: list[tuple[Request, Answer]], count: Counter[str]) -> None:
    """Open a journal and read all of it, and count what came of it."""
    try:
        journal = Journal.open(path, on_notice=lambda line: count.update(salvaged=1))
        try:
            for request, answer in made:
                found = journal.get(request.key)
                count["lost"] += found is None
                count["wrong"] += found is not None and found != answer
        finally:
            journal.close()
    except FatalError:
        count["refused"] += 1
    except Exception as error:
        count["exceptions"] += 1
        print(f"{type(error).__name__}: {error}")


def bar(seed: int = 1) -> list[tuple[str, str, str, bool]]:
    """(name, figure, goal, whether it is reached) of each figure."""
    rng, count = random.Random(seed), Counter[str]()
    made = records(rng)
    with tempfile.TemporaryDirectory() as name:
        originals = make(Path(name), made)
        for number in range(DAMAGES):
            hurt = Path(name, "hurt")
            shutil.copytree(originals[number // 2 % 2], hurt)
            damage(hurt, rng, cut=number % 2 == 0)
            outcome(hurt / "journal.sqlite", made, count)
            shutil.rmtree(hurt)
    read = (DAMAGES - count["refused"]) * RECORDS
    return [
        ("damage: wrong answers", str(count["wrong"]), "0", not count["wrong"]),
        ("damage: other exceptions", str(count["exceptions"]), "0", not count["exceptions"]),
        ("damage: refused in one line", f"{count['refused']} of {DAMAGES}", "", True),
        ("damage: salvaged", f"{count['salvaged']} of {DAMAGES}", "", True),
        ("damage: answers lost, asked again", f"{count['lost']} of {read}", "", True),
    ]


if __name__ == "__main__":
    for line in bar():
        print(*line, sep="\t")
