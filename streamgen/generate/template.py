"""Sets columns from variables: drawn, walked through, or taken from other columns; no model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Result
from streamgen.generate._coverage import combination, share_of
from streamgen.generate._variables import Variable
from streamgen.generate.chat import check_prompt
from streamgen.llm.prompt import compile_prompt
from streamgen.record import Columns, Record, Value
from streamgen.settings import Settings
from streamgen.text import value_of

__all__ = ["TemplateSettings", "Variable", "template"]


class TemplateSettings(Settings, frozen=True, kw_only=True):
    """Each variable becomes a column of its name. `text`, a Jinja2 template over all columns, goes to `output`.

    `cover = "product"` walks through every combination of choices, whole numbers and days by the ticket's number, the
    last variable fastest, and then starts again; a conditional variable is walked through within the one that it
    depends on. Other variables are drawn as usual. `cover = "latin"` is a Latin hypercube (McKay et al. 1979): of each
    `strata` tickets in a row, each variable has one value in each of as many equally likely parts of its range.
    """

    variables: Mapping[str, Variable] = {}
    text: str | None = None
    output: str = "text"
    cover: Literal["random", "product", "latin"] = "random"
    strata: Annotated[int, Meta(ge=2, le=100_000)] = 100

    def check(self) -> None:
        """Raise ValueError for a variable or a template that cannot be right."""
        above: dict[str, Variable] = {}
        for name, variable in self.variables.items():
            variable.check(name, above)
            above[name] = variable
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
    walked = combination(settings.variables, context.ticket) if settings.cover == "product" else {}
    columns: Columns = dict(record.columns)
    for name, variable in settings.variables.items():
        if variable.column is not None:
            columns[name] = value_of(record, variable.column, context.stage)
        else:
            columns[name] = walked[name] if name in walked else _drawn(name, variable, columns, context)
    if settings.text is not None:
        columns[settings.output] = compile_prompt(settings.text).render(columns)
    return record.with_columns(columns)


def _drawn(name: str, variable: Variable, columns: Columns, context: Context[TemplateSettings]) -> Value:
    if context.settings.cover != "latin" or variable.person is not None:
        return variable.draw(context.rng, columns)
    return variable.at(share_of(name, context.settings.strata, context), columns)
