"""Encoders in this process: sentence-transformers, model2vec, a Python function."""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import platform
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_llm.errors import InputError
from synth_llm.models.weights import revision

if TYPE_CHECKING:
    import numpy as np

PARTS = ["*.json", "*.txt", "*.model", "*.safetensors"]
"""The files of an encoder's folder that its vectors depend on. No pickle is among them."""


class SentenceEncoder:
    """A sentence-transformers model in a folder, on the best device there is; nothing of it reaches the network.

    Weights are read from safetensors alone, and code that comes with a model is never run.
    """

    def __init__(self, folder: Path, dtype: str = "float32", batch: int = 32, dimensions: int | None = None) -> None:
        _refuse(folder)
        self.batch = batch
        with _quietly(folder):
            import sentence_transformers
            import torch

            self.model = sentence_transformers.SentenceTransformer(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                truncate_dim=dimensions,
                model_kwargs={"dtype": getattr(torch, dtype), "use_safetensors": True},
            )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32, in the order of the texts; what is longer than the model reads is cut."""
        import numpy as np

        vectors = self.model.encode(list(texts), batch_size=self.batch, show_progress_bar=False)
        _trim()
        return np.asarray(vectors, dtype=np.float32)


class StaticEncoder:
    """A model2vec model in a folder: the mean of static token vectors (Tulkens and van Dongen 2024)."""

    def __init__(self, folder: Path) -> None:
        with _quietly(folder):
            import model2vec

            self.model = model2vec.StaticModel.from_pretrained(folder)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32, in the order of the texts; zeros for a text of unknown tokens."""
        import numpy as np

        return np.asarray(self.model.encode(list(texts), use_multiprocessing=False), dtype=np.float32)


class FunctionEncoder:
    """A Python function as an encoder: for tests of recipes, and for models that synth-llm does not know."""

    def __init__(self, function: Callable[[list[str]], Any]) -> None:
        self.function = function

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """What the function gives, as an array."""
        import numpy as np

        return np.asarray(self.function(list(texts)), dtype=np.float32)


@cache
def _malloc_trim() -> Callable[[int], object] | None:
    """glibc's function of that name; None elsewhere."""
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found


def _trim() -> None:
    """Give memory that is free back to the system: batches of many lengths leave hundreds of MB in malloc's heaps."""
    if trim := _malloc_trim():
        trim(0)


def bfloat16_is_slow() -> bool:
    """Whether this is an x86 machine without a GPU whose processor does not multiply bfloat16 (AVX512-BF16, AMX)."""
    import torch

    if torch.cuda.is_available() or platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return not any(getattr(torch.cpu, name, bool)() for name in asked)


def content(folder: Path) -> str:
    """A hash (64 hex digits) over the names and contents of a folder's weights, configuration and tokenizer."""
    files = sorted({file for pattern in PARTS for file in folder.rglob(pattern) if file.is_file()})
    parts = [[file.relative_to(folder).as_posix(), revision(file)] for file in files]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def from_hub(name: str, commit: str) -> Path:
    """The folder of a model of the Hub: from its cache, else downloaded. Raises InputError."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        try:
            return Path(snapshot_download(name, revision=commit or None, allow_patterns=PARTS, local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(snapshot_download(name, revision=commit or None, allow_patterns=PARTS))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise InputError(f"no encoder '{name}' here, and the Hub does not give it: {_first_line(error)}") from None


class _quietly:
    """Loads a model without the libraries' bars and remarks; what is wrong with its folder becomes an InputError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        import transformers

        said: Any = transformers.logging
        said.set_verbosity_error()
        said.disable_progress_bar()
        for name in ("sentence_transformers", "huggingface_hub", "model2vec"):
            logging.getLogger(name).setLevel(logging.ERROR)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception):  # what is wrong with a folder shows in any part of a library
            raise InputError(f"cannot be loaded as an encoder: {_first_line(error)}", self.folder) from error


def _refuse(folder: Path) -> None:
    """Raises InputError for a folder that is no encoder, or that would run code: pickled weights, foreign modules."""
    if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
        raise InputError("no encoder here: its folder holds modules.json, or config.json", folder)
    for weights in folder.rglob("pytorch_model.bin"):
        if not weights.with_name("model.safetensors").is_file():
            raise InputError("its weights are pickled, which can run code: save them as safetensors first", weights)
    try:
        modules = json.loads((folder / "modules.json").read_text()) if (folder / "modules.json").is_file() else []
        foreign = [one["type"] for one in modules if not one["type"].startswith("sentence_transformers.")]
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise InputError(f"cannot be read: {_first_line(error)}", folder / "modules.json") from None
    if foreign:
        raise InputError(f"'{foreign[0]}' is code of its own, which is never run", folder / "modules.json")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split())[:300]
