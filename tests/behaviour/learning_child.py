"""The process that is killed amid its trials: `python learning_child.py AGENT DIRECTORY [TICKET]`, at this ticket."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence

import msgspec

import streamgen
from streamgen.llm.model import Request
from streamgen.recipe import Recipe
from streamgen.record import Record
from streamgen.testing import prompt_of, scripted

BATCH, TRIALS = 4, 30
LATENCY_S = 0.015  # a reward is told, in a thread, while the next trial has its four answers: also on a busy machine


async def score(records: Sequence[Record]) -> Mapping[str, float]:
    """Best at a temperature of 0.8 with the style `b`; on the loop, so that rewards come in order."""
    [settings] = {msgspec.json.encode(record.meta.settings) for record in records}
    found = msgspec.json.decode(settings)
    value = 1 - abs(found["answer.temperature"] - 0.8) + 0.5 * (found["answer.prompt"][0] == "b")
    return {"reward": value, "reward_se": 0.05}


def recipe(agent: str, kill_at: int | None = None) -> Recipe:
    """Thirty trials, one ticket after the other."""

    def answer(request: Request) -> str:
        if kill_at is not None and prompt_of(request)[1:] == f" {kill_at}":
            os.kill(os.getpid(), signal.SIGKILL)
        return "yes"

    parsed = Recipe.parse({
        "models": {"main": {"base_url": "http://127.0.0.1:1/v1", "model": "scripted"}},
        "source": {"type": "list", "rows": [{"n": n} for n in range(BATCH * TRIALS)]},
        "stages": [{"name": "answer", "type": "chat", "model": "main", "prompt": "a {{ n }}", "temperature": 1.0}],
        "run": {"tickets_in_flight": 1},
        "controller": {
            "agent": agent, "batch": BATCH, "trials": TRIALS,
            "space": {"answer.temperature": {"low": 0.0, "high": 2.0},
                      "answer.prompt": {"choices": ["a {{ n }}", "b {{ n }}", "c {{ n }}"]}},
            "reward": {"type": "callback", "function": "learning_child:score", "metric": "reward"},
        },
    })  # fmt: skip
    return msgspec.structs.replace(parsed, models={"main": scripted(answer, latency_s=LATENCY_S)})


if __name__ == "__main__":
    streamgen.run(recipe(sys.argv[1], *map(int, sys.argv[3:])), directory=sys.argv[2])
