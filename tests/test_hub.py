"""Pushing a run folder, with the real clients against a small Hub on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

from synth_llm import Recipe, run
from synth_llm.errors import FatalError, InputError
from synth_llm.journal import Journal
from synth_llm.models.request import Answer, Request, body_of
from synth_llm.publish.export import export
from synth_llm.publish.hub import pull, push
from tests.hub_server import TOKEN, Hub, client, serving

# the client's own way to upload a file is deprecated in the HTTP library below it
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

RUN = {"kept.parquet", "rejected.parquet", "manifest.json", "recipe.yaml"}
PUSHED = RUN | {"README.md", "journal.sqlite", "data/train.parquet"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A Hub that this process's client knows as the only one."""
    with serving() as server, client(server.url):
        yield server


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a complete run: four rows kept, one rejected."""
    rows = [{"text": f"row {number}", "n": number} for number in range(5)]
    steps = [{"filter": {"if": "n < 4"}}]
    known = {"languages": ["en"]}  # to find them takes seconds
    recipe = Recipe.model_validate({"name": "numbers", "source": {"rows": rows}, "steps": steps, "publish": known})
    folder = tmp_path_factory.mktemp("runs") / "numbers"
    assert run(recipe, out=folder).complete
    return folder


@pytest.fixture
def folder(done: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return shutil.copytree(done, tmp_path / "numbers")


def change(folder: Path, **facts: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def test_what_is_pushed_is_loaded_again(folder: Path, tmp_path: Path) -> None:
    with serving() as hub:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        places = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        code = f"""
from pathlib import Path
from synth_llm.publish.hub import push
print(push(Path({str(folder)!r}), "someone/numbers").address)
import datasets
datasets.disable_progress_bars()
print(list(datasets.load_dataset("someone/numbers", split="train")))
print(datasets.load_dataset("someone/numbers", "kept", split="train")["text"][:])
print(datasets.load_dataset("someone/numbers", "rejected", split="train")["reason"][:])
"""
        done = subprocess.run(
            [sys.executable, "-c", code], env=clean | places, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    address, rows, kept, rejected = done.stdout.splitlines()
    assert address == f"{hub.url}/datasets/someone/numbers"
    assert rows == str([{"text": f"row {number}", "n": number} for number in range(4)])
    assert kept == "['row 0', 'row 1', 'row 2', 'row 3']"
    assert rejected == "['condition']"
    assert "Uploading" not in done.stderr
    assert hub.repos["someone/numbers"].private


def test_the_run_and_its_rows_and_nothing_else(hub: Hub, folder: Path, tmp_path: Path) -> None:
    for name in (".lock", ".spool.sqlite", "journal.sqlite.1.bak", "notes.txt"):
        (folder / name).write_text("not for the Hub")
    push(folder, "someone/numbers")
    files = hub.repos["someone/numbers"].commits[-1]
    assert set(files) == PUSHED
    assert all(files[name] == (folder / name).read_bytes() for name in RUN)
    export(folder, tmp_path / "out")
    assert files["data/train.parquet"] == (tmp_path / "out/train.parquet").read_bytes()
    assert hub.repos["someone/numbers"].summaries == ["numbers: 4 rows kept"]


def test_what_is_not_wished_stays_here_and_goes_there(hub: Hub, folder: Path) -> None:
    push(folder, "someone/numbers")
    push(folder, "someone/numbers", journal=False, rejected=False)
    files = hub.repos["someone/numbers"].commits[-1]
    assert set(files) == PUSHED - {"journal.sqlite", "rejected.parquet"}
    assert b"rejected.parquet" not in files["README.md"] and b"rejected = " not in files["README.md"]


def test_a_run_without_what_is_not_wished_is_pushed(hub: Hub, folder: Path) -> None:
    (folder / "journal.sqlite").unlink()
    (folder / "rejected.parquet").unlink()
    with pytest.raises(InputError, match=r"has no rejected.parquet"):
        push(folder, "someone/numbers")
    push(folder, "someone/numbers", journal=False, rejected=False)
    assert set(hub.repos["someone/numbers"].commits[-1]) == PUSHED - {"journal.sqlite", "rejected.parquet"}


def test_files_of_others_stay_and_old_ones_of_ours_go(hub: Hub, folder: Path) -> None:
    push(folder, "someone/numbers")
    there = hub.repos["someone/numbers"].commits
    there.append({**there[-1], "data/test.parquet": b"old", "notes/mine.md": b"theirs"})
    push(folder, "someone/numbers")
    assert set(there[-1]) == PUSHED | {"notes/mine.md"}


@pytest.mark.parametrize("call", ["POST /api/repos/create", "PUT /lfs/", "/commit/main"])
@pytest.mark.parametrize("kind", ["429", "500", "dropped", "lost"])
def test_a_fault_is_one_commit_in_the_end(
    hub: Hub, folder: Path, call: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.fault = (call, kind)
    push(folder, "someone/numbers")
    repo = hub.repos["someone/numbers"]
    assert hub.fault is None and set(repo.commits[-1]) == PUSHED and len(repo.summaries) == 1


def test_a_head_that_others_move_is_read_again(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    push(folder, "someone/numbers")
    change(folder, about="changed")
    repo = hub.repos["someone/numbers"]
    moved: list[str] = []
    real = HfApi.create_commit

    def commit(*args: object, **named: object) -> object:
        if not moved:
            moved.append("once")
            repo.commits.append({**repo.commits[-1], "notes.md": b"theirs"})
        return real(*args, **named)

    monkeypatch.setattr(HfApi, "create_commit", commit)
    push(folder, "someone/numbers")
    assert set(repo.commits[-1]) == PUSHED | {"notes.md"}
    assert b"changed" in repo.commits[-1]["manifest.json"]


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("my key is hf_" + "a1B2" * 9, "secret", "row 1 column 'text' holds a Hugging Face token"),
        ("write to ann.brown@example.net", "email", r"row 1 column 'text' holds an identifier \(email\)"),
    ],
)
def test_what_must_not_be_passed_on_stops_the_push(hub: Hub, tmp_path: Path, text: str, kind: str, said: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": text}))
    (tmp_path / "it.yaml").write_text("source: {file: rows.jsonl}\nsteps: [{filter: {if: text is string}}]\n")
    folder = run(tmp_path / "it.yaml", out=tmp_path / "run").path
    with pytest.raises(InputError, match=said) as raised:
        push(folder, "someone/it")
    assert text.split()[-1] not in str(raised.value) and not hub.calls
    push(folder, "someone/it", allow=[kind])
    with pytest.raises(InputError, match="--allow mail: there are secret, email"):
        push(folder, "someone/it", allow=["mail"])


def test_what_a_model_said_is_looked_at_too(hub: Hub, folder: Path) -> None:
    request = Request(model="m", messages=({"role": "user", "content": "hi"},), sampling={})
    journal = Journal.open(folder / "journal.sqlite")
    try:
        asyncio.run(journal.put(request, Answer(body_of("AKIA" + "A1" * 8)), 1, 1))
    finally:
        journal.close()
    with pytest.raises(InputError, match=r"journal.sqlite request \w{12} holds an AWS key; .* --allow secret"):
        push(folder, "someone/numbers")


def test_what_was_pushed_is_pulled_and_pushed_again(hub: Hub, folder: Path, tmp_path: Path) -> None:
    first = push(folder, "someone/numbers")
    pulled = pull("someone/numbers", tmp_path / "pulled")
    assert all((pulled / name).read_bytes() == (folder / name).read_bytes() for name in RUN)
    again = push(pulled, "someone/numbers")
    assert not again.changed and again.commit == first.commit
    with pytest.raises(InputError, match="holds something already"):
        pull("someone/numbers", folder)


def test_the_journal_arrives_with_what_its_wal_held(hub: Hub, folder: Path, tmp_path: Path) -> None:
    request = Request(model="m", messages=({"role": "user", "content": "hi"},), sampling={})
    answer = Answer(body_of("hello"))
    journal = Journal.open(folder / "journal.sqlite")
    try:
        asyncio.run(journal.put(request, answer, 1, 1))
        assert (folder / "journal.sqlite-wal").stat().st_size > 0
        push(folder, "someone/numbers")
    finally:
        journal.close()
    copy = tmp_path / "downloaded" / "journal.sqlite"
    copy.parent.mkdir()
    copy.write_bytes(hub.repos["someone/numbers"].commits[-1]["journal.sqlite"])
    there = Journal.open(copy, read_only=True)
    try:
        assert there.get(request.key) == answer
    finally:
        there.close()


def test_the_same_run_twice_is_one_commit(hub: Hub, folder: Path) -> None:
    first = push(folder, "someone/numbers")
    again = push(folder, "someone/numbers")
    assert (again.commit, again.changed) == (first.commit, False)
    assert len(hub.repos["someone/numbers"].summaries) == 1
    assert sum(call.startswith("PUT ") for call in hub.calls) == 4


def test_what_changed_is_a_second_commit(hub: Hub, folder: Path) -> None:
    push(folder, "someone/numbers")
    change(folder, complete=False, why="limit reached: requests 10")
    push(folder, "someone/numbers")
    assert hub.repos["someone/numbers"].summaries[1] == "numbers: 4 rows kept (incomplete)"


def test_an_incomplete_run_is_pushed_with_a_warning(hub: Hub, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    change(folder, complete=False, why="limit reached: requests 10")
    push(folder, "someone/numbers")
    assert "pushed incomplete: limit reached: requests 10" in caplog.text


@pytest.mark.parametrize(("private", "there"), [(True, "public"), (False, "private")])
def test_a_repository_of_another_visibility_is_left_alone(hub: Hub, folder: Path, private: bool, there: str) -> None:
    push(folder, "someone/numbers", private=not private)
    change(folder, about="changed")
    with pytest.raises(InputError, match=f"someone/numbers exists and is {there}"):
        push(folder, "someone/numbers", private=private)
    assert len(hub.repos["someone/numbers"].summaries) == 1


@pytest.mark.parametrize("repo", ["numbers", "a/b/c", "some one/numbers", "someone/-numbers", "someone/", ""])
def test_a_name_that_cannot_be(hub: Hub, folder: Path, repo: str) -> None:
    with pytest.raises(InputError) as raised:
        push(folder, repo)
    assert "\n" not in str(raised.value)
    assert not hub.calls


def test_no_run_folder(hub: Hub, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="is not a run folder"):
            push(path, "someone/numbers")
    (tmp_path / "manifest.json").write_text('{"name": ')
    with pytest.raises(InputError, match=r"is not a manifest"):
        push(tmp_path, "someone/numbers")
    assert not hub.calls


@pytest.mark.parametrize("name", sorted((RUN | {"README.md", "journal.sqlite"}) - {"manifest.json"}))
def test_a_file_is_missing(hub: Hub, folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"has no {name}"):
        push(folder, "someone/numbers")
    assert not hub.calls


def test_rows_that_the_run_did_not_write(hub: Hub, folder: Path) -> None:
    (folder / "kept.parquet").write_bytes((folder / "rejected.parquet").read_bytes())
    with pytest.raises(InputError, match=r"kept\.parquet is not what the run wrote"):
        push(folder, "someone/numbers")
    assert not hub.calls


def test_a_damaged_journal(hub: Hub, folder: Path) -> None:
    (folder / "journal.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(FatalError, match=r"journal\.sqlite cannot be copied .* run its recipe again"):
        push(folder, "someone/numbers")
    assert not hub.calls


def test_no_token(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(FatalError, match="needs a token: set HF_TOKEN"):
        push(folder, "someone/numbers")
    assert not hub.calls


def test_a_wrong_token_is_refused_and_not_shown(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(FatalError, match=r"refused the token \(401\)") as raised:
        push(folder, "someone/numbers")
    assert "hf_wrong" not in str(raised.value)


@pytest.mark.parametrize(
    ("call", "answer", "said"),
    [
        ("POST /api/repos/create", (403, "no rights"), r"may not write to someone/numbers \(403: .*no rights\)"),
        ("PUT /lfs/", (403, "over quota"), r"may not write to someone/numbers \(403: .*over quota\)"),
        ("/commit/main", (500, "the\ndisk is full"), r"was not pushed \(HTTP 500: .*disk is full"),
        ("/api/datasets/someone/numbers", (404, "gone"), r"was not pushed \(HTTP 404"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: Hub, folder: Path, call: str, answer: tuple[int, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.fail[call] = answer
    with pytest.raises(FatalError, match=said) as raised:
        push(folder, "someone/numbers")
    assert "\n" not in str(raised.value)


def test_no_hub_is_one_line(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FatalError, match=r"someone/numbers was not pushed \(Connect") as raised:
        push(folder, "someone/numbers")
    assert "\n" not in str(raised.value)
