"""A recipe from the Hub: `synth-llm run hf://org/name` makes a published dataset again, or goes on with it.

What comes is data: recipe, prompts, input files and the journal, from which a run has its answers without a model. It
is a stranger's all the same. Unless it is trusted it brings no filters (Python), reads no files but its own, asks no
endpoint that it names, and sends no secret there.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from synth_llm import output
from synth_llm.errors import FatalError, InputError
from synth_llm.inputs import INPUTS
from synth_llm.library import Library, file_hash
from synth_llm.publish.hub import check_name, quiet, told_of
from synth_llm.recipe import load_recipe

if TYPE_CHECKING:
    from synth_llm.recipe import ModelEntry

LOG = logging.getLogger(__name__)

HUB = "hf://"
TAKEN = (output.RECIPE, output.MANIFEST, output.JOURNAL, INPUTS, "prompts/*", "inputs/*", "vectors/*")
ASKED_ELSEWHERE = ("url", "headers", "key_env", "arguments")
"""Settings of a model by which a stranger could have a secret sent to an endpoint, or code run by an engine."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Origin(NamedTuple):
    """A fetched recipe and what came with it."""

    repo: str
    recipe: Path
    journals: list[Path]
    trusted: bool
    models: dict[str, Any]
    """What the manifest tells of the models."""
    named: dict[str, dict[str, Any]]
    """The settings of each model by which it could be asked elsewhere, as the recipe has them."""

    @property
    def within(self) -> Path | None:
        """The only folder that it may read; None: any."""
        return None if self.trusted else self.recipe.parent

    def revision(self, name: str, entry: ModelEntry) -> str:
        """The revision of the weights that the dataset was made with; empty for a model that is known by its name."""
        theirs = self.models.get(name, {})
        same = (theirs.get("engine"), theirs.get("model")) == (entry.engine, entry.model)
        named = entry.engine not in {"local", "transformers", "vllm"} or theirs.get("revision") == entry.revision
        return str(theirs.get("revision") or "") if same and not named else ""

    def overrides(self, models: Sequence[str]) -> list[str]:
        """What takes the stranger's settings from models that are replaced by ours, as `--set` says it."""
        ours = {change.partition("=")[0] for change in models}
        empty = {"arguments": "{}"}
        return [
            f"models.{name}.{setting}={empty.get(setting, 'null')}"
            for name, settings in self.named.items()
            if name in ours
            for setting in settings
        ]

    def check(self, name: str, entry: ModelEntry) -> None:
        """Raises FatalError for a model that a stranger's recipe may not ask."""
        theirs = self.named.get(name, {})
        named = [setting for setting, value in theirs.items() if value and getattr(entry, setting) == value]
        if named and not self.trusted:
            where = f" at {entry.url}" if entry.url else ""
            raise FatalError(
                f"the journal of {self.repo} does not have all answers, and its recipe asks model '{name}'{where} with "
                f"a setting of its own ({named[0]}): name a model of yours, --model {name}=ENGINE:MODEL, or --trust it"
            )


def fetch(address: str, out: Path | None = None, *, trust: bool = False) -> tuple[Origin, Path]:
    """Fetch the recipe of `hf://org/name`, or `hf://org/name@revision`; returns it and the run folder for it.

    It lies in the run folder's cache, and what is there already is not fetched again. Raises InputError when the
    repository holds no run or its recipe needs a filter that is not here, FatalError when the Hub does not give it.
    """
    from huggingface_hub import HfApi

    repo, _, revision = address.removeprefix(HUB).removeprefix("datasets/").partition("@")
    check_name(repo)
    out = out or Path("runs") / repo.rpartition("/")[2]
    into = out / ".cache" / "hub" / repo.replace("/", "--")
    quiet()
    shutil.rmtree(into / "filters", ignore_errors=True)
    with told_of(repo, "fetched"):
        HfApi(library_name="synth-llm").snapshot_download(
            repo,
            repo_type="dataset",
            revision=revision or None,
            local_dir=into,
            allow_patterns=[*TAKEN, *["filters/*"] * trust],
        )
    manifest = output.read_manifest(into)
    if not manifest or not (into / output.RECIPE).is_file():
        raise InputError(f"{repo} holds no run of synth-llm; `push` puts one there")
    _check_filters(repo, into, manifest.get("filters", {}), trust)
    name = manifest.get("name", "")
    recipe = into / f"{name if _NAME.fullmatch(str(name)) else 'recipe'}.yaml"
    if recipe.name != output.RECIPE:  # a recipe without a name of its own is called as its file
        shutil.copyfile(into / output.RECIPE, recipe)
    journal = into / output.JOURNAL
    models = load_recipe(recipe)[0].models
    named = {
        name: {setting: getattr(entry, setting) for setting in ASKED_ELSEWHERE if setting in entry.model_fields_set}
        for name, entry in models.items()
    }
    return Origin(repo, recipe, [journal] * journal.is_file(), trust, manifest["models"], named), out


def _check_filters(repo: str, into: Path, made_with: dict[str, str], trust: bool) -> None:
    """Say which Python came along and runs; raise InputError for a filter that is only there."""
    library = Library(into)
    for name, sha256 in made_with.items():
        try:
            here = library.find("filters", name)
        except InputError:
            raise InputError(
                f"the recipe of {repo} brings a filter of its own, Python that would run here: '{name}' (SHA-256 "
                f"{sha256[:16]}); read filters/{name}.py there, then run again with --trust"
            ) from None
        if here.is_relative_to(into.absolute()) or here.is_relative_to(into):
            LOG.warning("trusted: filter %s of %s runs (SHA-256 %s)", name, repo, file_hash(here)[:16])
        elif file_hash(here) != sha256:
            LOG.warning(
                "filter %s here is not the one that %s was made with: rows may differ%s",
                name,
                repo,
                "" if trust else "; --trust runs theirs",
            )
