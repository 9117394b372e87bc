"""order: concurrency and the order of answers change nothing; equal greedy questions are asked once."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from benchmarks.core.kill import outputs
from benchmarks.core.mock import Mock, respond, say
from benchmarks.core.recipes import Bar, three_steps
from synth_llm import run


def shuffled(number: int) -> float:
    """Up to 30 ms, at random: answers overtake each other differently in every run."""
    return random.random() * 0.03


def same_everywhere() -> bool:
    found = set()
    for concurrency in (1, 7, 64, 64):
        with (
            tempfile.TemporaryDirectory() as folder,
            Mock(latency=shuffled if concurrency > 1 else lambda n: 0.0) as mock,
        ):
            recipe = three_steps(Path(folder, "project"), mock.url, 400, concurrency=concurrency)
            run(recipe, out=Path(folder, "out"))
            found.add(outputs(Path(folder, "out")))
    return len(found) == 1


def empty_rows() -> tuple[int, int]:
    """(requests for texts, requests for scores) of 1,000 identical empty rows whose texts are of 10 kinds."""

    def few(body: dict[str, object], number: int) -> tuple[int, object]:
        return (
            respond(body, number)
            if "response_format" in body
            else (200, say(f"One of ten texts, number {number % 10}."))
        )

    with tempfile.TemporaryDirectory() as folder, Mock(few) as mock:
        recipe = three_steps(Path(folder, "project"), mock.url, 1, source={"empty": 1000}, threshold=1)
        prompt = recipe.parent / "prompts" / "write.jinja"
        prompt.write_text(prompt.read_text().replace("{{ topic }}", "anything"))
        run(recipe, out=Path(folder, "out"))
        assert mock.seen_again == 0
        scores = sum(text.startswith("Score") for text in mock.asked)
        return mock.sent - scores, scores


def bar() -> list[Bar]:
    same = same_everywhere()
    texts, scores = empty_rows()
    return [
        ("order", f"identical at 1, 7, 64, 64 shuffled: {same}", "identical", same),
        ("order", f"1,000 empty rows: {texts} requests", "1000", texts == 1000),
        ("order", f"10 kinds of text judged greedily: {scores} requests", "10", scores == 10),
    ]
