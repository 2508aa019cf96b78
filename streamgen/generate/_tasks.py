"""Tells a text that asks for something from one that does not: an answer, a remark, a story."""

from __future__ import annotations

import re

from streamgen.text import words

# What tasks begin with: verbs of the 175 seed tasks of Self-Instruct and of FLAN-like collections, in English.
_VERBS = frozenset(
    words(
        "add advise analyse analyze answer apply argue arrange ask assess assign assume brainstorm break "
        "build calculate categorise categorize change check choose cite clarify classify collect combine come "
        "compare compile complete compose compute conduct consider construct continue contrast convert "
        "convince correct count craft create critique cut debate debug decide deduce define demonstrate "
        "derive describe design detect determine develop devise diagnose differentiate discuss distinguish "
        "divide draft draw edit elaborate estimate evaluate examine expand explain explore extend extract "
        "fill find fix formulate gather generate give group guess highlight identify illustrate imagine "
        "implement improve include infer insert interpret invent investigate judge justify label list locate "
        "make mark match mention modify name optimise optimize organise organize outline output paraphrase "
        "parse perform pick plan point predict prepare present produce propose prove provide quote rank rate "
        "read rearrange recommend reconstruct reduce refactor reflect remove rephrase replace reply report "
        "research respond retell reverse review revise rewrite round say schedule select share show simplify "
        "simulate sing sketch solve sort specify spell split state structure suggest sum summarise summarize "
        "suppose take teach tell think trace transform translate try turn use using verify visualise "
        "visualize weigh write "
    )
)
_ASKS = re.compile(
    r"\A\W*given\b|\?(?=\s|$)|\bplease\b|\byour (?:task|job|goal|answer)\b"
    r"|\byou (?:are given|need to|have to|should|must|will be)\b"
    r"|\bi(?:'d| would) like\b|\bi (?:need|want)\b|\b(?:can|could|would) you\b|\bhelp me\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"(?:^|[.!?:;,\n]\s)[^\w\n]*(\w+)", re.MULTILINE)
_CLAUSES = 200
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


def is_task(text: str) -> bool:
    """Whether an English text asks for something: a question, a request, or a clause that begins with a verb.

    Texts in other scripts count as tasks, for want of a way to tell.

    >>> is_task("Given a list, sort it."), is_task("Lists are sorted by their length."), is_task("说出一条河流")
    (True, False, True)
    """
    if not text[:1000].isascii() and sum(letter > "\u024f" for letter in text[:1000]) * 2 > len(text[:1000].strip()):
        return True
    told = _CODE.sub(" ", text)
    if _ASKS.search(told):
        return True
    begins = (match[1].casefold() for _, match in zip(range(_CLAUSES), _CLAUSE.finditer(told), strict=False))
    return any(word in _VERBS for word in begins)
