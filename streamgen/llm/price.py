"""What tokens cost."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Dollars = Annotated[float, msgspec.Meta(ge=0)]


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens read (`input`) and written (`output`)."""

    input: _Dollars = 0.0
    output: _Dollars = 0.0

    def usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What these tokens cost.

        >>> Price(input=0.5, output=2.0).usd(1_000_000, 500_000)
        1.5
        """
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


class Estimate(msgspec.Struct, frozen=True):
    """About what a call will take, for a budget to reserve."""

    tokens: int
    usd: float
