"""The engines, by the name under which recipes know them, and how each is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from synth_llm.errors import InputError
from synth_llm.models.limit import Limiter
from synth_llm.models.request import Model
from synth_llm.row import canonical

if TYPE_CHECKING:
    from synth_llm.models.chat_template import ChatTemplate
    from synth_llm.recipe import ModelEntry


def _local(entry: ModelEntry, base: Path) -> Model:
    from synth_llm.models.local import Local
    from synth_llm.models.weights import locate

    return Local(locate(_weights(entry, base)), slots=entry.concurrency, context=entry.context, threads=entry.threads)


def _openai(entry: ModelEntry, base: Path) -> Model:
    from synth_llm.models.openai import URL, OpenAI

    assert entry.model is not None
    return OpenAI(
        entry.model,
        url=entry.url or URL,
        key_env=entry.key_env,
        headers=entry.headers,
        timeout=entry.timeout,
        revision=entry.revision,
    )


def _vllm(entry: ModelEntry, base: Path) -> Model:
    from synth_llm.models.vllm import Served, Vllm

    assert entry.model is not None
    engine = Served if entry.serve else Vllm
    return engine(_folder(entry, base), revision=entry.revision, arguments=entry.arguments, slots=entry.concurrency)


def _transformers(entry: ModelEntry, base: Path) -> Model:
    from synth_llm.models.transformers import Transformers

    languages = (entry.translate.source, entry.translate.target) if entry.translate else None
    return Transformers(
        _folder(entry, base),
        revision=entry.revision,
        device=entry.device,
        dtype=entry.dtype,
        languages=languages,
        batch=slots(entry) or 1,
    )


def _function(entry: ModelEntry, base: Path) -> Model:
    from synth_llm.models.function import Function

    assert entry.function is not None
    return Function(entry.function, entry.model or "function", entry.revision)


def _replay(entry: ModelEntry, base: Path) -> Model:
    from synth_llm.inputs import resolve
    from synth_llm.models.replay import Replay

    return Replay(resolve(entry.model or "", base), entry.model or "", entry.revision)


ENGINES: dict[str, Callable[[ModelEntry, Path], Model]] = {
    "function": _function,
    "local": _local,
    "openai": _openai,
    "replay": _replay,
    "transformers": _transformers,
    "vllm": _vllm,
}
"""What opens an engine for an entry of a recipe in folder `base`; called when its first request is really sent."""

SLOTS = {"local": 2, "function": 64, "replay": 64, "transformers": 8, "vllm": 256}
"""Requests in flight where the recipe does not say; at an `openai` endpoint it is found."""


def slots(entry: ModelEntry) -> int | None:
    """How many requests may be in flight at once; None where that is to be found."""
    return entry.concurrency or SLOTS.get(entry.engine)


SHARED = ("concurrency", "requests_per_minute", "tokens_per_minute", "timeout")
"""Settings of an endpoint: models that share it cannot differ in them."""


def shared(entries: Mapping[str, ModelEntry]) -> ModelEntry:
    """The entry that opens an endpoint for several models. Raises InputError when they want it set up differently."""
    first = next(iter(entries.values()))
    given: dict[str, tuple[str, object]] = {}
    for name, entry in entries.items():
        for setting in SHARED:
            if setting in entry.model_fields_set:
                value = getattr(entry, setting)
                other, before = given.setdefault(setting, (name, value))
                if before != value:
                    raise InputError(
                        f"models '{other}' and '{name}' share one endpoint, but say {setting} {before} and {value}; "
                        "give it once, or the same to both"
                    )
    return first.model_copy(update={setting: value for setting, (_, value) in given.items()})


def limiter(entry: ModelEntry) -> Limiter:
    """The limiter of an entry's endpoint."""
    return Limiter(slots(entry), requests=entry.requests_per_minute, tokens=entry.tokens_per_minute)


def identity(entry: ModelEntry, base: Path) -> tuple[str, str]:
    """The model's name and revision as keys know them. Needs no engine, so that a replay needs no weights."""
    if entry.engine == "local":
        from synth_llm.models.weights import revision_of

        return "", revision_of(_weights(entry, base))
    if entry.engine == "function":
        return entry.model or "function", entry.revision
    if entry.engine in {"transformers", "vllm"}:
        from synth_llm.models.weights import revision_of_folder

        folder = _folder(entry, base)
        return ("", revision_of_folder(Path(folder))) if Path(folder).is_dir() else (folder, entry.revision)
    return entry.model or "", entry.revision


def template(name: str, entry: ModelEntry, base: Path) -> ChatTemplate:
    """The chat template of the model `name`, tried. Raises InputError when there is none, or it is of no use."""
    from synth_llm.inputs import resolve
    from synth_llm.models.chat_template import CHATML, ChatTemplate, of_gguf, of_path, of_run

    given = entry.template or entry.arguments.get("chat_template")
    if given:
        found = of_path(resolve(given, base))
    elif entry.engine == "local":
        from synth_llm.models.weights import locate

        found = of_gguf(locate(_weights(entry, base)))
    elif entry.engine in {"transformers", "vllm"}:
        found = of_path(_tokenizer(_folder(entry, base), entry.revision))
    elif entry.engine == "function":
        found = ChatTemplate(CHATML)
    elif entry.engine == "replay":
        found = of_run(resolve(entry.model or "", base), name)
    else:
        raise InputError(
            f"model '{name}' is to speak as the user: engine '{entry.engine}' does not tell its chat template, so name "
            "it at the model, `template: FILE` (the tokenizer's chat_template.jinja), or take another engine"
        )
    found.check()
    return found


def _tokenizer(name: str, revision: str) -> Path:
    """The folder of a tokenizer's small files; of a model of the Hub they are downloaded."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        parts = ["tokenizer_config.json", "chat_template.jinja"]
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=parts))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise InputError(f"no folder '{name}', and the Hub does not give its chat template: {error}"[:300]) from None


def address(entry: ModelEntry, base: Path) -> tuple[object, ...]:
    """What two entries share when they share an engine: loaded once, with one set of slots."""
    if entry.engine == "local":
        return ("local", _weights(entry, base), entry.context, entry.threads)
    if entry.engine == "openai":
        from synth_llm.models.openai import KEY, URL

        url = (entry.url or URL).rstrip("/")
        return ("openai", url, entry.key_env or (KEY if url == URL else None), canonical(entry.headers))
    if entry.engine in {"transformers", "vllm"}:
        own = (entry.revision, entry.serve, canonical(entry.arguments), entry.device, entry.dtype, entry.translate)
        return (entry.engine, _folder(entry, base), *own)
    return (entry.engine, entry.model, id(entry.function))


def _folder(entry: ModelEntry, base: Path) -> str:
    """The path of a model's folder, if there is one by this name, else its name on the Hub."""
    name = entry.model or ""
    places = [place / Path(name).expanduser() for place in (base, Path.cwd())]
    return next((str(place.resolve()) for place in places if place.is_dir()), name)


def _weights(entry: ModelEntry, base: Path) -> str:
    """A model's name, or the path of its weights."""
    from synth_llm.models.weights import DEFAULT

    name = entry.model or DEFAULT
    if not name.endswith(".gguf") or ("/" in name and not (base / name).exists() and not Path(name).exists()):
        return name
    for place in (base, Path.cwd()):
        if (place / name).exists():
            return str((place / name).resolve())
    raise InputError(f"no weights at {name}")
