"""What can go wrong with a call, and when it is tried again."""

from __future__ import annotations

from enum import StrEnum
from random import Random
from typing import Annotated

import msgspec

from streamgen.errors import ModelError
from streamgen.llm.told import Told
from streamgen.masking import mask
from streamgen.record import NO_USAGE, Usage

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Kind(StrEnum):
    """How a call failed."""

    RATE_LIMITED = "rate_limited"  # 429
    OVERLOADED = "overloaded"  # 503, 529
    SERVER = "server"  # any other 5xx but 501
    RESET = "reset"  # the connection broke before the answer was complete
    TIMEOUT = "timeout"
    MALFORMED = "malformed"  # an answer that cannot be read
    EMPTY = "empty"  # an answer without text
    TRUNCATED = "truncated"  # `max_tokens` were used up before any text came
    BAD_REQUEST = "bad_request"  # any other 4xx, 501: this request will never be answered
    AUTH = "auth"  # 401, 403
    QUOTA = "quota"  # 402, or 429 for an account without credit
    NOT_FOUND = "not_found"  # 404: unknown model or address
    NOT_AN_API = "not_an_api"  # a web page, a redirect
    UNREACHABLE = "unreachable"  # refused, unknown host


PAID = frozenset({Kind.MALFORMED, Kind.EMPTY, Kind.TRUNCATED})
"""Answers that cost money and are of no use."""

FATAL = {
    Kind.AUTH: 'check the key in the variable that `api_key = "env:NAME"` names',
    Kind.QUOTA: "the account has no credit left: add some, or use another key",
    Kind.NOT_FOUND: "check `model` and `base_url` (it usually ends in /v1)",
    Kind.NOT_AN_API: "set `base_url` to an OpenAI-compatible API (it usually ends in /v1)",
    Kind.UNREACHABLE: "check `base_url`, and that the server is running",
}
"""Kinds after which no other call can succeed either, and what the user can do."""

_NEVER_AGAIN = frozenset({Kind.BAD_REQUEST, Kind.TRUNCATED, *FATAL} - {Kind.UNREACHABLE})
# The same `max_tokens` would be used up again. More are not taken: they are the user's bound on what a call may cost.

_TRUSTED = 3  # refusals of one call after which the limits alone say when it may start


class CallError(ModelError):
    """One call failed. `usage` is what was paid for it all the same; the message holds no key.

    `told` is what the server said of its limits with its refusal; `retry_after_s` stands in it too.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        usage: Usage = NO_USAGE,
        told: Told | None = None,
    ) -> None:
        super().__init__(mask(message))
        self.kind = kind
        self.status = status
        self.retry_after_s = told.retry_after_s if told and retry_after_s is None else retry_after_s
        self.usage = usage
        self.told = told


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a failed call is sent again.

    Waits are exponential with full jitter (Marc Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog,
    2015), and never end before the server's own `Retry-After`. Rate-limit answers are no failed tries: the endpoint
    works. A refused call goes back to its place in line, and the limits, which know of the refusal and of what the
    server told, say when it starts. This is bounded by `patience_s` instead, the longest time that one call may spend.
    """

    attempts: Count = 6  # with these waits a server may be away for 15 s
    paid_attempts: Count = 3  # for answers that were paid and were of no use
    base_s: Positive = 0.5
    cap_s: Positive = 20.0
    patience_s: Positive = 900.0

    def backoff_s(self, attempt: int, rng: Random) -> float:
        """Seconds to wait after the `attempt`-th (1, 2, ...) failure."""
        return rng.uniform(0.0, min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 64)))


class Tries:
    """The history of one call: counts rate-limit answers apart from failed tries, and useless ones among these."""

    def __init__(self, policy: RetryPolicy, rng: Random, began: float) -> None:
        self._policy = policy
        self._rng = rng
        self._began = began
        self.failed = 0
        self.useless = 0
        self.limited = 0

    def wait_s(self, error: CallError, now: float, *, took_s: float = 0.0, is_paced: bool = False) -> float | None:
        """Seconds until the next try; None to give up.

        The back-off begins when the failed try did, which `took_s`: a call that hung has waited enough. `is_paced`
        says that limits hold back what was refused.

        >>> tries = Tries(RetryPolicy(attempts=2), Random(7), 0.0)
        >>> [tries.wait_s(CallError(Kind.RESET, "gone"), 0.0) is None for _ in range(2)]
        [False, True]
        """
        if error.kind in _NEVER_AGAIN:
            return None
        if error.kind is Kind.RATE_LIMITED:
            return self._refused(now, is_paced)
        self.failed += 1
        self.useless += error.kind in PAID
        if self.failed >= self._policy.attempts or self.useless >= self._policy.paid_attempts:
            return None
        return self._after(error, self.useless if error.kind in PAID else self.failed, took_s)

    def _refused(self, now: float, is_paced: bool) -> float | None:
        self.limited += 1
        unpaced = 0 if is_paced else self.limited - _TRUSTED
        wait_s = self._policy.backoff_s(unpaced, self._rng) if unpaced > 0 else 0.0
        return wait_s if now + wait_s - self._began <= self._policy.patience_s else None

    def _after(self, error: CallError, attempt: int, took_s: float) -> float:
        told_s = min(error.retry_after_s or 0.0, self._policy.patience_s)
        return told_s + max(0.0, self._policy.backoff_s(attempt, self._rng) - took_s)
