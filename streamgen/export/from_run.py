"""Exports a run's accepted records, also while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streamgen.errors import RecipeError
from streamgen.export.card import card_of_run
from streamgen.export.deliver import Written, deliver
from streamgen.export.wish import Wish
from streamgen.inspection import reading
from streamgen.journal.sinks import is_own_file
from streamgen.journal.store import Store
from streamgen.record import Record, decode


def export(directory: Path, out: Path, wish: Wish) -> Written:
    """Write the run's records to `out`: a file whose name says how rows are kept, or a folder with a card.

    A run that goes on is taken as it stands now.

    Raises RecipeError where the directory holds no run, `out` is in the way or cannot be written, or a record does not
    fit the format; UnknownName for a format that there is none of.
    """
    directory, out = Path(directory), Path(out)
    format_ = wish.known_format
    with reading(directory) as store:
        _check_out(directory, out, store)
        last = store.last_seq
        return deliver(
            lambda: _records(store, last), out, wish, lambda written: card_of_run(directory, wish, format_, written)
        )


def _records(store: Store, last: int) -> Iterator[Record]:
    for page in store.pages():
        yield from (decode(stored.body) for stored in page if stored.seq <= last)
        if page[-1].seq >= last:
            return


def _check_out(directory: Path, out: Path, store: Store) -> None:
    sinks = {(directory / str(name)).resolve() for (name,) in store.read("SELECT name FROM sinks")}
    if out.resolve() in {*sinks, directory.resolve()} or is_own_file(directory, out):
        raise RecipeError(f"{out} belongs to the run itself; choose another name")
