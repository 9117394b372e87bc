"""A Python function as a model: for tests of recipes, and for models that synth-llm does not know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from synth_llm.models.request import Answer, Request, body_of

Responder = Callable[[Request], str | Answer | Awaitable[str | Answer]]
"""Takes the logical request, returns the text of the answer, or a whole `Answer`; may be async; may raise `Passing`."""


class Function:
    """`engine: function`. Answers should depend on the request alone, or a replay cannot check them.

    >>> import asyncio
    >>> echo = Function(lambda request: request.messages[-1]["content"].upper())
    >>> request = Request(model="f", messages=({"role": "user", "content": "hi"},), sampling={})
    >>> asyncio.run(echo.answer(request)).body
    b'{"model": "function", "choices": [{"message": {"role": "assistant", "content": "HI"}, "finish_reason": "stop"}], \
"usage": {"prompt_tokens": 0, "completion_tokens": 0}}'
    """

    def __init__(self, function: Responder, name: str = "function", revision: str = "") -> None:
        self.function, self.name, self.revision = function, name, revision

    async def answer(self, request: Request) -> Answer:
        """Call the function; a text becomes the body of a chat completion."""
        said = self.function(request)
        if not isinstance(said, str | Answer):
            said = await said
        return said if isinstance(said, Answer) else Answer(body_of(said, model=self.name))

    async def close(self) -> None:
        """Nothing to free."""
