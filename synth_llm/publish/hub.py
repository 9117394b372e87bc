"""The run folder on the Hugging Face Hub, where it is a dataset repository as it stands."""

from __future__ import annotations

import logging
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from synth_llm import journal_file, output
from synth_llm.errors import FatalError, InputError, SynthError
from synth_llm.keys import hidden, quiet_transport

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LOG = logging.getLogger(__name__)

TOKEN_HELP = "set HF_TOKEN to a token that may write, or run `hf auth login`"


def push(folder: Path, repo: str, *, private: bool = True) -> str:
    """Put a run folder on the Hub as the dataset `repo` (`org/name`), in one commit; returns its address.

    Endpoint and token are those of the environment (HF_ENDPOINT; HF_TOKEN or an earlier login). The six files of a run
    folder are sent and nothing else; those that the repository has already are not sent again, so that the same run
    twice is one commit. An incomplete run is pushed too, with one line of warning: its rows are as good as they will
    be, and its card says that there are not all of them.

    Raises InputError when the folder is no finished run folder, the name cannot be used, or the repository is there
    with another visibility (private rows must not become public by a slip); FatalError when the Hub does not take it.
    """
    from huggingface_hub import get_token

    manifest = _checked_manifest(folder)
    _check_name(repo)
    _quiet_unless_terminal()
    quiet_transport()
    with TemporaryDirectory(prefix="synth-llm-") as scratch:
        journal = Path(scratch) / output.JOURNAL
        _copy_journal(folder / output.JOURNAL, journal)
        try:
            address = _upload(folder, journal, repo, private, _summary(manifest))
        except SynthError:
            raise
        except Exception as error:  # the client's transport errors have no public base class
            raise FatalError(hidden(_told(error, repo), get_token() or "", "HF_TOKEN")) from None
    if not manifest["complete"]:
        LOG.warning("warning: %s was pushed incomplete: %s", folder, manifest["why"])
    return address


def _checked_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder that holds all it should, with the rows that its last run wrote."""
    manifest = output.read_manifest(folder)
    if not manifest:
        raise InputError(f"{folder} is not a run folder; it has no {output.MANIFEST} (does its run still work?)")
    for name in (output.KEPT, output.REJECTED, output.JOURNAL, output.RECIPE, output.CARD):
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no {name}; run its recipe again, which writes it")
    for name, sha256 in manifest["sha256"].items():
        if output.file_hash(folder / name) != sha256:
            raise InputError(f"{folder / name} is not what the run wrote; run its recipe again, which writes it")
    return manifest


def _check_name(repo: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InputError(f"{repo!r} cannot be a repository: {error}") from error
    if "/" not in repo:
        raise InputError(f"{repo!r} names no owner; write org/name, such as my-name/{repo}")


def _quiet_unless_terminal() -> None:
    """Upload bars are for people; in a log they are thousands of lines."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()


def _copy_journal(journal: Path, copy: Path) -> None:
    """Copy the journal as of now, with what SQLite still holds beside it in the `-wal`."""
    try:
        journal_file.check(journal)
        with closing(journal_file.connect_to_read(journal)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except (journal_file.Damaged, sqlite3.DatabaseError, OSError) as error:
        raise FatalError(f"{journal} cannot be copied ({error}); run its recipe again, which mends it") from error


def _summary(manifest: dict[str, Any]) -> str:
    """The commit's message."""
    state = "" if manifest["complete"] else " (incomplete)"
    return f"{manifest['name']}: {manifest['counts']['kept']:,} rows kept{state}"


def _upload(folder: Path, journal: Path, repo: str, private: bool, summary: str) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if get_token() is None:
        raise FatalError(f"pushing to the Hub needs a token: {TOKEN_HELP}")
    api = HfApi(library_name="synth-llm")
    address = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
    _check_visibility(api, repo, private)
    names = (output.KEPT, output.REJECTED, output.MANIFEST, output.RECIPE, output.CARD)
    files = {name: folder / name for name in names} | {output.JOURNAL: journal}
    additions = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()]
    api.create_commit(repo, additions, commit_message=summary, repo_type="dataset")
    return str(address)


def _check_visibility(api: HfApi, repo: str, private: bool) -> None:
    """Creating a repository that exists leaves it as it is, so what was asked for may not be what is there."""
    found = api.dataset_info(repo)
    if bool(found.private) != private:
        now, how = ("public", "with") if private else ("private", "without")
        raise InputError(f"{repo} exists and is {now}: push {how} --public, or change that in its settings on the Hub")


def _told(error: Exception, repo: str) -> str:
    """One line for what the Hub, or the way there, said."""
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    while not isinstance(error, HfHubHTTPError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # uploads wrap what stopped them in an error that does not say it
    if not isinstance(error, HfHubHTTPError):
        return f"{repo} was not pushed ({type(error).__name__}: {' '.join(str(error).split())})"
    status, said = error.response.status_code, " ".join((error.server_message or str(error)).split())
    if status == 401:
        return f"the Hub refused the token (401): {TOKEN_HELP}"
    if status == 403:
        return f"the token may not write to {repo} (403: {said}): {TOKEN_HELP}"
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub does not show {repo} to this token (404): {TOKEN_HELP}"
    return f"{repo} was not pushed (HTTP {status}: {said})"
