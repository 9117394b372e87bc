"""Files into a repository of the Hub, in one commit, whatever becomes of the calls.

A commit is the one call that the client never repeats, and its answer may be lost though it was made. So every try
begins with what the head holds, sends what it lacks on condition that the head has not moved since, and reads it back.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from synth_llm.errors import FatalError
from synth_llm.keys import TRANSPORTS

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, RepoFile

WAITS = (1, 2, 4, 8, 16)
"""Seconds before each new try; more where the Hub asks for it."""
LONGEST = 300
"""Seconds that the Hub may ask to wait."""
PASSING = {408, 409, 412, 425, 429, 500, 502, 503, 504}
"""Answers after which another try may succeed; 412 says that the head has moved."""
T = TypeVar("T")


class Head(NamedTuple):
    """The newest commit of a repository."""

    sha: str
    private: bool


def create(api: HfApi, repo: str, *, private: bool) -> Head:
    """Make the repository unless it is there, and return its head."""

    def attempt() -> Head:
        api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        return _head(api, repo)

    return _patiently(attempt)


def upload(api: HfApi, repo: str, files: Mapping[str, Path], ours: Collection[str], summary: str) -> str:
    """Make the head hold `files`, by their paths in the repository, and return it.

    What else is there of the names in `ours`, or below folders of these names, goes; other files stay. Raises
    FatalError when the head does not come to hold them, and what the client raises for a call that cannot succeed.
    """
    known = {path: _oids(file) for path, file in files.items()}

    def attempt() -> str:
        head = _head(api, repo).sha
        if operations := _lacking(api, repo, head, files, known, ours):
            api.create_commit(repo, operations, commit_message=summary, repo_type="dataset", parent_commit=head)
            head = _head(api, repo).sha
            if _lacking(api, repo, head, files, known, ours):
                raise _Torn(f"{repo} does not hold what was sent; push again")
        return head

    return _patiently(attempt)


class _Torn(FatalError):
    """The head is not what was committed."""


def _patiently(attempt: Callable[[], T]) -> T:
    """What an attempt returns, tried again after what may pass."""
    for wait in WAITS:
        try:
            return attempt()
        except Exception as error:  # the client's transport errors have no public base class
            _pause(error, wait)
    return attempt()


def _head(api: HfApi, repo: str) -> Head:
    found = api.dataset_info(repo)
    return Head(found.sha or "", bool(found.private))


def _lacking(
    api: HfApi,
    repo: str,
    head: str,
    files: Mapping[str, Path],
    known: Mapping[str, set[str]],
    ours: Collection[str],
) -> list[CommitOperationAdd | CommitOperationDelete]:
    """What makes the head hold the files and none of ours besides."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, RepoFile

    tree = api.list_repo_tree(repo, recursive=True, revision=head, repo_type="dataset")
    there = {entry.path: _oid(entry) for entry in tree if isinstance(entry, RepoFile)}
    gone = [path for path in there if path not in files and path.split("/")[0] in ours]
    return [
        *(CommitOperationDelete(path) for path in gone),
        *(CommitOperationAdd(path, file) for path, file in files.items() if there.get(path) not in known[path]),
    ]


def _oid(entry: RepoFile) -> str:
    """The hash by which the Hub knows a file: SHA-256 of its content for large ones, Git's own for others."""
    return entry.lfs.sha256 if entry.lfs else entry.blob_id


def _oids(file: Path) -> set[str]:
    """Both hashes of a file here."""
    with file.open("rb") as content:
        large = hashlib.file_digest(content, "sha256").hexdigest()
    git = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            git.update(block)
    return {large, git.hexdigest()}


def root(error: Exception) -> Exception:
    """What stopped a call: uploads wrap it in an error that does not say it."""
    from huggingface_hub.errors import HfHubHTTPError

    while not isinstance(error, HfHubHTTPError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _pause(error: Exception, wait: float) -> None:
    """Wait before the next try, or raise the error when another try would be of no use."""
    from huggingface_hub.errors import HfHubHTTPError

    cause = root(error)
    asked = 0.0
    if isinstance(cause, HfHubHTTPError):
        passing = cause.response.status_code in PASSING
        after = cause.response.headers.get("Retry-After", "")
        asked = float(after) if after.isdecimal() else 0.0
    else:
        passing = isinstance(cause, OSError | _Torn) or type(cause).__module__.partition(".")[0] in TRANSPORTS
    if not passing or asked > LONGEST:
        raise error
    time.sleep(max(wait * random.uniform(0.5, 1), asked))
