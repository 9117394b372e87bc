"""The command line, in process: what it prints, its exit codes, and that nobody ever sees a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import filelock
import jsonschema_rs
import pytest

from synth_llm import cli, strict_yaml
from synth_llm.errors import FatalError
from synth_llm.models import ENGINES
from synth_llm.models.function import Function
from synth_llm.models.request import Request, body_of

RECIPE = """\
about: Lines about topics.
models:
  writer: {engine: openai, model: m, url: "http://127.0.0.1:9/v1", retries: 0, repairs: 0, max_tokens: 50}
source:
  rows: [{topic: tea}, {topic: rain}, {topic: snow}, {topic: salt}, {topic: wool}]
steps:
  - generate: {prompt: write, model: writer}
  - filter: {use: [{length: {max_words: 4}}]}
"""
PROMPT = "---\nabout: Writes a line.\ngives: {text: string, mood: [good, bad]}\n---\nWrite about {{ topic }}.\n"


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]
OPENAI = ENGINES["openai"]
PROGRAM = [sys.executable, "-c", "from synth_llm.cli import main; main()"]


@pytest.fixture
def synth(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; whatever it is, a traceback is wrong."""

    def run(*args: str | Path) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main([str(arg) for arg in args])
        said = capfd.readouterr()
        assert "Traceback" not in said.out + said.err
        return Ran(int(exit.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """A project in the current folder whose model answers in process; the requests that it is sent."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "write.jinja").write_text(PROMPT)
    (tmp_path / "lines.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    requests: list[Request] = []

    def answer(request: Request) -> str:
        requests.append(request)
        topic = request.messages[-1]["content"].split()[-1]
        if topic == "salt.":
            return "salt, plain \x1b[2J and unreadable"
        words = "much too long to pass the filter" if topic == "wool." else f"a line about {topic}"
        return json.dumps({"text": words, "mood": "good"})

    monkeypatch.setitem(ENGINES, "openai", lambda entry, base: Function(answer))
    return requests


def test_a_run_ends_with_its_funnel_rows_and_what_to_do_next(synth: Run, asked: list[Request]) -> None:
    ran = synth("run", "lines.yaml")
    assert ran.code == 0
    assert "generate write   5    4  unparseable 1" in ran.out
    assert "text: a line about snow." in ran.out
    assert "3 kept, 2 rejected of 5 candidates" in ran.out
    assert 'load_dataset("runs/lines", split="train")' in ran.out
    assert "synth-llm inspect runs/lines" in ran.out
    assert "5 of 5 rows taken up" in ran.err
    assert "5 answers from the journal" in synth("run", "lines.yaml").out
    assert len(asked) == 5


def test_a_limit_leaves_a_run_that_goes_on(synth: Run, asked: list[Request]) -> None:
    ran = synth("run", "lines.yaml", "--limit", "2")
    assert ran.code == 3
    assert "incomplete: limit reached: candidates 2" in ran.out
    assert synth("run", "lines.yaml", "--limit", "requests=3").code == 3
    assert len(asked) == 3
    assert synth("run", "lines.yaml").code == 0
    assert len(asked) == 5


def test_limits_of_the_command_line_replace_single_ones(synth: Run, asked: list[Request]) -> None:
    Path("lines.yaml").write_text(RECIPE + "limits: {requests: 1, candidates: 4}\n")
    assert "limit reached: candidates 4" in synth("run", "lines.yaml", "--limit", "requests=10").out


def test_an_endpoint_that_is_away_leaves_the_run_incomplete(
    synth: Run, asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "openai", OPENAI)
    ran = synth("run", "lines.yaml")
    assert ran.code == 3
    assert "run again to go on" in ran.out
    assert "unavailable 4, (1 unfinished)" in ran.out, "none is lost, and what gave up first is asked again too"


def test_a_fatal_error_is_exit_code_1(synth: Run, asked: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: Request) -> str:
        raise FatalError("http://x: HTTP 401: no such key")

    monkeypatch.setitem(ENGINES, "openai", lambda entry, base: Function(refuse))
    ran = synth("run", "lines.yaml")
    assert (ran.code, ran.err) == (1, "error: http://x: HTTP 401: no such key\n")


def test_what_is_a_bug_says_so(synth: Run, asked: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("synth_llm.execute.run", broken)
    ran = synth("run", "lines.yaml")
    assert ran.code == 1
    assert ran.err.startswith("error: ZeroDivisionError: division by zero; this is a bug; SYNTH_LLM_DEBUG=1")
    assert ran.err.count("\n") == 1
    monkeypatch.setenv("SYNTH_LLM_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["run", "lines.yaml"])


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("bogus", "No such command 'bogus'; see synth-llm --help"),
        ("run", "Missing argument 'RECIPE'; see synth-llm run --help"),
        ("run lines.yaml --outt x", "No such option: --outt"),
        ("run lnes.yaml", "lnes.yaml: no such file"),
        ("run nothing", "no recipe 'nothing'"),
        ("run lines.yaml --limit request=3", "did you mean 'requests'?"),
        ("run lines.yaml --limit many", "'many' is not a number from 0"),
        (
            "run lines.yaml --retry unparsable",
            "it is one of bad request, content filter, cut, refused, unavailable, unparseable",
        ),
        ("run lines.yaml --set target", "write path=value"),
        ("run lines.yaml --set target.row=3", "did you mean 'rows'?"),
        ("run lines.yaml --model writter=openai:x", "did you mean 'writer'?"),
        ("run lines.yaml --out lines.yaml", "cannot be the run folder"),
        ("run lines.yaml --journal nowhere", "no journal here"),
        ("preview lines.yaml -n 0", "'-n'"),
        ("status", "no runs here"),
        ("inspect lines", "no run here"),
        ("list prompt", "did you mean 'prompts'?"),
        ("show wirte", "did you mean 'write'?"),
        ("eject generate", "is a step"),
        ("fetch nothing", "no weights 'nothing'"),
        ("push lines me/lines", "no run here"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(synth: Run, asked: list[Request], args: str, says: str) -> None:
    ran = synth(*args.split())
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert says in ran.err
    assert not asked


def test_preview_shows_the_first_rows_and_a_run_pays_nothing_for_them(synth: Run, asked: list[Request]) -> None:
    ran = synth("preview", "lines.yaml", "-n", "4", "--prompts")
    assert ran.code == 0
    assert "text: a line about tea." in ran.out
    assert "rejected by generate write as unparseable" in ran.out
    assert "[user]\n            Write about salt." in ran.out
    assert "3 of 4 rows kept" in ran.out
    assert not Path("runs/lines/manifest.json").exists()
    assert not Path("runs/lines/kept.parquet").exists()
    assert "not run to an end yet" in synth("status").out
    assert "no kept.parquet here yet" in synth("inspect", "lines").err
    assert synth("run", "lines.yaml").code == 0
    assert len(asked) == 5


def test_preview_leaves_the_output_of_a_run_alone(synth: Run, asked: list[Request]) -> None:
    synth("run", "lines.yaml")
    before = {path.name: path.read_bytes() for path in Path("runs/lines").iterdir() if path.suffix != ".sqlite"}
    synth("preview", "lines.yaml", "-n", "1")
    assert {path.name: path.read_bytes() for path in Path("runs/lines").iterdir() if path.suffix != ".sqlite"} == before


def test_retry_asks_only_for_that_reason(synth: Run, asked: list[Request]) -> None:
    synth("run", "lines.yaml")
    asked.clear()
    assert synth("run", "lines.yaml", "--retry", "unparseable").code == 0
    assert [request.messages[-1]["content"] for request in asked] == ["Write about salt."]


def test_inspect_shows_rows_rejections_and_the_calls_behind_one(synth: Run, asked: list[Request]) -> None:
    synth("run", "lines.yaml")
    assert "text: a line about tea." in synth("inspect", "lines").out
    rejected = synth("inspect", "lines", "--rejected").out
    assert "generate write: unparseable 1" in rejected
    assert "filter: length 1" in rejected
    assert "raw answer:" in rejected
    assert "length" not in synth("inspect", "lines", "--rejected", "unparseable").out
    assert "reasons: length, unparseable" in synth("inspect", "lines", "--rejected", "dull").err
    found = rejected.split("unparseable 1\n- ")[1].split()[0]
    story = synth("inspect", "lines", "--row", found[:12]).out
    assert "Write about salt." in story
    assert "temperature 0.7" in story
    assert f"row {found}: rejected by generate write as unparseable" in story
    assert "\\x1b[2J" in story
    assert "\x1b" not in story
    assert "no row begins with id 'zz'" in synth("inspect", "lines", "--row", "zz").err
    assert "5 rows begin" in synth("inspect", "lines", "--row", "").err


def test_status_says_what_stands(synth: Run, asked: list[Request]) -> None:
    synth("run", "lines.yaml", "--limit", "2")
    assert "runs/lines: incomplete: limit reached" in synth("status", "lines").out
    synth("run", "lines.yaml")
    with filelock.FileLock("runs/lines/.lock"):
        assert "running now; before: complete" in synth("status").out
    said = synth("status", "runs/lines").out
    assert "runs/lines: complete" in said
    assert "over all runs: 5 requests" in said
    assert "5 answers in the journal" in said
    Path("runs/lines/manifest.json").write_text("{}}")
    assert "is not a manifest" in synth("status").err


def test_check_counts_and_asks_nothing(synth: Run, asked: list[Request]) -> None:
    ran = synth("check", "lines.yaml", "--set", "target.rows=3", "--set", "source.repeat=true")
    assert ran.code == 0
    assert "+ mood, + text" in ran.out
    assert "at least 3 calls" in ran.out
    assert not asked
    Path("lines.yaml").write_text(RECIPE.replace("prompt: write", "prompt: writes"))
    assert synth("check", "lines.yaml").code == 2


def test_a_new_project_works_as_it_is(synth: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    count = iter(range(10**6))
    monkeypatch.setitem(
        ENGINES, "local", lambda entry, base: Function(lambda request: f"Where is parcel {next(count)}?")
    )
    assert synth("init", "mine").code == 0
    again = synth("init", "mine")
    assert again.code == 2
    assert "is there already" in again.err
    monkeypatch.chdir(tmp_path / "mine")
    assert synth("check", "messages").code == 0
    ran = synth("run", "messages")
    assert ran.code == 0
    assert "15 kept" in ran.out
    assert "one_line" in synth("list", "filters").out


def test_ejected_files_replace_the_built_in_ones(synth: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert synth("eject", "length").out == "wrote filters/length.py\n"
    assert "current folder" in next(line for line in synth("list", "filters").out.splitlines() if "length" in line)
    assert synth("eject", "filters/length").code == 2
    assert synth("show", "length").out.strip() == Path("filters/length.py").read_text().strip()
    assert "n: int (default 1)" in synth("show", "steps/generate").out


def test_the_schema_knows_recipes(synth: Run, asked: list[Request]) -> None:
    schema = json.loads(synth("schema").out)
    good = strict_yaml.load(Path("lines.yaml")).value
    jsonschema_rs.validate(schema, good)
    good["steps"][0]["generate"]["promt"] = "x"
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, good)
    assert synth("schema", "--out", "s.json").code == 0
    assert json.loads(Path("s.json").read_text()) == schema


@pytest.mark.parametrize("command", [info.name or info.callback.__name__ for info in cli.app.registered_commands])  # type: ignore[union-attr]
def test_every_command_teaches_by_an_example(synth: Run, command: str) -> None:
    ran = synth(command, "--help")
    assert ran.code == 0
    assert f"Example: synth-llm {command}" in ran.out


def test_help_and_version(synth: Run) -> None:
    assert "Commands:" in synth().out
    assert synth("--version").out.startswith("synth-llm ")


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run([*PROGRAM, "--help"], stdout=_closed_pipe(), stderr=subprocess.PIPE, check=False)
    assert done.stderr == b""


def _closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@contextmanager
def slow_server(seconds: float) -> Iterator[tuple[str, threading.Event]]:
    """An endpoint that takes its time: its address, and whether it was asked."""
    asked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.set()
            time.sleep(seconds)
            body = body_of('{"text": "a line", "mood": "bad"}')
            with suppress(OSError):  # who asked may be gone
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("times", "code"), [(1, 3), (2, 130)])
def test_ctrl_c_drains_and_twice_stops_at_once(tmp_path: Path, times: int, code: int) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "write.jinja").write_text(PROMPT)
    with slow_server(0.5 if times == 1 else 5.0) as (url, asked):
        recipe = RECIPE.replace("http://127.0.0.1:9/v1", url).replace("retries: 0", "concurrency: 1")
        (tmp_path / "lines.yaml").write_text(recipe)
        process = subprocess.Popen(
            [*PROGRAM, "run", "lines.yaml"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert asked.wait(20)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert ("incomplete: interrupted; run again to go on" in out) == (times == 1)
    assert ("1 kept" in out) == (times == 1)
