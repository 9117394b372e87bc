"""replay: a run is pushed, all of it deleted, and made again from the Hub by `synth-llm run hf://...`, without a model.

Every recipe that asks a model, on the answers that its tests recorded, and one run of the embedded model itself. Made
again in a new process, from an empty folder and with an empty cache: no weights, no vectors.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress

from benchmarks.core.recipes import Bar
from synth_llm import Result, run
from synth_llm.models import ENGINES
from synth_llm.models.function import Function
from synth_llm.models.weights import DEFAULT, ENCODER, fetch
from synth_llm.publish.hub import push
from tests.hub_server import TOKEN, client, serving
from tests.recorded import ROOT, answers, recipes, small

OUTPUTS = ("kept.parquet", "rejected.parquet")
ALL = ("secret", "email", "phone", "ssn", "iban", "card", "ip")
"""What models make up may look like anything; here it is pushed to this machine."""


def bar() -> Iterator[Bar]:
    with Progress(disable=True) as progress:
        for weights in (ENCODER, DEFAULT):
            fetch(weights, progress)
    same, names = [], [*recipes(), "embedded"]
    with tempfile.TemporaryDirectory() as scratch, serving() as hub, client(hub.url):
        for name in names:
            made, home = Path(scratch) / "made", Path(scratch) / "home"
            result = _embedded(made) if name == "embedded" else _recorded(name, made)
            before = [(made / output).read_bytes() for output in OUTPUTS]
            push(made, f"bench/{name}", allow=ALL)
            shutil.rmtree(made)
            home.mkdir()
            said = _again(name, home, hub.url)
            after = [(home / "runs" / name / output) for output in OUTPUTS]
            if said == "" and [path.read_bytes() for path in after] == before and result.complete:
                same.append(name)
            else:
                print(f"{name}: {said or 'other bytes'}", file=sys.stderr)
            shutil.rmtree(home)
    figure = f"{len(same)} of {len(names)} pushed runs come back byte for byte, both files, with no model"
    yield ("replay", figure, f"{len(names)}", len(same) == len(names))


def _embedded(out: Path) -> Result:
    return run(ROOT / "recipes/reviews.yaml", out=out, sets=["target.rows=4"])


def _recorded(name: str, out: Path) -> Result:
    """The small run of a recipe, its models' engines answering what was recorded."""
    with _standing_in(Function(answers(name))):
        return run(ROOT / "recipes" / f"{name}.yaml", out=out, sets=small(name))


@contextmanager
def _standing_in(model: Function) -> Iterator[None]:
    real = dict(ENGINES)
    ENGINES.update(dict.fromkeys(real, lambda entry, base: model))
    try:
        yield
    finally:
        ENGINES.update(real)


def _again(name: str, home: Path, hub: str) -> str:
    """Make it again; returns what was said when that failed."""
    places = {"HF_ENDPOINT": hub, "HF_TOKEN": TOKEN, "HF_HOME": str(home / "hf"), "HF_HUB_DISABLE_XET": "1"}
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "SYNTH_LLM"))}
    command = [str(Path(sys.executable).parent / "synth-llm"), "run", f"hf://bench/{name}"]
    env = clean | places | {"SYNTH_LLM_CACHE": str(home / "cache")}
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no word"])[-1]
