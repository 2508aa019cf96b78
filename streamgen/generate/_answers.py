"""The answer that a written solution ends with, and when two answers are the same."""

from __future__ import annotations

import re
from fractions import Fraction

from streamgen.text import words

_LOOKED_AT = 2_000  # characters behind the mark: an answer is a line
_BOXED = re.compile(r"\\boxed\{([^{}]{1,200})\}")
_SAID = re.compile(r"\banswer is\b[ :]{0,3}([^\n]{1,200}?)(?=[.!](?:\s|$)|\n|$)", re.IGNORECASE)
_NUMBER = re.compile(r"[-−+]?(?:\d{1,40}(?:[, ]\d{3}(?!\d)){0,12}(?:\.\d{1,40})?(?:\s?/\s?\d{1,40})?|\.\d{1,40})")
_AROUND = " \t*_`$\"'“”.:;"


def answer_in(text: str, mark: str) -> str | None:
    r"""What stands behind the last `mark` on its line, in the last `\boxed{}`, or behind "the answer is"; else None.

    >>> answer_in("2 + 2 is 4.\nAnswer: **4**.", "Answer:"), answer_in(r"so \boxed{7}", "Answer:")
    ('4', '7')
    >>> answer_in("So the answer is 12. Good.", "Answer:"), answer_in("4", "Answer:")
    ('12', None)
    """
    place = text.casefold().rfind(mark.casefold())
    if place >= 0:
        behind = text[place + len(mark) : place + len(mark) + _LOOKED_AT].lstrip().split("\n", 1)[0]
        if answer := behind.strip(_AROUND):
            return answer
    found = _BOXED.findall(text) or _SAID.findall(text)
    return (found[-1].strip(_AROUND) or None) if found else None


def before_answer(text: str, mark: str) -> str:
    """The text up to the last `mark`; all of it where there is none."""
    place = text.casefold().rfind(mark.casefold())
    return (text[:place] if place > 0 else text).rstrip(" \t\n*_#")


def normal(answer: str) -> str:
    """The same for answers that mean the same: a single number by its value, all else by its words.

    >>> normal("$1,200.50"), normal("2401/2 dollars"), normal("50 %"), normal("The Nile!"), normal("-.5")
    ('2401/2', '2401/2', '50%', 'the nile', '-1/2')
    """
    numbers = _NUMBER.findall(answer[:_LOOKED_AT])
    if len(numbers) == 1 and (value := number_of(numbers[0])) is not None:
        return f"{value}%" if re.search(r"\d\s?%", answer) else str(value)
    return " ".join(words(answer[:_LOOKED_AT]))


def number_of(text: str) -> Fraction | None:
    """The number that a text is; None for what is none."""
    plain = re.sub(r"[,\s]", "", text).replace("−", "-")
    try:
        return Fraction(plain) if "." not in plain or "/" not in plain else None
    except (ValueError, ZeroDivisionError):
        return None
