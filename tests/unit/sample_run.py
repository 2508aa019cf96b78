"""A real run with a bit of everything, in a directory: drops, failures, a bad line, trials with rewards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

import streamgen
from streamgen.llm.model import Request, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.recipe import Recipe
from streamgen.record import Record, Usage
from streamgen.summary import Summary
from streamgen.testing import Scripted, prompt_of, scripted

HOSTILE = "<script>alert('x')</script> [bold]no markup[/bold] \x1b[31m"


def answer_of(request: Request) -> Response:
    """Every 10th prompt is refused, every 5th of the rest is answered in one word, number 1 with hostile text."""
    number = int(prompt_of(request).removeprefix("question "))
    if number % 10 == 0:
        raise CallError(Kind.BAD_REQUEST, f"question {number} is not allowed")
    text = HOSTILE if number == 1 else f"an answer to {number}"
    usage = Usage(10, 5, cost_usd=0.001)
    return Response("short" if number % 5 == 0 else text, usage=usage, model="scripted")


def reward(records: list[Record]) -> dict[str, float]:
    """More than one record is worth more than one."""
    return {"score": len(records) / 10, "records": float(len(records))}


def recipe_of(source: Path, model: Scripted | None = None, **more: Any) -> Recipe:
    """A chat stage and a length filter over the source's rows."""
    raw = {
        "name": "sample",
        "models": {"main": {"provider": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "x"}},
        "source": {"type": "jsonl", "path": str(source)},
        "stages": [
            {"name": "answer", "type": "chat", "model": "main", "prompt": "{{ prompt }}", "output": "answer"},
            {"name": "long-enough", "type": "length", "column": "answer", "min_words": 2},
        ],
        "sinks": [{"type": "jsonl", "path": "answers.jsonl"}],
        "metrics": [{"type": "counts", "by": ["label"]}, {"type": "lengths", "column": "answer"}],
        **more,
    }
    return msgspec.structs.replace(Recipe.parse(raw), models={"main": model or scripted(answer_of)})


def write_source(path: Path, rows: int, bad_lines: Sequence[int] = ()) -> Path:
    """Questions 0, 1, 2 ...; lines with these numbers, from 1, are no JSON."""
    lines = [json.dumps({"prompt": f"question {n}", "label": f"class {n % 3}"}) for n in range(rows)]
    for number in bad_lines:
        lines.insert(number - 1, "{no json")
    path.write_text("\n".join(lines) + "\n")
    return path


def run_sample(directory: Path, rows: int = 40, **more: Any) -> Summary:
    """A finished run of 40 questions: 4 refused, 4 too short, 32 accepted, and one bad line."""
    source = write_source(directory.parent / f"{directory.name}-source.jsonl", rows, bad_lines=[3])
    return streamgen.run(recipe_of(source, **more), directory=directory)


def run_tuned(directory: Path) -> Summary:
    """The same with a controller: 4 trials of 10 tickets."""
    controller = {
        "batch": 10,
        "trials": 3,
        "reward": {"type": "callback", "function": f"{__name__}:reward", "metric": "score"},
        "space": {"answer.temperature": {"low": 0.1, "high": 1.0}},
    }
    return run_sample(directory, controller=controller)
