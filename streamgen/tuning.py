"""Which settings a ticket is made with: the recipe's, what `retune` changed, and what its trial sets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from streamgen.context import StageContext
from streamgen.errors import RecipeError, UnknownName
from streamgen.record import Value
from streamgen.settings import Settings

if TYPE_CHECKING:
    from streamgen.control.controller import Controller

_KEPT = 64  # settings that are kept ready: more than the trials that are in flight at once


class Tuned:
    """Every stage's settings for the tickets of one trial; never changed, and shared by all of them."""

    def __init__(
        self, stages: Mapping[str, Settings | None], overrides: Mapping[str, Value], trial: int | None
    ) -> None:
        self.stages, self.overrides, self.trial = stages, overrides, trial
        self.contexts: dict[str, StageContext[Any]] = {}  # of batches, one a stage

    def batch_context(self, stage: str) -> StageContext[Any]:
        """The context of a micro-batch at this stage."""
        if (context := self.contexts.get(stage)) is None:
            context = self.contexts[stage] = StageContext(stage, self.stages[stage])
        return context


class Tuning:
    """Gives each ticket its settings. A change holds from a ticket on, so that none ever sees two."""

    def __init__(
        self, base: Mapping[str, Settings | None], controller: Controller | None, models: Collection[str] = ()
    ) -> None:
        self.base, self.controller, self.models = base, controller, models
        self._starts = [0]  # the first ticket of each retune, rising
        self._retunes: list[dict[str, Value]] = [{}]
        self._cache: dict[tuple[int, int | None], Tuned] = {}  # of the newest ones: a run may have any number of trials

    @property
    def overrides(self) -> Mapping[str, Value]:
        """What all retunes so far have set."""
        return self._retunes[-1]

    @property
    def is_tuned(self) -> bool:
        """Whether tickets with different settings may be out."""
        return self.controller is not None or len(self._retunes) > 1

    def for_ticket(self, ticket: int) -> Tuned:
        """The settings that the ticket is made with, always the same object for one trial."""
        index = bisect_right(self._starts, ticket) - 1
        trial = self.controller.trial_for(ticket) if self.controller else None
        key = (index, trial.id if trial else None)
        if (tuned := self._cache.get(key)) is None:
            overrides = {**self._retunes[index], **(trial.stage_settings if trial else {})}
            tuned = self._cache[key] = Tuned(self._applied(overrides), overrides, trial.id if trial else None)
            if len(self._cache) > _KEPT:
                del self._cache[next(iter(self._cache))]
        return tuned

    def is_ready(self, ticket: int) -> bool:
        """Whether it is known what the ticket is made with; if not, the controller finds it out."""
        return self.controller is None or self.controller.is_ready(ticket)

    async def ready(self, ticket: int) -> bool:
        """Wait until that is known; False where the controller wants no more tickets."""
        return self.controller is None or await self.controller.ready(ticket)

    def retune(self, first_ticket: int, overrides: Mapping[str, Value]) -> int:
        """Also use these settings, as `stage.setting`, from this ticket on, or from the last retune's where that is
        later (its tickets have begun in an earlier session); the ticket from which they hold.

        A RecipeError leaves all as it was.
        """
        changed = {**self._retunes[-1], **overrides}
        self._applied(changed)
        if first_ticket > self._starts[-1]:
            self._starts.append(first_ticket)
            self._retunes.append(changed)
        else:
            self._retunes[-1] = changed
            self._cache.clear()
        return self._starts[-1]

    def _applied(self, overrides: Mapping[str, Value]) -> Mapping[str, Settings | None]:
        stages = dict(self.base)
        if not overrides:
            return stages
        from streamgen.control.binding import with_values
        from streamgen.control.space import by_stage

        known = {key: value for key, value in overrides.items() if value is not None}
        for name, values in by_stage(known).items():
            if not name:
                raise RecipeError(f'{", ".join(map(repr, values))} must be written as "stage.setting"')
            if name not in stages:
                raise UnknownName("stage", name, stages)
            settings = stages[name]
            if settings is None:
                raise RecipeError(f"the stage {name!r} has no settings to tune")
            _check_fields(name, settings, values)
            if isinstance(model := values.get("model"), str) and model not in self.models:
                raise UnknownName("model", model, self.models)
            stages[name] = with_values(settings, values)
        return stages


def _check_fields(stage: str, settings: Settings, values: Mapping[str, Value]) -> None:
    for field in values:
        if field not in settings.__struct_fields__:
            raise UnknownName(f"setting of the stage {stage!r}", field, settings.__struct_fields__)
