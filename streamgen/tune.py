"""Spends a budget on learning which settings pay, and runs those again that were found, to see what they are worth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import msgspec

from streamgen.control.controller import Controller
from streamgen.control.ranges import cut_off
from streamgen.control.results import ControllerSummary, TrialResult
from streamgen.control.schedule import Schedule
from streamgen.errors import BudgetExhausted, RecipeError, StreamgenError
from streamgen.estimate import Interval
from streamgen.inspection import reading
from streamgen.journal.store import FILE_NAME, Store
from streamgen.llm.budget import Budget, Spent
from streamgen.opening import open_run
from streamgen.plan import Plan, make_plan
from streamgen.recipe import Recipe
from streamgen.record import Value
from streamgen.runs import Run
from streamgen.summary import Summary

EXPLORING = 0.8  # of a budget of money, tokens or minutes; the rest is for running again what was found
_ENDLESS = 10**9
_CHOSEN = "tune.chosen"
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)  # Student's t at 0.975, for 1, 2 ... 10 degrees

Follow = Callable[[Run], Awaitable[Summary]]
"""Sees a run to its end, and shows it meanwhile."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be spent on learning; the first bound that is met ends it. `reruns` batches follow."""

    trials: int | None = None
    tickets: int | None = None
    budget: Budget = Budget()
    reruns: int = 4


class Chosen(msgspec.Struct, frozen=True):
    """What the exploring ended with: the settings, how many trials there were and what they took."""

    settings: Mapping[str, Value]
    applied: Mapping[str, Value]
    trials: int
    end: int
    spent: Spent


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned. `best` is the luckiest batch, `again` what the chosen settings were worth when run again.

    `settings` are the chosen ones as the stages take them. `cost` is that of exploring.
    """

    name: str
    directory: str
    trials: int
    failed: int
    default: float | None
    best: TrialResult | None
    settings: Mapping[str, Value]
    again: Interval
    reruns: Sequence[float]
    cost: Spent
    total: Spent
    notes: Sequence[str]

    @property
    def gain(self) -> float | None:
        """How much better than the recipe's own settings the chosen ones are, by one batch of those."""
        return None if self.default is None or self.again.value is None else self.again.value - self.default


async def tune(recipe: Recipe, directory: Path, wish: Wish, follow: Follow) -> Tuned | Summary:
    """What was learned, or the summary of the run where it was stopped before that.

    Given again, it goes on. Raises RecipeError where there is nothing to tune, and what ended the run.
    """
    if recipe.controller is None:
        raise RecipeError("there is nothing to tune: the recipe has no [controller] with a space and a reward", "$")
    recipe = _for_tuning(recipe)
    if (chosen := _chosen(directory)) is None:
        summary = await _explored(recipe, directory, wish, follow)
        if isinstance(summary, Summary):
            return summary
        chosen = summary
    plan = make_plan(_with_budget(recipe, wish.budget, 1.0))
    controller = _controller(plan)
    end = chosen.end + wish.reruns * controller.schedule.batch
    controller.schedule = msgspec.structs.replace(controller.schedule, pinned=chosen.settings, end=end)
    async with open_run(_with_budget(recipe, wish.budget, 1.0), directory=directory, plan=plan) as run:
        summary = await follow(run)
        await run.finish()
    assert summary.trials is not None
    return summary if summary.end.reason == "interrupted" else _tuned(summary, chosen)


async def _explored(recipe: Recipe, directory: Path, wish: Wish, follow: Follow) -> Chosen | Summary:
    """The settings to run again, noted in the journal; or the summary of a run that was interrupted."""
    bounded = _with_budget(recipe, wish.budget, EXPLORING)
    plan = make_plan(bounded)
    controller = _controller(plan)
    controller.schedule = _schedule(controller, wish)
    async with open_run(bounded, directory=directory, plan=plan) as run:
        summary = await follow(run)
        await run.finish()
    if summary.end.reason == "interrupted":
        return summary
    assert summary.trials is not None
    if (settings := summary.trials.recommended) is None:
        raise _nothing_learned(summary, summary.trials)
    applied = controller.applied(settings)
    return _noted(directory, summary, Chosen(settings, applied, 0, 0, summary.statistics.spent))


def _noted(directory: Path, summary: Summary, chosen: Chosen) -> Chosen:
    """What was chosen, also in the journal; trials that a budget cut short lose the tickets that were not issued."""
    assert summary.trials is not None
    store = Store(directory / FILE_NAME)
    end = store.progress().following
    left = list(cut_off([result.trial for result in summary.trials.trials], end))
    chosen = msgspec.structs.replace(chosen, trials=len(left), end=end)
    store.commit({
        "dropped_trials": [(len(left),)],
        "trials": [(trial.id, msgspec.json.encode(trial)) for trial in left],
        "facts": [(_CHOSEN, msgspec.json.encode(chosen))],
    })  # fmt: skip
    store.close()
    return chosen


def _nothing_learned(summary: Summary, trials: ControllerSummary) -> StreamgenError:
    if trials.is_lost:
        reward = trials.failed[-1].reward
        said = f"all {len(trials.failed)} rewards failed; the last error: {reward and reward.error}"
        return RecipeError(said, "$.controller.reward")
    kind = BudgetExhausted if summary.end.reason == "budget" else RecipeError
    return kind(f"no trial got its reward: {summary.end.message}")


def _tuned(summary: Summary, chosen: Chosen) -> Tuned:
    assert summary.trials is not None and summary.directory is not None
    trials, reruns = summary.trials.trials[: chosen.trials], summary.trials.trials[chosen.trials :]
    again = [result.value for result in reruns if result.value is not None]
    rewarded = [result for result in trials if result.value is not None]
    return Tuned(
        name=summary.statistics.name,
        directory=summary.directory,
        trials=len(trials),
        failed=sum(result.reward is not None and result.value is None for result in trials),
        default=trials[0].value if trials[0].trial.kind == "default" else None,
        best=max(rewarded, key=lambda result: result.value or 0.0, default=None),
        settings=chosen.applied,
        again=interval(again),
        reruns=again,
        cost=chosen.spent,
        total=summary.statistics.spent,
        notes=[*summary.trials.notes, *_notes(summary, again)],
    )


def interval(values: Sequence[float]) -> Interval:
    """The mean of independent values with the ends of its 95 % interval (Student's t); no ends for a single one.

    >>> interval([1.0, 3.0])
    Interval(value=2.0, low=-10.71, high=14.71)
    """
    if len(values) < 2:
        return Interval(values[0] if values else None)
    mean, half = fmean(values), _T[min(len(values) - 1, len(_T)) - 1] * stdev(values) / sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def tuned_recipe(raw: Mapping[str, Value], settings: Mapping[str, Value]) -> dict[str, Value]:
    """The recipe as written, with these settings of its stages and without its controller."""
    stages = []
    for stage in raw["stages"]:
        own = {name.rpartition(".")[2]: value for name, value in settings.items()
               if name.rpartition(".")[0] == stage["name"] and value is not None}  # fmt: skip
        stages.append({**stage, **own})
    return {**{name: value for name, value in raw.items() if name != "controller"}, "stages": stages}


def _notes(summary: Summary, again: Sequence[float]) -> list[str]:
    if again:
        return []
    return [f"what was chosen could not be run again: {summary.end.message}"]


def _for_tuning(recipe: Recipe) -> Recipe:
    """Records stay in the journal, the source begins anew at its end, and there is no number to reach."""
    source = recipe.source
    if source is not None and source.settings is not None and "repeat" in source.settings.__struct_fields__:
        endless = msgspec.structs.replace(source.settings, repeat=True)
        source = msgspec.structs.replace(source, settings=endless)
    run = msgspec.structs.replace(recipe.run, accept=_ENDLESS)
    return msgspec.structs.replace(recipe, source=source, sinks=(), run=run, finish=None)


def _with_budget(recipe: Recipe, wish: Budget, share: float) -> Recipe:
    """The recipe with both budgets: its own, and this share of the wished one."""
    own = recipe.run.budget
    budget = Budget(
        usd=_least(own.usd, wish.usd, share),
        tokens=_whole(_least(own.tokens, wish.tokens, share)),
        requests=_whole(_least(own.requests, wish.requests, share)),
        minutes=_least(own.minutes, wish.minutes, share),
    )
    return msgspec.structs.replace(recipe, run=msgspec.structs.replace(recipe.run, budget=budget))


def _least(own: float | None, wish: float | None, share: float) -> float | None:
    known = [amount * share for amount in (own, wish) if amount is not None]
    return min(known, default=None)


def _whole(amount: float | None) -> int | None:
    return None if amount is None else int(amount)


def _controller(plan: Plan) -> Controller:
    assert plan.controller is not None
    return plan.controller


def _schedule(controller: Controller, wish: Wish) -> Schedule:
    """Exploring until the wish is spent; without one, as many trials as the recipe says."""
    schedule = controller.schedule
    ends = [wish.trials * schedule.batch] if wish.trials is not None else []
    ends += [wish.tickets] if wish.tickets is not None else []
    if not ends and wish.budget == Budget():
        ends = [schedule.trials * schedule.batch]
    end = min(ends, default=None)
    return msgspec.structs.replace(schedule, trials=_ENDLESS, end=end)


def _chosen(directory: Path) -> Chosen | None:
    if not (directory / FILE_NAME).is_file():
        return None
    with reading(directory) as store:
        found = store.fact(_CHOSEN)
    return msgspec.json.decode(found, type=Chosen) if found else None
