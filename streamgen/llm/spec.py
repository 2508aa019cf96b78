"""One entry of a recipe's `[models]`: which model, where, and within which limits."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from streamgen.errors import RecipeError
from streamgen.llm.hedge import HedgePolicy
from streamgen.llm.limits import Limits
from streamgen.llm.price import Price
from streamgen.llm.retry import Count, Positive, RetryPolicy

_REFERENCE = r"env:[A-Za-z_][A-Za-z0-9_]*"
_SECRET_HEADER = r"(?i)authorization|cookie|key|secret|token"


_Weight = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class LaneSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several servers or keys for a model. What is not given is the model's own; `headers` are added to its.

    Each has limits of its own. Where several could take a call, each gets its share by `weight`.
    """

    base_url: str | None = None
    api_key: str | None = None
    headers: Mapping[str, str] = {}
    model: str | None = None
    limits: Limits | None = None
    price: Price | None = None
    weight: _Weight = 1.0

    def __post_init__(self) -> None:
        check_secrets(self.api_key, self.headers)


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model by provider. Secrets stand in the environment: `api_key` and secret headers name a variable.

    `timeout_s` is for a whole call; `first_byte_timeout_s` and `idle_timeout_s` cut one that hangs earlier, best with
    `stream`, where an answer comes as it is written. `proxy` is "env" (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), "env:NAME"
    or an address. `path`, `context` (tokens), `slots` and `threads` are for models that run in this process.
    `endpoints` are several servers or keys that share the calls, and take them over from one that fails; `hedge` asks
    a second time where the first answer is slow.
    """

    provider: str = "openai"
    base_url: str | None = None
    model: str | None = None
    api_key: str | None = None
    timeout_s: Positive = 60.0
    first_byte_timeout_s: Positive | None = None
    idle_timeout_s: Positive | None = None
    stream: bool = False
    proxy: str | None = None
    headers: Mapping[str, str] = {}
    limits: Limits = Limits()
    retry: RetryPolicy = RetryPolicy()
    price: Price | None = None
    path: str | None = None
    context: Count | None = None
    slots: Count | None = None
    threads: Count | None = None
    endpoints: tuple[LaneSpec, ...] = ()
    hedge: HedgePolicy | None = None

    def __post_init__(self) -> None:
        check_secrets(self.api_key, self.headers)
        if self.proxy and "@" in self.proxy:
            raise ValueError('a `proxy` with a password must stand in an environment variable, named as "env:MY_PROXY"')
        seen: dict[tuple[str | None, ...], int] = {}
        for n, lane in enumerate(self.lanes):
            server = (lane.base_url, lane.api_key, lane.model, *map(str, sorted(lane.headers.items())))
            if (first := seen.setdefault(server, n)) != n:
                raise ValueError(
                    f"`endpoints[{n}]` is the same server and key as `endpoints[{first}]`: their limits would count "
                    "twice; give it another `base_url` or `api_key`, or take it out"
                )

    @property
    def lanes(self) -> tuple[ModelSpec, ...]:
        """The description of each server and key: itself, where there is but one."""
        return tuple(self._lane(own) for own in self.endpoints) or (self,)

    @property
    def is_priced(self) -> bool:
        """Whether the price of every call is known."""
        return all(lane.price is not None for lane in self.lanes)

    def _lane(self, own: LaneSpec) -> ModelSpec:
        return msgspec.structs.replace(
            self,
            base_url=own.base_url or self.base_url,
            api_key=own.api_key or self.api_key,
            headers={**self.headers, **own.headers},
            model=own.model or self.model,
            limits=own.limits or self.limits,
            price=own.price or self.price,
            endpoints=(),
        )


def check_secrets(api_key: str | None, headers: Mapping[str, str]) -> None:
    """Raise ValueError for a key, or a header that holds one, that does not stand in an environment variable."""
    # ValueError becomes a validation error with its `$.path` when a recipe is decoded.
    # What stands there may be a key, so no message repeats it.
    if api_key is not None and not re.fullmatch(_REFERENCE, api_key):
        raise ValueError('`api_key` must name an environment variable, as "env:OPENAI_API_KEY"; keys stay outside')
    for name, value in headers.items():
        if re.search(_SECRET_HEADER, name) and not re.fullmatch(_REFERENCE, value):
            raise ValueError(f'the header {name!r} must name an environment variable, as "env:MY_VARIABLE"')


def resolve_key(reference: str | None, path: str = "") -> str | None:
    """The secret that `env:NAME` refers to, None for None. Raises RecipeError when the variable is not set."""
    if reference is None:
        return None
    if not re.fullmatch(_REFERENCE, reference):
        raise RecipeError('a key must be given as "env:NAME", the name of an environment variable', path)
    name = reference.removeprefix("env:")
    if not (key := os.environ.get(name, "").strip()):
        raise RecipeError(f"the environment variable {name} is not set: export {name}=... and run again", path)
    return key


def resolve_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with each `env:NAME` replaced by the variable's value."""
    return {
        name: (resolve_key(value, f"headers.{name}") or "") if re.fullmatch(_REFERENCE, value) else value
        for name, value in headers.items()
    }
