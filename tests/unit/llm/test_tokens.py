"""Counts of tokens: what servers say, what is guessed, and what cannot be."""

import pytest

from streamgen.llm.model import ChatRequest, CompletionRequest, Message, Response
from streamgen.llm.tokens import TokenEstimate, sane
from streamgen.record import Usage

LONG = CompletionRequest(prompt="word " * 200)


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (Usage(-5, 10), Usage(0, 10)),
        (Usage(5, -10, 2, -0.5), Usage(5, 0, 2, 0.0)),
        (Usage(10**12, 1), Usage(10**12, 1)),
        (Usage(10**30, 1), Usage(10**12, 1)),
    ],
)
def test_counts_that_cannot_be_are_cut(said: Usage, counted: Usage) -> None:
    assert sane(said) == counted


def test_a_prompt_is_measured_by_what_such_prompts_took() -> None:
    estimate = TokenEstimate()
    for _ in range(200):
        estimate.settle(estimate.expect(LONG), Response("x", usage=Usage(500, 30)))
    size, read, written = estimate.expect(LONG)
    assert (size, written) == (1000, 30)
    assert read == pytest.approx(500, abs=2)


@pytest.mark.parametrize("usage", [Usage(10**12, 10**12), Usage(10**12, 0), Usage(0, 10**12)])
def test_a_mad_count_teaches_no_madness(usage: Usage) -> None:
    estimate = TokenEstimate()
    for _ in range(5):
        estimate.settle(estimate.expect(LONG), Response("x", usage=usage))
    _, read, written = estimate.expect(LONG)
    assert read + written < 2 * 10**6


def test_before_the_first_answer_the_most_that_is_allowed_is_expected() -> None:
    request = ChatRequest(messages=(Message("user", "hi"),), max_tokens=77)
    assert TokenEstimate().expect(request) == (2, 6, 77)


def test_an_answer_without_a_count_is_measured_by_its_length() -> None:
    estimate = TokenEstimate()
    usage = estimate.settle(estimate.expect(LONG), Response("x" * 100, usage=Usage(0, 0)))
    assert (usage.prompt_tokens, usage.completion_tokens, usage.calls, usage.cost_usd) == (301, 31, 1, None)
