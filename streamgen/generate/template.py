"""Sets columns from variables: drawn, walked through, or taken from other columns; no model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, prod
from random import Random
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Result
from streamgen.generate.chat import check_prompt
from streamgen.llm.prompt import compile_prompt
from streamgen.record import Columns, Record, Value
from streamgen.settings import Settings
from streamgen.text import value_of


class Variable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of: `choices` (with `weights`), a range from `low` to `high` (of whole numbers if both are), a `column`."""

    choices: Annotated[tuple[Value, ...], Meta(min_length=1)] | None = None
    weights: tuple[Annotated[float, Meta(ge=0.0)], ...] | None = None
    low: int | float | None = None
    high: int | float | None = None
    column: str | None = None

    def check(self, name: str) -> None:
        """Raise ValueError where it is not clear what the variable is."""
        ways = [self.choices is not None, self.low is not None or self.high is not None, self.column is not None]
        if sum(ways) != 1:
            raise ValueError(f"variables.{name}: give choices, or low and high, or column")
        if self.weights is not None:
            self._check_weights(name, self.weights)
        if ways[1]:
            self._check_range(name)

    def steps(self) -> Sequence[Value] | None:
        """Every value in order, where there are finitely many."""
        if self.choices is not None:
            return self.choices
        if isinstance(self.low, int) and isinstance(self.high, int):
            return range(self.low, self.high + 1)
        return None

    def draw(self, rng: Random) -> Value:
        """A value by chance: both ends of a range are in it."""
        if self.choices is not None:
            return rng.choices(self.choices, self.weights)[0]
        low, high = self.low or 0, self.high or 0
        return rng.randint(low, high) if isinstance(low, int) and isinstance(high, int) else rng.uniform(low, high)

    def _check_weights(self, name: str, weights: Sequence[float]) -> None:
        if self.choices is None or len(weights) != len(self.choices):
            raise ValueError(f"variables.{name}.weights: give one for each of the {len(self.choices or ())} choices")
        if not (isfinite(sum(weights)) and sum(weights) > 0):
            raise ValueError(f"variables.{name}.weights: at least one must be above 0")

    def _check_range(self, name: str) -> None:
        if self.low is None or self.high is None:
            raise ValueError(f"variables.{name}: a range needs both low and high")
        if not (isfinite(self.low) and isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"variables.{name}: low = {self.low} is above high = {self.high}")


class TemplateSettings(Settings, frozen=True, kw_only=True):
    """Each variable becomes a column of its name. `text`, a Jinja2 template over all columns, goes to `output`.

    `cover = "product"` walks through every combination of choices and whole numbers by the ticket's number, the last
    variable fastest, and then starts again; other variables are drawn as usual.
    """

    variables: Mapping[str, Variable] = {}
    text: str | None = None
    output: str = "text"
    cover: Literal["random", "product"] = "random"

    def check(self) -> None:
        """Raise ValueError for a variable or a template that cannot be right."""
        for name, variable in self.variables.items():
            variable.check(name)
            if self.cover == "product" and variable.weights is not None:
                raise ValueError(f"variables.{name}.weights: cover = 'product' gives each combination once")
        check_prompt("text", self.text or "")

    def reads(self) -> frozenset[str]:
        """The columns of variables, and those of the template that are no variables."""
        columns = {variable.column for variable in self.variables.values() if variable.column is not None}
        return frozenset(columns) | (compile_prompt(self.text or "").columns - self.variables.keys())

    def writes(self) -> frozenset[str]:
        """The variables, and the output column where there is a text."""
        return frozenset(self.variables) | ({self.output} if self.text is not None else frozenset())


def template(record: Record, context: Context[TemplateSettings]) -> Result:
    """The record with the variables and the text as columns. The same seed and ticket give the same values.

    Raises MissingColumn, or PromptError for the text, where the record lacks a column.
    """
    settings = context.settings
    walked = _walked(settings.variables, context.ticket) if settings.cover == "product" else {}
    columns: Columns = dict(record.columns)
    for name, variable in settings.variables.items():
        if variable.column is not None:
            columns[name] = value_of(record, variable.column, context.stage)
        else:
            columns[name] = walked[name] if name in walked else variable.draw(context.rng)
    if settings.text is not None:
        columns[settings.output] = compile_prompt(settings.text).render(columns)
    return record.with_columns(columns)


def _walked(variables: Mapping[str, Variable], ticket: int) -> Columns:
    """The combination with the number `ticket`, counted in mixed radix."""
    steps = {name: values for name, variable in variables.items() if (values := variable.steps()) is not None}
    number = ticket % prod(map(len, steps.values()))
    found: Columns = {}
    for name, values in reversed(steps.items()):
        number, digit = divmod(number, len(values))
        found[name] = values[digit]
    return found
