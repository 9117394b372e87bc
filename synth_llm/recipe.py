"""The recipe as types: data only, unknown keys refused, errors with file and line and the nearest right name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema

from synth_llm import strict_yaml
from synth_llm.encoders import EncoderEntry
from synth_llm.errors import InputError, nearest
from synth_llm.evaluation.settings import Evaluate
from synth_llm.keys import VARIABLE
from synth_llm.models.budget import Limits
from synth_llm.objectives import Objectives
from synth_llm.publish.settings import Publish
from synth_llm.source import Source
from synth_llm.steps import Step, step_type, step_types

STRICT = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

Engine = Literal["function", "local", "openai", "replay", "transformers", "vllm"]
ENGINES: tuple[str, ...] = get_args(Engine)

_OWN: dict[str, set[str]] = {
    "url": {"openai"},
    "key_env": {"openai"},
    "headers": {"openai"},
    "timeout": {"openai"},
    "requests_per_minute": {"openai"},
    "tokens_per_minute": {"openai"},
    "context": {"local"},
    "threads": {"local"},
    "function": {"function"},
    "serve": {"vllm"},
    "arguments": {"vllm"},
    "device": {"transformers"},
    "dtype": {"transformers"},
    "translate": {"transformers"},
    "api": {"local", "openai", "transformers", "vllm"},
    "logprobs": {"local", "openai", "transformers", "vllm"},
}
"""The settings that only some engines have, and which."""


_SECRET = re.compile(r"authorization|cookie|token|secret|api-?key$|-key$", re.I)
"""Headers that a recipe must not hold: it is copied into every run folder."""


def _is_address(url: str) -> bool:
    """Whether a URL has a host, and a port that is a number or none."""
    try:
        address = urlsplit(url)
        return bool(address.hostname) and (address.port or 0) >= 0
    except ValueError:
        return False


class Price(BaseModel):
    """Dollars a million tokens."""

    model_config = STRICT

    input: float = Field(ge=0)
    """Of the prompt."""
    output: float = Field(ge=0)
    """Of the answer."""


class Translate(BaseModel):
    """The languages of a translation model, as its tokenizer names them."""

    model_config = STRICT

    source: str
    """From this one, such as `eng_Latn`."""
    target: str
    """Into this one, such as `fra_Latn`."""


class ModelEntry(BaseModel):
    """A named model of a recipe: which engine answers, and how it samples."""

    model_config = STRICT

    engine: Engine
    """`local` (embedded), `openai` (any compatible endpoint), `vllm`, `transformers`, `function` (from Python),
    `replay` (a journal alone)."""
    model: str | None = None
    """The model's name at the endpoint; for `local` a known name, a GGUF file or a Hub file; for `vllm` and
    `transformers` a folder or a Hub name; for `replay` a journal."""
    revision: str = ""
    """Part of every key: change it when a remote model changes behind its name."""
    temperature: float = Field(default=0.7, ge=0)
    """0 is greedy: equal requests have one answer and are asked once."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling; the endpoint's default when absent."""
    max_tokens: int = Field(default=512, ge=1)
    """The longest answer."""
    stop: list[str] | None = None
    """Texts that end an answer."""
    logprobs: int | None = Field(default=None, ge=0, le=20)
    """Keep the log-probability of each token of an answer, and of so many alternatives."""
    api: Literal["chat", "completions"] = "chat"
    """`completions`: the prompt is a text to go on with, without a chat template, as base models want it."""
    template: str | None = None
    """The file with the model's chat template (or its tokenizer's folder), for prompts that say `speaks: user`; not
    needed where the weights are on this machine."""
    params: dict[str, Any] = {}
    """Further request parameters, passed through as they are; part of the key."""
    concurrency: int | None = Field(default=None, ge=1)
    """At most so many requests in flight; models at one endpoint share them. When absent, the best number is found at
    an endpoint; engines on this machine have their own."""
    retries: int = Field(default=8, ge=0)
    """How often a failure that may pass (5xx, reset, time-out) is tried again."""
    repairs: int = Field(default=1, ge=0)
    """How often the model is shown what is wrong with an answer that cannot be read, and asked for another."""
    price: Price | None = None
    """What tokens cost, for `limits.dollars` and the manifest; from the price table when absent."""
    url: str | None = None
    """openai: the address before `/chat/completions`, such as `http://localhost:8000/v1`."""
    key_env: str | None = None
    """openai: the name of the environment variable that holds the key; OPENAI_API_KEY at OpenAI itself."""
    headers: dict[str, str] | None = None
    """openai: further HTTP headers."""
    timeout: float = Field(default=600.0, gt=0)
    """openai: seconds for one request."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """openai: send no faster, whatever the endpoint takes."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """openai: prompt and answer tokens; no faster."""
    context: int = Field(default=2048, ge=128)
    """local: tokens of prompt and answer together."""
    threads: int | None = Field(default=None, ge=1)
    """local: CPU threads; one less than there are cores by default."""
    serve: bool = False
    """vllm: start a server beside the run and stop it with the run, instead of loading the model in this process."""
    arguments: dict[str, Any] = {}
    """vllm: engine arguments, passed through, such as `max_model_len: 4096`."""
    device: str | None = None
    """transformers: `cpu`, `cuda`, `mps`; the best there is when absent."""
    dtype: str | None = None
    """transformers: `float32`, `bfloat16`, `float16`; the weights' own when absent, float32 on a CPU."""
    translate: Translate | None = None
    """transformers: the languages of a translation model."""
    function: SkipJsonSchema[Callable[..., Any] | None] = Field(default=None, exclude=True)
    """function: the Python function; a recipe file cannot hold one."""

    @model_validator(mode="after")
    def _fits_engine(self) -> ModelEntry:
        """Refuse a setting of another engine."""
        for name, engines in _OWN.items():
            if name in self.model_fields_set and self.engine not in engines:
                theirs = " and ".join(f"'{engine}'" for engine in sorted(engines))
                raise ValueError(f"engine '{self.engine}' has no setting '{name}'; it belongs to {theirs}")
        if self.engine in {"openai", "replay", "transformers", "vllm"} and not self.model:
            raise ValueError(f"engine '{self.engine}' needs 'model'")
        self._hold_no_secret()
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url: '{self.url}' must begin with http:// or https://")
        if self.url is not None and not _is_address(self.url):
            raise ValueError(f"url: '{self.url}' is no address; write it as http://localhost:8000/v1")
        if self.engine == "function" and self.function is None:
            raise ValueError("engine 'function' needs a Python function: build the recipe in Python")
        return self

    def _hold_no_secret(self) -> None:
        """A recipe is copied into every run folder, and shown in errors."""
        if re.match(r"\w+://[^/?#]*@", self.url or ""):
            raise ValueError("url: holds a password; put it into the environment and name it in key_env")
        if self.key_env is not None and not VARIABLE.fullmatch(self.key_env):
            raise ValueError(
                "key_env: is no name of an environment variable; if it is the key itself, put that into the "
                "environment, as `export MY_KEY=...`, and write its name: `key_env: MY_KEY`"
            )
        for name in self.headers or ():
            if _SECRET.search(name):
                raise ValueError(
                    f"headers: '{name}' holds a secret; put it into the environment and name it in key_env"
                )

    @cached_property
    def sampling(self) -> dict[str, Any]:
        """The sampling parameters as requests carry them."""
        names = ("temperature", "max_tokens", "top_p", "stop", "logprobs")
        return {**{name: value for name in names if (value := getattr(self, name)) is not None}, **self.params}


class Target(BaseModel):
    """How many accepted rows the run makes candidates for."""

    model_config = STRICT

    rows: int = Field(ge=1)
    """Accepted rows in all."""
    per: str | None = None
    """A column of the source: its values share `rows` equally."""
    counting: Literal["examples"] | None = None
    """Rows that count with those accepted: each value of `per` gets so many of `rows` that, with the source's
    `examples`, all come as near to equal as they can. What a value lacks drives how many of it each round makes."""
    round: int | None = Field(default=None, ge=1)
    """At most so many candidates a round, for steps that look at what earlier rounds accepted."""

    @model_validator(mode="after")
    def _counting_by_value(self) -> Target:
        if self.counting and self.per is None:
            raise ValueError("'counting' goes with 'per', the column whose values are to be even")
        return self


def _as_step(value: Any) -> Step:
    """A step object as it is, or one made of `{type: settings}`."""
    if isinstance(value, Step):
        return value
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError("a step is one name with its settings, such as `- dedup: {column: text}`")
    kind, settings = next(iter(value.items()))
    found = step_type(kind) if isinstance(kind, str) else None
    if found is None:
        raise ValueError(f"no step '{kind}'{nearest(str(kind), step_types())}")
    return found.model_validate(settings or {})


def _as_mapping(step: Step) -> dict[str, Any]:
    """The step as recipes write it."""
    return {step.type: step.model_dump(mode="json", by_alias=True, exclude_defaults=True)}


class Recipe(BaseModel):
    """Models, source, steps, target and limits. The same object from YAML and from Python."""

    model_config = STRICT

    name: str = Field(default="recipe", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """What the run folder is called; a recipe file's own name by default."""
    about: str = ""
    """One line: what the dataset is. Prompts can use it as `about`."""
    seed: int = 0
    """Everything random is drawn from it."""
    models: dict[str, ModelEntry] = {}
    """The models by the names that steps use."""
    encoders: dict[str, EncoderEntry] = {}
    """What makes vectors of texts, by the names that steps use; without a name it is the packaged MiniLM."""
    source: Source
    """Where rows come from."""
    steps: list[Annotated[Step, PlainValidator(_as_step), PlainSerializer(_as_mapping)]] = Field(min_length=1)
    """What is done to them, in order."""
    target: Target | None = None
    """Without one, every source row is taken up once."""
    objectives: Objectives | None = None
    """What the rows are to be better at: diversity, balance, domain_shift, edge_cases. Adds steps, and measures."""
    limits: Limits = Limits()
    """Hard limits over all invocations of the run folder."""
    evaluate: Evaluate | None = None
    """What the kept rows are held against when the run is complete; see `synth-llm evaluate`."""
    publish: Publish | None = None
    """In what form the kept rows are given to others; see `synth-llm export`."""


class RecipeFile:
    """A recipe's YAML file, kept to say where in it an error lies."""

    def __init__(self, path: Path, sets: Sequence[str] = (), models: Sequence[str] = ()) -> None:
        self.path, self.document = path, strict_yaml.load(path)
        self.value: Any = self.document.value
        self.overridden = bool(sets or models)
        if not isinstance(self.value, dict):
            raise InputError("a recipe is a mapping with source and steps", path, 1)
        for change in sets:
            override(self.value, change)
        for change in models:
            _set_model(self.value, change)

    @property
    def base(self) -> Path:
        """The recipe's folder; relative paths start here."""
        return self.path.resolve().parent

    @property
    def text(self) -> str:
        """The recipe as it runs: the file's text, or with overrides, what they made of it."""
        if not self.overridden:
            return strict_yaml.read_text(self.path)
        import yaml

        return yaml.safe_dump(self.value, sort_keys=False, allow_unicode=True)

    def error(self, message: str, loc: Sequence[str | int] = ()) -> InputError:
        """An InputError at a place in the file."""
        return InputError(message, self.path, self.document.line(loc))

    def recipe(self) -> Recipe:
        """The recipe as types. Raises InputError for the first thing that is wrong, with its line."""
        value = {"name": self.path.stem, **self.value}
        try:
            steps = value.get("steps")
            if isinstance(steps, list):
                value["steps"] = [self._step(at, step) for at, step in enumerate(steps)]
            return Recipe.model_validate(value)
        except ValidationError as error:
            raise self._explained(error, (), Recipe) from None

    def _step(self, at: int, step: Any) -> Step:
        try:
            return _as_step(step)
        except ValidationError as error:
            kind = str(next(iter(step)))
            where = ("steps", at, kind)
            raise self._explained(error, where, step_types()[kind], f"step {at + 1} ({kind}): ") from None
        except ValueError as error:
            raise self.error(f"step {at + 1}: {error}", ("steps", at)) from None

    def _explained(
        self, error: ValidationError, prefix: tuple[str | int, ...], model: type[BaseModel], who: str = ""
    ) -> InputError:
        message, loc = explained(error, model)
        return self.error(who + message, (*prefix, *loc))


def explained(error: ValidationError, model: type[BaseModel]) -> tuple[str, tuple[str | int, ...]]:
    """One line for the first error, in a recipe's words, and the place in the value."""
    first = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")[0]
    loc = tuple(first["loc"])
    path = ".".join(str(part) for part in loc) or "it"
    if first["type"] == "extra_forbidden":
        return f"no setting '{loc[-1]}'{nearest(str(loc[-1]), _fields(model, loc[:-1]))}", loc
    if first["type"] == "missing":
        return f"'{loc[-1]}' is missing", loc
    if first["type"] == "value_error":
        return f"{path}: " * bool(loc) + str(first["ctx"]["error"]), loc
    return f"{path}: {first['msg'][0].lower()}{first['msg'][1:]}, not {_short(first['input'])}", loc


def load_recipe(path: Path, sets: Sequence[str] = (), models: Sequence[str] = ()) -> tuple[Recipe, RecipeFile]:
    """Read a recipe file, with `path=value` and `name=engine:model` overrides. Raises InputError."""
    file = RecipeFile(path, sets, models)
    return file.recipe(), file


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of recipe files, for editors."""
    from synth_llm.described import describe, models_below

    schema = Recipe.model_json_schema()
    describe(schema, Recipe)
    definitions = schema.setdefault("$defs", {})
    for name, part in models_below(Recipe).items():
        if name in definitions:
            describe(definitions[name], part)
    kinds = []
    for kind, model in step_types().items():
        own = model.model_json_schema(ref_template="#/$defs/{model}")
        describe(own, model)
        for name, part in models_below(model).items():
            describe(own["$defs"][name], part)
        definitions.update(own.pop("$defs", {}))
        definitions[f"step_{kind}"] = own
        entry: dict[str, Any] = {"$ref": f"#/$defs/step_{kind}"}
        if not own.get("required"):
            entry = {"anyOf": [entry, {"type": "null"}]}  # `- filter:` has its defaults
        kinds.append({"type": "object", "properties": {kind: entry}, "required": [kind], "additionalProperties": False})
    schema["properties"]["steps"]["items"] = {"oneOf": kinds}
    schema["title"] = "synth-llm recipe"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _fields(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The settings known at a place inside a model, as recipes spell them."""
    from synth_llm.described import models_in

    for part in loc:
        field = model.model_fields.get(str(part))
        model = next(models_in(field.annotation), model) if field else model
    return [field.alias or name for name, field in model.model_fields.items()]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def override(value: dict[str, Any], change: str) -> None:
    """Apply `path.to.setting=value`; a step is named by its number from 1, or by its type."""
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise InputError(f"--set {change}: write path=value, such as target.rows=100")
    at: Any = value
    *parents, last = path.split(".")
    for part in parents:
        at = _inside(at, part, change)
    new = strict_yaml.parse(text, f"--set {path}").value
    if isinstance(at, list):
        at[_index(at, last, change)] = new
    else:
        at[last] = new


def _inside(at: Any, part: str, change: str) -> Any:
    if isinstance(at, list):
        item = at[_index(at, part, change)]
        if isinstance(item, dict) and len(item) == 1:
            kind, settings = next(iter(item.items()))
            if settings is None or isinstance(settings, dict):
                item[kind] = settings = settings or {}
                return settings
        return item
    inner = at.get(part)
    if inner is None:
        inner = at[part] = {}
    if not isinstance(inner, dict | list):
        raise InputError(f"--set {change}: '{part}' is {_short(inner)}, which has no settings inside")
    return inner


def _index(items: list[Any], part: str, change: str) -> int:
    if part.isdigit() and 1 <= int(part) <= len(items):
        return int(part) - 1
    named = [at for at, item in enumerate(items) if isinstance(item, dict) and part in item]
    if len(named) == 1:
        return named[0]
    what = f"{len(named)} steps are named" if named else "no step is"
    raise InputError(f"--set {change}: {what} '{part}'; use its number, 1 to {len(items)}")


def _set_model(value: dict[str, Any], change: str) -> None:
    """Apply `name=engine:model`; the sampling settings stay, those of the former engine go."""
    name, equals, text = change.partition("=")
    engine, _, model = text.partition(":")
    if not equals or engine not in ENGINES:
        raise InputError(f"--model {change}: write name=engine:model with an engine of {', '.join(ENGINES)}")
    models = value.setdefault("models", {})
    if not isinstance(models, dict) or not isinstance(models.get(name), dict):
        raise InputError(f"--model {change}: no model '{name}' in this recipe{nearest(name, models or ())}")
    gone = {"revision", "price", "template", *(setting for setting, engines in _OWN.items() if engine not in engines)}
    kept = {key: setting for key, setting in models[name].items() if key not in gone | {"model"}}
    models[name] = {**kept, "engine": engine, **({"model": model} if model else {})}
