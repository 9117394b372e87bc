"""The one place that touches vLLM's Python API: engine arguments, prompts, sampling parameters, outputs.

vLLM's version is not pinned, so what is used of it is little, old, and looked at before it is used: `LLM` with its
engine arguments, its tokenizer, and the loop that `LLM.generate` itself runs on (`add_request`, `step`,
`abort_request`). The asynchronous engine has changed its name and arguments more often, lives in one event loop, and
has no say in the order in which requests join the batch.
"""

from __future__ import annotations

import gc
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from synth_llm.errors import FatalError, InputError, MissingExtra, Passing, nearest
from synth_llm.models.body import Said, Token, body
from synth_llm.models.request import Answer, Request, Schema

TESTED = "0.32.0"
"""The versions that the tests were run with."""

QUIET = {
    "DO_NOT_TRACK": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
}
"""What vLLM reads from the environment, where that does not say otherwise: no telemetry, nothing on stdout."""

SAME_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
"""The engine's core in this process, not in a child: it loads in a third of the time, its errors are ours to tell, and
nothing of it is left when this process is killed."""

CODE = frozenset(
    {
        *("trust_remote_code", "code_revision", "worker_cls", "worker_extension_cls", "scheduler_cls"),
        *("logits_processors", "middleware", "io_processor_plugin", "tool_parser_plugin", "reasoning_parser_plugin"),
        *("kv_connector_module_path", "config"),
    }
)
"""Arguments that run code, or read further arguments: a recipe is data, from strangers too."""
SECRET = frozenset({"api_key", "hf_token"})

CONSTRAINED = {"structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True}}
"""How answers follow a schema, unless `arguments` say. Where any white space may stand, small models write nothing
else; and this backend refuses what it cannot follow of a schema, instead of passing over it."""


class Refused(Exception):
    """vLLM does not take this request; final for its row."""


class Prompt(NamedTuple):
    """A request as vLLM reads it: its text, which requests are ordered by, and its token ids."""

    text: str
    ids: list[int]
    begin: int = 0
    """Of a chat to be scored: the first token of its last message."""


def checked(arguments: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The engine arguments of a recipe. Raises InputError for what would run code, and for a secret."""
    for name in _names(arguments):
        if name in CODE:
            raise InputError(f"model {model}: arguments: '{name}' is not for recipes: it can run code of others")
        if name in SECRET:
            raise InputError(f"model {model}: arguments: '{name}' is a secret; vLLM reads it from the environment")
    return dict(arguments)


def _names(value: Any) -> Iterator[str]:
    """The keys of all mappings in a value, as Python spells arguments."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name).lstrip("-").replace("-", "_")
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def one_line(error: BaseException) -> str:
    """An exception in one line."""
    return " ".join(str(error).split())[:400] or type(error).__name__


class Engine:
    """vLLM with a model loaded; everything is to be called from the thread that made it.

    Raises InputError for an argument that vLLM does not know, FatalError when it cannot load the model, or has another
    API than is used here.
    """

    def __init__(self, model: str, arguments: Mapping[str, Any]) -> None:
        for name, value in {**QUIET, **SAME_PROCESS}.items():
            os.environ.setdefault(name, value)
        self._model, self._vllm = model, _imported()
        _leave_a_core()
        self.version = str(getattr(self._vllm, "__version__", "of an unknown version"))
        arguments = dict(arguments)
        self._template = _template(arguments.pop("chat_template", None))
        llm_class, settings = self._need(self._vllm, "LLM"), self._need(self._vllm, "EngineArgs")
        known = {*inspect.signature(llm_class).parameters, *inspect.signature(settings).parameters} - {"kwargs"}
        for name in arguments:
            if name not in known:
                raise InputError(f"model {model}: arguments: vLLM {self.version} has no '{name}'{nearest(name, known)}")
        defaults = {"disable_log_stats": True, "use_tqdm_on_load": False, **CONSTRAINED}
        arguments = {**{name: value for name, value in defaults.items() if name in known}, **arguments}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._llm = llm_class(**{**arguments, "model": model})
        except Exception as error:  # whatever it is, there is no engine
            raise FatalError(f"model {model}: vLLM {self.version} cannot load it: {one_line(error)}") from error
        self._look()

    def _look(self) -> None:
        """Take what is used of the API; raises FatalError where something is not there."""
        self._engine = self._need(self._llm, "llm_engine")
        self._tokenizer = self._need(self._llm, "get_tokenizer")()
        add = self._need(self._engine, "add_request")
        first = list(inspect.signature(add).parameters)[:3]
        if first != ["request_id", "prompt", "params"]:
            raise self._unknown("LLMEngine.add_request(request_id, prompt, params)")
        self._add, self._step = add, self._need(self._engine, "step")
        self.abort: Callable[[list[str]], None] = self._need(self._engine, "abort_request")
        self._unfinished = self._need(self._engine, "has_unfinished_requests")
        from vllm import sampling_params

        self._home = sampling_params
        self._params = self._need(self._need(sampling_params, "SamplingParams"), "from_optional")
        self._known = set(inspect.signature(self._params).parameters)
        self._final = self._need(self._need(sampling_params, "RequestOutputKind"), "FINAL_ONLY")
        # what vLLM raises for a request that is wrong; errors of its own class since 0.2x
        exceptions = getattr(self._vllm, "exceptions", None)
        client = getattr(exceptions, "VLLMClientError", None)
        self._client: tuple[type[Exception], ...] = (ValueError, TypeError, *([client] if client else []))

    def _need(self, owner: Any, name: str) -> Any:
        found = getattr(owner, name, None)
        if found is None:
            raise self._unknown(f"{getattr(owner, '__name__', type(owner).__name__)}.{name}")
        return found

    def _unknown(self, what: str) -> FatalError:
        return FatalError(
            f"vLLM {self.version} has no {what}, which this engine uses; tested with {TESTED}: "
            "install a version near to it"
        )

    @property
    def busy(self) -> bool:
        """Whether there are requests that are not finished."""
        return bool(self._unfinished())

    def prompt(self, request: Request) -> Prompt:
        """The text that the model goes on with, by its chat template unless the request has none. Raises Refused."""
        from jinja2 import TemplateError

        raw, given = request.raw, request.sampling.get("chat_template_kwargs") or {}
        refusals: tuple[type[Exception], ...] = (*self._client, TemplateError)
        try:
            if raw is not None:
                return Prompt(raw, list(self._tokenizer.encode(raw)))
            messages = list(request.messages)
            said = messages.pop()["content"] if request.echo else ""
            template = {**given, **({"chat_template": self._template} if self._template else {})}
            text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **template)
            ids = list(self._tokenizer.encode(text, add_special_tokens=False))
            last = list(self._tokenizer.encode(said, add_special_tokens=False)) if said else []
            return Prompt(text + said, ids + last, len(ids) if said else 0)
        except refusals as error:
            if raw is None and not self._template and getattr(self._tokenizer, "chat_template", "") is None:
                raise FatalError(
                    f"model {self._model} has no chat template: write `api: completions`, or "
                    "`arguments: {chat_template: FILE}`"
                ) from None
            raise Refused(f"the prompt: {one_line(error)}") from None

    def add(self, name: str, prompt: Prompt, request: Request) -> None:
        """Queue a request under a name of its own. Raises Refused; FatalError for a parameter that vLLM lacks."""
        try:
            params = self._params(**self._sampling(request))
            sent: Any = {"prompt_token_ids": prompt.ids}
            render = getattr(getattr(self._engine, "renderer", None), "render_cmpl", None)
            if render is not None:  # newer versions take what their renderer made
                (sent,) = render([sent])
            self._add(name, sent, params)
        except self._client as error:
            raise Refused(one_line(error)) from None

    def _sampling(self, request: Request) -> dict[str, Any]:
        given = {name: value for name, value in request.sampling.items() if name not in OURS}
        if request.echo:
            given = {"temperature": 0, "max_tokens": 1, "prompt_logprobs": 0}
        for name in given:
            if name not in self._known:
                raise FatalError(
                    f"model {self._model}: vLLM {self.version} has no sampling parameter '{name}'"
                    f"{nearest(name, self._known)}"
                )
        if request.draw is not None:
            given["seed"] = request.seed
        if request.schema is not None:
            given.update(self._structured(request.schema))
        return {**given, "output_kind": self._final}

    def _structured(self, schema: Schema) -> dict[str, Any]:
        form = {"choice": schema["enum"]} if "enum" in schema else {"json": schema}
        for parameter, name in (
            ("structured_outputs", "StructuredOutputsParams"),
            ("guided_decoding", "GuidedDecodingParams"),
        ):
            if parameter in self._known and hasattr(self._home, name):
                return {parameter: getattr(self._home, name)(**form)}
        raise self._unknown("StructuredOutputsParams")

    def step(self) -> Iterator[tuple[str, Any]]:
        """Decode a token for every request that runs; gives the finished ones: their names and vLLM's outputs."""
        return ((output.request_id, output) for output in self._step() if output.finished)

    def close(self) -> None:
        """Let the weights go."""
        core = getattr(self._engine, "engine_core", None)
        if core is not None and hasattr(core, "shutdown"):
            core.shutdown()
        for name in ("_add", "_step", "abort", "_unfinished", "_engine", "_llm"):
            delattr(self, name)
        gc.collect()
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


OURS = frozenset({"return_token_ids", "chat_template_kwargs"})
"""Parameters of a request that are not for the sampler; the rest is passed through."""


def _imported() -> Any:
    try:
        import vllm
    except ModuleNotFoundError as error:
        if error.name == "vllm":
            raise MissingExtra("the vllm engine", "vllm") from None
        raise FatalError(f"vLLM is installed, but cannot be imported: {one_line(error)}") from error
    except Exception as error:  # builds of torch and its companions that do not fit raise anything
        raise FatalError(f"vLLM is installed, but cannot be imported: {one_line(error)}") from error
    return vllm


def _leave_a_core() -> None:
    """Without a GPU: one thread less than there are cores, unless the environment says how many.

    vLLM's own processes do so too. Where all cores compute and one is busy otherwise, each waits for it at every step.
    """
    import torch

    if not torch.cuda.is_available() and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))


def _template(given: str | None) -> str | None:
    """A chat template: the text of a file, or the text itself."""
    if given is None or "{" in given:
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"arguments: chat_template: {given}: {error.strerror}") from None


def answer(output: Any, request: Request, model: str, begin: int = 0) -> Answer:
    """vLLM's output as an answer; of a text to be scored, from token `begin`. Raises Passing when vLLM failed on it."""
    one = output.outputs[0]
    if one.finish_reason in {"error", "abort"}:
        raise Passing(f"model {model}: vLLM gave this request up")
    if request.echo:
        places = zip(output.prompt_logprobs, output.prompt_token_ids, strict=True)
        scored = [_token(place, token, 0) if place else Token("", None) for place, token in places][begin:]
        text = request.messages[-1]["content"]
        return Answer(body(request, Said(text, "stop", len(output.prompt_token_ids), (), scored), model))
    tokens = None
    if one.logprobs is not None:
        most = int(request.sampling["logprobs"])
        tokens = [_token(place, token, most) for place, token in zip(one.logprobs, one.token_ids, strict=True)]
    prompt = len(output.prompt_token_ids or ())
    return Answer(body(request, Said(one.text, one.finish_reason or "stop", prompt, one.token_ids, tokens), model))


def _token(place: Mapping[int, Any], token: int, alternatives: int) -> Token:
    """One token, of vLLM's `{token id: Logprob}`: the token's own and the likeliest."""
    likeliest = sorted(place.values(), key=lambda one: -one.logprob)[:alternatives]
    return Token(*_pair(place[token]), [_pair(one) for one in likeliest])


def _pair(one: Any) -> tuple[str, float]:
    return (one.decoded_token or "").encode("utf-8", "replace").decode(), max(one.logprob, LOWEST)


LOWEST = -9999.0
"""What stands for minus infinity, which JSON lacks."""
