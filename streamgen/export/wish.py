"""What a user asks of an export, and how a record becomes rows by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from streamgen.errors import RecipeError
from streamgen.export.containers import Container, container_of
from streamgen.export.formats import Format, Read, format_named
from streamgen.export.turns import Chosen, Row
from streamgen.export.write import Order
from streamgen.record import Record
from streamgen.rows import kind_of


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Into which format, of which columns, in which order and files.

    `meta` keeps the provenance under `_meta`; `skip_unfit` leaves out records that do not fit; `folder` asks for a
    folder also where nothing is split, `files` is how its files end; `separator` stands between the texts of a `.txt`
    file; `license` is what the card of a folder tells of the licence.
    """

    format: str
    chosen: Chosen = Chosen()
    meta: bool = False
    skip_unfit: bool = False
    overwrite: bool = False
    order: Order = Order()
    folder: bool = False
    files: str = ""
    separator: str = "\n"
    license: str = ""

    @property
    def known_format(self) -> Format:
        """The format of that name. Raises UnknownName."""
        return format_named(self.format)

    def is_folder(self, out: Path) -> bool:
        """Whether a folder is to be written rather than a file."""
        return bool(self.folder or self.files or self.order.shares) or out.is_dir()

    def container(self, name: str) -> Container:
        """What writes a file of this name. Raises RecipeError where the name is another format's."""
        ending, own = kind_of(name), self.known_format.ending
        if own == ".parquet" and ending not in ("", own):
            raise RecipeError(f"{name} is no name of a Parquet file; call it .parquet, or choose the format jsonl")
        return container_of(name if ending else name + own, self.separator)

    def file_names(self) -> Sequence[str]:
        """The names of a folder's files."""
        ending = f".{self.files.lstrip('.')}" if self.files else self.known_format.ending
        if not kind_of(f"a{ending}"):
            raise RecipeError(
                f"--files {self.files}: unknown ending; allowed are jsonl, csv, tsv, txt (.gz, .zst), parquet"
            )
        return [f"{name}{ending}" for name in self.order.shares or ("train",)]

    def to_rows(self, container: Container, read: Read = dict) -> Callable[[Record], Sequence[Row]]:
        """What makes rows of a record, which `read` brings from its own format into a record's columns."""
        write, chosen, check = self.known_format.write, self.chosen, container.check

        def rows(record: Record) -> Sequence[Row]:
            made = write(Record(record.id, read(record.columns), record.meta), chosen)
            for row in made:
                check(row)
            return made

        return rows
