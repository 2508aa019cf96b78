"""Budgets of random runs, on virtual time: what is spent is counted by the model itself, apart from the run's books."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import anyio
import msgspec
import pytest
from runs import CHAT, check_whole

import streamgen
from streamgen import registry
from streamgen.llm.budget import Ledger, Reservation, Spent
from streamgen.llm.model import Request, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.llm.spec import ModelSpec
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Record, Usage, Value
from streamgen.summary import Summary
from streamgen.testing import Scripted, prompt_of
from streamgen.virtual_time import run_virtual

RUNS = 200
UNITS = ("usd", "tokens", "requests", "minutes")


class Biller:
    """A server with books of its own: what each call cost."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.price = {"input": rng.uniform(0.1, 5.0), "output": rng.uniform(0.1, 20.0)}
        self.latency_s = rng.choice([0.0, 0.05, 2.0])
        self.faults = rng.choice([0.0, 0.0, 0.1, 0.3])
        self.surprise = rng.choice([1.0, 3.0, 10.0])
        self.spent = dict.fromkeys(UNITS, 0.0)
        self.answers: Counter[str] = Counter()
        self.costs: dict[str, dict[str, float]] = {}

    async def answer(self, request: Request) -> Response:
        key = request.idempotency_key.partition("-")[0]
        self.costs.setdefault(key, dict.fromkeys(UNITS, 0.0))
        await anyio.sleep(self.latency_s * self.rng.lognormvariate(0.0, 0.7))
        if self.rng.random() >= self.faults:
            self.answers[key] += 1
            return Response(f"answer {prompt_of(request)}", usage=self._bill(key), model="fake")
        kind = self.rng.choice([Kind.SERVER, Kind.EMPTY, Kind.MALFORMED])
        raise CallError(kind, "no use", usage=Usage(calls=0) if kind is Kind.SERVER else self._bill(key))

    def _bill(self, key: str) -> Usage:
        usage = Usage(self.rng.randint(5, 10), round(20 * self.rng.uniform(1.0, self.surprise)))
        usd = (usage.prompt_tokens * self.price["input"] + usage.completion_tokens * self.price["output"]) / 1e6
        for unit, amount in (("usd", usd), ("tokens", usage.tokens), ("requests", 1)):
            self.spent[unit] += amount
            self.costs[key][unit] += amount
        return usage


billers: list[Biller] = []
let_through: list[Spent] = []  # what was spent when a call was let through


def open_fake(spec: ModelSpec) -> Scripted:
    return Scripted(billers[-1].answer, repeat=True, latency_s=0.0)


@pytest.fixture(autouse=True)
def _watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is known by name, and each call that is let through is noted."""
    set_aside = Ledger._set_aside

    def noting(ledger: Ledger, cost: Reservation) -> None:
        let_through.append(ledger.spent())
        set_aside(ledger, cost)

    monkeypatch.setitem(registry.BUILTIN["models"], "fake", f"{__name__}:open_fake")
    monkeypatch.setattr(Ledger, "_set_aside", noting)


def most(record: Record, context: object) -> bool:
    """Drops three tickets of ten."""
    return int(record.id) % 10 not in (2, 3, 7)


def recipe_of(rng: Random, biller: Biller, accept: int) -> Recipe:
    parallel = rng.choice([1, 4, 16])
    stages = [{**CHAT, "parallel": parallel}]
    if rng.random() < 0.5:
        stages.append({**CHAT, "name": "again", "prompt": "{{ text }}", "output": "again", "parallel": parallel})
    model = {
        "provider": "fake",
        "price": biller.price,
        "limits": {"concurrency": 2 * parallel},  # no call waits at the endpoint once it is let through
        "retry": {"attempts": 60, "paid_attempts": 60, "base_s": 0.1, "cap_s": 1.0},
    }
    recipe = Recipe.parse(
        {
            "models": {"main": model},
            "source": {"type": "list", "rows": [{"n": n} for n in range(7)], "repeat": True},
            "stages": stages,
            "run": {"accept": accept, "tickets_in_flight": rng.choice([1, 8, 40])},
        }
    )
    sieve = [StageSpec(name="sieve", type=most)] if rng.random() < 0.5 else []
    return msgspec.structs.replace(recipe, stages=(recipe.stages[0], *sieve, *recipe.stages[1:]))


def session(recipe: Recipe, directory: Path, budget: dict[str, Value]) -> Summary:
    run_spec = msgspec.convert({**msgspec.to_builtins(recipe.run), "budget": budget}, type(recipe.run))
    bounded = msgspec.structs.replace(recipe, run=run_spec)

    async def main() -> Summary:
        async with streamgen.open(bounded, directory=directory) as run:
            return await run.finish()

    return run_virtual(main)


def check_bounded(budget: dict[str, float]) -> None:
    """No call was let through once the budget was spent: what is above it is the cost of calls in flight."""
    for spent in let_through:
        assert all(getattr(spent, unit) < limit for unit, limit in budget.items()), spent


def check_used(biller: Biller, budget: dict[str, float], summary: Summary) -> None:
    """A run that was stopped could not have made one more call of about the usual cost."""
    dearest = {unit: max((cost[unit] for cost in biller.costs.values()), default=0.0) for unit in budget}
    left = {unit: limit - biller.spent[unit] for unit, limit in budget.items() if unit != "minutes"}
    guessed = {"usd": 25 * biller.price["input"] / 1e6, "tokens": 25, "requests": 1}  # a prompt's length is a guess
    is_late = "minutes" in budget and summary.statistics.spent.minutes >= budget["minutes"]
    assert is_late or any(amount < dearest[unit] + guessed[unit] for unit, amount in left.items()), (left, dearest)


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_budget_bounds_a_run_and_more_of_it_brings_the_rest(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    billers[:] = [biller := Biller(rng)]
    accept = rng.randint(5, 30)
    recipe = recipe_of(rng, biller, accept)
    chosen = rng.sample(UNITS, rng.choice([1, 1, 2]))
    budget = {unit: rng.choice([0.0, 0.05, 0.3, 0.8]) for unit in chosen}
    minutes = (biller.latency_s or 1.0) / 99
    scale = {unit: accept * of for unit, of in zip(UNITS, (3e-4, 80, 1, minutes), strict=True)}
    for _ in range(30):
        limits = {unit: share * scale[unit] for unit, share in budget.items()}
        limits = {unit: amount if unit in ("usd", "minutes") else round(amount) for unit, amount in limits.items()}
        let_through.clear()
        summary = session(recipe, tmp_path, limits)
        spent = summary.statistics.spent
        assert (spent.tokens, spent.requests) == (biller.spent["tokens"], biller.spent["requests"])
        assert spent.usd == pytest.approx(biller.spent["usd"]) and spent.unpriced == 0
        assert (spent.reserved_usd, spent.reserved_tokens, spent.reserved_requests) == (0.0, 0, 0)
        check_bounded(limits)
        if summary.end.reason == "done":
            break
        assert (summary.end.reason, summary.end.exit_code) == ("budget", 3)
        check_used(biller, limits, summary)
        budget = {unit: share * rng.uniform(1.1, 3.0) + 0.05 for unit, share in budget.items()}
    assert (summary.end.reason, summary.statistics.accepted) == ("done", accept)
    assert set(biller.answers.values()) == {1}
    check_whole(tmp_path)
