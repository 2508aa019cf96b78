"""The reward `callback`: the user's own function from records to metrics."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import Annotated, Any, TypeAlias, cast

import anyio
import msgspec

from streamgen.errors import RewardError
from streamgen.functions import find_function
from streamgen.record import Record
from streamgen.settings import Settings

PATH = "$.controller.reward.function"

Reducer: TypeAlias = Callable[[list[Record]], Any]


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


async def in_thread(function: Reducer, records: list[Record]) -> Any:
    """The function's answer from a daemon thread, which is left behind on cancellation.

    anyio's worker threads are waited for at the interpreter's end: one hanging function would keep the process alive.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(set_outcome: Callable[[Any], None], outcome: Any) -> None:
        if not answer.done():
            set_outcome(outcome)

    def work() -> None:
        try:
            report = (answer.set_result, function(records))
        except BaseException as error:  # handed over to the one who waits
            report = (answer.set_exception, _carried(error))
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *report)

    Thread(target=work, name="streamgen reward", daemon=True).start()
    return await answer


def _carried(error: BaseException) -> Exception:
    """SystemExit and StopIteration cannot travel through a future."""
    usable = isinstance(error, Exception) and not isinstance(error, StopIteration)
    return error if usable else RewardError(f"the reward function raised {type(error).__name__}: {error}")  # type: ignore[return-value]
