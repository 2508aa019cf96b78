"""Jinja2's sandbox with a meter: it stops escapes by itself, but neither loops nor repetition.

Everything that a template can do often or make long is paid out of one allowance for each rendering: steps of loops,
calls, characters of texts that are put together. A text that would be longer than a prompt may be is never built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import update_wrapper
from typing import Any, cast

from jinja2 import StrictUndefined, nodes
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from streamgen.llm.prompt import MAX_CHARACTERS, PromptError, too_long
from streamgen.record import Value

MAX_RANGE = 10_000
MAX_WORK = 20_000_000  # characters; at most about half a second
_STEP = 20  # what a step of a loop costs
_CALL = 200  # what a call costs
_MAX_WIDTH = 1_000  # of a padding or an indent, items of a batch

_WIDE = re.compile(r"\*|\d{4}|\{[^{}]*:[^{}]*\{")  # in a format: a width that is given apart, or one of four digits


class NullInserted(Exception):
    """A template inserts a null."""


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all templates. `begin` gives a rendering its allowance; renderings do not overlap."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_inserted)
        self._work = 0
        self.globals = {"range": self._range, "namespace": self.globals["namespace"]}
        own = {"join": self._join, "replace": self._replace, "format": self._format, "_steps": self._steps}
        self.filters = {name: self._metered(name, inner) for name, inner in FILTERS.items()} | own
        self.filters["_weighed"] = self._weighed

    def begin(self) -> None:
        """A new rendering begins."""
        self._work = MAX_WORK

    def spend(self, work: int) -> None:
        """Take from the rendering's allowance. Raises PromptError where it is used up."""
        self._work -= work
        if self._work < 0:
            raise PromptError("the prompt is too large to be made: too many steps, or too much text put together")

    def build(self, characters: int) -> None:
        """Pay for a text of this length. Raises PromptError for one that is too long."""
        if characters > MAX_CHARACTERS:
            raise too_long()
        self.spend(characters)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Metering().visit(super()._parse(source, name, filename))
        return tree

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call something in a template, within the allowance."""
        self.spend(_CALL)
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str) and (size := _GROWING.get(obj.__name__)):
            self.build(size(owner, *args, **kwargs))
        return self._paid(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Value, right: Value) -> Value:
        """An operator, where its result is not too large."""
        if operator == "**":
            if abs(right) > 64 or abs(left) > 1e6:
                raise PromptError(f"the prompt fails: {left} ** {right} is too large")
        elif operator == "%":
            if isinstance(left, str):
                self.build(_format_size(left, right))
        elif isinstance(left, _SEQUENCES) or isinstance(right, _SEQUENCES):
            self.build(_sum_size(left, right) if operator == "+" else _product_size(left, right))
        result = super().call_binop(context, operator, left, right)
        return self._weighed(result) if isinstance(result, list | tuple) else result

    def _paid(self, result: Value) -> Value:
        if isinstance(result, str):
            self.build(len(result))
        return result

    def _metered(self, name: str, inner: Callable[..., Value]) -> Callable[..., Value]:
        """A filter of Jinja2's, its numbers bounded and its text paid for."""
        own = 2 if hasattr(inner, "jinja_pass_arg") else 1  # what stands before the arguments in the template

        def filter_(*args: Value, **kwargs: Value) -> Value:
            for given in (*args[own:], *kwargs.values()):
                if isinstance(given, int) and abs(given) > _MAX_WIDTH and name in _WIDENING:
                    raise PromptError(f"the prompt fails: {name}({given}) is too large; at most {_MAX_WIDTH:,}")
            if name == "indent":
                self.build(len(args[0]) + args[0].count("\n") * _MAX_WIDTH)
            return self._paid(inner(*args, **kwargs))

        return update_wrapper(filter_, inner)

    def _join(self, value: Iterable[Value], d: str = "", attribute: str | int | None = None) -> str:
        get = make_attrgetter(self, attribute) if attribute is not None else None
        parts: list[str] = []
        length = 0
        for part in value:
            parts.append(str(part if get is None else get(part)))
            length += len(parts[-1]) + len(d)
            self.build(min(length, _STEP) if length <= MAX_CHARACTERS else length)
        self.spend(length)
        return d.join(parts)

    def _replace(self, value: Value, old: str, new: str, count: int | None = None) -> str:
        text = str(value)
        self.build(_replaced(text, old, new))
        return text.replace(old, new, -1 if count is None else count)

    def _format(self, value: str, *args: Value, **kwargs: Value) -> Value:
        self.build(_format_size(value, *args, *kwargs.values()))
        return FILTERS["format"](value, *args, **kwargs)

    def concat(self, pieces: Iterable[str]) -> str:
        """The text of a macro or a block."""
        parts = list(pieces)
        self.build(sum(map(len, parts)))
        return "".join(parts)

    def _weighed(self, value: Value) -> Value:
        """The list, where all that hangs below it is not too much: lists of lists of the same list can be endless."""
        stack = [value]
        while stack:
            part = stack.pop()
            self.spend(_STEP + (len(part) if isinstance(part, str) else 0))
            if isinstance(part, Mapping):
                stack += [*part, *part.values()]
            elif isinstance(part, list | tuple):
                stack += part
        return value

    def _steps(self, items: Iterable[Value]) -> Iterator[Value]:
        for item in items:
            self.spend(_STEP)
            yield item

    def _range(self, *bounds: int) -> range:
        numbers = range(*bounds)
        if len(numbers) > MAX_RANGE:
            raise PromptError(f"the prompt fails: a range of {len(numbers)} numbers; at most {MAX_RANGE} are allowed")
        return numbers


def _inserted(value: Value) -> Value:
    if value is None:
        raise NullInserted
    return value


class _Metering(NodeTransformer):
    """Loops and lists go through the meter, and `a ~ b` through the filter that joins."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_steps")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "join")

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed") if node.items else node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed") if node.items and node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_weighed") if node.items else node


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, node), name, [], [], None, None, lineno=node.lineno)


_SEQUENCES = (str, list, tuple)
_WIDENING = frozenset({"center", "indent", "round", "batch", "slice", "tojson", "filesizeformat"})


def _sum_size(left: Value, right: Value) -> int:
    return sum(len(part) for part in (left, right) if isinstance(part, _SEQUENCES))


def _product_size(left: Value, right: Value) -> int:
    sequence, times = (right, left) if isinstance(left, int) else (left, right)
    return len(sequence) * max(0, times) if isinstance(times, int) else 0


def _format_size(format_: str, *values: Value) -> int:
    """The most that a format without large widths can come to. Raises PromptError for those with such."""
    if _WIDE.search(format_):
        raise PromptError(f"the prompt fails: the format {format_[:60]!r} asks for a width of 1,000 or more")
    return len(format_) + sum(len(value) if isinstance(value, str) else 100 for value in values)


def _padded(text: str, width: int = 0, *_: Value, **__: Value) -> int:
    return max(len(text), width)


def _replaced(text: str, old: str, new: str, *_: Value) -> int:
    return len(text) + text.count(str(old)) * len(str(new))


def _joined(text: str, parts: Iterable[str]) -> int:
    return sum(len(part) + len(text) for part in parts) if isinstance(parts, list | tuple | str) else MAX_CHARACTERS + 1


_GROWING: Mapping[str, Callable[..., int]] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
    "expandtabs": lambda text, size=8, **named: len(text) + text.count("\t") * max(size, *named.values(), 0),
    "replace": _replaced,
    "join": _joined,
    "format": lambda text, *values, **named: _format_size(text, *values, *named.values()),
    "format_map": lambda text, values: _format_size(text, *values.values()),
    "translate": lambda text, table: MAX_CHARACTERS + 1,
}
