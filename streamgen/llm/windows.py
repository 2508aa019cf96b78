"""What a server's headers leave of its limits: a window of requests or of tokens."""

from __future__ import annotations

import math

# What is told is believed for this long: a limit of a day, or a nonsense reset, costs one call a minute to ask again.
BELIEVED_S = 60.0
# Headers round resets to seconds; where the reset moves away by more than that, the window refills all the time.
_ROUNDING_S = 1.5


class Window:
    """How much may start before the server would refuse, as it told last.

    Two kinds are met. Fixed windows (Azure, Anthropic) give nothing back before their reset: its time stays while the
    rest shrinks. Rolling ones (OpenAI, whose reset is when the bucket would be full) earn `(limit - remaining) / reset`
    a second: the reset moves away. Until that was seen, a window is taken for fixed.
    """

    __slots__ = ("_at", "_is_asking", "_is_long", "_is_rolling", "_left", "_per_s", "_reset_at", "_until")

    def __init__(self) -> None:
        self._left = math.inf
        self._at = -math.inf  # when that was told
        self._per_s = 0.0
        self._reset_at = self._until = -math.inf
        self._is_rolling = self._is_long = self._is_asking = False

    def tell(
        self, limit: float | None, remaining: float | None, reset_s: float | None, since: float, now: float
    ) -> None:
        """Believe the newest account; `since` units started after the call that brought it."""
        if remaining is None or not remaining > -math.inf:
            return
        self._until = now + (BELIEVED_S if reset_s is None or not 0 <= reset_s <= BELIEVED_S else reset_s)
        if limit is not None and remaining > limit / 2:  # far from the end: nothing to learn
            self._left, self._reset_at = remaining - since, now
            return
        reset_s = reset_s if reset_s is not None and 0 <= reset_s < math.inf else BELIEVED_S
        if self._at < now < self._reset_at and now + reset_s > self._reset_at + _ROUNDING_S:
            self._is_rolling = True
        spent = limit - remaining if limit is not None else 0.0
        self._left = max(0.0, remaining) - since
        self._at = now
        self._is_long = reset_s > BELIEVED_S
        self._reset_at = now + min(reset_s, BELIEVED_S)
        self._per_s = spent / reset_s if self._is_rolling and spent > 0 and reset_s > 0 else 0.0

    def ready_at(self, cost: float) -> float:
        """The earliest time at which `cost` units fit; what never fits waits for a whole window."""
        if self._left >= cost:
            return -math.inf
        if self._per_s > 0:
            return min(self._reset_at, self._at + (cost - self._left) / self._per_s)
        return self._reset_at

    def left(self, now: float) -> float | None:
        """What the newest account leaves; None where there is none, or its window is over."""
        return max(0.0, self._left) if self._left < math.inf and now < self._until else None

    def take(self, cost: float, now: float) -> None:
        """Count what starts; after the reset everything may, until the server tells anew."""
        self._left -= cost
        if self._is_long and now >= self._reset_at:
            self._reset_at = now + BELIEVED_S  # it should not be over yet: one call goes and asks
            self._is_asking = True

    def ended(self) -> None:
        """A call came to its end: where it went to ask, all is forgotten, unless the server tells it anew."""
        if self._is_asking:
            self._is_asking = self._is_long = False
            self._left = math.inf

    def give_back(self, cost: float) -> None:
        """Count what did not start after all."""
        self._left += cost
