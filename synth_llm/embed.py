"""Texts as vectors: what an encoder is, and the one over an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from synth_llm.errors import FatalError, InputError, Passing
from synth_llm.keys import hidden, quiet_transport, read_key
from synth_llm.models.openai import KEY, URL

if TYPE_CHECKING:
    import numpy as np

TOGETHER = 4
"""Requests in flight: the next is on its way while an endpoint works."""
RETRIES = 6
SECONDS = 120.0
"""For one request."""


class Encoder(Protocol):
    """Turns texts into vectors. Models of sentence-transformers and model2vec are encoders as they are."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32, rows of length one, in the order of the texts."""
        ...


class EndpointEncoder:
    """The model `model` behind `/v1/embeddings`; `url` ends before `/embeddings`, the key is read by its name.

    Retries are the `openai` client's own. `dimensions` cuts the vectors where the model can.
    """

    def __init__(
        self,
        model: str,
        *,
        url: str = URL,
        key_env: str | None = None,
        batch: int = 128,
        dimensions: int | None = None,
    ) -> None:
        self.model, self.url = model, url.rstrip("/")
        self.batch, self.dimensions = batch, dimensions
        self.tokens = 0
        """What the endpoint counted so far."""
        self._key_env = key_env or (KEY if self.url == URL else None)
        self._key = ""
        self._client: Any = None

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32, rows of length one, in the order of the texts.

        Raises InputError for an empty text or a missing key, Passing when the endpoint does not answer after all
        retries, FatalError when it refuses or its answer cannot be used.
        """
        import numpy as np

        for at, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise InputError(f"text {at + 1} of {len(texts)} is empty and has no embedding: drop such rows before")
        if not texts:
            return np.zeros((0, self.dimensions or 0), dtype=np.float32)
        self._client = self._client or self._open()
        parts = [texts[at : at + self.batch] for at in range(0, len(texts), self.batch)]
        pool = ThreadPoolExecutor(TOGETHER, "synth-llm-embed")
        try:
            answers = list(pool.map(self._asked, parts))
        finally:
            pool.shutdown(cancel_futures=True)
        self.tokens += sum(tokens for _, tokens in answers)
        if len({part.shape[1] for part, _ in answers}) > 1:
            raise FatalError(f"{self.url}: {self.model} gives vectors of different lengths")
        return np.concatenate([part for part, _ in answers])

    def _asked(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        """One request: its vectors, and the tokens it used."""
        import openai

        given = [text.encode("utf-8", "replace").decode() for text in texts]  # half surrogate pairs cannot be sent
        settings = {} if self.dimensions is None else {"dimensions": self.dimensions}
        try:
            answer = self._client.embeddings.create(model=self.model, input=given, **settings)
        except openai.APIStatusError as error:
            message = self._hidden(f"{self.url}: HTTP {error.status_code}: {error.message}")
            passing = error.status_code in {408, 409, 425, 429} or error.status_code >= 500
            raise (Passing if passing else FatalError)(message) from None
        except openai.APIConnectionError as error:
            raise Passing(f"{self.url}: {self._hidden(str(error.__cause__ or error))}") from None
        except (openai.OpenAIError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise FatalError(f"{self.url}: an answer without embeddings: {self._hidden(str(error))}") from None
        used = getattr(getattr(answer, "usage", None), "prompt_tokens", None)
        return self._vectors(getattr(answer, "data", None), len(texts)), used if isinstance(used, int) else 0

    def _vectors(self, data: Any, n: int) -> np.ndarray:
        """The vectors of one answer, put in order and to length one. Raises FatalError for an answer that is not n."""
        import numpy as np

        try:
            order = sorted(data, key=lambda one: one.index)
            if [one.index for one in order] != list(range(n)):
                raise ValueError(f"{len(order)} vectors for {n} texts")
            vectors = np.array([one.embedding for one in order], dtype=np.float32)
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            if vectors.ndim != 2 or not np.isfinite(lengths).all() or not lengths.all():
                raise ValueError("a vector has no direction")
        except (AttributeError, TypeError, ValueError) as error:
            raise FatalError(f"{self.url}: an answer without embeddings: {self._hidden(str(error))}") from None
        unit: np.ndarray = vectors / lengths
        return unit

    def _open(self) -> Any:
        import openai

        if self._key_env:
            self._key = read_key(self.model, self._key_env)
        quiet_transport()
        # The client takes a key of the environment where it is given none: it belongs to another endpoint.
        return openai.OpenAI(base_url=self.url, api_key=self._key or "none", max_retries=RETRIES, timeout=SECONDS)

    def _hidden(self, message: str) -> str:
        """A message on one line, without the key that an endpoint may repeat in it."""
        return " ".join(hidden(message, self._key, self._key_env or "").split())[:500]
