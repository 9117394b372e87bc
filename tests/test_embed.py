"""The encoder over an endpoint: against the mock endpoint, and against answers that no endpoint should give."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth_llm import embed
from synth_llm.embed import EndpointEncoder
from synth_llm.errors import FatalError, InputError, Passing
from synth_llm.mock import Mock

KEY = "sk-planted-0123456789"


@pytest.fixture(scope="module")
def mock() -> Iterator[Mock]:
    with Mock() as mock:
        yield mock


@pytest.fixture(scope="module")
def encoder(mock: Mock) -> EndpointEncoder:
    return EndpointEncoder("m", url=mock.url)


@contextmanager
def answering(reply: Callable[[dict[str, Any], str], tuple[int, Any]]) -> Iterator[str]:
    """An endpoint that answers what `reply` makes of the body and the key."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = reply(body, self.headers["Authorization"])
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()


def listed(vectors: list[Any], order: list[int] | None = None) -> dict[str, Any]:
    at = order or list(range(len(vectors)))
    data = [{"object": "embedding", "index": i, "embedding": vectors[i]} for i in at]
    return {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}}


words = st.text(min_size=1, max_size=20).filter(str.strip)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(words, min_size=1, max_size=12), batch=st.integers(1, 5))
def test_unit_rows_in_the_order_of_the_texts(encoder: EndpointEncoder, texts: list[str], batch: int) -> None:
    encoder.batch, encoder.tokens = batch, 0
    vectors = encoder.encode(texts)
    assert vectors.dtype == np.float32 and vectors.shape[0] == len(texts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert encoder.tokens > 0
    one_by_one = np.concatenate([encoder.encode([text]) for text in texts])
    assert vectors == pytest.approx(one_by_one, abs=1e-6)


def test_texts_that_share_words_are_close(mock: Mock) -> None:
    cat, cats, ship = EndpointEncoder("m", url=mock.url).encode(["a black cat", "a black cat sits", "one ship sailed"])
    assert cat @ cats > 0.7 > cat @ ship


def test_dimensions_and_nothing_to_encode(mock: Mock) -> None:
    encoder = EndpointEncoder("m", url=mock.url, dimensions=32)
    assert encoder.encode(["a"]).shape == (1, 32)
    assert encoder.encode([]).shape == (0, 32)


@pytest.mark.parametrize("empty", ["", " \n", None])
def test_an_empty_text_is_refused_before_anything_is_sent(mock: Mock, empty: Any) -> None:
    before = mock.stats.requests
    with pytest.raises(InputError, match=r"^text 2 of 2 is empty"):
        EndpointEncoder("m", url=mock.url).encode(["a", empty])
    assert mock.stats.requests == before


def test_floats_in_any_order_are_put_in_order_and_to_length_one() -> None:
    with answering(lambda body, key: (200, listed([[3.0, 4.0], [0.0, 2.0]], [1, 0]))) as url:
        encoder = EndpointEncoder("m", url=url)
        assert encoder.encode(["a", "b"]) == pytest.approx(np.array([[0.6, 0.8], [0.0, 1.0]]))
    assert encoder.tokens == 7


UNUSABLE: list[Any] = [
    listed([[1.0, 0.0]]),
    listed([[1.0, 0.0], [0.0, 0.0]]),
    listed([[1.0, 0.0], [1.0]]),
    listed([[1.0, 0.0], ["x", 1.0]]),
    listed([[1.0, 0.0], None]),
    listed([[1.0, 0.0], [1.0, 0.0]], [0, 0]),
    {"data": []},
    {"data": None},
    {},
    [],
    b"<html>",
    b'{"data": [',
]


def test_an_answer_without_embeddings_is_one_line() -> None:
    left = list(UNUSABLE)
    with answering(lambda body, key: (200, left.pop(0))) as url:
        encoder = EndpointEncoder("m", url=url)
        for unusable in UNUSABLE:
            with pytest.raises(FatalError, match=f"^{url}: an answer without embeddings: ") as error:
                encoder.encode(["a", "b"])
            assert "\n" not in str(error.value), unusable
    assert not left


@pytest.mark.parametrize(("status", "kind"), [(401, FatalError), (400, FatalError), (503, Passing)])
def test_a_refusal_never_shows_the_key(
    status: int, kind: type[Exception], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PLANTED", KEY)
    monkeypatch.setattr(embed, "RETRIES", 0)
    caplog.set_level("DEBUG")
    with (
        answering(lambda body, key: (status, {"error": {"message": f"bad key {key}"}})) as url,
        pytest.raises(kind, match=rf"HTTP {status}.*bad key Bearer \$PLANTED") as error,
    ):
        EndpointEncoder("m", url=url, key_env="PLANTED").encode(["a"])
    assert error.value.__cause__ is None and error.value.__suppress_context__
    assert KEY not in caplog.text


def test_the_key_is_sent_to_its_own_endpoint_only(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("PLANTED", "sk-other")

    def reply(body: dict[str, Any], key: str) -> tuple[int, Any]:
        keys.append(key)
        return 200, listed([[1.0]])

    with answering(reply) as url:
        EndpointEncoder("m", url=url).encode(["a"])
        EndpointEncoder("m", url=url, key_env="PLANTED").encode(["a"])
    assert keys == ["Bearer none", "Bearer sk-other"]


@pytest.mark.parametrize(("key", "message"), [(None, "no API key"), ("", "no API key"), ("sk-a\nb", "line end")])
def test_a_missing_key_is_named(key: str | None, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if key is not None:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError, match=f"^model m: .*OPENAI_API_KEY.* {message}"):
        EndpointEncoder("m").encode(["a"])


def test_a_failure_that_passes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def reply(body: dict[str, Any], key: str) -> tuple[int, Any]:
        tries.append(1)
        return (500, {}) if len(tries) < 2 else (200, listed([[1.0]]))

    with answering(reply) as url:
        assert EndpointEncoder("m", url=url).encode(["a"]).tolist() == [[1.0]]
    assert len(tries) == 2


def test_nobody_there_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "RETRIES", 0)
    with pytest.raises(Passing, match=r"^http://127\.0\.0\.1:9/v1: "):
        EndpointEncoder("m", url="http://127.0.0.1:9/v1").encode(["a"])
