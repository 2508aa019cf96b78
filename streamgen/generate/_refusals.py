"""Tells texts without content, and answers that refuse, from texts that can be used."""

from __future__ import annotations

import re

from streamgen.text import words

_LOOKED_AT = 20_000  # characters: what says nothing in so many says nothing
_REFUSAL_WORDS = 80  # the bound of Evol-Instruct (section 3.2): a longer answer may well contain "sorry"
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|as an ai\b|"
    r"i (?:can(?:no|['’])t|am unable to|am not able to) (?:help|assist|do|comply|fulfil|provide))",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"[^\W\d_]+")
_STOP_WORDS = frozenset(
    words(
        "a an and are as at be but by can do for from had has have he her his i if in is it its me my no nor not of on "
        "or our she so that the their them then there these they this those to was we were what when where which who "
        "why will with you your yes ok okay please"
    )
)


def empty_or_refused(text: str) -> str | None:
    """`no_content` for a text of stop words and punctuation only, `refusal` for a short one that says no, or None.

    >>> empty_or_refused("Is it the ...?"), empty_or_refused("I cannot help."), empty_or_refused("Inn")
    ('no_content', 'refusal', None)
    """
    found = words(text[:_LOOKED_AT])
    if _STOP_WORDS.issuperset(found):
        return "no_content"
    return "refusal" if is_refusal(text, len(found)) else None


def is_refusal(text: str, length: int) -> bool:
    """Whether a text of so many words is short and says that it will not help."""
    return length < _REFUSAL_WORDS and _REFUSAL.search(text[:_LOOKED_AT]) is not None


def content_words(text: str) -> list[str]:
    """The words of a text that carry its meaning, in order.

    >>> content_words("What is the capital of Peru?")
    ['capital', 'peru']
    """
    return [word for word in words(text[:_LOOKED_AT]) if word not in _STOP_WORDS]


def has_changed_script(after: str, before: str) -> bool:
    """Whether most letters of the new text are of other scripts than ASCII, and few of the old one."""
    return _share_beyond_ascii(after[:_LOOKED_AT]) > 0.5 > 0.1 > _share_beyond_ascii(before[:_LOOKED_AT])


def _share_beyond_ascii(text: str) -> float:
    letters = "".join(_LETTERS.findall(text))
    return sum(letter > "\x7f" for letter in letters) / len(letters) if letters else 0.0
