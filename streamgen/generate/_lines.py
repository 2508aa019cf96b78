"""Takes the examples out of what a model wrote: no numbering, no quotes, no echoes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_BULLET = re.compile(r"^\s*(?:[-*•–—>]+|\(?\d{1,3}[.):]|[a-z][.)])\s+")
_PREFIX = re.compile(
    r"^(?:(?:request|example|utterance|text|sentence|user|assistant|answer|output|input|question)\s*\d*\s*:)\s*", re.I
)
_FRAME = re.compile(r"^(?:here(?:'s| is| are)|sure|certainly|of course|as an ai|i'm sorry|i am sorry)\b", re.I)
_QUOTES = {'"': '"', "“": "”", "«": "»", "`": "`"}
_LETTERS = re.compile(r"[^\W\d_]")


class Cleaned(NamedTuple):
    """The texts that can be used, in order, and why others cannot: one reason for each."""

    texts: list[str]
    reasons: list[str]


def clean_lines(answer: str, *, label: str, known: Iterable[str], cut: bool) -> Cleaned:
    """The examples in `answer`, one a line.

    `known` are texts of the prompt: a line that repeats one is an echo. A last line that was `cut` is unfinished.
    """
    lines = [line for line in answer.splitlines() if line.strip()]
    seen = {_key(text) for text in known}
    texts: list[str] = []
    reasons: list[str] = ["cut"] if cut and lines else []
    for line in lines[: len(lines) - len(reasons)]:
        text = clean(line, label)
        if reason := _fault(text, seen):
            reasons.append(reason)
        else:
            seen.add(_key(text))
            texts.append(text)
    return Cleaned(texts, reasons or ([] if texts else ["empty"]))


def clean(line: str, label: str = "") -> str:
    """One line without bullet, number, quotes or the label in front of it.

    >>> clean('3. "Play some jazz"'), clean("play music: Play some jazz", "play music")
    ('Play some jazz', 'Play some jazz')
    >>> clean('"Play some jazz" (a request)'), clean("'Tis raining?")
    ('Play some jazz', "'Tis raining?")
    """
    text = _unquote(_PREFIX.sub("", _BULLET.sub("", line)).strip().strip("*").strip())
    if label and text.lower().startswith(f"{label.lower()}:"):
        text = _unquote(text[len(label) + 1 :].strip())
    return " ".join(text.split())


def _unquote(text: str) -> str:
    """What stands between the first and the last quote; all where the text does not begin with one."""
    closing = _QUOTES.get(text[:1])
    if closing is None:
        return text
    end = text.rfind(closing, 1)
    return text[1:end].strip() if end > 0 else text[1:].strip()


def _fault(text: str, seen: set[str]) -> str | None:
    if not _LETTERS.search(text):
        return "empty"
    if _FRAME.match(text) or text.endswith(":"):
        return "not_an_example"
    return "echo" if _key(text) in seen else None


def _key(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
