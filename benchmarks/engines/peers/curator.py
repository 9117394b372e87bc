"""`URL ROWS CONCURRENCY`: Curator's `LLM` over a list of prompts, its rate limits out of the way.

Before its first prompt it makes a call of its own, for rate limits in the headers; the endpoint counts from after that.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path


def main(url: str, rows: int, concurrency: int) -> None:
    os.environ.update(
        OPENAI_API_KEY="unused", TELEMETRY_ENABLED="false", CURATOR_CACHE_DIR=str(Path.cwd()), CURATOR_VIEWER="0"
    )
    from bespokelabs import curator

    llm = curator.LLM(
        model_name="openai/mock",
        backend="litellm",
        generation_params={"temperature": 0.8, "max_tokens": 512},
        backend_params={
            "base_url": url,
            "max_requests_per_minute": 10**7,
            "max_tokens_per_minute": 10**10,
            "max_concurrent_requests": concurrency,
        },
    )
    llm(["Write about nothing."])
    urllib.request.urlopen(urllib.request.Request(f"{url.removesuffix('/v1')}/stats/reset", method="POST")).close()
    made = llm([f"Write about topic {number}." for number in range(rows)])
    print(json.dumps({"rows": len(made.dataset)}))


if __name__ == "__main__":
    sys.path.pop(0)  # this file is named as the package that it imports
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
