"""`python -m benchmarks.engines.schema_answers local|vllm`: 500 schema-bound answers; prints how many are valid."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from synth_llm.gives import validator
from synth_llm.models.request import Model, Request, completion
from synth_llm.models.weights import DEFAULT, locate

EACH = 100
IN_FLIGHT = {"local": 4, "vllm": 32}


def text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def whole(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


WHOLE = {"type": "integer", "minimum": 1, "maximum": 999}

SCHEMAS = {
    "a user of a shop, with name, city and whether they are new": whole(
        {"name": text(30), "city": text(30), "new": {"type": "boolean"}}
    ),
    "a film review with its mood and its genre": whole(
        {
            "review": text(120),
            "mood": {"enum": ["positive", "negative", "mixed"]},
            "genre": {"enum": ["drama", "science fiction", "comédie", 'a "quoted" one']},
        }
    ),
    "a dish with its minutes, stars and portions": whole(
        {
            "dish": text(40),
            "minutes": {"type": "integer", "minimum": 1, "maximum": 240},
            "stars": {"type": "integer", "minimum": 1, "maximum": 5},
            "portions": {"type": "integer", "minimum": 1, "maximum": 12},
        }
    ),
    "an order with its customer and what may be said of it": whole(
        {
            "customer": whole({"name": text(30), "address": whole({"street": text(40), "number": WHOLE})}),
            "note": {"anyOf": [text(60), {"type": "null"}]},
        }
    ),
    "two or three questions about rivers, each with an answer and tags": whole(
        {
            "items": {
                "type": "array",
                "minItems": 2,
                "maxItems": 3,
                "items": whole(
                    {
                        "question": text(80),
                        "answer": text(80),
                        "tags": {"type": "array", "items": text(15), "maxItems": 3},
                    }
                ),
            }
        }
    ),
}
"""What is asked for: a flat object, enumerations, bounds, nesting, lists."""


def engine(kind: str) -> Model:
    weights = locate(DEFAULT)
    if kind == "local":
        from synth_llm.models.local import Local

        return Local(weights, slots=IN_FLIGHT[kind])
    from synth_llm.models.convert import folder_of
    from synth_llm.models.vllm import Vllm

    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    arguments = {"enforce_eager": True, "dtype": "float32", "max_model_len": 2048}
    return Vllm(str(folder_of(weights)), arguments=arguments, slots=IN_FLIGHT[kind])


def requests() -> list[Request]:
    sampling = {"temperature": 0.8, "max_tokens": 600}
    return [
        Request("", ({"role": "user", "content": f"Write {what}, as JSON. Number {n}."},), sampling, "", schema, (n,))
        for n in range(EACH)
        for what, schema in SCHEMAS.items()
    ]


def fault(request: Request, said: str) -> str:
    """Why an answer is not valid; nothing when it is."""
    try:
        value = json.loads(said)
    except ValueError as error:
        return f"{error}: {said[-60:]!r}"
    error = next(iter(validator(request.schema or {}).iter_errors(value)), None)
    return error.message if error else ""


async def main(kind: str) -> None:
    model, free = engine(kind), asyncio.Semaphore(IN_FLIGHT[kind])

    async def one(request: Request) -> tuple[str, int]:
        async with free:
            said = completion(await model.answer(request))
        return said.reason or fault(request, said.text), said.completion_tokens

    asked = requests()
    await one(asked[0])
    began = time.monotonic()
    answers = await asyncio.gather(*map(one, asked))
    seconds = time.monotonic() - began
    await model.close()
    invalid = [why for why, _ in answers if why]
    tokens = sum(used for _, used in answers)
    print(
        json.dumps(
            {
                "asked": len(asked),
                "valid": len(asked) - len(invalid),
                "tokens": tokens,
                "seconds": seconds,
                "invalid": invalid,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
