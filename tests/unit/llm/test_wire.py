"""Answers as servers write them: by the book, and in ways of their own."""

import msgspec
import pytest

from streamgen.llm.logprobs import mean_of
from streamgen.llm.refusal import kind_of_error
from streamgen.llm.retry import Kind
from streamgen.llm.wire import MOST_TOKENS, Choice, Message, Unreadable, decode, usage_of
from streamgen.record import Usage


def body(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, Usage(7, 3)),
        ({"prompt_tokens": 7}, Usage(7, 0)),
        ({"prompt_tokens": None, "completion_tokens": 3}, Usage(0, 3)),
        ({"prompt_tokens": -7, "completion_tokens": 3}, Usage(0, 3)),
        ({"prompt_tokens": 7.0, "completion_tokens": 3.9}, Usage(7, 3)),
        ({"prompt_tokens": "7", "completion_tokens": "three"}, Usage(7, 0)),
        ({"prompt_tokens": 10**30, "completion_tokens": 3}, Usage(0, 3)),
        ({"prompt_tokens": MOST_TOKENS, "completion_tokens": MOST_TOKENS + 1}, Usage(MOST_TOKENS, 0)),
        ({"prompt_tokens": [7], "completion_tokens": {"a": 1}}, Usage()),
        ({}, Usage()),
        ("many", Usage()),
        ([1, 2], Usage()),
        (None, Usage()),
    ],
)
def test_counts_that_make_no_sense_are_none(counts: object, usage: Usage) -> None:
    answer = decode(body(choices=[{"message": {"content": "c"}}], usage=counts))
    assert usage_of(answer.usage) == usage
    assert answer.choices and answer.choices[0].message == Message("c")


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ({"content": "c", "reasoning_content": "r"}, Message("c", "r")),
        ({"content": "c", "reasoning": "r", "tool_calls": [{}]}, Message("c", None, "r")),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, Message("ab")),
        (
            {"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "a"}]},
            Message("a"),
        ),
        ({"content": 7}, Message(None)),
        ({"content": "c", "reasoning": {"effort": "high"}}, Message("c")),
    ],
)
def test_text_is_found_in_every_shape(message: object, read: Message) -> None:
    assert decode(body(choices=[{"message": message, "finish_reason": 1}])).choices == [Choice(read)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b'{"choices": 1}',
        b'{"choices": [1]}',
        b"\xff",
        b"<html>",
        b'{"usage": {"prompt_tokens": 1e999}}',
    ],
)
def test_what_is_no_answer_is_said_to_be_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert decode(b"\xef\xbb\xbf" + body(choices=[{"text": "t"}])).choices == [Choice(text="t")]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "message": "slow down"}, Kind.RATE_LIMITED),
        ({"code": "502", "message": "upstream"}, Kind.SERVER),
        ({"code": 503}, Kind.OVERLOADED),
        ({"code": "insufficient_quota"}, Kind.QUOTA),
        ({"code": 200}, Kind.MALFORMED),
        ({"code": "9" * 99}, Kind.MALFORMED),
        ({"message": "upstream died"}, Kind.MALFORMED),
        ("upstream died", Kind.MALFORMED),
        ({"code": [1]}, Kind.MALFORMED),
    ],
)
def test_an_error_in_place_of_an_answer_has_the_kind_of_its_code(error: object, kind: Kind) -> None:
    assert kind_of_error(error) is kind


@pytest.mark.parametrize(
    ("logprobs", "mean"),
    [
        ('{"content": [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -3}]}', -2.0),
        ('{"tokens": ["a", "b"], "token_logprobs": [null, -0.5]}', -0.5),
        ('{"content": [{"logprob": -9999.0}, {"logprob": 0}]}', -50.0),  # "next to none", bounded
        ('{"content": []}', None),
        ('{"content": null}', None),
        ("null", None),
        ('"none"', None),
        ('{"content": [{"logprob": "often"}]}', None),
        ("[1, 2]", None),
    ],
)
def test_log_probabilities_are_read_in_both_forms_and_never_cost_an_answer(logprobs: str, mean: float | None) -> None:
    answer = decode(b'{"choices": [{"text": "hi", "logprobs": %b}]}' % logprobs.encode())
    assert answer.choices and answer.choices[0].text == "hi"
    found = answer.choices[0].logprobs
    assert (mean_of(found.values()) if found else None) == mean
