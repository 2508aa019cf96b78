"""The process that the crash tests kill: `python crash_child.py WORKLOAD DIRECTORY BASE_URL`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial

import anyio
import msgspec

import streamgen
from streamgen.context import Context
from streamgen.opening import run_async
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Record, Value
from streamgen.settings import Settings

IN_FLIGHT = 4
TICKETS = {"chat": 2000, "fork": 300, "tuned": 1000}
SUFFIXES = ("", ".gz", ".zst")


class ForkSettings(Settings, frozen=True, kw_only=True):
    model: str = "main"


async def fork(record: Record, context: Context[ForkSettings]) -> list[Record]:
    """Three children, each from a call of its own; one of them says what other tickets say, too."""
    n = record["n"]
    first = await context.chat("main", f"First of {n}.")
    second = await context.chat("main", f"Second of {n}.")
    return [Record(columns={"text": text}) for text in (first.text, f"the same for {n % 50}", second.text)]


async def slowly(record: Record, context: Context[ForkSettings]) -> Record:
    """Lets the children of a ticket arrive one by one, so that kills find some of them accepted."""
    await anyio.sleep(context.rng.random() / 50)
    return record


def score(records: Sequence[Record]) -> Mapping[str, float]:
    """The reward of the tuned workload."""
    return {"reward": sum(record.meta.settings["answer.temperature"] for record in records) / len(records)}


def recipe(workload: str, base_url: str = "http://127.0.0.1:1/v1") -> Recipe:
    """A recipe that can be killed."""
    chat = {"name": "answer", "type": "chat", "model": "main", "prompt": "Say {{ n }}.", "temperature": 1.0}
    unique = {"name": "unique", "type": "exact_duplicate", "columns": ["text"]}
    controller: dict[str, Value] = {
        "agent": "random_search", "batch": 16, "trials": 6,
        "space": {"answer.temperature": {"low": 0.0, "high": 2.0}},
        "reward": {"type": "callback", "function": "crash_child:score", "metric": "reward"},
    }  # fmt: skip
    limits = {"concurrency": IN_FLIGHT}
    parsed = Recipe.parse({
        "models": {"main": {"base_url": base_url, "model": "scripted", "limits": limits}},
        "source": {"type": "list", "rows": [{"n": n} for n in range(TICKETS[workload])]},
        "stages": [unique if workload == "fork" else chat],
        "sinks": [{"type": "jsonl", "path": f"out.jsonl{suffix}"} for suffix in SUFFIXES],
        **({"controller": controller} if workload == "tuned" else {}),
    })  # fmt: skip
    if workload != "fork":
        return parsed
    settings = ForkSettings()
    made = (
        StageSpec(name="fork", type=fork, settings=settings, parallel=IN_FLIGHT),
        StageSpec(name="slowly", type=slowly, settings=settings, parallel=IN_FLIGHT),
    )
    return msgspec.structs.replace(parsed, stages=(*made, *parsed.stages))


async def live(workload: str, directory: str, base_url: str) -> None:
    """The run to its end; says so when the first call has been sent."""
    async with streamgen.open(recipe(workload, base_url), directory=directory) as run:
        while not run.statistics().endpoints[0].requests and run.summary().end.reason == "running":  # noqa: ASYNC110
            await anyio.sleep(0.001)
        print("begins", flush=True)
        await run.finish()


if __name__ == "__main__":
    run_async(partial(live, *sys.argv[1:]))
