"""`streamgen models`: the store of local models, with a progress bar."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from streamgen.llm.store import KNOWN, find, installed, pull


def table() -> Table:
    """What can be fetched and what is here."""
    uncut = [Column(name, overflow="fold") for name in ("what", "where")]  # a path that is cut is none
    rows = Table("name", "size", "licence", *uncut, title="Local models", title_justify="left")
    for model in KNOWN.values():
        where = str(find(model.name) or f"not here yet: streamgen models pull {model.name}")
        rows.add_row(model.name, _megabytes(model.size_bytes), model.licence, model.about, where)
    for file in installed():
        if file.name not in KNOWN:
            rows.add_row(file.name, _megabytes(file.size_bytes), "", "your own", str(file.path))
    return rows


def pull_with_progress(name: str) -> Path:
    """Fetch a model, showing how far it is. Raises UnknownName and StoreError."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"fetching {name}", total=None)
        return pull(name, lambda done, total: progress.update(task, completed=done, total=total))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
