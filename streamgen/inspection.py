"""What a run's directory holds, as typed rows: of a run that has ended, that crashed, or that another process runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from streamgen.control.agent import Reward, Trial
from streamgen.control.controller import TrialResult
from streamgen.errors import JournalError, RecipeError
from streamgen.journal.lock import is_locked
from streamgen.journal.progress import Cell
from streamgen.journal.store import FILE_NAME, Store
from streamgen.llm.spend import Spend, spends_of
from streamgen.record import Columns, Record, Value, decode
from streamgen.summary import Reason, RunStatistics

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")

State: TypeAlias = Reason | Literal["crashed"]


class RecordRow(NamedTuple):
    """An accepted record and its place in the order of acceptance, from 1."""

    seq: int
    record: Record


class LetterRow(NamedTuple):
    """A record that failed: in which stage, with which columns and error. `traceback` is "" unless asked for."""

    ticket: int
    stage: str
    record: str
    columns: Columns
    error: str
    traceback: str


class DropRow(NamedTuple):
    """How many records a stage dropped for a reason, over all sessions."""

    stage: str
    reason: str
    records: int


class SessionRow(NamedTuple):
    """One process's work on the run. `started` is in seconds since 1970; `statistics` are its last noted ones."""

    id: int
    started: float
    seconds: float
    state: State
    statistics: RunStatistics


@contextmanager
def reading(directory: Path) -> Iterator[Store]:
    """The run's journal, to be read, also while another process writes it.

    Raises RecipeError where the directory holds no run.
    """
    path = Path(directory) / FILE_NAME
    if not path.is_file():
        raise RecipeError(
            f"{directory} holds no run: there is no {FILE_NAME} in it; "
            "name the directory that `streamgen run --out` was given (runs/<name> by default)"
        )
    store = Store(path, read_only=True)
    try:
        yield store
    finally:
        store.close()


def records(directory: Path, limit: int = 20, offset: int = 0, where: str | None = None) -> list[RecordRow]:
    """Accepted records in order of acceptance, `limit` of them behind the first `offset`.

    `where` keeps those that fit `column=value`; a dotted column leads into objects and provenance (`_meta.trial=3`).
    """
    with reading(directory) as store:
        if where is None:
            return [RecordRow(stored.seq, decode(stored.body)) for stored in store.records(offset, limit)]
        column, value = _condition(where)
        rows = (stored for page in store.pages() for stored in page)
        fitting = (stored for stored in rows if _text_at(msgspec.json.decode(stored.body), column) == value)
        return [RecordRow(stored.seq, decode(stored.body)) for stored in islice(fitting, offset, offset + limit)]


def letters(directory: Path, limit: int = 20, offset: int = 0, *, traceback: bool = False) -> list[LetterRow]:
    """Records that failed, in order, each once; with their tracebacks where these are asked for."""
    trace_or_nothing = "traceback" if traceback else "''"
    query = f"SELECT ticket, stage, record, columns, error, {trace_or_nothing} FROM letters ORDER BY n LIMIT ? OFFSET ?"
    with reading(directory) as store:
        return [
            LetterRow(int(ticket or 0), str(stage), str(record), json_of(columns), str(error), str(trace))
            for ticket, stage, record, columns, error, trace in store.read(query, limit, offset)
        ]


def drops(directory: Path) -> list[DropRow]:
    """What stages dropped and why, over all settled tickets, the most frequent first."""
    with reading(directory) as store:
        return drops_of(store)


def drops_of(store: Store) -> list[DropRow]:
    """The same, of an open journal."""
    drops = store.progress().drops
    rows = [DropRow(stage, reason, count) for stage, counts in drops.items() for reason, count in counts.items()]
    return sorted(rows, key=lambda row: row.records, reverse=True)


def trials(directory: Path) -> list[TrialResult]:
    """The controller's trials in order, with their rewards; none where the recipe has no controller."""
    with reading(directory) as store:
        return trials_of(store)


def trials_of(store: Store) -> list[TrialResult]:
    """The same, of an open journal."""
    rewards = {
        int(trial or 0): typed(body, Reward) for trial, body in store.read("SELECT trial, body FROM rewards ORDER BY n")
    }
    found = [typed(body, Trial) for (body,) in store.read("SELECT body FROM trials ORDER BY id")]
    return [TrialResult(trial, rewards.get(trial.id)) for trial in found]


def spends(directory: Path) -> list[Spend]:
    """What each stage spent on each model, over all sessions."""
    with reading(directory) as store:
        return spends_of(store)


def sessions(directory: Path) -> list[SessionRow]:
    """Each process that worked on the run, in order, with what it last noted (every 5 s, and at its end)."""
    with reading(directory) as store:
        return sessions_of(store, is_alive=is_locked(directory))


def sessions_of(store: Store, *, is_alive: bool) -> list[SessionRow]:
    """The same, of an open journal. A session without an end crashed, except for the last one of a run that lives."""
    rows = store.read("SELECT id, started, seconds, end, statistics FROM sessions ORDER BY id")
    return [
        SessionRow(
            int(id_ or 0),
            float(started or 0),
            float(seconds or 0),
            _state(str(end), is_alive and place == len(rows)),
            typed(statistics, RunStatistics),
        )
        for place, (id_, started, seconds, end, statistics) in enumerate(rows, 1)
    ]


def show(
    directory: Path,
    what: str = "records",
    limit: int = 10,
    *,
    where: str | None = None,
    traceback: bool = False,
    best: bool = False,
) -> RenderableType:
    """Something that rich prints: `what` is records, letters, drops, trials, spend or sessions.

    `where` filters records by `column=value`, `traceback` adds letters' tracebacks, `best` orders trials by reward.
    """
    from streamgen.inspection_view import Wish, view

    return view(directory, what, Wish(limit, where, traceback, best))


def typed(body: Cell, type_: type[T]) -> T:
    """A JSON cell as this type. Raises JournalError where another version of streamgen wrote something else."""
    try:
        return msgspec.json.decode(_bytes(body), type=type_)
    except msgspec.ValidationError as error:
        raise JournalError(
            f"the journal holds a {type_.__name__} that this streamgen cannot read ({error}); "
            "use the version that made the run"
        ) from error


def json_of(body: Cell) -> Value:
    """A JSON cell as plain values."""
    return msgspec.json.decode(_bytes(body))


def _bytes(cell: Cell) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode()


def _state(end: str, is_alive: bool) -> State:
    return "crashed" if end == "running" and not is_alive else msgspec.convert(end, Reason)


def _condition(where: str) -> tuple[str, str]:
    column, sign, value = where.partition("=")
    if not sign or not column.strip():
        raise RecipeError(f"a filter is column=value, as in label=greeting, not {where!r}")
    return column.strip(), value.strip()


def _text_at(row: Mapping[str, Value], column: str) -> str | None:
    """The column's value as text, None where there is none."""
    value: Value = row
    for name in [column] if column in row else column.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
