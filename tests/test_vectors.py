"""Stored vectors: each text is encoded once, whatever happens to the file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import vectors as module
from synth_llm.errors import FatalError
from synth_llm.vectors import StoredEncoder, Vectors, keys_of, write_some


class Letters:
    """Counts letters: vectors that can be told."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        return [[float(text.count(letter)) for letter in "abcdefgh "] for text in texts]


def stored(path: Path | None, letters: Letters, said: list[str] | None = None) -> StoredEncoder:
    say = [].append if said is None else said.append
    return StoredEncoder("letters", lambda: "1", lambda: Vectors(path, say), lambda: letters)


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text("ab \n\ud800é", max_size=6), max_size=30), together=st.integers(1, 9))
def test_each_text_has_its_vector_and_is_encoded_once(texts: list[str], together: int) -> None:
    letters = Letters()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TOGETHER", together)
        encoder = stored(None, letters)
        vectors = encoder.encode(texts)
        again = encoder.encode(texts[::-1])[::-1]
    assert vectors.shape == (len(texts), 9) and vectors.dtype == np.float32
    assert np.array_equal(vectors, again)
    told = [text for text in letters.asked if text != "text"]
    assert len(told) == len({text for text in texts if text.strip()})
    for text, vector in zip(texts, vectors, strict=True):
        counts = np.array([text.count(letter) if text.strip() else 0 for letter in "abcdefgh "], float)
        assert vector == pytest.approx(counts / max(1e-9, float(np.linalg.norm(counts))), abs=1e-6)


def test_a_second_run_encodes_nothing_and_opens_no_encoder(tmp_path: Path) -> None:
    letters, texts = Letters(), ["a b", "", "abc", "a b"]
    first = stored(tmp_path / "v.sqlite", letters).encode(texts)
    second = StoredEncoder(
        "letters", lambda: "1", lambda: Vectors(tmp_path / "v.sqlite"), lambda: pytest.fail("opened")
    )
    assert np.array_equal(first, second.encode(texts)) and second.encoded == 0
    assert sorted(letters.asked) == ["a b", "abc"]


def test_the_longest_texts_come_first_and_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER", 2)
    letters, told = Letters(), []
    stored(tmp_path / "v.sqlite", letters).encode(
        ["a" * n for n in (4, 2, 5, 1, 3)], lambda done, new: told.append((done, new))
    )
    assert letters.asked == ["a" * n for n in (5, 4, 3, 2, 1)]
    assert told == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_what_was_encoded_before_a_failure_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER", 2)

    class Failing(Letters):
        def encode(self, texts: Sequence[str]) -> Any:
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().encode(texts)

    texts = ["a", "b", "c", "d"]
    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path / "v.sqlite", Failing()).encode(texts)
    letters = Letters()
    stored(tmp_path / "v.sqlite", letters).encode(texts)
    assert letters.asked == ["c", "d"]


@pytest.mark.parametrize("damage", ["no database", "pages", "cut"])
def test_a_damaged_file_is_made_anew_with_a_notice(tmp_path: Path, damage: str) -> None:
    path, said, texts = tmp_path / "v.sqlite", list[str](), ["a" * n for n in range(1, 200)]
    encoder = stored(path, Letters())
    first = encoder.encode(texts)
    encoder.vectors.close()
    whole = path.read_bytes()
    held = {"no database": b"not a database" * 100, "pages": whole[:200] + b"\xa5" * (len(whole) - 200)}
    path.write_bytes(held.get(damage, whole[: len(whole) // 2]))
    again = stored(path, Letters(), said)
    assert np.array_equal(again.encode(texts), first)
    assert len(said) == 1 and "made anew" in said[0] and str(path) in said[0]
    third = stored(path, letters := Letters())
    assert np.array_equal(third.encode(texts), first) and letters.asked == []


def test_a_damaged_vector_is_as_if_absent(tmp_path: Path) -> None:
    path = tmp_path / "v.sqlite"
    first = stored(path, Letters()).encode(["a", "b", "c", "d"])
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT rowid FROM vectors").fetchall()
        for (row,), data in zip(rows, (b"\xff" * 36, b"", np.ones(2, np.float32).tobytes()), strict=False):
            db.execute("UPDATE vectors SET vector = ? WHERE rowid = ?", (data, row))
    letters = Letters()
    assert np.array_equal(stored(path, letters).encode(["a", "b", "c", "d"]), first)
    assert len(letters.asked) == 3
    assert np.array_equal(stored(path, letters).encode(["a", "b", "c", "d"]), first) and len(letters.asked) == 3


def test_where_nothing_can_be_stored_a_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    assert stored(tmp_path / "file" / "v.sqlite", Letters(), said).encode(["a", "b"]).shape == (2, 9)
    assert len(said) == 1 and "cannot be stored" in said[0]


WRITER = """
import sys
from pathlib import Path
from synth_llm.vectors import StoredEncoder, Vectors, keys_of, write_some
class Fake:
    def encode(self, texts): return [[1.0, float(text)] for text in texts]
start = int(sys.argv[2])
encoder = StoredEncoder("f", lambda: "", lambda: Vectors(Path(sys.argv[1])), Fake)
for at in range(start, start + 40): encoder.encode([str(at), str(at + 1)])
"""


def test_several_processes_share_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "v.sqlite")
    runs = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(at)]) for at in (0, 20, 40)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM vectors").fetchone() == (81,)


@pytest.mark.parametrize("given", [[[1.0]], [[1.0], [float("nan")]], [1.0, 2.0], [[[1.0]], [[1.0]]]])
def test_an_encoder_that_gives_no_vector_a_text_is_one_line(given: Any) -> None:
    class Wrong:
        def encode(self, texts: Sequence[str]) -> Any:
            return given

    encoder = StoredEncoder("wrong", lambda: "", lambda: Vectors(None), Wrong)
    with pytest.raises(FatalError, match=r"^encoder wrong: gives .*$"):
        encoder.encode(["a", "b"])


def test_another_model_behind_the_name_is_told(tmp_path: Path) -> None:
    stored(tmp_path / "v.sqlite", Letters()).encode(["a"])

    class Wider:
        def encode(self, texts: Sequence[str]) -> Any:
            return [[1.0] * 12 for _ in texts]

    encoder = StoredEncoder("letters", lambda: "1", lambda: Vectors(tmp_path / "v.sqlite"), Wider)
    with pytest.raises(FatalError, match=r"12 numbers a text, where it gave 9 before.*'revision'$"):
        encoder.encode(["a", "b"])


def test_what_was_used_travels_in_the_same_bytes_and_comes_first(tmp_path: Path) -> None:
    texts = ["a b", "", "abc", "a b", "h"]
    made = stored(tmp_path / "ours.sqlite", Letters())
    wanted = made.encode(texts)
    stored(tmp_path / "ours.sqlite", Letters()).encode(["never asked for by this run"])
    for name in ("one.sqlite", "two.sqlite"):
        assert write_some([made.vectors], keys_of(made), tmp_path / name) == 0
    one = (tmp_path / "one.sqlite").read_bytes()
    assert one == (tmp_path / "two.sqlite").read_bytes()
    assert len(keys_of(made)) == 3 * 16

    def given() -> Vectors:
        return Vectors(tmp_path / "one.sqlite", read_only=True)

    other = stored(tmp_path / "other.sqlite", Letters())
    other.vectors.add((key, np.eye(9, dtype=np.float32)[0]) for key in made.used)  # of other batches, or a stranger's
    again = StoredEncoder("letters", lambda: "1", lambda: other.vectors, lambda: pytest.fail("opened"), given)
    assert np.array_equal(again.encode(texts), wanted)
    assert (tmp_path / "one.sqlite").read_bytes() == one
    assert not np.array_equal(other.encode(texts), wanted), "what came along is not mixed with what we have"


def test_vectors_that_are_lost_are_counted_and_a_damaged_gift_is_told(tmp_path: Path) -> None:
    made = stored(tmp_path / "ours.sqlite", Letters())
    made.encode(["a", "b"])
    assert write_some([], keys_of(made), tmp_path / "none.sqlite") == 2
    (tmp_path / "gift.sqlite").write_bytes(b"no database at all" * 999)
    said: list[str] = []
    gift = Vectors(tmp_path / "gift.sqlite", said.append, read_only=True)
    assert gift.find([bytes(16)]) == {}
    assert "came along are damaged" in said[0]
    assert (tmp_path / "gift.sqlite").exists()
