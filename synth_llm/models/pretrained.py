"""A model of the transformers library as it is loaded: from a folder or the Hub, with or without an adapter."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth_llm.errors import InputError, MissingExtra, SynthError, nearest
from synth_llm.models.constraint import Constraints
from synth_llm.models.weights import PARTS_OF_A_MODEL, base_of

CUTTING = ("forced_eos_token_id", "max_length", "max_time", "stop_strings")
"""What a model's folder may say of where answers end, and no request did: a cut answer would look like a whole one."""
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Pretrained:
    """A model, its tokenizer, and what the engine wants to know of them."""

    model: Any
    tokenizer: Any
    device: str
    seq2seq: bool
    context: int | None
    """Tokens of prompt and answer together, of a seq2seq model of either; None where the model sets no bound."""
    ends: list[int]
    """The tokens that end an answer."""
    forced_bos: int | None
    """The token of the language that is translated into."""
    constraints: Constraints

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens, without special ones."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


def load(
    name: str, *, revision: str, device: str | None, dtype: str | None, languages: tuple[str, str] | None
) -> Pretrained:
    """Load a folder, or a model of the Hub by its name. Raises InputError for one that cannot be used, MissingExtra."""
    try:
        import torch
        import transformers
    except ImportError:
        raise MissingExtra("the engine transformers", "transformers") from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    where = best_device(device)
    if where == "cpu":  # as many threads as busy cores would wait for each other
        torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"dtype: '{dtype}' is none of {', '.join(DTYPES)}")
    folder = folder_of(name, revision)
    base = base_of(folder)
    whole = folder if base is None else folder_of(base, "")
    refuse_pickles(folder, "adapter_model" if base else "")
    refuse_pickles(whole, "")
    kind = torch.float32 if dtype is None and where == "cpu" else dtype or "auto"
    try:
        model, tokenizer, seq2seq = _loaded(folder, whole, kind)
        model = model.to(where).eval()
        for name in CUTTING:
            setattr(model.generation_config, name, None)
    except SynthError:
        raise
    except Exception as error:  # what is wrong with a folder shows in any part of the library
        raise InputError(f"transformers cannot load it: {first_line(error)}", folder) from error
    return _described(model, tokenizer, seq2seq, where, languages, folder)


def _loaded(folder: Path, whole: Path, dtype: Any) -> tuple[Any, Any, bool]:
    """The model in folder `whole`, with the adapter in `folder` where that is another one, and the tokenizer.

    Code that comes with a model is never run, and pickled weights are not read.
    """
    import transformers

    safe = {"trust_remote_code": False, "local_files_only": True}
    config = transformers.AutoConfig.from_pretrained(whole, **safe)
    seq2seq = bool(config.is_encoder_decoder)
    auto = transformers.AutoModelForSeq2SeqLM if seq2seq else transformers.AutoModelForCausalLM
    model = auto.from_pretrained(whole, config=config, dtype=dtype, use_safetensors=True, **safe)
    own = any((folder / name).exists() for name in ("tokenizer.json", "tokenizer_config.json"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder if own else whole, **safe)
    if folder != whole:
        try:
            import peft
        except ImportError:
            raise MissingExtra("a model with an adapter", "transformers") from None
        if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(len(tokenizer))
        model = peft.PeftModel.from_pretrained(model, str(folder), use_safetensors=True)
    return model, tokenizer, seq2seq


def _described(
    model: Any, tokenizer: Any, seq2seq: bool, device: str, languages: tuple[str, str] | None, folder: Path
) -> Pretrained:
    ends = model.generation_config.eos_token_id
    ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        ends.append(tokenizer.eos_token_id)
    if not ends:
        raise InputError("no token ends an answer: eos_token is missing in tokenizer_config.json", folder)
    config = model.config.get_text_config()
    return Pretrained(
        model=model,
        tokenizer=tokenizer,
        device=device,
        seq2seq=seq2seq,
        context=getattr(config, "max_position_embeddings", None),
        ends=ends,
        forced_bos=_language(model, tokenizer, languages, folder),
        constraints=Constraints(tokenizer, config.vocab_size, ends),
    )


def _language(model: Any, tokenizer: Any, languages: tuple[str, str] | None, folder: Path) -> int | None:
    """Set the language to translate from; returns the token of the one to translate into."""
    if not hasattr(tokenizer, "src_lang"):
        if languages is not None:
            raise InputError("translate: this model has no languages to choose from; leave the setting out", folder)
        return None
    if languages is None:
        if model.generation_config.forced_bos_token_id is None:
            raise InputError("this model needs its languages: translate: {source: ..., target: ...}", folder)
        return None
    codes = getattr(tokenizer, "lang_code_to_token", None)  # M2M100; of others each is a special token
    codes = codes or {str(token): token for token in tokenizer.all_special_tokens if not str(token).startswith("<")}
    for code in languages:
        if code not in codes:
            hint = nearest(code, codes)  # all of them, 202 of some models, when none is near
            raise InputError(f"translate: this model has no language '{code}'{hint if len(hint) < 200 else ''}", folder)
    tokenizer.src_lang = languages[0]
    return int(tokenizer.convert_tokens_to_ids(codes[languages[1]]))


def best_device(name: str | None) -> str:
    """The device asked for, else the best there is. Raises InputError for one that this machine does not have."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None:
        return next(device for device, has in there.items() if has)
    if not there.get(name.partition(":")[0], False):
        raise InputError(f"device: '{name}' is not here; there is {', '.join(one for one in there if there[one])}")
    return name


def folder_of(name: str, revision: str) -> Path:
    """A model's folder; one of the Hub is downloaded unless it is in the Hub's cache."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    parts = [pattern for pattern in PARTS_OF_A_MODEL if ".bin" not in pattern]
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=parts))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise InputError(f"no folder '{name}', and the Hub does not give it: {first_line(error)}") from None


def refuse_pickles(folder: Path, stem: str) -> None:
    """Raises InputError for weights that are pickled: reading them can run code."""
    if not any(folder.glob(f"{stem}*.safetensors")):
        raise InputError(
            "no weights as *.safetensors (pickled ones, *.bin, can run code when they are read and are refused); "
            "if you trust their source, load and save them once with from_pretrained and save_pretrained",
            folder,
        )


def first_line(error: BaseException) -> str:
    """The first line of what an error says, for a message of one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split())[:300]
