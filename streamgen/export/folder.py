"""A folder that appears as a whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streamgen.errors import RecipeError
from streamgen.rows import kind_of

CARD = "README.md"
MARK = "- streamgen"
"""A line in the header of every card of ours: a folder without it is not ours to replace."""


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write to; it takes the place of `path` when the block ends well, or vanishes.

    Raises RecipeError where nothing can be written there.
    """
    target = path.resolve()
    partial, old = (target.with_name(f".{target.name}.{os.getpid()}.{word}") for word in ("partial", "old"))
    try:
        partial.mkdir(parents=True)
        yield partial
        for file in partial.iterdir():
            with file.open("r+b") as opened:
                os.fsync(opened.fileno())
        _put(partial, target, old)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise RecipeError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put(new: Path, target: Path, old: Path) -> None:
    """Rename `new` to `target`; what was there is then `old`, or back in its place where that fails."""
    with suppress(FileNotFoundError):
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        with suppress(OSError):
            old.rename(target)
        raise


def check_folder(path: Path, overwrite: bool) -> None:
    """Raise RecipeError where something is in the way: any file, or a folder that is not to be, or cannot be, replaced.

    Only a folder that an export wrote is replaced: a card with our mark, and files of rows.
    """
    if path.exists() and not path.is_dir():
        raise RecipeError(f"{path} is a file; a folder is to be written there: choose another name")
    held = sorted(file.name for file in path.iterdir()) if path.is_dir() else []
    if not held:
        return
    if not overwrite:
        raise RecipeError(f"{path} is not empty; choose another name, or replace an earlier export with --overwrite")
    foreign = [name for name in held if name != CARD and not kind_of(name)]
    if foreign or CARD not in held or MARK not in (path / CARD).read_text("utf-8", "replace").splitlines():
        what = f"holds {foreign[0]}, which" if foreign else "has no card of streamgen's, so"
        raise RecipeError(f"{path} {what} no export wrote; remove it yourself, or choose another name")
