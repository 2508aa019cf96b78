"""What a refusal says: too fast, too many at once, or everybody has to stop."""

from __future__ import annotations

_SURE = 3  # votes that have to be outvoted
_SAME = 0.02
# Nothing passes: this many round trips in a row, over this share of the time that the server says to wait. At a rate
# that is only limited something passes before, unless it is slower than 16 calls in the time told.
_STOPPED_CUTS = 3
_STOPPED_SHARE = 1 / 16


class Refusals:
    """Keeps what refusals and acceptances say together.

    A cap on concurrency refuses exactly the calls that find more in flight than any call that passed, and at the same
    number each time. A limit of the rate does so only by chance. Each first refusal of a round trip but one votes.
    Where nothing passes between the refusals of several round trips, the server means everybody.
    """

    __slots__ = ("_admitted", "_last", "_newest_at", "_since", "_votes", "cut", "has_passed", "round_trips", "total")

    def __init__(self) -> None:
        self.total = 0
        self.cut = -1  # calls up to this number belong to a round trip that was answered for
        self.round_trips = 0  # in a row in which nothing passed
        self.has_passed = False  # anything, ever
        self._last = -2  # the number of the newest refused call
        self._since = self._newest_at = 0.0  # when the first and the newest of them were sent
        self._votes = 0
        self._admitted = -1  # at the last vote

    def admitted(self, others: int, refused_before: int) -> int:
        """How many the server had in work when it refused a call that found `others`, of which some were refused."""
        return max(0, others - (self.total - refused_before))

    def take(self, number: int, sent: int, at: float) -> bool:
        """Count a refusal of a call that was sent `at`; whether it is the first of its round trip."""
        self.total += 1
        is_first = number > self.cut
        if number > self._last + 1:
            self.round_trips = 0
        self._last = max(self._last, number)
        if is_first:
            if not self.round_trips:
                self._since = at
            self._newest_at = at
            self.round_trips += 1
            self.cut = sent - 1
        return is_first

    @property
    def blames_slots(self) -> bool:
        """Whether refusals come of too many at once."""
        return self._votes > 0

    def vote(self, admitted: int, crowd: int) -> None:
        """Count one more first refusal of a round trip.

        It met `admitted` others in work; calls before it passed although they met up to `crowd`.
        """
        if self._admitted >= 0:
            is_wall = admitted > max(0, crowd) and abs(admitted - self._admitted) <= _SAME * admitted
            self._votes = max(-_SURE, min(_SURE, self._votes + (1 if is_wall else -1)))
        self._admitted = admitted

    def mean_everybody(self, admitted: int, wait_s: float) -> bool:
        """Whether nothing passes any more, or nothing ever did; the server says to wait so long."""
        if not (self.has_passed or admitted):
            return True
        return self.round_trips >= _STOPPED_CUTS and self._newest_at - self._since >= _STOPPED_SHARE * wait_s
