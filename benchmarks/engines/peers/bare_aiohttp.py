"""`URL ROWS CONCURRENCY`: the least a client can do: workers that POST, read the body and parse it."""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp


async def main(url: str, rows: int, concurrency: int) -> None:
    texts: list[str] = []
    numbers = iter(range(rows))

    async def worker(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            messages = [{"role": "user", "content": f"Write about topic {number}."}]
            body = {"model": "mock", "messages": messages, "temperature": 0.8, "max_tokens": 512, "seed": number}
            async with session.post(f"{url}/chat/completions", data=json.dumps(body).encode()) as response:
                texts.append(json.loads(await response.read())["choices"][0]["message"]["content"])

    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))
    print(json.dumps({"rows": len(texts)}))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
