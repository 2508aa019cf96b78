"""Read by the type checker, never run: what the public names give to a user's own code."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import assert_type

import streamgen
from streamgen import Context, Drop, Message, Recipe, Record, Response, Settings, StageContext
from streamgen.engine.stage import AwaitingHandler, BatchHandler, InlineHandler
from streamgen.summary import RunStatistics, Summary


class EchoSettings(Settings, frozen=True, kw_only=True):
    model: str = "main"
    times: int = 1


async def ask(record: Record, context: Context[EchoSettings]) -> Record | Drop:
    assert_type(context.settings.times, int)
    assert_type(context.rng, Random)
    response = await context.chat(context.settings.model, [Message("user", record.text("prompt"))], temperature=0.5)
    assert_type(response, Response)
    return record.with_columns(answer=response.text) if response.text else Drop("empty")


def keep(record: Record, context: Context[EchoSettings]) -> bool:
    return len(record.text("answer")) > context.settings.times


def batch(records: Sequence[Record], context: StageContext[EchoSettings]) -> list[Record]:
    return [record.scored("length", float(len(record.text("answer")))) for record in records]


awaiting: AwaitingHandler = ask
inline: InlineHandler = keep
batched: BatchHandler = batch


async def embed() -> None:
    recipe = Recipe.load("recipe.toml")
    async with streamgen.open(recipe, directory="out", accept=10) as run:
        async for record in run:
            assert_type(record, Record)
        assert_type(run.statistics(), RunStatistics)
        run.retune({"ask.times": 2})
        run.stop()


assert_type(streamgen.run("recipe.toml"), Summary)
