"""Prompts: Jinja2 templates over a record's columns, in a sandbox; the plain ones need no Jinja2 at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from streamgen.errors import RecipeError, StreamgenError
from streamgen.record import Value

if TYPE_CHECKING:
    from streamgen.llm.sandbox import Sandbox

MAX_CHARACTERS = 1_000_000

_Render = Callable[[Mapping[str, Value]], str]

_INSERTION = re.compile(r"\{\{[ \t\n]*([A-Za-z_][A-Za-z0-9_]*)[ \t\n]*\}\}")
_LINE_END = re.compile(r"\r\n|\r|\n")
# Names that mean something else to Jinja2 than a column.
_RESERVED = {
    *("true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else"),
    *("self", "super", "loop", "caller", "varargs", "kwargs", "range", "namespace"),
}


class PromptError(StreamgenError):
    """A prompt cannot be made of this record; the record fails."""


class Prompt:
    """A compiled template. `columns` are the ones that it may read."""

    def __init__(self, text: str, columns: frozenset[str], render: _Render) -> None:
        self.text = text
        self.columns = columns
        self._render = render

    def render(self, columns: Mapping[str, Value]) -> str:
        """The text for these columns. Raises PromptError for a missing one, naming those that are there."""
        text = self._render(columns)
        if len(text) > MAX_CHARACTERS:
            raise too_long()
        return text

    def __repr__(self) -> str:
        return f"<Prompt {self.text[:40]!r} of {', '.join(sorted(self.columns)) or 'no columns'}>"


@lru_cache(maxsize=1024)
def compile_prompt(text: str) -> Prompt:
    """The template, compiled once. Raises RecipeError, with the line, for a syntax error.

    >>> prompt = compile_prompt("Translate: {{ text }}")
    >>> prompt.columns, prompt.render({"text": "hello"})
    (frozenset({'text'}), 'Translate: hello')
    """
    return _plain(text) or _templated(text)


def _plain(text: str) -> Prompt | None:
    """A join of text and columns, where the template is no more than that."""
    parts = _INSERTION.split(_LINE_END.sub("\n", text))
    literals, names = parts[::2], parts[1::2]
    if _RESERVED.intersection(names) or _is_markup(literals):
        return None

    def render(columns: Mapping[str, Value]) -> str:
        try:
            inserted = [str(columns[name]) for name in names]
        except KeyError as error:
            raise _missing(error.args[0], columns) from None
        if "None" in inserted and any(columns[name] is None for name in names):
            raise _null(names, columns)
        return literals[0] + "".join([value + literal for value, literal in zip(inserted, literals[1:], strict=True)])

    return Prompt(text, frozenset(names), render)


def _is_markup(literals: list[str]) -> bool:
    """Whether Jinja2 would see more than text; a brace before an insertion would become part of it."""
    marks = ("{{", "{%", "{#")
    return any(mark in literal for literal in literals for mark in marks) or any(
        literal.endswith("{") for literal in literals[:-1]
    )


def _templated(text: str) -> Prompt:
    from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError
    from jinja2.meta import find_undeclared_variables

    from streamgen.llm.sandbox import NullInserted

    environment = _environment()
    try:
        names = frozenset(find_undeclared_variables(environment.parse(text)) - environment.globals.keys())
        template = environment.from_string(text)
    except TemplateSyntaxError as error:
        raise RecipeError(f"the prompt is no valid template, line {error.lineno}: {error.message}") from error
    except TemplateError as error:
        raise RecipeError(f"the prompt is no valid template: {error}") from error

    def render(columns: Mapping[str, Value]) -> str:
        environment.begin()
        try:
            return _bounded(template.generate(columns))
        except UndefinedError as error:
            missing = names - columns.keys()
            raise _missing(min(missing), columns) if missing else PromptError(f"the prompt fails: {error}") from error
        except PromptError:
            raise
        except NullInserted:
            raise _null(sorted(names), columns) from None
        except Exception as error:  # the template is the user's code: whatever it raises fails the record
            raise PromptError(f"the prompt fails: {type(error).__name__}: {error}") from error

    return Prompt(text, names, render)


def _bounded(pieces: Iterator[str]) -> str:
    text, size = [], 0
    for piece in pieces:
        text.append(piece)
        size += len(piece)
        if size > MAX_CHARACTERS:
            raise too_long()
    return "".join(text)


@cache
def _environment() -> Sandbox:
    from streamgen.llm.sandbox import Sandbox

    return Sandbox()


def _missing(name: str, columns: Mapping[str, Value]) -> PromptError:
    has = ", ".join(sorted(columns)) or "no columns"
    return PromptError(f"the prompt needs the column {name!r}, which the record does not have; it has: {has}")


def _null(names: Iterable[str], columns: Mapping[str, Value]) -> PromptError:
    """A null is refused like a column that is missing: a model would read it as a word, or a hole in the text."""
    nulls = [name for name in names if columns.get(name, "") is None]
    what = f"the column {nulls[0]!r}, which is null" if nulls else "a null"
    return PromptError(f'the prompt inserts {what}; where that is fine, write {{{{ {(*nulls, "name")[0]} or "" }}}}')


def too_long() -> PromptError:
    """For a text that is longer than a prompt may be."""
    return PromptError(f"the prompt is longer than {MAX_CHARACTERS:,} characters")
