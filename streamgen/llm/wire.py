"""Answers of the OpenAI dialect, as they come over the wire: decoded strictly, and loosely where a server deviates."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from streamgen.llm.logprobs import LogProbs, loosely
from streamgen.record import Usage, Value

MOST_TOKENS = 10**8  # more than any model reads or writes in a call: such a count is none
_BOM = b"\xef\xbb\xbf"


class Unreadable(Exception):
    """Bytes that are no answer; the message says why."""


class Message(msgspec.Struct):
    """What the model said, or a piece of it (`delta`)."""

    content: str | None = None
    reasoning_content: str | None = None  # DeepSeek, vLLM, SGLang, llama.cpp
    reasoning: str | None = None  # OpenRouter, Groq


class Choice(msgspec.Struct):
    """One of the continuations; `text` in answers to raw prompts, `delta` in streams."""

    message: Message | None = None
    finish_reason: str | None = None
    text: str | None = None
    delta: Message | None = None
    index: int | None = 0
    logprobs: LogProbs | None = None


class Counts(msgspec.Struct):
    """Tokens, as the server counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Answer(msgspec.Struct):
    """A whole answer, or one event of a stream. `choices` is None where there are none at all."""

    choices: list[Choice] | None = None
    usage: Counts | None = None
    model: str | None = None
    error: Value = None


class _LooseMessage(msgspec.Struct):
    content: Value = None
    reasoning_content: Value = None
    reasoning: Value = None


class _LooseChoice(msgspec.Struct):
    message: _LooseMessage | None = None
    finish_reason: Value = None
    text: Value = None
    delta: _LooseMessage | None = None
    index: Value = 0
    logprobs: Value = None


class _LooseAnswer(msgspec.Struct):
    choices: list[_LooseChoice] | None = None
    usage: Value = None
    model: Value = None
    error: Value = None


_strictly = msgspec.json.Decoder(Answer).decode


def decode(data: bytes) -> Answer:
    """The answer that these bytes hold. Raises Unreadable.

    >>> decode(b'{"choices": [{"text": "hi"}], "usage": {"prompt_tokens": "7"}}').usage
    Counts(prompt_tokens=7, completion_tokens=0)
    """
    try:
        return _strictly(data)
    except msgspec.ValidationError as error:
        return _loose(data, error)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if data.startswith(_BOM):
            return decode(data[len(_BOM) :])
        raise Unreadable(str(error)) from error


def usage_of(counts: Counts | None) -> Usage:
    """One call's tokens; 0 for a count that is missing, negative or beyond sense."""
    if counts is None:
        return Usage()
    read, written = counts.prompt_tokens or 0, counts.completion_tokens or 0
    if 0 <= read <= MOST_TOKENS and 0 <= written <= MOST_TOKENS:
        return Usage(read, written)
    return Usage(_count(read), _count(written))


def _loose(data: bytes, why: msgspec.ValidationError) -> Answer:
    """For counts as strings or floats, text in parts, names that are none."""
    try:
        answer = msgspec.json.decode(data, type=_LooseAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable(str(why)) from why
    usage = answer.usage if isinstance(answer.usage, Mapping) else {}
    return Answer(
        None if answer.choices is None else [_choice(choice) for choice in answer.choices],
        Counts(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))) if usage else None,
        _string(answer.model),
        answer.error,
    )


def _choice(choice: _LooseChoice) -> Choice:
    return Choice(
        _message(choice.message),
        _string(choice.finish_reason),
        _string(choice.text),
        _message(choice.delta),
        _count(choice.index),
        loosely(choice.logprobs),
    )


def _message(message: _LooseMessage | None) -> Message | None:
    if message is None:
        return None
    return Message(_text(message.content), _text(message.reasoning_content), _text(message.reasoning))


def _text(value: Value) -> str | None:
    """A string, or the text parts of a list (Mistral's reasoning models)."""
    if isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, Mapping)]
        return "".join(part for part in parts if isinstance(part, str)) or None
    return _string(value)


def _string(value: Value) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Value) -> int:
    with suppress(TypeError, ValueError, OverflowError):
        number = int(float(value))
        return number if 0 <= number <= MOST_TOKENS else 0
    return 0
