"""How many tokens a call will take: a guess from its characters, which gets better with each answer."""

from __future__ import annotations

from streamgen.llm.model import ChatRequest, Request, Response
from streamgen.record import Usage

_MESSAGE_TOKENS = 4  # what chat templates put around a message
_WEIGHT = 0.05  # of the newest answer; about the last 20 count
_MOST = 10**12  # more in one answer is no count; sums of them stay within what a database can add
_LONGEST = 10**6  # tokens that are learned from: no model reads or writes more today
_DENSEST = 4.0  # tokens a character: one a byte of UTF-8


def characters(request: Request) -> int:
    """The length of what the model has to read."""
    if isinstance(request, ChatRequest):
        length = 0
        for message in request.messages:  # twice as fast as a sum over a generator, and done for each call
            length += len(message.content)
        return length
    return len(request.prompt)


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

    def prompt_tokens(self, request: Request) -> int:
        """About how many tokens the model has to read."""
        messages = len(request.messages) if isinstance(request, ChatRequest) else 0
        return 1 + round(characters(request) * self._per_character) + messages * _MESSAGE_TOKENS

    def completion_tokens(self, request: Request) -> int:
        """About how many it will write: `max_tokens` before the first answer, their running mean after it."""
        most = request.max_tokens
        if self._answer is None:
            return 256 if most is None else most
        mean = round(self._answer)
        return mean if most is None else min(most, mean)

    def usage(self, request: Request, response: Response) -> Usage:
        """What the response used: the server's count, or a guess where it gives none."""
        usage = sane(response.usage)
        if usage.tokens:
            return usage
        return Usage(self.prompt_tokens(request), 1 + round(len(response.text) * self._per_character))

    def learn(self, request: Request, usage: Usage) -> None:
        """Take in the server's count of one call; one that cannot be true teaches little."""
        if (read := characters(request)) >= 100:  # the chat template rules the count of shorter ones
            self._per_character += _WEIGHT * (min(usage.prompt_tokens / read, _DENSEST) - self._per_character)
        written = float(min(usage.completion_tokens, _LONGEST))
        self._answer = written if self._answer is None else self._answer + _WEIGHT * (written - self._answer)
