"""A mock endpoint: OpenAI-compatible, for tests of recipes and for benchmarks. `synth-llm mock` starts it.

>>> from synth_llm.mock import Mock
>>> with Mock(lambda body: "A quiet film.", slots=4) as mock:
...     mock.url.startswith("http://127.0.0.1:"), mock.stats.requests
(True, 0)
"""

from synth_llm.mock.replies import last_text
from synth_llm.mock.server import Mock
from synth_llm.mock.stats import Stats, ideal

__all__ = ["Mock", "Stats", "ideal", "last_text"]
