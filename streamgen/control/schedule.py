"""What each trial is for: the recipe's own settings, learning, the recommended ones again, production."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from streamgen.control.agent import Kind
from streamgen.record import Value

Next: TypeAlias = Kind | Literal["over"]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The first trial has the recipe's own settings, the others of the first `trials` explore, all later ones produce.

    Each `recheck`-th of those that explore has the settings that are recommended by then, so that a drift is seen;
    0 means none. With `rungs`, trials begin with fewer tickets (see `Halving`), and exploring goes on until as many
    tickets are used as `trials` full ones take. `pinned` settings, where given, are what all trials from now on run.
    No trial begins behind `end` tickets.
    """

    batch: int = 32
    trials: int = 20
    recheck: int = 8
    rungs: tuple[int, ...] = ()
    pinned: Mapping[str, Value] | None = None
    end: int | None = None

    def kind(self, trials: int, tickets: int) -> Next:
        """What the next trial is for, after so many trials with so many tickets."""
        if self.end is not None and tickets >= self.end:
            return "over"
        if self.pinned is not None:
            return "incumbent"
        if not trials:
            return "default"
        if not self.is_exploring(trials, tickets):
            return "recommended"
        return "incumbent" if self.recheck and not trials % self.recheck else "explore"

    def is_exploring(self, trials: int, tickets: int) -> bool:
        """Whether settings are still tried out."""
        return tickets < self.trials * self.batch if self.rungs else trials < self.trials

    def tickets(self, kind: Kind) -> int:
        """How many tickets a trial of this kind begins with."""
        return self.rungs[0] if self.rungs and kind == "explore" else self.batch
