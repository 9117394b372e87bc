"""`python -m benchmarks.engines.four_ways_speed local|vllm raw|ours`: tokens/s of a round for each line it reads."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from synth_llm.models.request import TEXT, Model, Request, completion
from synth_llm.models.weights import DEFAULT, locate

TOKENS = 48
BATCH = {"local": 4, "vllm": 32}
PROMPTS = {"local": 16, "vllm": 32}
CONTEXT = 1024
SMALL = {"enforce_eager": True, "dtype": "float32", "max_model_len": CONTEXT, "max_num_seqs": BATCH["vllm"]}
SAMPLING: dict[str, Any] = {"temperature": 0.8, "max_tokens": TOKENS, "ignore_eos": True}

Round = Callable[[list[str]], int]
"""Answers prompts, gives the tokens made."""


def raw_local() -> Round:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.verbosity, params.model.path = -1, str(locate(DEFAULT))
    params.n_parallel, params.n_ctx = BATCH["local"], CONTEXT * BATCH["local"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) - 1)
    server, pool = xllamacpp.Server(params), ThreadPoolExecutor(BATCH["local"])

    def one(numbered: tuple[int, str]) -> int:
        seed, prompt = numbered
        said = server.handle_completions({"prompt": prompt, "seed": seed, **SAMPLING})
        return int(said["usage"]["completion_tokens"])

    return lambda prompts: sum(pool.map(one, enumerate(prompts)))


def raw_vllm() -> Round:
    from vllm import LLM, SamplingParams

    llm = LLM(str(folder()), **SMALL)

    def all_of(prompts: list[str]) -> int:
        params = [SamplingParams(seed=seed, **SAMPLING) for seed in range(len(prompts))]
        return sum(len(one.outputs[0].token_ids) for one in llm.generate(prompts, params, use_tqdm=False))

    return all_of


def ours(kind: str) -> Round:
    runner, model, free = asyncio.Runner(), engine(kind), asyncio.Semaphore(BATCH[kind])

    async def one(seed: int, prompt: str) -> int:
        async with free:
            asked = Request("", ({"role": TEXT, "content": prompt},), SAMPLING, draw=(seed,))
            return completion(await model.answer(asked)).completion_tokens

    async def all_of(prompts: list[str]) -> int:
        return sum(await asyncio.gather(*[one(*numbered) for numbered in enumerate(prompts)]))

    return lambda prompts: runner.run(all_of(prompts))


def engine(kind: str) -> Model:
    if kind == "local":
        from synth_llm.models.local import Local

        return Local(locate(DEFAULT), slots=BATCH[kind], context=CONTEXT)
    from synth_llm.models.vllm import Vllm

    return Vllm(str(folder()), arguments=SMALL)


def folder() -> Path:
    from synth_llm.models.convert import folder_of

    return folder_of(locate(DEFAULT))


def main(kind: str, how: str) -> None:
    os.environ.update(VLLM_CPU_KVCACHE_SPACE="1", HF_HUB_OFFLINE="1", VLLM_LOGGING_LEVEL="ERROR")
    answers = ours(kind) if how == "ours" else {"local": raw_local, "vllm": raw_vllm}[kind]()
    answers(["Once upon a time"] * BATCH[kind])
    print("SPEED 0", flush=True)
    for number in sys.stdin:
        prompts = [f"Round {number.strip()}. A story about the number {n}:" for n in range(PROMPTS[kind])]
        began = time.perf_counter()
        made = answers(prompts)
        print(f"SPEED {made / (time.perf_counter() - began)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
