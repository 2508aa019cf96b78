"""Detects evolutions that failed: Evol-Instruct's rules of elimination (section 3.2 of Xu et al. 2023), the failure
patterns of Auto Evol-Instruct (Zeng et al. 2024, arXiv 2406.00770), and what small models do wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import Protocol

from streamgen.generate._refusals import content_words, empty_or_refused, has_changed_script
from streamgen.generate._tasks import is_task
from streamgen.text import words

_LOOKED_AT = 20_000  # characters of an evolved instruction: what goes wrong shows before
_RUN = 5  # words of the prompt in a row that are no accident
_MANY = 10  # content words: an instruction of fewer has no data that could be lost
_REPEATING = 30  # words: in fewer, repeats are ordinary

_META = re.compile(
    r"\b(?:new|original|revised|rewritten|rewrite|modified|existing|previous|given|created|harder|final)[ \n]"
    r"(?:version|task|prompt|instruction)s?\b"
    r"|\b(?:this|the)[ \n]task[ \n](?:is|was|of|requires|itself|has|must|should|can|will)\b"
    r"|\bas the original\b|\[(?:task|first|second|new (?:version|task))\]|#\w+ prompt#",
    re.IGNORECASE,
)
_UNDERSTOOD = re.compile(
    r"\W*(?:understood|thank(?:s| you)|sure|certainly|of course|absolutely|got it|okay|here(?:'s| is| are)"
    r"|i(?:'m| am) (?:glad|happy|thrilled|excited)|i['’]ve)\b",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"^[^\w\n]{0,4}(?:the )?(?:answer|explanation|solution|response|a|q)[^\w\n]{0,4}:", re.I | re.M)
_IN_AND_OUT = re.compile(r"^[^\w\n]{0,4}(input|output)[^\w\n]{0,4}:", re.I | re.M)


class Limits(Protocol):
    """What an evolved instruction may change."""

    @property
    def most_added(self) -> int: ...
    @property
    def least_kept(self) -> float: ...
    @property
    def like_a_task(self) -> bool: ...


def fault(evolved: str, instruction: str, operation: str, prompt: str, limits: Limits) -> str | None:
    """The first rule that an evolved instruction breaks, or None. `prompt` is what the model was asked, without it."""
    after, before = evolved[:_LOOKED_AT], instruction[:_LOOKED_AT]
    if reason := empty_or_refused(after):
        return reason
    if _leaks(after, before, prompt):
        return "leaked_prompt"
    if _is_new(_UNDERSTOOD.match, after, before):
        return "understood"
    if set(content_words(after)) <= set(content_words(before)):
        return "no_gain"
    if has_changed_script(after, before):
        return "other_language"
    if _is_answered(after, before):
        return "answered"
    if _repeats(after):
        return "repetitive"
    if limits.like_a_task and is_task(before) and not is_task(after):
        return "not_a_task"
    return None if operation == "breadth" else _in_depth_fault(after, before, operation, limits)


def answer_fault(answer: str) -> str | None:
    """What an answer says about the instruction that was answered, or None.

    >>> answer_fault("Understood. What else?"), answer_fault("Sure, which one?"), answer_fault("Please provide a list.")
    ('stagnant', 'unqualified', 'lost_information')
    """
    text = answer[:_LOOKED_AT].strip().casefold()
    if text.endswith("?"):
        if text.startswith(("understood", "thank you")):
            return "stagnant"
        if text.startswith("sure"):
            return "unqualified"
    return "lost_information" if "please provide" in text else empty_or_refused(text)


def _in_depth_fault(after: str, before: str, operation: str, limits: Limits) -> str | None:
    if operation != "complicate_input" and len(words(after)) - len(words(before)) > limits.most_added:
        return "too_long"
    wanted = set(content_words(before))
    kept = len(wanted.intersection(content_words(after)))
    return "lost_information" if len(wanted) >= _MANY and kept < limits.least_kept * len(wanted) else None


def _is_new(find: Callable[[str], re.Match[str] | None], after: str, before: str) -> bool:
    """Whether a pattern is found in the new text and not in the old one."""
    return find(after) is not None and find(before) is None


def _leaks(after: str, before: str, prompt: str) -> bool:
    return _is_new(_META.search, after, before) or not _runs(prompt).isdisjoint(_grams(after) - _grams(before))


@lru_cache(maxsize=64)
def _runs(prompt: str) -> frozenset[tuple[str, ...]]:
    return _grams(prompt)


def _grams(text: str) -> frozenset[tuple[str, ...]]:
    found = words(text)
    return frozenset(zip(*(islice(found, start, None) for start in range(_RUN)), strict=False))


def _is_answered(after: str, before: str) -> bool:
    marks = {mark.casefold() for mark in _IN_AND_OUT.findall(after)}
    return _is_new(_ANSWER.search, after, before) or (marks == {"output"} and not _IN_AND_OUT.search(before))


def _repeats(text: str) -> bool:
    found = words(text)[:200]
    return len(found) >= _REPEATING and len(set(found)) < 0.35 * len(found)
