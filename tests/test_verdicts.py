"""Verdicts: votes, weights, both orders, and scores by their probabilities."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_llm.verdicts import expected_score, log_odds, swapped, vote


@pytest.mark.parametrize(
    ("votes", "weights", "value", "agreement"),
    [
        ("aab", [], "a", 2 / 3),
        ("ab", [], None, 1 / 2),
        ("abb", [3, 1, 1], "a", 3 / 5),
        ("ab", [0.1 + 0.2, 0.3], None, 1 / 2),
        ("", [], None, 0),
        ("ab", [0, 0], None, 0),
    ],
)
def test_votes(votes, weights, value, agreement):
    found = vote([*votes], weights)
    assert found.value == value
    assert found.agreement == pytest.approx(agreement)


def test_an_abstention_counts_in_the_share_and_for_nobody():
    assert vote([None, "a", None]) == ("a", 1 / 3)
    assert vote([None, None]) == (None, 0)


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=9), st.randoms())
def test_who_votes_first_does_not_matter(votes, draw):
    mixed = draw.sample(votes, len(votes))
    assert vote(mixed) == vote(votes)
    assert vote(votes, [2.0] * len(votes)) == vote(votes)


def test_weights_are_log_odds_and_never_turn_a_vote_around():
    assert log_odds(89, 98) == pytest.approx(math.log(9))
    assert log_odds(20, 20) < log_odds(200, 200) < math.inf
    assert log_odds(1, 20) == 0
    assert log_odds(8, 20) == 0 < log_odds(8, 20, values=5)


def test_one_good_judge_outvotes_two_poor_ones():
    weights = [log_odds(95, 100), log_odds(60, 100), log_odds(60, 100)]
    assert vote(["a", "b", "b"]).value == "b"
    assert vote(["a", "b", "b"], weights).value == "a"


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [(1, 2, "x"), (2, 1, "y"), (1, 1, "tie"), (2, 2, "tie"), ("1", "2", "x"), ("tie", 2, "tie"), ("tie", "tie", "tie")],
)
def test_who_prefers_a_place_abstains(first, second, winner):
    assert swapped(first, second, ("x", "y")) == winner


def chat(*tokens):
    """An answer with log-probabilities: (token, {alternative: probability})."""
    content = [
        {
            "token": token,
            "logprob": math.log(others.get(token, 1.0)),
            "top_logprobs": [{"token": other, "logprob": math.log(share)} for other, share in others.items()],
        }
        for token, others in tokens
    ]
    return json.dumps({"choices": [{"logprobs": {"content": content}}]}).encode()


def test_the_score_that_the_probabilities_expect():
    body = chat(('{"score', {}), ('": ', {}), ("4", {"4": 0.6, "5": 0.2, "2": 0.1, "x": 0.1}), ("}", {}))
    assert expected_score(body, "score", range(1, 6)).score == pytest.approx((4 * 0.6 + 5 * 0.2 + 2 * 0.1) / 0.9)


def test_each_score_by_its_own_name():
    body = chat(('{"a": ', {}), ("1", {"1": 0.5, "3": 0.5}), (', "b": ', {}), ("5", {"5": 1.0}), ("}", {}))
    assert expected_score(body, "a", range(1, 6)).score == pytest.approx(2)
    assert expected_score(body, "b", range(1, 6)).score == pytest.approx(5)


@pytest.mark.parametrize(
    "tokens",
    [
        [(" 4", {" 4": 0.5, " 2": 0.5})],
        [("<score>", {}), ("4", {"4": 0.5, "2": 0.5}), ("</score>", {})],
        [('"score":', {}), (" 4}", {" 4}": 0.5, " 2}": 0.5})],
        [("4", {"4": 0.5, "2": 0.5, "9": 0.0001, "44": 0.1})],
    ],
)
def test_the_score_is_found_wherever_it_stands(tokens):
    assert expected_score(chat(*tokens), "score", range(1, 6)).score == pytest.approx(3)


def test_a_text_completion_too():
    found = {"tokens": ["4"], "token_logprobs": [math.log(0.5)], "top_logprobs": [{"2": math.log(0.5)}]}
    body = json.dumps({"choices": [{"text": "4", "logprobs": found}]}).encode()
    assert expected_score(body, "score", range(1, 6)).score == pytest.approx(3)


@pytest.mark.parametrize(
    ("body", "allowed", "why"),
    [
        (chat(("4", {"4": 1.0})), range(1, 11), "one digit"),
        (b'{"choices": [{"message": {"content": "4"}}]}', range(1, 6), "no log-probabilities"),
        (b"not JSON", range(1, 6), "no log-probabilities"),
        (b'{"choices": [{"logprobs": {"content": [{"token": 4}]}}]}', range(1, 6), "no log-probabilities"),
        (chat(("good, 4 of 5", {})), range(1, 6), "does not stand alone"),
        (chat(("9", {"9": 1.0})), range(1, 6), "no score among"),
    ],
)
def test_it_says_why_a_score_stays_plain(body, allowed, why):
    found = expected_score(body, "score", allowed)
    assert found.score is None
    assert why in found.why
