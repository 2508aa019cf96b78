"""What a server says about its limits, in the headers of an answer or a refusal."""

from __future__ import annotations

import msgspec


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A server's own account of its limits; None is what it does not say.

    `limit_*` are what a window holds, `remaining_*` what is left of it, `reset_*_s` seconds until it is whole again.
    """

    retry_after_s: float | None = None
    limit_requests: float | None = None
    remaining_requests: float | None = None
    reset_requests_s: float | None = None
    limit_tokens: float | None = None
    remaining_tokens: float | None = None
    reset_tokens_s: float | None = None
