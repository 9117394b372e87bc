"""The encoders of a recipe: what an entry may say, what of it identifies its vectors, and how it is opened."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from synth_llm.errors import InputError, MissingExtra
from synth_llm.keys import VARIABLE
from synth_llm.models.weights import ENCODER, WEIGHTS, cache, locate
from synth_llm.row import digest

if TYPE_CHECKING:
    from synth_llm.embed import Encoder
    from synth_llm.vectors import StoredEncoder

OWN: dict[str, set[str]] = {
    "url": {"openai"},
    "key_env": {"openai"},
    "dimensions": {"openai", "sentence-transformers"},
    "dtype": {"sentence-transformers"},
    "function": {"function"},
}
"""The settings that only some engines have, and which."""
PACKAGES = {"sentence-transformers": "sentence_transformers", "model2vec": "model2vec"}
HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


class EncoderEntry(BaseModel):
    """A named encoder of a recipe: what makes vectors of texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    engine: Literal["sentence-transformers", "model2vec", "openai", "function"] = "sentence-transformers"
    """`sentence-transformers` (PyTorch), `model2vec` (static vectors: much quicker, and coarse), `openai`
    (`/v1/embeddings` of any compatible endpoint), `function` (from Python)."""
    model: str | None = None
    """A model's folder or its name on the Hub, or at the endpoint; the packaged all-MiniLM-L6-v2 when absent."""
    revision: str = ""
    """Of a model on the Hub: its commit, branch or tag. Otherwise it only parts vectors: change it when a remote model
    changes behind its name; a function without one is asked again in every run."""
    batch: int | None = Field(default=None, ge=1)
    """Texts together; when absent 32, at an endpoint 128."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """sentence-transformers: `bfloat16` is quicker where the processor has it, and ranks alike."""
    dimensions: int | None = Field(default=None, ge=1)
    """Cut the vectors to so many numbers, of models that are made for it."""
    url: str | None = None
    """openai: the address before `/embeddings`, such as `http://localhost:8000/v1`."""
    key_env: str | None = None
    """openai: the name of the environment variable that holds the key; OPENAI_API_KEY at OpenAI itself."""
    function: SkipJsonSchema[Callable[..., Any] | None] = Field(default=None, exclude=True)
    """function: takes a list of texts, gives (n, d) numbers; a recipe file cannot hold one."""

    @model_validator(mode="after")
    def _fits_engine(self) -> EncoderEntry:
        """Refuse a setting of another engine, and a secret: a recipe is copied into every run folder."""
        for name, engines in OWN.items():
            if name in self.model_fields_set and self.engine not in engines:
                theirs = " and ".join(f"'{engine}'" for engine in sorted(engines))
                raise ValueError(f"engine '{self.engine}' has no setting '{name}'; it belongs to {theirs}")
        if self.engine in {"model2vec", "openai"} and not self.model:
            raise ValueError(f"engine '{self.engine}' needs 'model'")
        if self.engine == "function" and self.function is None:
            raise ValueError("engine 'function' needs a Python function: build the recipe in Python")
        if self.url is not None and not re.match(r"https?://[^/?#@\s]+(?:[/?#]|$)", self.url):
            raise ValueError("url: is no address without a password; write it as http://localhost:8000/v1")
        if self.key_env is not None and not VARIABLE.fullmatch(self.key_env):
            raise ValueError(
                "key_env: is no name of an environment variable; if it is the key itself, put that into the "
                "environment, as `export MY_KEY=...`, and write its name: `key_env: MY_KEY`"
            )
        return self

    @property
    def packaged(self) -> bool:
        """Whether the encoder is the one whose weights come in a package."""
        return self.engine == "sentence-transformers" and self.model in {None, ENCODER}


def check(entry: EncoderEntry, base: Path) -> None:
    """Raise MissingExtra or InputError for an encoder that cannot be opened, as far as that shows without it."""
    package = PACKAGES.get(entry.engine)
    if package is not None and importlib.util.find_spec(package) is None:
        raise MissingExtra("an encoder" if entry.packaged else f"an encoder of {entry.engine}", "embed")
    if entry.packaged:
        locate(ENCODER)
    elif package is not None and _folder(entry, base) is None and not HUB.fullmatch(entry.model or ""):
        raise InputError(f"no encoder '{entry.model}': neither a folder nor a name on the Hub")


def stored_encoder(entry: EncoderEntry, base: Path, say: Callable[[str], object] = lambda _: None) -> StoredEncoder:
    """The encoder of an entry over its stored vectors, in our cache folder; relative paths start at `base`.

    Vectors that came with a dataset lie in the folder `vectors` of `base`, and come first. Nothing is loaded or
    downloaded before it is needed. `say` is told when vectors cannot be stored. Raises MissingExtra, InputError.
    """
    from synth_llm.vectors import VECTORS, StoredEncoder, Vectors

    name = ENCODER if entry.packaged else entry.model or str(getattr(entry.function, "__name__", "function"))

    def stored() -> Vectors:
        file = stored_as(entry, name, encoder.revision)
        return Vectors(None if file is None else cache() / VECTORS / file, say)

    def given() -> Vectors | None:
        file = stored_as(entry, name, encoder.revision)
        path = base / VECTORS / (file or "none")
        return Vectors(path, say, read_only=True) if path.is_file() else None

    encoder = StoredEncoder(name, lambda: revision(entry, base), stored, lambda: open_encoder(entry, base, say), given)
    if not (entry.packaged and encoder.given):  # a dataset that brings its vectors needs no weights
        check(entry, base)
    return encoder


def revision(entry: EncoderEntry, base: Path) -> str:
    """What tells an encoder's vectors from those of another of its name: of weights, the hash.

    A model of the Hub is downloaded unless it is in the Hub's cache. Raises InputError.
    """
    if entry.packaged:
        return WEIGHTS[ENCODER].sha256
    if entry.engine in {"openai", "function"}:
        return entry.revision
    from synth_llm.embed_local import content

    return content(_place(entry, base))


def stored_as(entry: EncoderEntry, name: str, revision: str) -> str | None:
    """The name of the file that holds an encoder's vectors; None for a function that says no revision."""
    if entry.engine == "function" and not revision:
        return None
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", Path(name).name).strip("-.")[:60]
    parts = (entry.engine, name, entry.url or "", entry.dtype, entry.dimensions or 0, revision)
    if entry.engine in PACKAGES:
        parts = (entry.engine, "", *parts[2:])  # the hash says it all, wherever the folder lies
    return f"{plain or 'encoder'}-{digest(*parts)}.sqlite"


def open_encoder(entry: EncoderEntry, base: Path, say: Callable[[str], object] = lambda _: None) -> Encoder:
    """The encoder, loaded. Raises InputError when it cannot be used; `say` is told of a slow choice."""
    if entry.engine == "openai":
        from synth_llm.embed import EndpointEncoder
        from synth_llm.models.openai import URL

        return EndpointEncoder(
            entry.model or "",
            url=entry.url or URL,
            key_env=entry.key_env,
            batch=entry.batch or 128,
            dimensions=entry.dimensions,
        )
    from synth_llm import embed_local

    if entry.engine == "function":
        assert entry.function is not None
        return embed_local.FunctionEncoder(entry.function)
    place = _place(entry, base)
    if entry.engine == "model2vec":
        return embed_local.StaticEncoder(place)
    if entry.dtype == "bfloat16" and embed_local.bfloat16_is_slow():
        say("dtype: bfloat16 is slower than float32 on this processor, which does not multiply it itself")
    return embed_local.SentenceEncoder(place, entry.dtype, entry.batch or 32, entry.dimensions)


def _folder(entry: EncoderEntry, base: Path) -> Path | None:
    """The folder that `model` names, from the recipe's folder or the current one; None where there is none."""
    name = Path(entry.model or "").expanduser()
    return next((place / name for place in (base, Path.cwd()) if entry.model and (place / name).is_dir()), None)


def _place(entry: EncoderEntry, base: Path) -> Path:
    """The folder of an encoder on this machine."""
    if entry.packaged:
        return locate(ENCODER)
    from synth_llm.embed_local import from_hub

    return _folder(entry, base) or from_hub(entry.model or "", entry.revision)
