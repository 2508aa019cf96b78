"""How likely a model found what it wrote: the mean log-probability of the tokens of an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

import msgspec

from streamgen.llm.model import CompletionRequest, Request, Response
from streamgen.record import Value

_LEAST = -100.0  # some servers write -9999 for "next to none", which would drown all others


class Token(msgspec.Struct):
    """A token of a chat's answer."""

    logprob: float | None = None


class LogProbs(msgspec.Struct):
    """The natural logarithms of the tokens' probabilities, in either form: of chats, and of the older completions."""

    content: list[Token] | None = None
    token_logprobs: list[float | None] | None = None

    def values(self) -> list[float]:
        """Those that are there; the first token of an old completion may have none."""
        found = [token.logprob for token in self.content] if self.content else self.token_logprobs or ()
        return [max(value, _LEAST) for value in found if value is not None and isfinite(value)]


def loosely(value: Value) -> LogProbs | None:
    """What can be read of log-probabilities in an answer that deviates elsewhere; None where it is nothing."""
    try:
        return msgspec.convert(value, LogProbs | None, strict=False)
    except msgspec.ValidationError:
        return None


def mean_of(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None


def mean_logprob(responses: Iterable[Response]) -> float | None:
    """The mean over all tokens of several answers; None where none of them tells.

    >>> from streamgen.record import Usage
    >>> one, other = Response("a", usage=Usage(9, 1), logprob=-1.0), Response("b c d", usage=Usage(9, 3), logprob=-2.0)
    >>> mean_logprob([one, other])
    -1.75
    """
    told = [(each.logprob, max(1, each.usage.completion_tokens)) for each in responses if each.logprob is not None]
    return sum(mean * tokens for mean, tokens in told) / sum(tokens for _, tokens in told) if told else None


def in_dialect(request: Request) -> dict[str, Any]:
    """The fields that ask for log-probabilities: in completions the number of alternatives, in chats a switch too.

    One alternative is asked for: by default llama.cpp gives twenty, and with none no log-probabilities at all.
    """
    return {"logprobs": 1} if isinstance(request, CompletionRequest) else {"logprobs": True, "top_logprobs": 1}
