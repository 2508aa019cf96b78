"""How a run stood, moment by moment: few enough moments to keep, however long it lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streamgen.journal.store import Store
from streamgen.record import Value
from streamgen.summary import RunStatistics

TIMELINE = "timeline"  # where the journal keeps it
MOST = 120
"""Moments that are kept: at twice that many every second one goes, so that they stay evenly spread over the run."""
MEASURES = 24  # numbers of metrics in each


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """A run after `seconds` of work; all counts are of the whole run. `measures` are numbers by `metric.measure`."""

    seconds: float
    accepted: int
    tokens: int
    usd: float | None
    measures: Mapping[str, float]


class Timeline:
    """The moments of all sessions, in order."""

    def __init__(self, moments: Sequence[Moment] = ()) -> None:
        self.moments = [*moments]
        self._before = moments[-1].seconds if moments else 0.0

    def note(self, seconds: float, statistics: RunStatistics) -> None:
        """How the run stands after so many seconds of this session."""
        spent = statistics.spent
        measures = dict(list(_numbers(statistics.metrics).items())[:MEASURES])
        moment = Moment(round(self._before + seconds, 1), statistics.accepted, spent.tokens, spent.usd, measures)
        self.moments.append(moment)
        if len(self.moments) >= 2 * MOST:
            self.moments = [*self.moments[:-1:2], self.moments[-1]]


def _numbers(metrics: Mapping[str, Mapping[str, Value]]) -> dict[str, float]:
    """What of the metrics is a number of its own: bars and tables have no line."""
    return {
        f"{name}.{measure}": float(value)
        for name, result in metrics.items()
        for measure, value in result.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def moments_of(store: Store) -> list[Moment]:
    """How the run stood, from its beginning on."""
    return msgspec.json.decode(store.fact(TIMELINE) or b"[]", type=list[Moment])
