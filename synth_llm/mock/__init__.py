"""A mock endpoint: OpenAI-compatible, for tests of recipes and for benchmarks. `synth-llm mock` starts it.

Names are imported when they are first used, so that the command line stays quick.

>>> from synth_llm.mock import Mock
>>> with Mock(lambda body: "A quiet film.", slots=4) as mock:
...     mock.url.startswith("http://127.0.0.1:"), mock.stats.requests
(True, 0)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth_llm.mock.replies import last_text
    from synth_llm.mock.server import Mock
    from synth_llm.mock.stats import Stats, ideal

__all__ = ["Mock", "Stats", "ideal", "last_text"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'synth_llm.mock' has no attribute '{name}'")
    home = {"Mock": "server", "last_text": "replies"}.get(name, "stats")
    return getattr(import_module(f"synth_llm.mock.{home}"), name)
