"""The commands `export` and `convert`: options as a wish, and what was written told."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

import click

from streamgen.export.convert import convert
from streamgen.export.deliver import Written
from streamgen.export.from_run import export
from streamgen.export.splits import shares_of
from streamgen.export.turns import Chosen
from streamgen.export.wish import Wish
from streamgen.export.write import Order


class How(TypedDict):
    """The options that both commands have."""

    out: Path
    meta: bool
    prompt_column: str | None
    response_column: str | None
    text_column: str | None
    skip_unfit: bool
    split: str | None
    stratify: str | None
    group_by: str
    shuffle: bool
    seed: int
    folder: bool
    files: str | None
    license_: str
    separator: str
    overwrite: bool


def export_run(directory: Path, format_: str, **how: Unpack[How]) -> None:
    """Write a run's records and tell what was written."""
    _tell(export(directory, how["out"], _wish(format_, how)), how["out"])


def convert_file(source: Path, from_: str | None, to: str, **how: Unpack[How]) -> None:
    """Write a file's rows in another format and tell what was written."""
    _tell(convert(source, how["out"], _wish(to, how), from_), how["out"])


def _wish(format_: str, how: How) -> Wish:
    order = Order(
        shares=shares_of(how["split"]) if how["split"] else {},
        stratify=how["stratify"],
        group_by=how["group_by"],
        shuffle=how["shuffle"],
        seed=how["seed"],
    )
    return Wish(
        format=format_,
        chosen=Chosen(how["prompt_column"], how["response_column"], how["text_column"]),
        meta=how["meta"],
        skip_unfit=how["skip_unfit"],
        overwrite=how["overwrite"],
        order=order,
        folder=how["folder"],
        files=how["files"] or "",
        separator=how["separator"].replace("\\n", "\n").replace("\\t", "\t"),
        license=how["license_"],
    )


def _tell(written: Written, out: Path) -> None:
    if written.left_out:
        click.secho(f"{written.left_out.records} left out. {written.left_out.first}", fg="yellow", err=True)
    click.echo(f"{written.records} records written to {out}")
    if len(written.files) > 1:
        click.echo("\n".join(f"  {name}: {count}" for name, count in written.files.items()))
