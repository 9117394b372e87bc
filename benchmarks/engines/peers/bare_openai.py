"""`URL ROWS CONCURRENCY [aiohttp]`: workers over the `openai` client, with its own transport or aiohttp's."""

from __future__ import annotations

import asyncio
import json
import sys

from openai import AsyncOpenAI, DefaultAioHttpClient


async def main(url: str, rows: int, concurrency: int, transport: str) -> None:
    texts: list[str | None] = []
    numbers = iter(range(rows))

    async def worker(client: AsyncOpenAI) -> None:
        for number in numbers:
            answer = await client.chat.completions.create(
                model="mock",
                messages=[{"role": "user", "content": f"Write about topic {number}."}],
                temperature=0.8,
                max_tokens=512,
                seed=number,
            )
            texts.append(answer.choices[0].message.content)

    http = DefaultAioHttpClient() if transport == "aiohttp" else None
    async with AsyncOpenAI(base_url=url, api_key="unused", http_client=http) as client:
        await asyncio.gather(*(worker(client) for _ in range(concurrency)))
    print(json.dumps({"rows": len(texts)}))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), (sys.argv[4:] or ["own"])[0]))
