"""Embeddings without a model: texts that share words are close."""

from __future__ import annotations

import base64
import math
import re
from array import array
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from synth_llm.mock.answer import Refusal, Reply, tokens
from synth_llm.row import canonical, quoted

SIZE = 256
"""Numbers of a vector, where `dimensions` does not say."""
PLACES = 8
"""Numbers of a vector that one word changes."""

_WORD = re.compile(r"\w+")


def embeddings(body: dict[str, Any], seed: bytes, text: str | None) -> Reply:
    """A unit vector for each text of `input`. Raises Refusal."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) and one for one in texts):
        raise Refusal(400, "input must be a text or a list of texts, none of them empty", "input")
    size = body.get("dimensions", SIZE)
    if type(size) is not int or not 1 <= size <= 4096:
        raise Refusal(400, "dimensions must be a whole number from 1 to 4096", "dimensions")
    form = body.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise Refusal(400, "encoding_format is float or base64", "encoding_format")
    vectors = (vector(one, size) for one in texts)
    data = ",".join(
        f'{{"object":"embedding","index":{index},"embedding":{_base64(one) if form == "base64" else canonical(one)}}}'
        for index, one in enumerate(vectors)
    )
    used = sum(map(tokens, texts))
    usage = f'{{"prompt_tokens":{used},"total_tokens":{used}}}'
    return Reply(
        f'{{"object":"list","data":[{data}],"model":{quoted(body["model"])},"usage":{usage}}}'.encode(), 200, used
    )


def vector(text: str, size: int) -> list[float]:
    """The unit vector of a text: its words, each hashed to a few places and signs, added up."""
    made = [0.0] * size
    for word in _WORD.findall(text.lower()):
        for place, sign in _places(word, size):
            made[place] += sign
    length = math.sqrt(sum(number * number for number in made))
    if not length:
        made[_places(text, size)[0][0]] = length = 1.0
    return [round(number / length, 7) for number in made]


@lru_cache(maxsize=65536)
def _places(word: str, size: int) -> list[tuple[int, float]]:
    draws = blake2b(word.encode("utf-8", "replace"), digest_size=4 * PLACES).digest()
    numbers = (int.from_bytes(draws[at : at + 4], "big") for at in range(0, len(draws), 4))
    return [(number // 2 % size, 1.0 if number % 2 else -1.0) for number in numbers]


def _base64(numbers: list[float]) -> str:
    """The little-endian 32-bit floats of a vector, as clients of OpenAI ask for them."""
    packed = array("f", numbers)
    if array("H", [1]).tobytes()[0] == 0:
        packed.byteswap()
    return quoted(base64.b64encode(packed.tobytes()).decode())
