"""Reads inputs and outputs of a task out of what a model wrote, in either order, and sifts them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streamgen.generate._refusals import is_refusal
from streamgen.text import words

_MARK = re.compile(
    r"^[^\S\n]*\**(?:(input)|output|(?:class )?label)[^\S\n]*\d{0,3}\**[^\S\n]*:\**", re.IGNORECASE | re.MULTILINE
)
_NEXT_TASK = re.compile(r"\n[^\S\n]*(?:Task|Instruction):", re.IGNORECASE)
_NO_INPUT = re.compile(r"[<(\[]?\s?(?:no ?input|none|n/?a|empty)?\s?[>)\]]?\.?", re.IGNORECASE)


class Instance(NamedTuple):
    """What a task is done on, which may be nothing, and what comes of it."""

    input: str
    output: str


class Sifted(NamedTuple):
    """The instances that can be used, and why others cannot."""

    instances: list[Instance]
    reasons: list[str]


def read_instances(text: str, *, output_first: bool, begun: bool, cut: bool) -> Sifted:
    """The instances in an answer, without the last one where that was `cut`.

    `begun`: the prompt ended with the first mark, so that the answer goes on behind it.
    """
    sections = _sections(_NEXT_TASK.split(text, maxsplit=1)[0], output_first=output_first, begun=begun)
    found = list(_labelled_first(sections) if output_first else _given_first(sections))
    return sifted(found[:-1] if cut else found, "truncated" if cut else "malformed")


def sifted(found: Iterable[Instance], nothing: str = "malformed") -> Sifted:
    """The instances that break no rule, each once; none at all where one input has two outputs.

    The rules are those of the authors' code. `nothing` is the reason where there was nothing to sift.
    """
    faults = {instance: _fault(instance) for instance in found}  # in order, and each once
    kept = [instance for instance, reason in faults.items() if reason is None]
    reasons = [reason for reason in faults.values() if reason]
    given = [instance.input for instance in kept if instance.input]
    if len(given) > len(set(given)):
        return Sifted([], [*reasons, "contradictory"])
    return Sifted(kept, reasons or ([] if kept else [nothing]))


def _fault(instance: Instance) -> str | None:
    if not instance.output or _NO_INPUT.fullmatch(instance.output):
        return "no_output"
    if instance.input == instance.output:
        return "output_is_input"
    if instance.input.endswith(":") or instance.output.endswith(":"):
        return "unfinished"
    return "refusal" if is_refusal(instance.output[:1000], len(words(instance.output[:1000]))) else None


class _Section(NamedTuple):
    is_input: bool
    text: str


def _sections(text: str, *, output_first: bool, begun: bool) -> list[_Section]:
    """What stands behind each mark. What stands before the first one belongs to the part that had to come first."""
    marks = list(_MARK.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    found = [
        _Section(mark[1] is not None, text[mark.end() : end].strip()) for mark, end in zip(marks, ends, strict=True)
    ]
    leading = text[: marks[0].start()].strip() if marks else text.strip()
    is_lead = found[0].is_input == output_first if found else begun
    return [_Section(not output_first, leading), *found] if leading and (is_lead or begun) else found


def _given_first(sections: Iterable[_Section]) -> Iterator[Instance]:
    given = ""
    for is_input, text in sections:
        if is_input:
            given = text
        else:
            yield Instance(_or_none(given), text)
            given = ""


def _labelled_first(sections: Iterable[_Section]) -> Iterator[Instance]:
    label: str | None = None
    for is_input, text in sections:
        if not is_input:
            if label is not None:
                yield _below(label)
            label = text
        elif label is not None:
            yield Instance(_or_none(text), label)
            label = None
    if label is not None:
        yield _below(label)


def _below(text: str) -> Instance:
    """A label is one line; what stands below it without a mark is the input."""
    label, _, given = text.partition("\n")
    return Instance(_or_none(given.strip()), label.strip())


def _or_none(given: str) -> str:
    return "" if _NO_INPUT.fullmatch(given) else given
