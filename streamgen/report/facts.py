"""What a report tells, read from a run's journal in one look, so that its numbers belong together."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from streamgen.inspection import DropRow, SessionRow, State, drops_of, json_of, reading, sessions_of, trials_of, typed
from streamgen.journal.lock import is_locked
from streamgen.journal.store import Store
from streamgen.llm.spend import Spend, spends_of, total
from streamgen.llm.statistics import EndpointStatistics
from streamgen.record import META_KEY, Value
from streamgen.report.asked import Asked, asked_for
from streamgen.report.trials import TrialFacts, trial_facts_of
from streamgen.summary import End
from streamgen.timeline import Moment, moments_of

SAMPLES = 50
KINDS_OF_FAILURE = 20

_VARYING = re.compile(r"\d+|'[^']*'|\"[^\"]*\"")


class StageFacts(msgspec.Struct, frozen=True):
    """What became of the records that a stage received. `emitted` are more than `passed` where it fans out."""

    name: str
    type: str
    received: int
    emitted: int
    failed: int
    drops: Sequence[DropRow]
    p50_s: float | None

    @property
    def dropped(self) -> int:
        """Records dropped, for whatever reason."""
        return sum(drop.records for drop in self.drops)

    @property
    def passed(self) -> int:
        """Records that went on, or are in its hands."""
        return max(0, self.received - self.dropped - self.failed)


class Failure(msgspec.Struct, frozen=True):
    """A kind of failure: how many records of a stage, and the first of them with its columns and traceback."""

    stage: str
    records: int
    record: str
    error: str
    columns: Mapping[str, Value]
    traceback: str


class Sample(msgspec.Struct, frozen=True):
    """An accepted record with its place in the order of acceptance."""

    seq: int
    id: str
    columns: Mapping[str, Value]
    meta: Mapping[str, Value]
    asked: Sequence[Asked] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the page shows. `tickets` counts settled ones by outcome, `made_at` is in seconds since 1970."""

    name: str
    state: State
    message: str
    made_at: float
    accepted: int
    wanted: int | None
    surplus: int
    tickets: Mapping[str, int]
    letters: int
    sessions: Sequence[SessionRow]
    stages: Sequence[StageFacts]
    spends: Sequence[Spend]
    endpoints: Sequence[EndpointStatistics]
    warnings: Sequence[str]
    structured: Mapping[str, Mapping[str, Mapping[str, int]]]
    failures: Sequence[Failure]
    kinds_of_failure: int
    metrics: Mapping[str, Value]
    moments: Sequence[Moment]
    trials: TrialFacts
    samples: Sequence[Sample]
    recipe: Value

    @property
    def settled(self) -> int:
        """Settled tickets."""
        return sum(self.tickets.values())

    @property
    def seconds(self) -> float:
        """How long all sessions worked together."""
        return sum(session.seconds for session in self.sessions)

    @property
    def spent(self) -> Spend:
        """Over all models and stages."""
        return total(self.spends)


def facts_of(directory: Path) -> Facts:
    """The facts of the run in the directory. Raises RecipeError where there is none."""
    is_alive = is_locked(directory)
    with reading(directory) as store:
        store.read("BEGIN")  # one snapshot for all that follows, while the run may go on
        return _facts(store, is_alive)


def _facts(store: Store, is_alive: bool) -> Facts:
    sessions = sessions_of(store, is_alive=is_alive)
    last = sessions[-1].statistics if sessions else None
    by_stage = _counts(store, "SELECT stage, count(*) FROM letters GROUP BY stage")
    kinds = _kinds_of_failure(store)
    recipe = json_of(store.fact("recipe.raw") or store.fact("recipe") or b"{}")
    state: State = sessions[-1].state if sessions else "running" if is_alive else "crashed"
    return Facts(
        name=(store.fact("name") or b"run").decode(),
        state=state,
        message=_message(store, state),
        made_at=time.time(),
        accepted=store.last_seq,
        wanted=last.wanted if last else None,
        surplus=_number(store, "SELECT count(*) FROM surplus"),
        tickets={outcome: count for outcome, count in sorted(store.progress().tickets.items()) if count},
        letters=sum(by_stage.values()),
        sessions=sessions,
        stages=_stages(store, sessions, by_stage),
        spends=spends_of(store),
        endpoints=last.endpoints if last else [],
        warnings=last.warnings if last else [],
        structured=_structured(sessions),
        failures=[_failure(store, n, count) for n, count in kinds[:KINDS_OF_FAILURE]],
        kinds_of_failure=len(kinds),
        metrics=last.metrics if last else {},
        moments=moments_of(store),
        trials=trial_facts_of(store, trials_of(store), recipe, json_of(store.fact("recommended") or b"null")),
        samples=_with_calls(store, list(_samples(store))),
        recipe=recipe,
    )


_MESSAGES: Mapping[State, str] = {
    "running": "The run goes on.",
    "crashed": "The process ended without a last word: it was killed, or the machine went down. "
    "Run the same command again to go on; nothing that was kept is lost.",
    "done": "All is done.",
    "source_ended": "The source has ended before enough records were accepted.",
    "budget": "The budget is spent. Run the same command with a larger one to go on.",
    "interrupted": "The run was interrupted. Run the same command again to go on.",
    "stopped": "The run was stopped. Run the same command again to go on.",
    "failed": "An error stopped the run.",
}


def _message(store: Store, state: State) -> str:
    """The run's own last word where it left one."""
    end = store.fact("end")
    told = typed(end, End) if end else End()
    return told.message if told.message and told.reason == state else _MESSAGES[state]


def _stages(store: Store, sessions: Sequence[SessionRow], failed: Mapping[str, int]) -> list[StageFacts]:
    """The stages in the recipe's order. What they received is summed over the sessions' notes, the rest is exact."""
    recipe = json_of(store.fact("recipe") or b'{"order": [], "stages": {}}')
    drops = drops_of(store)
    stages = [_source(sessions, failed["source"])] if "source" in failed else []
    for name in recipe["order"]:
        noted = [stage for session in sessions for stage in session.statistics.engine.stages if stage.name == name]
        own = [drop for drop in drops if drop.stage == name]
        at_least = sum(drop.records for drop in own) + failed.get(name, 0)
        received = max(at_least, sum(stage.received for stage in noted))
        emitted = sum(stage.emitted for stage in noted)
        p50_s = noted[-1].latency_p50_s if noted else None
        type_ = str(recipe["stages"][name]["type"])
        stages.append(StageFacts(name, type_, received, emitted, failed.get(name, 0), own, p50_s))
    return stages


def _source(sessions: Sequence[SessionRow], bad: int) -> StageFacts:
    """The source as a stage, for the sake of the rows that could not be read."""
    issued = sum(session.statistics.engine.tickets_issued for session in sessions)
    return StageFacts("source", "", issued + bad, issued, bad, (), None)


def _structured(sessions: Sequence[SessionRow]) -> dict[str, dict[str, Counter[str]]]:
    """Structured answers by model, rung and form, of all sessions."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for session in sessions:
        for model, rungs in session.statistics.structured.items():
            for rung, counts in rungs.items():
                found.setdefault(model, {}).setdefault(rung, Counter()).update(counts)
    return found


def _kinds_of_failure(store: Store) -> list[tuple[int, int]]:
    """The first letter of each kind and how many there are, the most frequent kind first.

    Errors are of one kind when they differ in numbers and quoted words only.
    """
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    for n, stage, error in store.rows("SELECT n, stage, error FROM letters ORDER BY n"):
        kind = (str(stage), _VARYING.sub("*", str(error))[:200])
        counts[kind] += 1
        first.setdefault(kind, int(n or 0))
    return [(first[kind], count) for kind, count in counts.most_common()]


def _failure(store: Store, n: int, count: int) -> Failure:
    stage, record, error, columns, trace = store.one(
        "SELECT stage, record, error, columns, traceback FROM letters WHERE n = ?", n
    )
    return Failure(str(stage), count, str(record), str(error), json_of(columns), str(trace))


def _samples(store: Store) -> Iterator[Sample]:
    """Records from the first to the last, evenly spread."""
    last = store.last_seq
    for place in range(min(last, SAMPLES)):
        (stored,) = store.records(place * (last - 1) // max(1, min(last, SAMPLES) - 1), 1)
        columns = json_of(stored.body)
        meta = columns.pop(META_KEY, {})
        yield Sample(stored.seq, meta.pop("id", ""), columns, meta)


def _with_calls(store: Store, samples: Sequence[Sample]) -> Sequence[Sample]:
    if not samples:
        return samples
    asked = asked_for(store, {sample.id: int(sample.meta.get("ticket", -1)) for sample in samples})
    return [msgspec.structs.replace(sample, asked=asked[sample.id]) for sample in samples]


def _counts(store: Store, query: str) -> dict[str, int]:
    return {str(name): int(count or 0) for name, count in store.read(query)}


def _number(store: Store, query: str) -> int:
    (number,) = store.one(query)
    return int(number or 0)
