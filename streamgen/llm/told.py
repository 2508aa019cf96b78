"""What a server says about its limits, in the headers of an answer or a refusal.

The families that are read: OpenAI, Azure, Groq, Fireworks (`x-ratelimit-remaining-tokens`), Cerebras, SambaNova and
Mistral (`x-ratelimit-limit-tokens-minute`, `ratelimitbysize-remaining`), Together (`x-tokenlimit-limit`), Anthropic
(`anthropic-ratelimit-tokens-reset`), Hugging Face and others by the IETF draft "RateLimit header fields for HTTP"
(`RateLimit`, `RateLimit-Policy`, and the three fields of its versions up to 06), OpenRouter (`x-ratelimit-reset` as a
time). Names are read by their words, so that a neighbour of these is understood too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from streamgen.llm.told_values import amount, reset_s, retry_after_s, structured


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A server's own account of its limits; None is what it does not say.

    `limit_*` are what a window holds, `remaining_*` what is left of it, `reset_*_s` seconds until it is whole again,
    `window_*_s` the window's length where the server names it (a day for Cerebras' requests).
    """

    retry_after_s: float | None = None
    limit_requests: float | None = None
    remaining_requests: float | None = None
    reset_requests_s: float | None = None
    limit_tokens: float | None = None
    remaining_tokens: float | None = None
    reset_tokens_s: float | None = None
    window_requests_s: float | None = None
    window_tokens_s: float | None = None


_FAMILIES = {"ratelimit": "requests", "ratelimitbysize": "tokens", "tokenlimit": "tokens"}
_UNITS = {"request": "requests", "requests": "requests", "req": "requests", "token": "tokens", "tokens": "tokens"}
_SAYS = {"limit", "remaining", "reset"}
_WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_PARTS = {"input", "prompt"}  # a limit of its own for what is read; one for what is written is left to the refusals
_VENDORS = {"x", "anthropic"}
_STRUCTURED = ("RateLimit", "RateLimit-Policy")


_Rank: TypeAlias = tuple[bool, float]


class _Meaning(NamedTuple):
    """What a header's name says. Of a unit's limits the smallest rank is read: the whole, then its shortest window."""

    unit: str
    says: str
    rank: _Rank


class _Names(NamedTuple):
    """The headers that a server sends, "" for what it does not send; `windows` in seconds where the names say it."""

    requests: tuple[str, str, str]  # limit, remaining, reset
    tokens: tuple[str, str, str]
    requests_window_s: float | None
    tokens_window_s: float | None
    is_drafted: bool  # `RateLimit`, as in the draft's newer versions


class Listener:
    """Reads what one server tells. Where its first answer tells nothing, later answers cost nothing."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._is_new = True
        self._names: _Names | None = None

    @property
    def listens(self) -> bool:
        """Whether `answered` may find something."""
        return self._is_new or self._names is not None

    def answered(self, headers: Mapping[str, str]) -> Told | None:
        """What an answer tells, read from those headers that the server is known to send."""
        if self._is_new:
            self._is_new, self._names = False, _names(headers)
        return _told(self._names, headers, self._clock) if self._names else None

    def refused(self, headers: Mapping[str, str], waits_s: float | None = None) -> Told | None:
        """What a refusal tells, `Retry-After` included; `waits_s` is what its body says where no header does."""
        names = _names(headers)
        self._names = self._names or names
        told = _told(names, headers, self._clock) if names else Told()
        waits = retry_after_s(headers, self._clock)
        told = msgspec.structs.replace(told, retry_after_s=waits_s if waits is None else waits)
        return told if told != Told() else None


def _told(names: _Names, headers: Mapping[str, str], clock: Callable[[], float]) -> Told:
    if names.is_drafted:
        return _drafted(headers)
    get = headers.get
    limit_requests, remaining_requests, reset_requests = names.requests
    limit_tokens, remaining_tokens, reset_tokens = names.tokens
    return Told(
        limit_requests=amount(get(limit_requests)) or None,
        remaining_requests=amount(get(remaining_requests)),
        reset_requests_s=reset_s(get(reset_requests), headers, clock),
        limit_tokens=amount(get(limit_tokens)) or None,
        remaining_tokens=amount(get(remaining_tokens)),
        reset_tokens_s=reset_s(get(reset_tokens), headers, clock),
        window_requests_s=names.requests_window_s,
        window_tokens_s=names.tokens_window_s,
    )


def _names(headers: Iterable[str]) -> _Names | None:
    """Which of these headers are to be read; None where there is none of a known form."""
    found: dict[str, dict[_Rank, dict[str, str]]] = {"requests": {}, "tokens": {}}
    names = list(headers)
    for name in names:
        if meaning := _meaning(name):
            found[meaning.unit].setdefault(meaning.rank, {})[meaning.says] = name
    is_drafted = any(name.lower() == "ratelimit" for name in names)
    if not is_drafted and not any(found.values()):
        return None
    (requests, requests_s), (tokens, tokens_s) = _best(found["requests"]), _best(found["tokens"])
    return _Names(requests, tokens, requests_s, tokens_s, is_drafted)


def _best(ranks: Mapping[_Rank, Mapping[str, str]]) -> tuple[tuple[str, str, str], float | None]:
    rank = min(ranks, default=(False, 0.0))
    get = ranks.get(rank, {}).get
    return (get("limit", ""), get("remaining", ""), get("reset", "")), rank[1] or None


def _meaning(name: str) -> _Meaning | None:
    """What the words of a header's name say together; None where one of them is unknown."""
    families, units, says, windows, parts, strange = [], [], [], [], [], []
    for word in name.lower().replace("rate-limit", "ratelimit").split("-"):
        if word in _FAMILIES:
            families.append(_FAMILIES[word])
        elif word in _UNITS:
            units.append(_UNITS[word])
        elif word in _SAYS:
            says.append(word)
        elif word in _WINDOWS:
            windows.append(_WINDOWS[word])
        elif word in _PARTS:
            parts.append(word)
        elif word not in _VENDORS:
            strange.append(word)
    if strange or not families or not says:
        return None
    return _Meaning((units or families)[0], says[0], (bool(parts), windows[0] if windows else 0.0))


def _drafted(headers: Mapping[str, str]) -> Told:
    """What the IETF draft's two structured fields say, of the policy that has least left."""
    states, policies = (structured(headers.get(name, "")) for name in _STRUCTURED)
    known = {name: state for name, state in states.items() if name in policies} or states
    name, state = min(known.items(), key=_left, default=("", {}))
    policy = policies.get(name) or (next(iter(policies.values())) if len(policies) == 1 else {})
    return Told(
        limit_requests=policy.get("q") or state.get("limit"),
        remaining_requests=state.get("r", state.get("remaining")),
        reset_requests_s=state.get("t", state.get("reset")),
        window_requests_s=policy.get("w"),
    )


def _left(item: tuple[str, Mapping[str, float]]) -> float:
    return item[1].get("r", float("inf"))
