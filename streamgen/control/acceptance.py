"""The reward `acceptance`: how many records are accepted for what they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Literal

from streamgen.control.reward import TrialFacts
from streamgen.errors import RewardError
from streamgen.record import Record
from streamgen.settings import Settings


class AcceptanceSettings(Settings, frozen=True, kw_only=True):
    """Accepted records for each ticket, for each 1000 tokens, or for each dollar (which needs the models' prices)."""

    per: Literal["ticket", "1000_tokens", "usd"] = "ticket"


class Acceptance:
    """Metrics `per_ticket`, `per_1000_tokens` and `per_usd`, as far as what they divide by is known."""

    def __init__(self, settings: AcceptanceSettings) -> None:
        self._per = settings.per

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return f"per_{self._per}"

    async def score(
        self, records: Sequence[Record], pool: Sequence[Record], *, facts: TrialFacts | None = None
    ) -> Mapping[str, float]:
        """The ratios; none accepted is 0, not a failure. Raises RewardError where nothing is known to divide by."""
        if facts is None:
            raise RewardError("what the trial took is not known here, so acceptance cannot be told")
        taken = {"ticket": float(facts.tickets), "1000_tokens": facts.tokens / 1000, "usd": facts.usd or 0.0}
        if not taken[self._per]:
            raise RewardError(_unknown(self._per))
        error = _error(facts.accepted, facts.tickets)
        metrics = {f"per_{unit}": facts.accepted / amount for unit, amount in taken.items() if amount}
        return metrics | {f"per_{unit}_se": error / amount for unit, amount in taken.items() if amount}


def _error(accepted: int, tickets: int) -> float:
    """The standard error of the number accepted.

    A ticket that gives several records makes it a Poisson count; otherwise it is binomial, with two of each outcome
    added (Agresti and Coull 1998), so that a batch of which all or none is accepted is not taken for certain.
    """
    if accepted > tickets:
        return sqrt(accepted)
    share = (accepted + 2) / (tickets + 4)
    return tickets * sqrt(share * (1 - share) / (tickets + 4))


def _unknown(per: str) -> str:
    if per == "usd":
        return 'what the trial cost is not known: give the models their prices, or use per = "1000_tokens"'
    return f"the trial took no {per.replace('1000_', '')}s, so there is nothing to divide by"
