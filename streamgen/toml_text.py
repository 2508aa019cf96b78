"""A recipe as TOML text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from streamgen.record import Value

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(table: Mapping[str, Value]) -> str:
    """The table as TOML; None, which TOML has no word for, is left out.

    >>> print(toml_text({"n": 1, "run": {"accept": 5}, "stages": [{"name": "a", "x.y": [1.5]}]}), end="")
    n = 1
    <BLANKLINE>
    [run]
    accept = 5
    <BLANKLINE>
    [[stages]]
    name = "a"
    "x.y" = [1.5]
    """
    return "\n".join(_lines(table, ())).lstrip("\n") + "\n"


def _lines(table: Mapping[str, Value], path: tuple[str, ...]) -> Iterator[str]:
    """Plain values first: what stands behind a header belongs to it."""
    present = {key: value for key, value in table.items() if value is not None}
    for key, value in present.items():
        if not _is_table(value) and not _are_tables(value):
            yield f"{_key(key)} = {_inline(value)}"
    for key, value in present.items():
        name = (*path, _key(key))
        if _is_table(value):
            yield from ("", f"[{'.'.join(name)}]", *_lines(value, name))
        elif _are_tables(value):
            for entry in value:
                yield from ("", f"[[{'.'.join(name)}]]", *_lines(entry, name))


def _is_table(value: Value) -> bool:
    return isinstance(value, Mapping)


def _are_tables(value: Value) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and all(map(_is_table, value))


def _inline(value: Value) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_inline(each)}' for key, each in value.items() if each is not None)} }}"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(_inline(each) for each in value if each is not None)}]"
    return msgspec.json.encode(value).decode()


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    """JSON's escapes are TOML's too; it asks for one more."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
