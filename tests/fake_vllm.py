"""A `vllm` package without a model: what synth-llm uses of vLLM's API, and what was done with it."""

from __future__ import annotations

import sys
import threading
import types
from dataclasses import dataclass, field
from typing import Any


class ClientError(Exception):
    """What vLLM raises for a request that is wrong."""


@dataclass
class Params:
    """Both SamplingParams and StructuredOutputsParams: what they were made with."""

    given: dict[str, Any]


def from_optional(
    temperature=1.0,
    max_tokens=16,
    logprobs=None,
    prompt_logprobs=None,
    seed=None,
    stop=None,
    top_k=0,
    structured_outputs=None,
    output_kind=None,
):
    return Params({name: value for name, value in locals().items() if value is not None})


@dataclass
class Logprob:
    logprob: float
    decoded_token: str


class Tokenizer:
    """A token is a word."""

    chat_template: str | None = "yes"

    def apply_chat_template(self, messages, tokenize, add_generation_prompt, **given):
        assert not tokenize and add_generation_prompt
        if self.chat_template is None and "chat_template" not in given:
            raise ValueError("Cannot use chat template functions because tokenizer.chat_template is not set")
        return " ".join(f"<{message['role']}> {message['content']}" for message in messages) + f" {given or ''}"

    def encode(self, text, add_special_tokens=True):
        return ([0] if add_special_tokens else []) + [len(word) for word in text.split()]


@dataclass
class Engine:
    """Gives each request one token a step: "a b c ...", as many as `max_tokens`."""

    added: list[tuple[str, dict[str, Any], Params]] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    running: dict[str, int] = field(default_factory=dict)
    largest: int = 0
    stepping: threading.Event = field(default_factory=threading.Event)
    fail: Exception | None = None

    def add_request(self, request_id, prompt, params):
        if len(prompt["prompt_token_ids"]) > 100:
            raise ClientError("the prompt is\ntoo long")
        self.added.append((request_id, prompt, params))
        self.running[request_id] = 0
        self.largest = max(self.largest, len(self.running))

    def step(self):
        self.stepping.set()
        if self.fail is not None:
            raise self.fail
        done = []
        for name in list(self.running):
            self.running[name] += 1
            given = next(params.given for key, _, params in self.added if key == name)
            if self.running[name] == given["max_tokens"]:
                done.append(self._output(name, self.running.pop(name), given.get("logprobs")))
        return done

    def _output(self, name, made, logprobs):
        places = [{7: Logprob(-0.1, "a"), 8: Logprob(-2.0, "b"), 9: Logprob(float("-inf"), "c")}] * made
        one = types.SimpleNamespace(
            index=0, text="a" * made, token_ids=[7] * made, finish_reason="length", logprobs=logprobs and places
        )
        prompt, params = next(
            (given["prompt_token_ids"], params.given) for key, given, params in reversed(self.added) if key == name
        )
        scores = None
        if "prompt_logprobs" in params:
            scores = [None, *({token: Logprob(-0.5, str(token))} for token in prompt[1:])]
        else:
            prompt = [1, 2]
        return types.SimpleNamespace(
            request_id=name, finished=True, prompt_token_ids=prompt, prompt_logprobs=scores, outputs=[one]
        )

    def has_unfinished_requests(self):
        return bool(self.running)

    def abort_request(self, request_ids):
        self.aborted += request_ids
        for name in request_ids:
            self.running.pop(name, None)


def install(monkeypatch, version="1.2.3") -> Any:
    """Put the package in place; gives its module, with the `engine` and `tokenizer` to be, and `may_load`."""
    vllm, home = types.ModuleType("vllm"), types.ModuleType("vllm.sampling_params")
    vllm.__version__, vllm.sampling_params = version, home
    vllm.engine, vllm.tokenizer, vllm.may_load = Engine(), Tokenizer(), threading.Event()
    vllm.may_load.set()
    vllm.exceptions = types.SimpleNamespace(VLLMClientError=ClientError)
    vllm.arguments = {}

    class EngineArgs:
        def __init__(self, model, max_model_len=None, max_num_seqs=None, enforce_eager=False, revision=None):
            pass

    class LLM:
        def __init__(self, model, **kwargs):
            vllm.may_load.wait(10)
            vllm.arguments = {"model": model, **kwargs}
            self.llm_engine = vllm.engine

        def get_tokenizer(self):
            return vllm.tokenizer

    vllm.LLM, vllm.EngineArgs = LLM, EngineArgs
    home.SamplingParams = types.SimpleNamespace(from_optional=from_optional)
    home.RequestOutputKind = types.SimpleNamespace(FINAL_ONLY=2)
    home.StructuredOutputsParams = lambda **given: Params(given)
    torch = types.ModuleType("torch")
    torch.get_num_threads, torch.set_num_threads = lambda: 1, lambda number: None
    torch.cuda = types.SimpleNamespace(is_available=lambda: False)
    for module in (vllm, home, torch):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return vllm


SERVER = '''
"""Answers with the body it was sent, as vLLM's server would be asked; ends or fails as the model's name says."""
import argparse, json, os, socketserver, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser()
for name in ("--model", "--host", "--port", "--served-model-name", "--generation-config", "--max-model-len"):
    parser.add_argument(name)
parser.add_argument("--structured-outputs-config")
parser.add_argument("--enforce-eager", action="store_true")
given = parser.parse_args()
print("loading", flush=True)
if "broken" in given.model:
    print("(APIServer pid=1) RuntimeError: no such weights", file=sys.stderr)
    print("and that was it", file=sys.stderr)
    sys.exit(1)

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): pass

    def say(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        self.say(200, {"version": "0.10.2" if "old" in given.model else "0.32.0"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer " + os.environ["VLLM_API_KEY"]:
            return self.say(401, {"error": {"message": "who are you"}})
        if body["messages"][-1]["content"] == "die":
            print("ValueError: out of memory", file=sys.stderr, flush=True)
            os._exit(1)
        said = json.dumps({"body": body, "argv": sys.argv, "pid": os.getpid()})
        self.say(200, {"choices": [{"message": {"content": said}, "finish_reason": "stop"}]})

class Server(ThreadingHTTPServer):
    server_bind = socketserver.TCPServer.server_bind  # without asking for the host's name

Server((given.host, int(given.port)), Handler).serve_forever()
'''


def install_server(monkeypatch, folder) -> None:
    """Put a package `vllm` with a server of its own into a folder, for child processes too."""
    home = folder / "fake" / "vllm" / "entrypoints" / "openai"
    home.mkdir(parents=True)
    for place in (home, home.parent, home.parent.parent):
        (place / "__init__.py").touch()
    (home / "api_server.py").write_text(SERVER)
    monkeypatch.syspath_prepend(folder / "fake")
    monkeypatch.setenv("PYTHONPATH", str(folder / "fake"))
