"""A run on the Hugging Face Hub: its rows as `export` writes them, and the run folder beside them, in one commit."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_llm import journal_file, output
from synth_llm.errors import FatalError, InputError, SynthError
from synth_llm.inputs import INPUTS, library, read, repository_list
from synth_llm.keys import hidden, quiet_transport
from synth_llm.library import file_hash
from synth_llm.models.weights import cache
from synth_llm.publish import scan
from synth_llm.publish.card import of_repository
from synth_llm.publish.export import export
from synth_llm.publish.settings import publish_of
from synth_llm.publish.splits import SPLITS
from synth_llm.publish.upload import create, root, upload
from synth_llm.steps.context import CACHE
from synth_llm.vectors import VECTORS, Vectors, write_some

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = logging.getLogger(__name__)

TOKEN_HELP = "set HF_TOKEN to a token that may write, or run `hf auth login`"
DATA = "data"
"""The folder of the rows in a repository."""
RUN = (output.KEPT, output.REJECTED, output.MANIFEST, output.RECIPE)
LIBRARY, READ = ("prompts", "filters"), "inputs"
"""The folders of what the recipe is made of, and of the files that it reads."""
OURS = {DATA, *RUN, output.CARD, output.JOURNAL, SPLITS, INPUTS, READ, VECTORS, *LIBRARY}
"""What a push writes, and takes away when it is of a push before."""


class Pushed(NamedTuple):
    """Where a run lies, and what of it."""

    address: str
    commit: str
    changed: bool
    """Whether this push made a commit; no when all was there already."""
    files: list[str]


def push(
    folder: Path,
    repo: str,
    *,
    private: bool = True,
    journal: bool = True,
    rejected: bool = True,
    inputs: bool = True,
    allow: Collection[str] = (),
) -> Pushed:
    """Put a run on the Hub as the dataset `repo` (`org/name`), in one commit.

    The rows lie in `data/` as the recipe's `publish` says, a file a split; beside them the run folder with the recipe's
    prompts, filters and the files that it read, so that `run` makes it again from there; without journal, rejected
    rows or input files if so wished. Endpoint and token are those of the environment (HF_ENDPOINT; HF_TOKEN or an
    earlier login). What is there already is not sent again; a call that fails and may pass is tried again; the end is
    that the Hub has been read back and holds what was sent. An incomplete run is pushed too, with one line of warning.

    Raises InputError when the folder is no finished run folder, the name cannot be used, a text holds a secret or a
    personal identifier of a kind that is not in `allow`, or the repository is there with another visibility (private
    rows must not become public by a slip); FatalError when the Hub does not take it: push again.
    """
    wanted = {output.JOURNAL: journal, output.REJECTED: rejected}
    manifest = _checked_manifest(
        folder, [name for name in (*RUN, output.JOURNAL, output.CARD) if wanted.get(name, True)]
    )
    check_name(repo)
    quiet()
    with TemporaryDirectory(prefix="synth-llm-") as scratch:
        files = _files(folder, Path(scratch), repo, journal, rejected, inputs)
        scan.check(scan.texts_of(files), allow)
        with told_of(repo, "pushed"):
            pushed = _send(files, repo, private, _summary(manifest))
    if not manifest["complete"]:
        LOG.warning("warning: %s was pushed incomplete: %s", folder, manifest["why"])
    return pushed


def pull(repo: str, out: Path) -> Path:
    """Fetch a run that was pushed into the folder `out`, and return it. What a broken off fetch brought is used.

    Raises InputError when `out` holds something else or the repository holds no run, FatalError when the Hub does not
    give it.
    """
    from huggingface_hub import HfApi

    check_name(repo)
    quiet()
    if out.exists() and any(out.iterdir()) and not (out / ".cache/huggingface").is_dir():
        raise InputError(f"{out} holds something already; pull into a new folder: --out FOLDER")
    with told_of(repo, "pulled"):
        api = HfApi(library_name="synth-llm")
        api.snapshot_download(repo, repo_type="dataset", local_dir=out)
    shutil.rmtree(out / ".cache")
    _checked_manifest(out, {output.KEPT, output.RECIPE})
    return out


def _checked_manifest(folder: Path, needs: Collection[str]) -> dict[str, Any]:
    """The manifest of a folder that holds all it should, with the rows that its last run wrote."""
    manifest = output.read_manifest(folder)
    if not manifest:
        raise InputError(f"{folder} is not a run folder; it has no {output.MANIFEST} (does its run still work?)")
    for name in needs:
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no {name}; run its recipe again, which writes it")
    for name, sha256 in manifest["sha256"].items():
        if name in needs and file_hash(folder / name) != sha256:
            raise InputError(f"{folder / name} is not what the run wrote; run its recipe again, which writes it")
    return manifest


def check_name(repo: str) -> None:
    """Raises InputError for what cannot be the name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InputError(f"{repo!r} cannot be a repository: {error}") from error
    if "/" not in repo:
        raise InputError(f"{repo!r} names no owner; write org/name, such as my-name/{repo}")


def quiet() -> None:
    """Errors alone from the client's transport, and bars for people alone: in a log they are thousands of lines."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    quiet_transport()
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


def _files(folder: Path, scratch: Path, repo: str, journal: bool, rejected: bool, inputs: bool) -> dict[str, Path]:
    """What is pushed, by its path in the repository."""
    exported = export(folder, scratch / DATA)
    files = {f"{DATA}/{path.name}": path for path in exported.files}
    files |= {name: folder / name for name in RUN if rejected or name != output.REJECTED}
    if (folder / SPLITS).is_file():
        files[SPLITS] = folder / SPLITS
    if journal:
        files[output.JOURNAL] = scratch / output.JOURNAL
        _copy_journal(folder / output.JOURNAL, files[output.JOURNAL])
        files |= _vectors(folder, scratch)
    files |= _made_of(folder, scratch, inputs)
    files[output.CARD] = scratch / output.CARD
    splits = {path.stem: f"{DATA}/{path.name}" for path in exported.files}
    configs = ("kept", "rejected") if rejected else ("kept",)
    manifest = output.read_manifest(folder)
    settings = publish_of(manifest["recipe"].get("publish") or {})
    card = of_repository(folder / output.CARD, repo, files, splits, configs, manifest, settings)
    files[output.CARD].write_text(card, encoding="utf-8")
    return files


def _vectors(folder: Path, scratch: Path) -> dict[str, Path]:
    """The vectors that the run used: encoded anew, in other batches, they would differ in their last bits."""
    files = {f"{VECTORS}/{path.name}": path for path in sorted((folder / VECTORS).glob("*.sqlite"))}  # of a pull
    for keys in sorted((folder / CACHE / VECTORS).glob("*.keys")):
        name = keys.with_suffix(".sqlite").name
        given = sorted((folder / CACHE).glob(f"hub/*/{VECTORS}/{name}"))
        sources = [Vectors(path, read_only=True) for path in (*given, cache() / VECTORS / name) if path.is_file()]
        path = files[f"{VECTORS}/{name}"] = scratch / VECTORS / name
        path.parent.mkdir(exist_ok=True)
        if lost := write_some(sources, keys.read_bytes(), path):
            LOG.warning(
                "warning: vectors of %s texts are not stored any more: made again, rows may differ", f"{lost:,}"
            )
        for source in sources:
            source.close()
    return files


def _made_of(folder: Path, scratch: Path, inputs: bool) -> dict[str, Path]:
    """Prompts, filters and input files, and the list by which the recipe finds these."""
    files = {}
    for path, text in library(folder).items():
        files[path] = scratch / path
        files[path].parent.mkdir(parents=True, exist_ok=True)
        files[path].write_text(text, encoding="utf-8")
    listed: dict[str, dict[str, Any]] = {}
    for number, (written, one) in enumerate(read(folder).items() if inputs else ()):
        at = f"{READ}/{number}-{Path(written).name or 'input'}"
        listed[written] = {"at": at, "files": one["files"]}
        for name, sha256 in one["files"].items():
            path = folder / one["at"] / name
            if not path.is_file() or file_hash(path) != sha256:
                which = f"'{written}'" + f" ({name})" * bool(name)
                raise InputError(
                    f"the recipe's input {which} is not what the run read; run it again, or leave input files at home: "
                    "--no-inputs"
                )
            files[f"{at}/{name}".rstrip("/")] = path
    beside = [path for path in files if path.split("/")[0] in LIBRARY]
    if listed or beside:
        files[INPUTS] = scratch / INPUTS
        files[INPUTS].write_text(repository_list(listed, beside), encoding="utf-8")
    return files


def _send(files: Mapping[str, Path], repo: str, private: bool, summary: str) -> Pushed:
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise FatalError(f"pushing to the Hub needs a token: {TOKEN_HELP}")
    api = HfApi(library_name="synth-llm")
    before = create(api, repo, private=private)
    if before.private != private:  # creating a repository that exists leaves it as it is
        now, how = ("public", "with") if private else ("private", "without")
        raise InputError(f"{repo} exists and is {now}: push {how} --public, or change that in its settings on the Hub")
    head = upload(api, repo, files, OURS, summary)
    return Pushed(f"{api.endpoint}/datasets/{repo}", head, head != before.sha, sorted(files))


@contextmanager
def told_of(repo: str, done: str) -> Iterator[None]:
    """One line for whatever the client raises."""
    from huggingface_hub import get_token

    try:
        yield
    except SynthError:
        raise
    except Exception as error:  # the client's transport errors have no public base class
        raise FatalError(hidden(_told(root(error), repo, done), get_token() or "", "HF_TOKEN")) from None


def _told(error: Exception, repo: str, done: str) -> str:
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    if not isinstance(error, HfHubHTTPError):
        return f"{repo} was not {done} ({type(error).__name__}: {' '.join(str(error).split())})"
    status, said = error.response.status_code, " ".join((error.server_message or str(error)).split())
    if status == 401:
        return f"the Hub refused the token (401): {TOKEN_HELP}"
    if status == 403:
        return f"the token may not write to {repo} (403: {said}): {TOKEN_HELP}"
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub does not show {repo} to this token (404): {TOKEN_HELP}"
    return f"{repo} was not {done} (HTTP {status}: {said})"
