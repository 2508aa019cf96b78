"""JSON out of what a model wrote: as it is, behind its thoughts, in a fence, in prose, or repaired."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from json import JSONDecoder
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from streamgen.errors import ModelError
from streamgen.llm.shape import Shape
from streamgen.record import Value

Form: TypeAlias = Literal["as_is", "fenced", "repaired"]

MAX_DEPTH = 100  # levels; what is deeper would not get through the journal's encoder everywhere
MAX_REPAIRED = 64_000  # characters: json-repair takes 0.05 s for them, 0.2 s at worst, and the event loop stands still
_TRIES = 16  # openings in prose from which a value is tried
_QUOTED = 120

_THOUGHTS = re.compile(r"\s*<(think|thinking|reasoning)>", re.IGNORECASE)
_THOUGHT_END = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_BRACKETS = re.compile(r"[][{}]")
_LANGUAGE = re.compile(r"\w*[ \t]*\n")

_decode = msgspec.json.Decoder().decode


class Found(NamedTuple):
    """A value that fits, and the form in which the model wrote it."""

    value: Value
    form: Form


class Unfit(ModelError):
    """An answer that holds no JSON, or none that fits; the message says what does not fit at `$.path`."""


class CutUnfit(Unfit):
    """The answer was cut at `max_tokens`, so that what there is of it does not fit."""


def read(text: str, shape: Shape) -> Found:
    """The value of the asked shape in a model's answer. Raises Unfit.

    Of duplicate keys the last one counts, NaN is null where a repair meets it.

    >>> from streamgen.llm.shape import shape_of
    >>> read("Sure!\\n```json\\n{\\"a\\": 1}\\n```", shape_of({"type": "object"}))
    Found(value={'a': 1}, form='fenced')
    """
    first: str | None = None
    for value, form in _candidates(text, shape.openings):
        fitted, reason = shape.fit(value)
        if reason is None:
            return Found(fitted, form)
        first = first or reason
    if first:
        raise Unfit(f"the answer does not fit the schema: {first}")
    raise Unfit(f"the answer holds no JSON: {text[:_QUOTED]!r}")


def _candidates(text: str, openings: str) -> Iterator[Found]:
    """Values that may be meant, the likeliest first."""
    said = _without_thoughts(text)
    whole = list(_values([said] if said is text else [text, said]))
    if whole:
        yield Found(whole[0], "as_is")
        return
    blocks = said.split("```")[1::2]
    parts = [block[match.end() if (match := _LANGUAGE.match(block)) else 0 :] for block in blocks]
    found = list(_values(parts)) or list(_in_prose(said, openings))
    yield from (Found(value, "fenced") for value in found)
    yield from (Found(value, "repaired") for value in _repaired(max(parts, key=len, default=""), said, openings))


def _without_thoughts(text: str) -> str:
    """What stands behind the thoughts; nothing where they do not end. A server may have kept their opening mark."""
    ends = list(_THOUGHT_END.finditer(text))
    if ends:
        return text[ends[-1].end() :]
    return "" if _THOUGHTS.match(text) else text


def _values(texts: list[str]) -> Iterator[Value]:
    for text in texts:
        try:
            value = _decode(text)
        except (msgspec.DecodeError, UnicodeError):
            continue
        except RecursionError:
            raise _too_deep() from None
        yield _flat_enough(text, value)


def _in_prose(text: str, openings: str) -> Iterator[Value]:
    """Values that begin at an opening bracket somewhere in the text, each behind the one before it."""
    next_opening = re.compile(f"[{re.escape(openings)}]").search
    end_of = JSONDecoder().raw_decode
    at = 0
    for _ in range(_TRIES):
        if (opening := next_opening(text, at)) is None:
            return
        start, at = opening.start(), opening.end()
        try:
            _, at = end_of(text, start)
        except ValueError:
            continue
        except RecursionError:
            raise _too_deep() from None
        yield from _values([text[start:at]])


def _repaired(block: str, text: str, openings: str) -> Iterator[Value]:
    start = min((at for opening in openings if (at := text.find(opening)) >= 0), default=None)
    broken = block or ("" if start is None else text[start:])
    if not broken.strip():
        return
    if len(broken) > MAX_REPAIRED:
        raise Unfit(f"the answer's JSON is broken, and too long to be repaired: {len(broken):,} characters")
    if _depth(broken) > MAX_DEPTH:  # json-repair would take a minute for 20,000 openings
        raise _too_deep()
    from json_repair import loads

    try:
        value = _decode(msgspec.json.encode(loads(broken)))  # NaN, which JSON does not have, becomes null
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.MsgspecError, ValueError, TypeError):
        return
    if value or broken.strip()[:2] in ("{}", "[]"):  # "" is json-repair's word for "nothing found"
        yield _flat_enough(broken, value)


def _depth(text: str) -> int:
    """The most brackets that are open at once, those in strings too."""
    return max(accumulate(1 if bracket in "{[" else -1 for bracket in _BRACKETS.findall(text)), default=0)


def _flat_enough(text: str, value: Value) -> Value:
    """The value. Raises Unfit for one that is nested too deeply; few brackets need no look."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return value
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return value
    raise _too_deep()


def _parts(whole: Value) -> Iterable[Value]:
    return whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else ()


def _too_deep() -> Unfit:
    return Unfit(f"the answer's JSON is nested more than {MAX_DEPTH} levels deep")
