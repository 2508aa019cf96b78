"""Personas as whom texts are written: phrases, or a file of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from streamgen.errors import RecipeError
from streamgen.generate._seeds import seed_lines

_decoder = msgspec.json.Decoder(dict[str, Any])


def personas_of(personas: str | tuple[str, ...]) -> tuple[str, ...]:
    """The phrases themselves, or those of the file. Raises RecipeError, naming the line."""
    if isinstance(personas, str):
        return _read(personas)
    if blank := [place for place, persona in enumerate(personas, 1) if not persona.strip()]:
        raise RecipeError(f"personas: number {blank[0]} is blank")
    return personas


@lru_cache(maxsize=16)
def _read(path: str) -> tuple[str, ...]:
    lines = enumerate(seed_lines(path), 1)
    personas = tuple(_persona(line, f"{path}, line {number}") for number, line in lines if line.strip())
    if not personas:
        raise RecipeError(f"{path} holds no personas: give one a line, or JSON lines with the column `persona`")
    return personas


def _persona(line: bytes, where: str) -> str:
    if not line.lstrip().startswith(b"{"):
        return line.decode("utf-8", "replace").strip()
    try:
        row = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise RecipeError(f"{where} is not a JSON object: {error}") from error
    if not isinstance(persona := row.get("persona"), str) or not persona.strip():
        raise RecipeError(f"{where} lacks a `persona`")
    return persona.strip().rstrip(".")
