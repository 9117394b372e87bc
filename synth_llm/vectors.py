"""Vectors of texts on disk, so that each text is encoded once: by an encoder that looks there first."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_llm.errors import FatalError

if TYPE_CHECKING:
    import numpy as np

    from synth_llm.embed import Encoder

TOGETHER = 512
"""Texts that are looked up, encoded and stored together: what a broken-off run loses."""
KEY = 16
"""Bytes of the hash of a text."""
VECTORS = "vectors"
"""The folder of stored vectors: in our cache, in a dataset's repository, and of their keys in a run's cache."""
WAIT = 60.0
"""Seconds for another process that writes."""
Watch = Callable[[int, int], object]
"""Told how many texts are encoded, and how many there are to encode."""


class Vectors:
    """One encoder's vectors: a SQLite file, safe for several processes; without a path, one that goes with its object.

    Nothing in it is worth more than the time to compute it: a damaged file is made anew, and where none can be kept the
    vectors are computed and not stored. `say` is told of both. A file that came with a dataset is only read.
    """

    def __init__(
        self, path: Path | None, say: Callable[[str], object] = lambda _: None, *, read_only: bool = False
    ) -> None:
        self.path, self.say, self.read_only = path, say, read_only
        self._db: sqlite3.Connection | None = None
        self._open()

    def find(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """The vectors that are here, by key; one that is damaged is as if absent."""
        import numpy as np

        marks = ",".join("?" * len(keys))
        query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"
        width, found = self._do(lambda db: (_width(db), db.execute(query, keys).fetchall())) or (0, ())
        vectors = {key: np.frombuffer(data, np.float32) for key, data in found if len(data) == 4 * width > 0}
        return {key: vector for key, vector in vectors.items() if _sound(float(vector @ vector))}

    def add(self, items: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Store vectors of length one, or zeros."""
        lines = [(key, vector.tobytes()) for key, vector in items]

        def write(db: sqlite3.Connection) -> None:
            if not _width(db):
                db.execute(f"PRAGMA user_version = {len(lines[0][1]) // 4}")
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", lines)

        self._do(write)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _do(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Do some work in one transaction, on a new file if this one is damaged; None where no file can be kept."""
        for _ in range(2):
            if self._db is None:
                return None
            try:
                with self._db:
                    return work(self._db)
            except sqlite3.OperationalError as error:
                self._give_up(error)
            except sqlite3.DatabaseError:
                self._anew()
        return None

    def _open(self) -> None:
        try:
            if self.read_only and self.path is not None:
                place = f"{self.path.absolute().as_uri()}?immutable=1"
                self._db = sqlite3.connect(place, uri=True, check_same_thread=False)
                return
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path or "", timeout=WAIT, check_same_thread=False)
            self._db.execute("PRAGMA page_size = 8192")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            self._db.commit()
        except (sqlite3.OperationalError, OSError) as error:
            self._give_up(error)
        except sqlite3.DatabaseError:
            self._anew()

    def _anew(self) -> None:
        """Replace a damaged file by an empty one."""
        self.close()
        assert self.path is not None
        if self.read_only:
            self.say(f"{self.path}: the vectors that came along are damaged; texts are encoded again")
            return None
        self.say(f"{self.path}: stored vectors are damaged; the file is made anew, and texts are encoded again")
        try:
            for end in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        except OSError as error:
            return self._give_up(error)
        return self._open()

    def _give_up(self, error: Exception) -> None:
        self.close()
        self.say(f"{self.path}: vectors cannot be stored ({error}); texts are encoded again by the next run")


class StoredEncoder:
    """An encoder that encodes each text once: what is stored is looked up, what is new is stored.

    Its parts are made when they are needed: the encoder itself only when a text is new. Used by one thread at a time;
    others wait. What came with a dataset, `given`, comes first: its run is to have the very vectors that it had.
    """

    def __init__(
        self,
        name: str,
        revision: Callable[[], str],
        stored: Callable[[], Vectors],
        opened: Callable[[], Encoder],
        given: Callable[[], Vectors | None] = lambda: None,
    ) -> None:
        self.name = name
        self.used: set[bytes] = set()
        """The keys of all texts whose vectors were asked for."""
        self._given = given
        self.encoded = 0
        """Texts that were encoded, not looked up."""
        self._revision, self._vectors, self._opened = revision, stored, opened
        self._encoder: Encoder | None = None
        self._lock = threading.Lock()

    @cached_property
    def revision(self) -> str:
        """What tells its vectors from those of another version. Raises InputError when it is not to be had."""
        return self._revision()

    @cached_property
    def vectors(self) -> Vectors:
        """Where its vectors are stored."""
        return self._vectors()

    @cached_property
    def given(self) -> Vectors | None:
        """Vectors that came with a dataset."""
        return self._given()

    def encode(self, texts: Sequence[str], watch: Watch = lambda done, new: None) -> np.ndarray:
        """(n, d) float32, rows of length one in the order of the texts; zeros for a blank text.

        New texts are encoded by length, so that those in a batch are alike, and stored as they come: a run that was
        broken off goes on there. Raises what the encoder raises, FatalError when it does not give a vector a text.
        """
        import numpy as np

        with self._lock:
            keys = [_key(text) if text.strip() else b"" for text in texts]
            first: dict[bytes, int] = {}
            source = np.array([first.setdefault(key, at) for at, key in enumerate(keys)], dtype=np.intp)
            first.pop(b"", None)
            self.used.update(first)
            vectors, new = self._stored(first, len(texts))
            new.sort(key=lambda at: (-len(texts[at]), at))
            for start in range(0, len(new), TOGETHER):
                watch(start, len(new))
                part = new[start : start + TOGETHER]
                made = self._made([texts[at] for at in part], None if vectors is None else vectors.shape[1])
                vectors = np.zeros((len(texts), made.shape[1]), np.float32) if vectors is None else vectors
                vectors[part] = made
                self.vectors.add((keys[at], vectors[at]) for at in part)
            if vectors is None:  # all are blank: one text tells how long vectors are
                vectors = np.zeros((len(texts), self._made(["text"], None).shape[1]), np.float32)
            if new:
                watch(len(new), len(new))
            again = np.flatnonzero(source != np.arange(len(texts)))
            vectors[again] = vectors[source[again]]
            return vectors

    def _stored(self, first: dict[bytes, int], n: int) -> tuple[np.ndarray | None, list[int]]:
        """The vectors of n texts as far as they are stored, None if none is, and where those stand that are new."""
        import numpy as np

        vectors: np.ndarray | None = None
        new, keys = [], list(first)
        for start in range(0, len(keys), TOGETHER):
            part = keys[start : start + TOGETHER]
            found = self.given.find(part) if self.given is not None else {}
            if lacking := [key for key in part if key not in found]:
                found |= self.vectors.find(lacking)
            for key in part:
                vector = found.get(key)
                if vector is not None and vectors is None:
                    vectors = np.zeros((n, len(vector)), np.float32)
                if vector is None or vectors is None:
                    new.append(first[key])
                else:
                    vectors[first[key]] = vector
        return vectors, new

    def _made(self, texts: list[str], width: int | None) -> np.ndarray:
        """The encoder's vectors of texts, made to length one; zeros stay."""
        import numpy as np

        self._encoder = self._encoder or self._opened()
        whole = [text.encode("utf-8", "replace").decode() for text in texts]  # tokenizers take no half surrogate pairs
        vectors = np.asarray(self._encoder.encode(whole), dtype=np.float32)
        self.encoded += len(texts)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            said = f"gives {vectors.shape} for {len(texts)} texts, not a vector for each"
            raise FatalError(f"encoder {self.name}: {said}")
        if width not in {None, vectors.shape[1]}:
            said = f"gives {vectors.shape[1]} numbers a text, where it gave {width} before: it is another model now"
            raise FatalError(f"encoder {self.name}: {said}; change its 'revision'")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            raise FatalError(f"encoder {self.name}: gives numbers that are not finite")
        unit: np.ndarray = vectors / np.where(lengths > 0, lengths, 1)
        return unit


def keys_of(encoder: StoredEncoder) -> bytes:
    """The keys of all texts that an encoder was asked for, one after the other."""
    return b"".join(sorted(encoder.used))


def write_some(sources: Sequence[Vectors], listed: bytes, path: Path) -> int:
    """Write the vectors with the keys of `keys_of` to a new file; returns how many keys have none.

    Each is of the first source that has it; the same vectors give the same bytes.
    """
    count = 0
    wanted = [listed[at : at + KEY] for at in range(0, len(listed), KEY)]
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA page_size = 8192")
        db.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        for start in range(0, len(wanted), TOGETHER):
            part, found = wanted[start : start + TOGETHER], dict[bytes, "np.ndarray"]()
            for source in sources:
                found = {**source.find(part), **found}
            if found and not count:
                db.execute(f"PRAGMA user_version = {len(next(iter(found.values())))}")
            db.executemany("INSERT INTO vectors VALUES (?, ?)", sorted((k, v.tobytes()) for k, v in found.items()))
            count += len(found)
        db.commit()
    return len(wanted) - count


def _width(db: sqlite3.Connection) -> int:
    """The numbers of each vector in a file; 0 of a new one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY).digest()


def _sound(square: float) -> bool:
    """Whether a vector is as it was stored, by the square of its length."""
    return square == 0 or abs(square - 1) < 1e-3
