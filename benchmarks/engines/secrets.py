"""secrets: keys of the environment are looked for in everything that a run leaves, shows or logs, failures included.

Three are planted: the one that the recipe names, OPENAI_API_KEY, and HF_TOKEN. Endpoints repeat what they are sent in
bodies, headers, redirects and malformed answers; every logger is at DEBUG. Looked at while it runs and afterwards: the
run folders, the temporary and home folders of the process, its stdout and stderr; SQLite and Parquet files also as
their readers see them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engines.harness import ROOT, Bar
from benchmarks.engines.secrets_endpoint import KINDS, Endpoint, serving

NAMED = "sk-named-7Qm2vX9cLr4TzW8bKd31"
PLANTED = {
    "PLANTED_KEY": NAMED,
    "OPENAI_API_KEY": "sk-open-Hn5yPa0GsJ6eRu2fVi77",
    "HF_TOKEN": "hf_Wb8Zt3NkEo1MqYx4Dc59",
}
SERVED = "0f9e8d7c6b5a49382716f5e4d3c2b1a0"
"""The key of a vLLM server that a run starts."""
SECRETS = [secret.encode() for secret in (*PLANTED.values(), SERVED)]
SECONDS = 300.0
"""After which a process is stopped."""
TOGETHER = 6
"""Kinds of endpoints that one process runs at, to save its start."""
PROMPTS = {
    "write": "---\ngives: {text: string}\n---\nWrite about {{ topic }}.\n",
    "score": "---\ngives: {score: 1..5}\n---\nScore: {{ text }}\n",
}


@dataclass
class Search:
    """What was looked at, and where a secret was found."""

    processes: int = 0
    commands: int = 0
    files: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """With their size and time when they were last looked at."""
    size: int = 0
    """Bytes."""
    found: set[str] = field(default_factory=set)

    def look(self, what: str, data: bytes) -> None:
        self.size += len(data)
        for secret in SECRETS:
            at = data.find(secret)
            if at >= 0:
                around = data[max(0, at - 60) : at + len(secret) + 20]
                self.found.add(f"{what}: ...{around!r}...")

    def ended(self, run: str, said: bytes, folder: Path) -> None:
        """Look at all that a process has left."""
        self.processes += 1
        self.commands += said.count(b"$ synth-llm ")
        self.look(f"{run}: output", said)
        self.folder(run, folder, inside=True)

    def folder(self, run: str, folder: Path, *, inside: bool = False) -> None:
        """Look through all files of a folder as they are now; `inside` also as their readers see them."""
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            with contextlib.suppress(OSError):  # gone meanwhile
                where, about = f"{run}: {path.relative_to(folder)}", path.stat()
                state = about.st_size, about.st_mtime_ns
                if inside or self.files.get(path) != state:
                    self.look(where, path.read_bytes())
                self.files[path] = state
                for part in _inside(path) if inside else ():
                    self.look(where, part)


def _inside(path: Path) -> Iterator[bytes]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        yield json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
    elif path.suffix == ".sqlite":
        with contextlib.closing(sqlite3.connect(path)) as file:
            for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in file.execute(f'SELECT * FROM "{table}"'):
                    yield b"|".join(one if isinstance(one, bytes) else str(one).encode() for one in row)


class Scene:
    """A folder with a project (not looked at: it is the user's), and one in which processes work (looked at)."""

    def __init__(self, folder: Path, endpoint: Endpoint, search: Search) -> None:
        self.project, self.work, self.search, self.endpoint = folder / "project", folder / "work", search, endpoint
        (self.project / "prompts").mkdir(parents=True)
        for name, text in PROMPTS.items():
            (self.project / "prompts" / f"{name}.jinja").write_text(text)

    def recipe(self, kind: str, rows: int = 3, **settings: Any) -> str:
        """A recipe that writes and judges, at an endpoint of a kind."""
        entry = {"engine": "openai", "model": "echo", "url": f"{self.endpoint.address}/{kind}/v1", "retries": 1}
        entry = {name: value for name, value in {**entry, "key_env": "PLANTED_KEY", **settings}.items() if value}
        recipe = {
            "models": {"writer": entry},
            "source": {"grid": {"topic": [f"topic {n}" for n in range(rows)]}},
            "steps": [
                {"generate": {"prompt": "write", "model": "writer"}},
                {"judge": {"prompt": "score", "model": "writer"}},
            ],
        }
        path = self.project / f"{kind}.yaml"
        path.write_text(json.dumps(recipe, indent=1))
        return str(path)

    def start(self, run: str, *args: str, **environment: str) -> subprocess.Popen[bytes]:
        """A process of `secrets_child` in a folder of the run, with the keys in its environment."""
        work = self.work / run
        for name in ("tmp", "home"):
            (work / name).mkdir(parents=True, exist_ok=True)
        place = {"HOME": str(work / "home"), "TMPDIR": str(work / "tmp"), "PYTHONPATH": str(ROOT)}
        hub = {"HF_ENDPOINT": f"{self.endpoint.address}/hub", "OPENAI_LOG": "debug", "PYTHONASYNCIODEBUG": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.engines.secrets_child", *args],
            cwd=work,
            env={**os.environ, **place, **hub, **PLANTED, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, run: str, *args: str, **environment: str) -> str:
        """Run a process to its end, looking at what it writes meanwhile and afterwards; returns what it said."""
        process = self.start(run, *args, **environment)
        done = threading.Event()
        watching = threading.Thread(target=self._watch, args=(run, done))
        watching.start()
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            self.search.found.add(f"{run}: not done after {SECONDS:.0f} s")
        done.set()
        watching.join()
        self.search.ended(run, said, self.work / run)
        return said.decode("utf-8", "replace")

    def _watch(self, run: str, done: threading.Event) -> None:
        while not done.wait(0.1):
            self.search.folder(run, self.work / run)


def endpoints(scene: Scene) -> None:
    """Runs at endpoints of every kind; embeddings too."""
    kinds = [*KINDS, "429"]
    for at in range(0, len(kinds), TOGETHER):
        some = kinds[at : at + TOGETHER]
        debug = str(at // TOGETHER % 2)  # shows tracebacks in every other one
        scene.run(" ".join(some), "life", *[scene.recipe(kind) for kind in some], SYNTH_LLM_DEBUG=debug)
    for kind in kinds:
        if not scene.endpoint.asked[kind]:
            scene.search.found.add(f"{kind}: nothing was asked")
    for kind in ("good", "answer", "400"):
        scene.run(f"tour of {kind}", "tour", scene.recipe(kind))
    urls = [f"{scene.endpoint.address}/{kind}/v1" for kind in KINDS]
    scene.run("encoder", "encoder", *urls, "http://127.0.0.1:9/v1")


def mistakes(scene: Scene) -> None:
    """Keys that cannot be used, ways that lead nowhere, and an engine that fails as nobody foresaw."""
    good = scene.recipe("good")
    bad = {"line end": f"{NAMED}\n", "header": f"{NAMED}\r\nX-More: 1", "dash": f"{NAMED}\N{EN DASH}"}
    for name, key in bad.items():
        scene.run(name, "life", good, PLANTED_KEY=key)
    proxy = f"http://me:{NAMED}@127.0.0.1:9"
    recipes = [
        scene.recipe("absent", key_env="NO_SUCH_KEY"),
        scene.recipe("key_as_name", key_env=NAMED),
        scene.recipe("key_in_url", url=f"http://me:{NAMED}@127.0.0.1:9/v1"),
        scene.recipe("unreachable", url="http://127.0.0.1:9/v1"),
        scene.recipe("behind_proxy", url="http://192.0.2.1/v1"),
        scene.recipe("own_key", url=None, key_env=None),
    ]
    scene.run("ways", "life", *recipes, http_proxy=proxy, https_proxy=proxy, no_proxy="127.0.0.1")
    scene.run("broken", "broken", good, SYNTH_LLM_DEBUG="1")


def killed(scene: Scene) -> None:
    """kill -9 in the middle of a run, then the rest of it."""
    recipe = scene.recipe("answer", rows=2000, concurrency=8)
    for number in range(3):
        before = scene.endpoint.asked["answer"]
        process = scene.start("killed", "command", "run", recipe, "--out", "killed")
        end = time.monotonic() + SECONDS
        while scene.endpoint.asked["answer"] < before + 50 + 30 * number and time.monotonic() < end:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        scene.search.ended("killed", said, scene.work / "killed")
    scene.run("killed", "command", "run", recipe, "--out", "killed", "--limit", "300")


def vllm(scene: Scene, folder: Path) -> None:
    """A vLLM server started with the run; in its place one that repeats its key."""
    home = folder / "fake" / "vllm" / "entrypoints" / "openai"
    home.mkdir(parents=True)
    for place in (home, home.parent, home.parent.parent):
        (place / "__init__.py").touch()
    (home / "api_server.py").write_text(
        "import sys\nfrom benchmarks.engines.secrets_endpoint import Endpoint\n"
        "port = int(sys.argv[sys.argv.index('--port') + 1])\n"
        "Endpoint.reply = lambda self, path, key, reply=Endpoint.reply: (\n"
        "    reply(self, '/good' if path == '/version' else '/400', key))\n"
        "Endpoint(port).serve_forever()\n"
    )
    recipe = scene.recipe("vllm", url=None, key_env=None, engine="vllm", serve=True)
    said = scene.run("vllm", "served", recipe, SERVED, PYTHONPATH=f"{ROOT}{os.pathsep}{folder / 'fake'}")
    if "bad request" not in said:
        scene.search.found.add(f"vllm: it did not answer: {said[-300:]}")


def bar() -> list[Bar]:
    search = Search()
    with tempfile.TemporaryDirectory() as folder, serving() as endpoint:
        scene = Scene(Path(folder), endpoint, search)
        endpoints(scene)
        mistakes(scene)
        killed(scene)
        vllm(scene, Path(folder))
    for line in sorted(search.found):
        print(line)
    counted = f"{search.processes} processes, {search.commands} commands, {len(search.files)} files"
    places = len({line.partition(":")[0] for line in search.found})
    figure = f"{counted}, {search.size / 1e6:.0f} MB looked through: {len(search.found)} found, in {places} processes"
    return [("secrets", figure, "0 found", not search.found)]
