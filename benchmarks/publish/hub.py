"""hub: a hundred pushes to a Hub on this machine, a fault at a random call of each.

A fault is an answer of 412, 429, 500 or 503, a connection dropped before the call did anything, or one dropped after
it: the answer is lost. Pauses between tries are left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.core.recipes import Bar
from benchmarks.runner import Failed
from synth_llm import Recipe, Result, run
from synth_llm.errors import SynthError
from synth_llm.publish.export import export
from synth_llm.publish.hub import push
from tests.hub_server import TOKEN, Hub, client, serving

PUSHES, ROWS = 100, 400
FAULTS = ("412", "429", "500", "503", "dropped", "lost")
LOAD = """
import datasets, json
datasets.disable_progress_bars()
for part in datasets.load_dataset("bench/clean").values():
    names = part.features["label"].names
    for row in part:
        print(json.dumps({**row, "label": names[row["label"]]}))
"""
PUBLISH = {"format": "classification", "splits": {"test": 0.2}}


def bar() -> Iterator[Bar]:
    with tempfile.TemporaryDirectory() as scratch, serving() as hub, client(hub.url), _no_pauses():
        result = _run(Path(scratch))
        exported = export(result.path, Path(scratch) / "exported")
        wanted = {f"data/{path.name}": _hash(path.read_bytes()) for path in exported.files}
        before = len(hub.calls)
        push(result.path, "bench/clean")
        calls = len(hub.calls) - before
        draw, once, retried, torn, told = random.Random(7), 0, 0, 0, Counter[str]()
        for number in range(PUSHES):
            at, kind = draw.randrange(calls), draw.choice(FAULTS)
            said = _faulty(hub, result.path, f"bench/n{number}", at, kind)
            repo = hub.repos[f"bench/n{number}"]
            head = {path: _hash(data) for path, data in repo.commits[-1].items()}
            once += len(repo.summaries) == 1
            torn += not wanted.items() <= head.items()
            retried += bool(said)
            told[f"{kind}: {said}"] += bool(said)
        for line, count in told.items():
            if count:
                print(f"{count}: {line}", file=sys.stderr)
        yield _line(f"{once} of {PUSHES} pushes are one commit, {calls} calls each", f"{PUSHES}", once == PUSHES)
        yield _line(f"{retried} ended in one line, and went through when pushed again", "told", True)
        yield _line(f"{torn} heads hold other rows than `export` writes", "0", not torn)
        commits = len(hub.repos["bench/clean"].commits)
        changed = push(result.path, "bench/clean").changed or len(hub.repos["bench/clean"].commits) > commits
        yield _line(f"a push of the same run again makes {int(changed)} commits", "0", not changed)
        yield _loaded(hub, result, Path(scratch))


def _run(scratch: Path) -> Result:
    rows = [
        {"text": f"Message {n}: {_words(n)}.", "label": ("praise", "blame", "question")[n % 3]} for n in range(ROWS)
    ]
    recipe = {"name": "bench", "source": {"rows": rows}, "publish": PUBLISH}
    return run(
        Recipe.model_validate({**recipe, "steps": [{"filter": {"if": "'7:' not in text"}}]}), out=scratch / "run"
    )


def _words(n: int) -> str:
    draw = random.Random(n)
    return " ".join("".join(draw.choices("abcdefghiklmnoprstu", k=draw.randint(2, 9))) for _ in range(12))


def _faulty(hub: Hub, folder: Path, repo: str, at: int, kind: str) -> str:
    """Push with a fault at a call, and again if that was said to have failed; returns what was said."""
    hub.fault = (len(hub.calls) + at, kind)
    said = ""
    try:
        push(folder, repo)
    except SynthError as error:
        said = str(error)
        hub.fault = None
        push(folder, repo)
    return said


def _loaded(hub: Hub, result: Result, scratch: Path) -> Bar:
    """What `load_dataset` gives of the name, in a process of its own, beside the rows of the run."""
    places = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(scratch / "home"), "HF_HUB_DISABLE_XET": "1"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run([sys.executable, "-c", LOAD], env=clean | places, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(done.stderr.strip().splitlines()[-1])
    found = done.stdout.splitlines()
    kept = [json.dumps({"text": row["text"], "label": row["label"]}) for row in result.kept]
    same = sorted(found) == sorted(kept)
    return _line(f"load_dataset gives {len(found)} rows, {'those' if same else 'NOT those'} kept", f"{len(kept)}", same)


@contextmanager
def _no_pauses() -> Iterator[None]:
    """Tries without pauses between them, and without the client's lines of each."""
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()
    slept, time.sleep = time.sleep, lambda seconds: slept(min(seconds, 0.01))
    try:
        yield
    finally:
        time.sleep = slept


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _line(figure: str, goal: str, ok: bool) -> Bar:
    return ("hub", figure, goal, ok)
