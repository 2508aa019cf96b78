"""How long the event loop is held up at a time while a controller learns: what the longest callback took, by agent."""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

import streamgen
from streamgen.context import Context
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.testing import scripted

FLOATS = ("a", "b", "c", "d", "e", "f")


class Made(Settings, frozen=True, kw_only=True):
    """Eight settings to tune."""

    model: str = "main"
    a: float = 0.5
    b: float = 0.5
    c: float = 0.5
    d: float = 0.5
    e: float = 0.5
    f: float = 0.5
    method: str = "x"
    depth: int = 2


async def make(record: Record, context: Context[Made]) -> Record:
    """One call a ticket."""
    response = await context.chat("main", "hello")
    return record.with_columns(text=response.text)


async def score(records: Sequence[Record]) -> Mapping[str, float]:
    """A bowl, on the loop: nothing but the agent is to hold it up."""
    found = records[0].meta.settings
    return {"reward": 1 - sum((found[f"make.{name}"] - 0.3) ** 2 for name in FLOATS) + (found["make.method"] == "y")}


def recipe(agent: str | None, trials: int, batch: int) -> Recipe:
    """`trials` of `batch` tickets; without an agent the same tickets."""
    space: dict[str, Any] = {f"make.{name}": {"low": 0.0, "high": 1.0} for name in FLOATS}
    space |= {"make.method": {"choices": ["x", "y", "z"]}, "make.depth": {"low": 1, "high": 6}}
    controller = {"agent": agent, "batch": batch, "trials": trials, "space": space,
                  "reward": {"type": "callback", "function": score, "metric": "reward"}}  # fmt: skip
    parsed = Recipe.parse({
        "models": {"main": {"base_url": "http://127.0.0.1:1/v1", "model": "scripted"}},
        "source": {"type": "list", "rows": [{"n": n} for n in range(trials * batch)]},
        "stages": [{"name": "make", "type": "length", "column": "n"}],
    })  # fmt: skip
    from streamgen.control.build import ControllerSpec
    from streamgen.decode import decode

    return msgspec.structs.replace(
        parsed,
        models={"main": scripted(["yes"], latency_s=0.01)},
        stages=(StageSpec(name="make", type=make, settings=Made(), parallel=8),),
        run=msgspec.structs.replace(parsed.run, tickets_in_flight=16),
        controller=decode(controller, ControllerSpec) if agent else None,
    )


class Watched(NamedTuple):
    """Seconds that each callback of the event loop took, and each pass of the garbage collector.

    A callback's are of its thread's CPU and by the clock, without the passes in it: those may come anywhere, and take
    as long as the process has objects.
    """

    callbacks: list[tuple[float, float]]
    passes: list[float]


@contextmanager
def watched() -> Iterator[Watched]:
    """What the loop does meanwhile."""
    found, plain, started = Watched([], []), asyncio.Handle._run, 0.0

    def collected(phase: str, _: dict[str, int]) -> None:
        nonlocal started
        if phase == "start":
            started = time.perf_counter()
        else:
            found.passes.append(time.perf_counter() - started)

    def timed(self: asyncio.Handle) -> None:
        started, cpu, known = time.perf_counter(), time.thread_time(), len(found.passes)
        plain(self)
        apart = sum(found.passes[known:])
        found.callbacks.append((time.thread_time() - cpu - apart, time.perf_counter() - started - apart))

    gc.callbacks.append(collected)
    asyncio.Handle._run = timed  # type: ignore[method-assign]
    try:
        yield found
    finally:
        asyncio.Handle._run = plain  # type: ignore[method-assign]
        gc.callbacks.remove(collected)


def command(arguments: Sequence[str]) -> None:
    """Measure, and print a line an agent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks block", description=__doc__)
    parser.add_argument("agents", nargs="*", default=["random_search", "bandit", "surrogate"])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args(arguments)
    print(f"{options.trials} trials of {options.batch} tickets, 8 settings")
    print(
        "ms: the three longest callbacks of the loop, of CPU and by the clock, which others on the machine prolong; "
        "and the garbage collector's longest pass, which is not in them"
    )
    _measured(None, 2, 2)  # loads what a run needs
    for agent in (None, *options.agents):
        if agent:
            _measured(agent, 5, 2)
        print(f"{agent or 'no controller':<14} {_measured(agent, options.trials, options.batch)}", flush=True)


def _measured(agent: str | None, trials: int, batch: int) -> str:
    made = recipe(agent, trials, batch)

    async def main() -> None:
        async with streamgen.open(made) as run:
            await run.finish()

    with watched() as found:
        started, cpu = time.perf_counter(), time.process_time()
        asyncio.run(main())
        took, used = time.perf_counter() - started, time.process_time() - cpu
    cpus, walls = (sorted((1e3 * times[kind] for times in found.callbacks), reverse=True)[:3] for kind in (0, 1))
    shown = f"{' '.join(f'{each:6.1f}' for each in cpus)}    {' '.join(f'{each:6.1f}' for each in walls)}"
    longest = 1e3 * max(found.passes, default=0.0)
    return f"{shown}    {longest:6.1f}    {took:.2f} s, {used:.2f} s of CPU"
