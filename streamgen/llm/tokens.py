"""How many tokens a call will take: a guess from its characters, which gets better with each answer."""

from __future__ import annotations

from typing import TypeAlias

from streamgen.llm.model import ChatRequest, CompletionRequest, EmbeddingRequest, Request, Response
from streamgen.record import Usage

_MESSAGE_TOKENS = 4  # what chat templates put around a message
_WEIGHT = 0.05  # of the newest answer; about the last 20 count
_MOST = 10**12  # more in one answer is no count; sums of them stay within what a database can add
_LONGEST = 10**6  # tokens that are learned from: no model reads or writes more today
_DENSEST = 4.0  # tokens a character: one a byte of UTF-8
_TELLING = 100  # characters; the chat template rules the count of shorter prompts

Expected: TypeAlias = tuple[int, int, int]
"""Characters of a prompt, and about how many tokens will be read and written."""


def characters(request: Request) -> int:
    """The length of what the model has to read."""
    if isinstance(request, ChatRequest):
        length = 0
        for message in request.messages:  # twice as fast as a sum over a generator, and done for each call
            length += len(message.content)
        return length
    return len(request.prompt) if isinstance(request, CompletionRequest) else sum(map(len, request.texts))


def sane(usage: Usage) -> Usage:
    """The server's count, with what cannot be (less than nothing, more than all) cut off.

    >>> sane(Usage(-5, 10**30)).tokens
    1000000000000
    """
    read, written = usage.prompt_tokens, usage.completion_tokens
    if 0 <= read <= _MOST and 0 <= written <= _MOST:
        return usage
    cost_usd = None if usage.cost_usd is None else max(usage.cost_usd, 0.0)
    return Usage(min(max(read, 0), _MOST), min(max(written, 0), _MOST), usage.calls, cost_usd)


class TokenEstimate:
    """Guesses from a running ratio of tokens to characters and a running length of answers."""

    def __init__(self) -> None:
        self._per_character = 0.3  # English with a vocabulary of 32-200 k lies between 0.2 and 0.3
        self._answer: float | None = None

    def expect(self, request: Request) -> Expected:
        """How long the prompt is, and about how many tokens the model will read and write.

        That is `max_tokens` written before the first answer, the running mean of answers after it.
        """
        size = characters(request)
        messages = len(request.messages) if isinstance(request, ChatRequest) else 0
        read = int(1.5 + size * self._per_character) + messages * _MESSAGE_TOKENS
        if isinstance(request, EmbeddingRequest):
            return size, read, 0
        most, mean = request.max_tokens, self._answer
        if mean is None:
            return size, read, 256 if most is None else most
        written = int(mean + 0.5)
        return size, read, written if most is None or written < most else most

    def settle(self, expected: Expected, response: Response) -> Usage:
        """What the response used, by the server's count or, where it gives none, by a guess; later guesses learn of it.

        A count that cannot be true teaches little.
        """
        size, expected_read, _ = expected
        usage = sane(response.usage)
        read, written = usage.prompt_tokens, usage.completion_tokens
        if not read and not written:
            return self._guessed(expected_read, response)
        if response.vectors:
            return usage
        if size >= _TELLING:
            self._per_character += _WEIGHT * (min(read / size, _DENSEST) - self._per_character)
        self._learn_written(written)
        return usage

    def _guessed(self, read: int, response: Response) -> Usage:
        if response.vectors:
            return Usage(read, 0)
        usage = Usage(read, 1 + round(len(response.text) * self._per_character))
        self._learn_written(usage.completion_tokens)
        return usage

    def _learn_written(self, tokens: int) -> None:
        written, mean = float(min(tokens, _LONGEST)), self._answer
        self._answer = written if mean is None else mean + _WEIGHT * (written - mean)
