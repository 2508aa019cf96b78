"""What the stage `controlled` says to a model: a sentence for each constraint, and the words of the second asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from streamgen.generate.chat import check_prompt
from streamgen.llm.prompt import compile_prompt
from streamgen.quality.constraints import Constraints
from streamgen.record import Value

_SENTENCES: Mapping[str, str] = {
    "schema": "Write nothing but JSON that fits this schema: {{ value }}",
    "min_words": "Use at least {{ value }} words.",
    "max_words": "Use at most {{ value }} words.",
    "max_characters": "Use at most {{ value }} characters.",
    "must": "Use these words: {{ value }}.",
    "must_not": "Do not use these words: {{ value }}.",
    "terms": "Use at least {{ least }} of these terms: {{ value }}.",
    "languages": "Write in the language with the ISO 639 code {{ value }}.",
    "format": "Format: {{ value }}.",
    "min_items": "Write a list of at least {{ value }} items.",
    "max_items": "Write a list of at most {{ value }} items.",
    "tone": "Keep a tone that is {{ value }}.",
    "min_grade": "Write for readers with at least {{ value }} years of school.",
    "max_grade": "Write so simply that {{ value }} years of school are enough to read it.",
}
_FORMATS: Mapping[str, str] = {
    "json": "JSON and nothing else",
    "bullets": 'a list, each line of which begins with "- "',
    "numbered": 'a list, the lines of which begin with "1. ", "2. " and so on',
    "one_line": "a single line",
    "lowercase": "small letters only",
    "uppercase": "capital letters only",
    "quoted": "the whole text in double quotation marks",
}


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts, as templates.

    `ask` may insert `prompt` and `asked`, the list of sentences; `again`, which follows the first answer, `violated`.
    `sentences` replaces single ones, by the constraint's name: they may insert `value`, and `least` (of `terms`).
    `formats` says what each `format` means.
    """

    system: str = ""
    ask: str = "{{ prompt }}\n{% for sentence in asked %}\n- {{ sentence }}{% endfor %}"
    again: str = (
        "Your text does not yet do all that was asked:\n{% for sentence in violated %}\n- {{ sentence }}{% endfor %}"
        "\n\nWrite it again so that it does, and write nothing else."
    )
    sentences: Mapping[str, str] = {}
    formats: Mapping[str, str] = {}

    def check(self) -> None:
        """Raise ValueError for a template that has an error, inserts what there is not, or belongs to nothing."""
        _check("wording.system", self.system)
        _check("wording.ask", self.ask, "asked", "prompt")
        _check("wording.again", self.again, "violated")
        for name, template in self.sentences.items():
            _check_name("wording.sentences", name, _SENTENCES)
            _check(f"wording.sentences.{name}", template, "least", "value")
        for name in self.formats:
            _check_name("wording.formats", name, _FORMATS)

    def sentences_of(self, names: Sequence[str], constraints: Constraints) -> list[str]:
        """What each of these constraints asks."""
        templates = {**_SENTENCES, **self.sentences}
        return [compile_prompt(templates[name]).render(self._inserts(name, constraints)) for name in names]

    def _inserts(self, name: str, constraints: Constraints) -> Mapping[str, Value]:
        value = getattr(constraints, name)
        if name == "format":
            value = {**_FORMATS, **self.formats}[value]
        elif name == "schema":
            value = msgspec.json.encode(value).decode()
        elif isinstance(value, float):
            value = f"{value:g}"
        elif isinstance(value, tuple):
            value = (" or " if name == "languages" else ", ").join(value)
        return {"value": value, "least": constraints.min_terms}


def _check(field: str, template: str, *known: str) -> None:
    check_prompt(field, template)
    if unknown := sorted(compile_prompt(template).columns.difference(known)):
        raise ValueError(f"{field}: it inserts {unknown[0]!r}; there is {', '.join(known) or 'nothing'}")


def _check_name(field: str, name: str, known: Mapping[str, str]) -> None:
    if name not in known:
        raise ValueError(f"{field}: {name!r} is not known; known: {', '.join(known)}")
