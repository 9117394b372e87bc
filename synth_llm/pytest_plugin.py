"""The pytest fixture that comes with the package. Loaded by every pytest run, so it imports nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from synth_llm.mock import Mock
    from synth_llm.mock.replies import Respond


@pytest.fixture
def mock_endpoint() -> Iterator[Callable[..., Mock]]:
    """Start mock endpoints that stop when the test ends: a function with the settings of `synth_llm.mock.Mock`.

    A recipe whose model has `engine: openai` is tested without a model, a key or the network::

        def test_my_recipe(mock_endpoint, tmp_path):
            mock = mock_endpoint(lambda body: "A film to see twice.", faults={"500": "5%"})
            result = synth_llm.run(
                "recipes/reviews.yaml",
                out=tmp_path / "run",
                models=["writer=openai:mock", "judge=openai:mock"],
                sets=[f"models.writer.url={mock.url}", f"models.judge.url={mock.url}"],
            )
            assert result.complete
            assert mock.stats.by_status[200] == 40

    Where the function gives None (and where there is none), the mock answers on its own: prose, or what the prompt's
    schema asks for. An error that the function raises, such as a failed assertion on the request, fails the test.
    """
    from synth_llm.mock import Mock

    with ExitStack() as stack:

        def start(respond: Respond | None = None, **settings: Any) -> Mock:
            return stack.enter_context(Mock(respond, **settings))

        yield start
