"""Keeps what a function of the user's says yes to."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import RecipeError
from streamgen.functions import Function, find_function
from streamgen.record import Record
from streamgen.settings import FunctionName, Settings
from streamgen.text import text_of


class CustomSettings(Settings, frozen=True, kw_only=True):
    """The `function` as "module:function": a file beside the recipe, or an installed module.

    It gets the record, or with a `column` that one's text. What is true keeps the record, what is false (None too)
    drops it as the stage's own name; a string, or `Drop("...")`, is the reason of a drop; a record takes its place.
    """

    function: FunctionName
    column: str | None = None

    def check(self) -> None:
        """Raise ValueError for a function that cannot be found."""
        try:
            function_of(self.function)
        except RecipeError as error:
            raise ValueError(f"function: {error.message}") from error

    def reads(self) -> frozenset[str] | None:
        """The column; without one only the function knows."""
        return None if self.column is None else frozenset({self.column})

    def writes(self) -> frozenset[str] | None:
        """Nobody knows."""
        return None


def custom(record: Record, context: StageContext[CustomSettings]) -> Result:
    """The record, or a drop, as the function says."""
    settings = context.settings
    subject = record if settings.column is None else text_of(record, settings.column, context.stage)
    answer = function_of(settings.function)(subject)
    if isinstance(answer, Record | Drop):
        return answer
    if isinstance(answer, str):
        return Drop(answer or context.stage)
    return record if answer else Drop(context.stage)


@lru_cache(maxsize=32)
def function_of(name: str) -> Function:
    """The function that "module:function" or "/path/of/module.py:function" names. Raises RecipeError."""
    module, _, function = name.rpartition(":")
    if not module.endswith(".py"):
        return find_function(name, None, "function")
    file = Path(module)
    return find_function(f"{file.stem}:{function}", str(file.parent), "function")
