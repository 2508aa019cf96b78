"""Seed tasks of Self-Instruct: instructions with an input and an output, read once from a JSONL file."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from streamgen.errors import RecipeError
from streamgen.generate._seeds import seed_lines


class Task(NamedTuple):
    """An instruction with an input, which may be empty, and the output that fits."""

    instruction: str
    input: str
    output: str


class Seed(NamedTuple):
    """A seed task, and whether it is one of classification; None where the file does not say."""

    task: Task
    is_classification: bool | None = None


class _Instance(msgspec.Struct):
    output: str
    input: str = ""


class _Line(msgspec.Struct):
    instruction: Annotated[str, Meta(min_length=1)]
    input: str = ""
    output: str = ""
    instances: list[_Instance] = []
    is_classification: bool | None = None


_decoder = msgspec.json.Decoder(_Line)


@lru_cache(maxsize=32)
def read_seeds(path: str) -> tuple[Seed, ...]:
    """The tasks of a JSONL file, in order. Raises RecipeError, naming the line."""
    lines = enumerate(seed_lines(path), 1)
    seeds = tuple(_seed(line, f"{path}, line {number}") for number, line in lines if line.strip())
    if not seeds:
        raise RecipeError(f"{path} holds no seeds: give at least one JSON line with `instruction` and `output`")
    return seeds


def _seed(line: bytes, where: str) -> Seed:
    try:
        row = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise RecipeError(f"{where} is no seed task: {error}") from error
    first = row.instances[0] if row.instances else _Instance(row.output, row.input)
    if not row.instruction.strip():
        raise RecipeError(f"{where} lacks an instruction: it is blank")
    if not first.output.strip():
        raise RecipeError(f"{where} lacks an output; every seed needs `instruction` and `output`, or `instances`")
    return Seed(Task(row.instruction.strip(), first.input.strip(), first.output.strip()), row.is_classification)
