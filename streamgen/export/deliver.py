"""Brings a data set to its place: looks at what is there, writes beside it, and puts it there as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from streamgen.errors import RecipeError
from streamgen.export.folder import CARD, check_folder, replacing_folder
from streamgen.export.formats import Read
from streamgen.export.rows import LeftOut, Origin, Rows
from streamgen.export.wish import Wish
from streamgen.export.write import Out, write_rows
from streamgen.files import replacing


class Written(NamedTuple):
    """How many records were written, into which files, and what did not fit."""

    records: int
    files: Mapping[str, int]
    left_out: LeftOut | None


def deliver(origin: Origin, out: Path, wish: Wish, card: Callable[[Written], str], read: Read = dict) -> Written:
    """Write the records to `out`, a file or, if the wish says so, a folder with a card.

    Raises RecipeError where something is in the way, a record does not fit, or none does; nothing is left then.
    """
    if wish.is_folder(out):
        return _deliver_folder(origin, out, wish, card, read)
    _check_file(out, wish)
    container = wish.container(out.name)
    rows = Rows(origin, wish.to_rows(container, read), meta=wish.meta, skips=wish.skip_unfit)
    with replacing(out) as partial:
        counts = write_rows(rows, container, [Out(partial, out.name)], wish.order, out.resolve().parent)
        return _written(rows, wish, {out.name: counts[0]})


def _deliver_folder(origin: Origin, out: Path, wish: Wish, card: Callable[[Written], str], read: Read) -> Written:
    check_folder(out, wish.overwrite)
    names = wish.file_names()
    container = wish.container(names[0])
    rows = Rows(origin, wish.to_rows(container, read), meta=wish.meta, skips=wish.skip_unfit)
    with replacing_folder(out) as partial:
        outs = [Out(partial / name, name) for name in names]
        counts = write_rows(rows, container, outs, wish.order, partial)
        written = _written(rows, wish, dict(zip(names, counts, strict=True)))
        (partial / CARD).write_text(card(written), "utf-8")
        return written


def _check_file(out: Path, wish: Wish) -> None:
    if out.exists() and not wish.overwrite:
        raise RecipeError(f"{out} exists; choose another name, or overwrite it with --overwrite")


def _written(rows: Rows, wish: Wish, files: Mapping[str, int]) -> Written:
    if rows.left_out and not rows.written:
        raise RecipeError(
            f"none of the {rows.left_out.records} records fits the format {wish.format}. {rows.left_out.first}. Choose "
            "its columns with --prompt-column, --response-column or --text-column, or another format"
        )
    return Written(rows.written, files, rows.left_out)
