"""GGUF weights as a folder that PyTorch engines read: vllm, transformers, and what fine-tunes a model."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

from synth_llm.errors import FatalError, MissingExtra

MARK = "config.json"
"""A folder that holds it is complete: a folder is renamed into its place when all of it is written."""


def folder_of(gguf: Path) -> Path:
    """The folder with the same weights in bfloat16 and their tokenizer, beside the file and named as it with `-hf`.

    Written by transformers at the first call, in about a minute; needs 2 bytes a parameter on disk and 4 in memory
    meanwhile. Raises MissingExtra without torch, transformers, gguf and accelerate, FatalError for a file that they
    cannot read.
    """
    folder = gguf.with_name(f"{gguf.stem}-hf")
    if (folder / MARK).exists():
        return folder
    with tempfile.TemporaryDirectory(dir=gguf.parent, prefix=f".{folder.name}-") as place:
        beside = Path(place) / folder.name
        _convert(gguf, beside)
        if not (folder / MARK).exists():  # another process may have been first
            shutil.rmtree(folder, ignore_errors=True)
            beside.replace(folder)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    try:
        import accelerate  # noqa: F401  transformers needs both to read GGUF, and says so late
        import gguf as _gguf  # noqa: F401
        import torch
        import transformers
    except ImportError:
        raise MissingExtra(f"{gguf.name} as a folder", "transformers") from None
    transformers.utils.logging.disable_progress_bar()
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
            quantised = transformers.GgufConfig(dequantize=True)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                **source, dtype=torch.float32, quantization_config=quantised
            )
            model.to(torch.bfloat16).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    except (ImportError, OSError, ValueError, RuntimeError, AttributeError) as error:
        said = " ".join(str(error).split())[:300]
        raise FatalError(f"{gguf}: transformers {transformers.__version__} cannot convert it: {said}") from None
