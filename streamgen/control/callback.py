"""The reward `callback`: the user's own function from records to metrics."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import anyio
import msgspec

from streamgen.control.threads import in_thread
from streamgen.errors import RewardError
from streamgen.functions import find_function
from streamgen.record import Record
from streamgen.settings import Settings

PATH = "$.controller.reward.function"


class CallbackSettings(Settings, frozen=True, kw_only=True):
    """`function` is "module:function" or, in Python, the function itself; `metric` names the reward in its answer."""

    function: Any  # msgspec knows no union of text and callable
    metric: str
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    directory: str | None = None


class Callback:
    """Calls a sync function in a thread of its own, an async one on the event loop: `function(records) -> dict`."""

    def __init__(self, settings: CallbackSettings) -> None:
        self._settings = settings
        self._function = find_function(settings.function, settings.directory, PATH)

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return self._settings.metric

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        """The function's answer. Raises RewardError when there is none within `timeout_s`."""
        with anyio.move_on_after(self._settings.timeout_s) as scope:
            if inspect.iscoroutinefunction(self._function):
                return cast(Mapping[str, float], await self._function(list(records)))
            answer = await in_thread(self._function, list(records))
            return cast(Mapping[str, float], await answer if inspect.isawaitable(answer) else answer)
        assert scope.cancelled_caught
        raise RewardError(f"the reward function gave no answer within timeout_s = {self._settings.timeout_s:g}")
