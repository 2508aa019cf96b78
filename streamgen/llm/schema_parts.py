"""JSON Schema's checks of what is inside a value, and of several schemas at once."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streamgen.errors import suggestion
from streamgen.llm.schema_keywords import Check
from streamgen.record import Value

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def anything(value: Value) -> None:
    """The check that everything passes."""
    return


def every_one(checks: list[Check]) -> Check:
    """The check that a value passes all of these; the first reason is told."""
    if len(checks) < 2:
        return checks[0] if checks else anything

    def check(value: Value) -> str | None:
        for one in checks:
            if (reason := one(value)) is not None:
                return reason
        return None

    return check


def some_one(checks: list[Check]) -> Check:
    """`anyOf`. Of several reasons the one that lies deepest is told: that alternative came nearest."""

    def check(value: Value) -> str | None:
        reasons = []
        for one in checks:
            if (reason := one(value)) is None:
                return None
            reasons.append(reason)
        deepest = max(reasons, key=lambda reason: reason.index(":"))
        return deepest if deepest.index(":") else f": fits no alternative{deepest}"

    return check


def just_one(checks: list[Check]) -> Check:
    """`oneOf`: not none of these and not several."""
    some = some_one(checks)

    def check(value: Value) -> str | None:
        fitting = sum(one(value) is None for one in checks)
        return some(value) if fitting == 0 else f": fits {fitting} alternatives of `oneOf`" if fitting > 1 else None

    return check


def members(properties: Mapping[str, Check]) -> Check:
    """`properties`, where others may be there too."""
    checks = [(name, _step(name), check) for name, check in properties.items()]

    def check(value: Value) -> str | None:
        if isinstance(value, dict):
            for name, step, inner in checks:
                if name in value and (reason := inner(value[name])) is not None:
                    return step + reason
        return None

    return check


def all_members(
    properties: Mapping[str, Check], patterns: list[tuple[re.Pattern[str], Check]], other: Check | None
) -> Check:
    """`properties`, `patternProperties`, and for all others `additionalProperties`; None forbids them."""

    def checks_of(name: str) -> list[Check]:
        found = [properties[name]] if name in properties else []
        found += [check for pattern, check in patterns if pattern.search(name)]
        return found or ([other] if other else [])

    def check(value: Value) -> str | None:
        for name, part in value.items() if isinstance(value, dict) else ():
            if not (checks := checks_of(name)):
                return f": {name!r} is not allowed{suggestion(name, properties)}"
            for inner in checks:
                if (reason := inner(part)) is not None:
                    return _step(name) + reason
        return None

    return check


def names(inner: Check) -> Check:
    """`propertyNames`."""

    def check(value: Value) -> str | None:
        for name in value if isinstance(value, dict) else ():
            if (reason := inner(name)) is not None:
                return f": the name {name!r} does not fit{reason}"
        return None

    return check


def items(first: list[Check], rest: Check) -> Check:
    """`prefixItems`, and `items` for those behind them."""

    def check(value: Value) -> str | None:
        for index, item in enumerate(value if isinstance(value, list) else ()):
            inner = first[index] if index < len(first) else rest
            if (reason := inner(item)) is not None:
                return f"[{index}]{reason}"
        return None

    return check


def one_item(inner: Check) -> Check:
    """`contains`: at least one item."""

    def check(value: Value) -> str | None:
        is_bad = isinstance(value, list) and all(inner(item) is not None for item in value)
        return ": no item fits `contains`" if is_bad else None

    return check


def _step(name: str) -> str:
    return f".{name}" if _NAME.fullmatch(name) else f"[{name!r}]"
