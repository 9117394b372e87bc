import pytest

from synth_llm.errors import FatalError
from synth_llm.models.sampling import Sampling


def test_parameters_as_the_engine_reads_them():
    sampling = Sampling.of(
        {"temperature": 0.5, "max_tokens": 9, "stop": "END", "top_p": 0.9, "repetition_penalty": 1.1, "logprobs": 0}
    )
    assert (sampling.temperature, sampling.max_tokens, sampling.stop, sampling.logprobs) == (0.5, 9, ("END",), 0)
    assert (sampling.drawing, sampling.passed) == ({"top_p": 0.9}, {"repetition_penalty": 1.1})


@pytest.mark.parametrize(
    ("sampling", "says"),
    [
        ({"topk": 3}, r"^params: the engine transformers has no parameter 'topk'; did you mean 'top_k'\?$"),
        ({"num_return_sequences": 3}, "no parameter 'num_return_sequences'"),
        ({"trust_remote_code": True}, "no parameter 'trust_remote_code'"),
        ({"temperature": "hot"}, "temperature must be a number from 0, not 'hot'"),
        ({"temperature": float("nan")}, "temperature must be a number"),
        ({"max_tokens": 0}, "max_tokens must be a number from 1"),
        ({"top_p": True}, "top_p must be a number"),
        ({"num_beams": 2, "temperature": 1}, "num_beams needs temperature 0"),
        ({"num_beams": 0, "temperature": 0}, "num_beams must be a whole number from 1"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(sampling, says):
    with pytest.raises(FatalError, match=says):
        Sampling.of(sampling)


def test_beams_are_searched_as_the_model_says_only_where_they_can_be():
    greedy = Sampling.of({"temperature": 0})
    assert (greedy.beams(4), greedy.beams(4, constrained=True)) == (4, 1)
    assert Sampling.of({"temperature": 1}).beams(4) == 1
    assert Sampling.of({"temperature": 0, "logprobs": 1}).beams(4) == 1
    assert Sampling.of({"temperature": 0, "num_beams": 2}).beams(4) == 2
    with pytest.raises(FatalError, match="plain text"):
        Sampling.of({"temperature": 0, "num_beams": 2}).beams(4, constrained=True)
