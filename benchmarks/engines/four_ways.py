"""four_ways: one recipe on the same weights by four engines; local and vLLM as quick as what they stand on."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.engines.schema import ROOT, VLLM, Bar
from synth_llm.models.weights import DEFAULT, locate

ROWS, ROUNDS, GOAL, LONGEST = 12, 3, 0.95, 900.0
SMALL = {"enforce_eager": True, "dtype": "float32", "max_model_len": 1024}
PROMPT = """---
about: An animal, with what it eats.
gives: {animal: string, eats: [plants, meat, both]}
---
{% user %}Name an animal that lives in {{ place }}, and what it eats, as JSON.{% enduser %}
"""
PLACES = ["a forest", "the sea", "a desert", "a river", "a city", "the mountains"]
FOLDER = f"{DEFAULT}-hf"


def models() -> dict[str, tuple[str | Path, dict[str, object]]]:
    """Each way: the Python that has its engine, and its entry in the recipe."""
    folder = str(locate(DEFAULT).with_name(FOLDER))
    vllm = {"engine": "vllm", "model": folder, "arguments": SMALL}
    return {
        "local": (sys.executable, {"engine": "local"}),
        "vllm": (VLLM, vllm),
        "vllm served": (VLLM, {**vllm, "serve": True}),
        "transformers": (VLLM, {"engine": "transformers", "model": folder, "dtype": "float32"}),
    }


def ran(way: str, python: str | Path, entry: dict[str, object]) -> Bar:
    """The rows of a run with one engine: read from its run folder, checked against what the prompt gives."""
    goal = f"{ROWS} valid rows"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "prompts").mkdir()
        Path(folder, "prompts", "animal.jinja").write_text(PROMPT)
        recipe = {
            "models": {"writer": {**entry, "temperature": 0.8, "max_tokens": 120}},
            "source": {"grid": {"place": PLACES}},
            "steps": [{"generate": {"prompt": "animal", "model": "writer", "n": ROWS // len(PLACES)}}],
        }
        Path(folder, "four.yaml").write_text(json.dumps(recipe))
        program = Path(python).parent / "synth-llm"
        try:
            done = subprocess.run(
                [str(program), "run", "four.yaml", "--out", "out"],
                cwd=folder,
                env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"},
                capture_output=True,
                text=True,
                timeout=LONGEST,
            )
            rows = kept(Path(folder, "out"))
        except (OSError, subprocess.TimeoutExpired) as error:
            return "four_ways", f"{way}: {error}", goal, False
    why = "" if rows == ROWS else f"; {(done.stderr.splitlines() or [''])[-1]}"
    return "four_ways", f"{way}: {rows} valid rows{why}", goal, rows == ROWS


def kept(out: Path) -> int:
    import pyarrow.parquet

    file = out / "kept.parquet"
    rows = pyarrow.parquet.read_table(file).to_pylist() if file.exists() else []
    return sum(bool(row["animal"]) and row["eats"] in {"plants", "meat", "both"} for row in rows)


class Timed:
    """A process that loads an engine and times rounds of requests. Stopped between them, so that it costs nothing.

    In a process group of this session: when this process is killed, the system ends the stopped ones.
    """

    def __init__(self, python: str | Path, kind: str, how: str) -> None:
        command = [str(python), "-m", "benchmarks.engines.four_ways_speed", kind, how]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
        )
        self._said()
        os.killpg(self.process.pid, signal.SIGSTOP)

    def round(self, number: int) -> float:
        """Tokens a second."""
        os.killpg(self.process.pid, signal.SIGCONT)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        speed = self._said()
        os.killpg(self.process.pid, signal.SIGSTOP)
        return speed

    def _said(self) -> float:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("SPEED "):
                return float(line.split()[1])
        raise ChildProcessError(f"{' '.join(map(str, self.process.args[1:]))}: ended")  # type: ignore[index]

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def speed(python: str | Path, kind: str) -> Bar:
    """Ours beside the raw engine, in turns."""
    goal = f">= {GOAL} of the raw engine's tokens/s"
    both: list[Timed] = []
    try:
        both.append(Timed(python, kind, "raw"))
        both.append(Timed(python, kind, "ours"))
        found = [[one.round(number) for one in _turn(both, number)] for number in range(ROUNDS)]
    except (OSError, ChildProcessError) as error:
        return "four_ways", f"{kind}: {error}", goal, False
    finally:
        for one in both:
            one.end()
    pairs = [pair if number % 2 == 0 else pair[::-1] for number, pair in enumerate(found)]
    raw, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    figure = f"{kind}: {ratio:.2f} of the raw engine ({ours:.0f} and {raw:.0f} tokens/s)"
    return "four_ways", figure, goal, ratio >= GOAL


def _turn(both: Sequence[Timed], number: int) -> Sequence[Timed]:
    return both if number % 2 == 0 else both[::-1]


def bar() -> list[Bar]:
    if not VLLM.exists():
        return [("four_ways", f"{VLLM} is not there: make test-vllm", "four engines", False)]
    code = "from synth_llm.models import convert, weights; convert.folder_of(weights.locate(weights.DEFAULT))"
    subprocess.run([str(VLLM), "-c", code], check=True, timeout=LONGEST)
    rows = [ran(way, *how) for way, how in models().items()]
    return [*rows, speed(sys.executable, "local"), speed(VLLM, "vllm")]
