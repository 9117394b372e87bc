from __future__ import annotations

import asyncio
import inspect
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import salvage
from synth_llm.errors import FatalError, InputError
from synth_llm.journal import Journal, Spent
from synth_llm.models.request import Answer, Request

NAMES = ("journal.sqlite", "journal.sqlite-wal")


def ask(number: int, text: str = "hello") -> Request:
    return Request("m", ({"role": "user", "content": text},), {"temperature": 1}, draw=(0, str(number), 0, 0))


def answer(number: int) -> Answer:
    return Answer(f"answer {number} ".encode() * (1 + number * 7 % 300))


async def fill(journal: Journal, numbers: range) -> None:
    await asyncio.gather(*(journal.put(ask(number), answer(number), 3, number) for number in numbers))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 120 answers that was closed; in its folder `killed` the same as kill -9 leaves it."""
    folder = tmp_path_factory.mktemp("journal")
    path = folder / "journal.sqlite"
    for numbers in (range(60), range(60, 120)):
        with closing(Journal.open(path)) as journal:
            for start in range(numbers.start, numbers.stop, 20):
                asyncio.run(fill(journal, range(start, start + 20)))
            (folder / "killed").mkdir(exist_ok=True)
            for name in NAMES:
                shutil.copy(folder / name, folder / "killed" / name)
    return path


def copied(path: Path, folder: Path) -> Path:
    for name in NAMES:
        if path.with_name(name).exists():
            shutil.copy(path.with_name(name), folder / name)
    return folder / path.name


async def test_an_answer_comes_back_as_it_was_also_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "journal.sqlite"
    refused = Answer(b'{"error": "too long"}', 400)
    with closing(Journal.open(path)) as journal:
        assert journal.get(ask(1).key) is None
        await journal.put(ask(1), answer(1), 10, 20)
        await journal.put(ask(2), refused, 0, 0)
        assert journal.get(ask(1).key) == answer(1)
    with closing(Journal.open(path)) as journal:
        assert (journal.get(ask(1).key), journal.get(ask(2).key)) == (answer(1), refused)
        assert journal.get(ask(3).key) is None
        assert journal.request(ask(1).key) == json.loads(ask(1).text)
        assert journal.request(ask(3).key) is None
        assert sorted(key for key, _ in journal.requests()) == sorted([ask(1).key, ask(2).key])
        assert len(journal) == 2


@given(texts=st.lists(st.text(), max_size=5), body=st.binary(), status=st.integers(100, 599))
@settings(max_examples=40, deadline=None)
def test_any_body_to_any_request_comes_back(texts: list[str], body: bytes, status: int) -> None:
    request = Request("m", tuple({"role": "user", "content": text} for text in texts), {"temperature": 0})
    with tempfile.TemporaryDirectory() as folder, closing(Journal.open(Path(folder, "j.sqlite"))) as journal:
        asyncio.run(journal.put(request, Answer(body, status), 1, 2))
        assert journal.get(request.key) == Answer(body, status)
        assert journal.request(request.key)["messages"] == list(request.messages)  # type: ignore[index]


async def test_the_last_answer_to_a_request_counts(tmp_path: Path) -> None:
    with closing(Journal.open(tmp_path / "j.sqlite")) as journal:
        await asyncio.gather(journal.put(ask(1), answer(1), 1, 1), journal.put(ask(1), answer(2), 1, 1))
        assert journal.get(ask(1).key) == answer(2)
        await journal.put(ask(1), answer(3), 1, 1)
        assert (journal.get(ask(1).key), len(journal)) == (answer(3), 1)


async def test_put_returns_only_when_others_see_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(Journal.open(path)) as journal, closing(sqlite3.connect(path)) as other:
        for number in range(30):
            await journal.put(ask(number), answer(number), 1, 1)
            assert other.execute("SELECT count(*) FROM answers").fetchone() == (number + 1,)


async def test_what_is_forgotten_is_gone_for_good(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(Journal.open(path)) as journal:
        await fill(journal, range(5))
        journal.forget([ask(1).key, ask(3).key, ask(77).key])
    with closing(Journal.open(path)) as journal:
        assert [n for n in range(5) if journal.get(ask(n).key)] == [0, 2, 4]


async def test_spent_is_summed_over_invocations(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(Journal.open(path)) as journal:
        journal.spend(requests=2)
        await journal.put(ask(1), answer(1), 10, 20, 0.5)
        journal.spend(requests=1)
    with closing(Journal.open(path)) as journal:
        journal.spend(seconds=1.5)
        assert journal.spent() == Spent(3, 10, 20, 0.5, 1.5)
    with closing(Journal.open(path)) as journal:
        assert journal.spent() == Spent(3, 10, 20, 0.5, 1.5)
        assert journal.spent().tokens == 30


async def test_accounts_are_as_durable_as_the_answers(tmp_path: Path) -> None:
    path, done = tmp_path / "j.sqlite", 0
    with closing(Journal.open(path)) as journal:
        journal.account = lambda: json.dumps({"done": done})
        for done in range(3):
            await journal.put(ask(done), answer(done), 1, 1)
        killed = tmp_path / "killed.sqlite"
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", f"{killed}{suffix}")
    with closing(Journal.open(killed)) as journal:
        assert journal.accounts() == [{"done": 2}]
        journal.account = lambda: '{"done": 7}'
        assert journal.accounts() == [{"done": 2}, {"done": 7}]
        journal.spend(requests=1)
    with closing(Journal.open(killed, read_only=True)) as journal:
        assert journal.accounts() == [{"done": 2}, {"done": 7}]


async def test_a_journal_without_accounts_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(Journal.open(path)) as journal:
        await fill(journal, range(3))
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE accounts")
    with closing(Journal.open(path, read_only=True)) as journal:
        assert (journal.accounts(), len(journal)) == ([], 3)
    with closing(Journal.open(path)) as journal:
        journal.account = lambda: "{}"
        await fill(journal, range(3, 5))
    with closing(Journal.open(path)) as journal:
        assert (journal.accounts(), len(journal)) == ([{}], 5)


async def test_a_cancelled_put_holds_nobody_up(tmp_path: Path) -> None:
    with closing(Journal.open(tmp_path / "j.sqlite")) as journal:
        task = asyncio.create_task(journal.put(ask(1), answer(1), 1, 1))
        await asyncio.sleep(0)
        task.cancel()
        await journal.put(ask(2), answer(2), 1, 1)
        assert journal.get(ask(2).key) == answer(2)


async def test_close_writes_what_still_waits(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j.sqlite")
    tasks = [asyncio.create_task(journal.put(ask(n), answer(n), 1, 1)) for n in range(50)]
    await asyncio.sleep(0)
    journal.close()
    await asyncio.gather(*tasks)
    with closing(Journal.open(tmp_path / "j.sqlite")) as journal:
        assert len(journal) == 50


WRITER = f"""from __future__ import annotations
{inspect.getsource(ask)}{inspect.getsource(answer)}
import asyncio, sys
from pathlib import Path
from synth_llm.journal import Journal
from synth_llm.models.request import Answer, Request

async def main():
    journal = Journal.open(Path(sys.argv[1]))
    numbers = iter(range(int(sys.argv[2]), 10**6))
    async def worker():
        for number in numbers:
            await journal.put(ask(number), answer(number), 1, 1)
            print(number, flush=True)
    await asyncio.gather(*(worker() for _ in range(8)))

asyncio.run(main())
"""


def test_what_put_confirmed_survives_kill_9(tmp_path: Path) -> None:
    path, rng, confirmed, notices = tmp_path / "j.sqlite", random.Random(5), set[int](), list[str]()
    for kill in range(15):
        command = [sys.executable, "-c", WRITER, str(path), str(kill * 10_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline()] if kill % 5 else []
            time.sleep(rng.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines()
        confirmed |= {int(line) for line in lines}
    with closing(Journal.open(path, on_notice=notices.append)) as journal:
        assert all(journal.get(ask(number).key) == answer(number) for number in confirmed)
    assert len(confirmed) > 100
    assert not notices  # a torn end of the -wal is no damage


def hurt(path: Path, rng: random.Random, cut: bool) -> None:
    file = rng.choice([file for name in NAMES if (file := path.with_name(name)).exists()])
    data = bytearray(file.read_bytes())
    place = rng.randrange(len(data))
    if cut:
        del data[place:]
    else:
        data[place] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


@pytest.mark.parametrize("seed", range(16))
@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_journal_gives_the_right_answer_or_none(
    closed: Path, tmp_path: Path, seed: int, read_only: bool
) -> None:
    rng = random.Random(seed)
    path = copied(closed.parent / "killed" / closed.name if seed % 4 < 2 else closed, tmp_path)
    hurt(path, rng, cut=seed % 2 == 0)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    try:
        journal = Journal.open(path, read_only=read_only, on_notice=lambda line: None)
    except FatalError as error:
        assert "\n" not in str(error)
        return
    with closing(journal):
        assert all(journal.get(ask(n).key) in (None, answer(n)) for n in range(120))
        if not read_only:
            asyncio.run(fill(journal, range(100, 140)))
            assert all(journal.get(ask(n).key) == answer(n) for n in range(100, 140))
    if read_only:
        after = {file.name: file.read_bytes() for file in tmp_path.iterdir() if not file.name.endswith("-shm")}
        assert after == before


def tear(path: Path, share: float) -> None:
    """Overwrite a page of the table somewhere in the file."""
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * share) // 4096 * 4096)
        file.write(b"\xff" * 4096)


def test_salvage_keeps_accounts_that_check(closed: Path, tmp_path: Path) -> None:
    path = copied(closed, tmp_path)
    for done in range(3):
        with closing(Journal.open(path)) as journal:
            journal.account = lambda done=done: json.dumps({"done": done})  # type: ignore[misc]
            journal.spend(requests=1)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE accounts SET account = '{}' WHERE started = (SELECT min(started) FROM accounts)")
    tear(path, 0.5)
    with closing(Journal.open(path, on_notice=lambda notice: None)) as journal:
        assert journal.accounts() == [{"done": 1}, {"done": 2}]


def test_salvage_keeps_the_damaged_file_and_says_so_in_one_line(closed: Path, tmp_path: Path) -> None:
    path, notices = copied(closed, tmp_path), list[str]()
    tear(path, 0.5)
    damaged = path.read_bytes()
    with closing(Journal.open(path, on_notice=notices.append)) as journal:
        saved = len(journal)
        assert 60 < saved < 120
        assert journal.spent().prompt_tokens == 360  # limits hold over what was lost, too
        assert sum(journal.get(ask(n).key) == answer(n) for n in range(120)) == saved
    kept = "(kept as journal.damaged-1.sqlite); what was lost is asked again"
    assert notices == [f"journal: {saved} answers saved of a damaged file {kept}"]
    assert (tmp_path / "journal.damaged-1.sqlite").read_bytes() == damaged
    with closing(Journal.open(path, on_notice=notices.append)) as journal:
        assert len(journal) == saved
    assert len(notices) == 1


def test_damage_that_comes_while_the_journal_is_open_is_salvaged(closed: Path, tmp_path: Path) -> None:
    path, notices = copied(closed, tmp_path), list[str]()
    with closing(Journal.open(path, on_notice=notices.append)) as journal:
        for page in range(3, 40):
            tear(path, page / 50)
        found = [journal.get(ask(n).key) for n in range(120)]
        assert all(body in (None, answer(n)) for n, body in enumerate(found))
        asyncio.run(fill(journal, range(200, 220)))
        assert all(journal.get(ask(n).key) == answer(n) for n in range(200, 220))
    assert len(notices) == 1


def test_a_changed_body_is_as_if_absent(closed: Path, tmp_path: Path) -> None:
    path = copied(closed, tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE answers SET body = x'00' WHERE key = ?", (bytes.fromhex(ask(5).key),))
        db.execute("UPDATE answers SET status = 'x' WHERE key = ?", (bytes.fromhex(ask(6).key),))
        db.commit()
    with closing(Journal.open(path)) as journal:
        assert (journal.get(ask(5).key), journal.get(ask(6).key), journal.damaged) == (None, None, 2)
        assert journal.get(ask(7).key) == answer(7)


@pytest.mark.parametrize("content", [b"", b"not a journal", b"\0" * 100_000], ids=["empty", "foreign", "zeros"])
def test_a_file_of_which_nothing_can_be_read_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(FatalError, match=r"no answer in it can be read: .* move journal\.sqlite\* away"):
            Journal.open(path, read_only=read_only)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("remains", [0, None], ids=["emptied", "gone"])
def test_answers_in_the_wal_outlive_the_file(tmp_path: Path, remains: int | None) -> None:
    path, notices = tmp_path / "killed" / "journal.sqlite", list[str]()
    path.parent.mkdir()
    with closing(Journal.open(tmp_path / "journal.sqlite")) as journal:
        asyncio.run(fill(journal, range(9)))
        shutil.copy(tmp_path / "journal.sqlite-wal", path.with_name("journal.sqlite-wal"))
    if remains is not None:
        path.touch()
    with closing(Journal.open(path, on_notice=notices.append)) as journal:
        assert len(notices) == 1
        assert all(journal.get(ask(n).key) == answer(n) for n in range(9))


def test_a_salvage_that_was_killed_is_ended_by_the_next_open(closed: Path, tmp_path: Path) -> None:
    path = copied(closed, tmp_path)
    tear(path, 0.5)
    saved = salvage.rebuild(path, path.with_name(path.name + salvage.REBUILT))
    path.replace(path.with_name("journal.damaged-1.sqlite"))
    with closing(Journal.open(path)) as journal:
        assert len(journal) == saved > 60


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    Journal.open(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(FatalError, match="newer synth-llm"):
        Journal.open(path)


def test_reading_another_run_leaves_its_folder_alone(closed: Path, tmp_path: Path) -> None:
    path = copied(closed, tmp_path)
    before = path.read_bytes()
    with closing(Journal.open(path, read_only=True)) as journal:
        assert all(journal.get(ask(n).key) == answer(n) for n in range(120))
        with pytest.raises(FatalError, match="cannot be opened or written"):
            asyncio.run(journal.put(ask(1), answer(1), 1, 1))
        journal._unwritten = False
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="there is no journal here"):
        Journal.open(tmp_path / "other.sqlite", read_only=True)


async def test_reading_a_journal_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(Journal.open(path)) as journal, closing(Journal.open(path, read_only=True)) as reader:
        await journal.put(ask(1), answer(1), 1, 1)
        with closing(Journal.open(path, read_only=True)) as late:
            assert late.get(ask(1).key) == answer(1)
        assert reader.get(ask(1).key) in (None, answer(1))


async def test_a_full_disk_is_one_line_and_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with closing(Journal.open(path)) as journal:
        await fill(journal, range(3))
        pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
        journal._writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(FatalError, match="the disk is full; free some space"):
            await journal.put(ask(9), Answer(b"x" * 100_000), 1, 1)
        assert journal.get(ask(2).key) == answer(2)
        journal._writer.execute("PRAGMA max_page_count = 1000000")
        await journal.put(ask(9), answer(9), 1, 1)
        assert journal.get(ask(9).key) == answer(9)


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite").mkdir()
    with pytest.raises(FatalError, match="cannot be opened"):
        Journal.open(tmp_path / "j.sqlite")
